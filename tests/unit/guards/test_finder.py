"""What is found and what is put in its place: forms, encodings, pseudonyms, JSON, patterns of users."""

from __future__ import annotations

import base64
import json
import random
import urllib.parse

import pytest

import planted
from surefoot.errors import ConfigError
from surefoot.guards.privacy import KINDS, MASK, Finder, Pseudonyms, spellings

NAMES = Pseudonyms(lambda: b"k" * 32)
FIND = Finder(personal=KINDS, pseudonym=NAMES)


@pytest.mark.parametrize(
    "spell",
    [
        str,
        lambda secret: secret[::-1],
        lambda secret: base64.b64encode(secret.encode()).decode(),
        lambda secret: base64.b64encode(f"x{secret}".encode()).decode(),
        lambda secret: base64.urlsafe_b64encode(f"user:{secret}".encode()).decode(),
        lambda secret: urllib.parse.quote(secret, safe=""),
        lambda secret: urllib.parse.quote(secret, safe="").lower(),
        urllib.parse.quote_plus,
        lambda secret: secret.encode().hex(),
        lambda secret: secret.encode().hex().upper(),
        json.dumps,
        lambda secret: json.dumps(json.dumps({"k": secret})),
    ],
)
@pytest.mark.parametrize("secret", ["house+key/of=a\\test", "plainword", 'qu"ote and blank', "wörter&mehr"])
def test_a_known_secret_is_masked_however_it_is_spelled(spell: object, secret: str) -> None:
    assert callable(spell)
    find = Finder(lambda: frozenset((secret,)))
    text = f"before {spell(secret)} behind"
    masked = find(text)
    assert masked is not None
    assert MASK in masked
    assert not [form for form in spellings(secret) if form in masked]
    assert masked.startswith("before ")
    assert masked.endswith(" behind")


def test_two_spellings_of_one_value_have_one_pseudonym_and_another_key_gives_another() -> None:
    def names(text: str, find: Finder = FIND) -> list[str]:
        found = find.found(text)
        return [find.replacement(text, each) for each in found]

    for one, other in (
        ("Ana@Post.example", "ana@post.example"),
        ("4111 1111 1111 1111", "4111111111111111"),
        ("DE89 3704 0044 0532 0130 00", "DE89370400440532013000"),
        ("+49 (0)171 2345678", "0049-171-2345678"),
        ("2001:db8::0:1:7", "2001:0db8:0:0:0:0:1:7"),
    ):
        first, second = names(f"a {one} b"), names(f"c {other} d")
        assert first == second
        assert len(first) == 1
        assert first != names(f"a {one} b", Finder(personal=KINDS, pseudonym=Pseudonyms(lambda: b"z" * 32)))
    [name] = names("write to ana@post.example")
    assert len(name) == len("<EMAIL:>") + 10
    assert "ana" not in name


@pytest.mark.parametrize(
    "value",
    [
        {"card": 4111111111111111, "n": [86095742719, 12], "t": "4111111111111111"},
        4111111111111111,
        {
            "card": -4111111111111111,
            "of": [4111111111111111.5, -4111111111111111.25, 1],
            "number": 123456.789,
        },
        ['a "quoted" card: 4111111111111111, 2', 4111111111111111, '\\\\"', 4111111111111111],
        ["first\nana@post.example\tand\\ana@post.example", "C:\\new\\ana@post.example"],
        {"ana@post.example": 'he said \\"219-09-9999\\"', "x": '"'},
        json.dumps({"in": json.dumps({"mail": "ana@post.example\n", "password": "Zx81!kPq7"})}),
        "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----\n",
    ],
)
def test_json_stays_json(value: object) -> None:
    text = json.dumps(value)
    redacted = FIND(text)
    assert redacted is not None
    assert type(json.loads(redacted)) is (str if isinstance(value, int) else type(value))
    for hidden in ("4111111111111111", "ana@post", "219-09", "Zx81", "MIIEv", "86095742719", "123456.7"):
        assert hidden not in redacted


def test_what_is_redacted_has_nothing_to_hide() -> None:
    for seed in range(30):
        chance = random.Random(seed)
        for sample in (*planted.secrets(chance), *planted.people(chance)):
            redacted = FIND.redacted(sample.text)
            assert redacted is not None, sample
            assert FIND.redacted(redacted) is None, redacted


def test_numbers_that_count_are_no_numbers_of_people() -> None:
    for text in (
        "order 4111111111111112 of 1234567890123456",
        "at 2026-11-27 10:15:00, 1732721859123456789 ns, version 1.2.3",
        "019a0b1c-7d2e-7f3a-8b4c-0123456789ab-0045-7890-8123",
        "std::vector and 10:20:30 and a::b, C++",
        "000-12-3456 666-12-3456 912-12-3456 123-00-4567",
        "DE00370400440532013000",
        "user@localhost, a@b, @someone",
        "127.0.0.1 and 0.0.0.0 and ::1",
        "MA 02111-1307",
        "3.14159265358979 x 100 000 000",
    ):
        assert FIND.found(text) == [], (text, FIND.found(text))


def test_what_is_none_does_not_hide_the_one_behind_it() -> None:
    for text, count in (
        ("NO93 8601 1117 947 DE89 3704 0044 0532 0130 00", 2),
        ("AB12 or so DE89370400440532013000", 1),
        ("1234 4111 1111 1111 1111", 1),
        ("4111111111111111,4111111111111111;ana@post.example,li@post.example", 4),
        ("password: password: Zx81!kPq7", 1),
    ):
        assert len(FIND.found(text)) == count, text


def test_patterns_of_the_user_hide_their_first_group_and_what_is_allowed_stays() -> None:
    find = Finder(
        personal=("email",),
        patterns={"badge": "badge ([A-Z]{2}-[0-9]{4})", "floor": "F[0-9]{3}"},
        allow=("Info@Acme.example",),
    )
    text = "badge AB-1234 on F123, info@acme.example or ana@acme.example"
    assert find.redacted(text) == "badge <BADGE> on <FLOOR>, info@acme.example or <EMAIL>"
    assert Finder(personal=("email",)).redacted("4111111111111111") is None


@pytest.mark.parametrize(
    ("pattern", "said"),
    [("(?=x)y", "look-around"), (r"(a)\1", "back"), ("a(", "RE2"), ("x*", "empty text")]
    + [(pattern, "leave out") for pattern in ("^ACME", r"\AACME", "ACME$", r"ACME\z")],
)
def test_a_pattern_that_cannot_be_is_refused_by_name(pattern: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        Finder(patterns={"badge": pattern})
    assert "badge" in str(caught.value)


def test_a_text_made_to_be_slow_is_not() -> None:
    find = Finder(personal=KINDS, patterns={"own": "(a+)+b"})
    for text in (
        "a" * 50_000 + "!",
        "1 " * 25_000,
        "@" * 50_000,
        "password:" * 5_000,
        "eyJ." * 12_000,
        "://" * 16_000,
        "token=example" * 4_000,
        "password=abcdefg;" * 4_000,
        # Nothing but finds.
        " ".join(f"user{n}@post.example" for n in range(50_000)),
        "DE89 3704 0044 0532 0130 00 " * 5_000,
        json.dumps([4111111111111111] * 50_000),
    ):
        # The limit of the whole suite for one test is 120 s: what is not linear takes hours.
        find(text)


def test_a_secret_that_is_sure_stays_so_whatever_stands_around_it() -> None:
    key = "sk-proj-Zx81kPq7mN4vB2cT9yLw3Rf6HgJ5"
    find = Finder(lambda: frozenset(("house-key-17-abc",)))
    for text, rule in (
        (f"api_key={key}/x", "openai"),
        (f"Bearer {key}~x", "openai"),
        ("password=house-key-17-abc", "known"),
        ("password: house-key-17-abc!", "known"),
        (f"https://me:{key}@host/", "openai"),
    ):
        [found] = find.found(text)
        assert (found.rule, found.is_guess) == (rule, False), text
    [found] = find.found("password=Zx81!kPq7z")
    assert found.is_guess


def test_what_is_short_is_found_too() -> None:
    find = Finder(personal=KINDS, patterns={"pin": "[0-9]{4}"})
    for text, redacted in (
        ('"1234"', '"<PIN>"'),
        ("1234", '"<PIN>"'),
        ("9.8.7.6", "<IP>"),
        ("a@b.co", "<EMAIL>"),
    ):
        assert find(text) == redacted
        assert find.found(text)
    assert Finder(personal=KINDS)("a@b.co") == "<EMAIL>"
    assert Finder()("a@b.co") is None


@pytest.mark.parametrize(
    "query",
    [
        "token=R3alS3cretValue99xyz&redirect=https://example.com/(x)",
        "password=Zx81!kPq7z&next=http://example.com/",
        "token=your-" + "a" * 200 + "&client_secret=R3alS3cretValue99xyz",
        "x=1&password=" + "Zx81!kPq7z" * 200,
        "token=" + "R3alS3crétValue99xyz" * 20,
    ],
)
def test_a_secret_in_a_query_is_hidden_whatever_stands_beside_it(query: str) -> None:
    redacted = Finder().redacted(f"GET https://host/path?{query} 200")
    assert redacted is not None
    assert "R3alS3cr" not in redacted
    assert "Zx81" not in redacted
    assert redacted.endswith(" 200")


@pytest.mark.parametrize(
    ("given", "stands"),
    [
        ("house-key-17-abc\n", "house-key-17-abc"),
        ("postgresql://app:top%2Fsecret-pw@db/x", "top/secret-pw"),
        ("redis://:top%2Fsecret-pw@db/0", "top%2Fsecret-pw"),
        ('it\'s "secret" & more', "it&#39;s &#34;secret&#34; &amp; more"),
        ('it\'s "secret" & more', "it&apos;s &quot;secret&quot; &amp; more"),
    ],
)
def test_a_secret_is_known_as_it_is_used(given: str, stands: str) -> None:
    assert Finder(lambda: frozenset((given,))).redacted(f"with {stands}.") == "with [secret]."
