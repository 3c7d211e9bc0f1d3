"""`Text`: what passes, what is refused and where, in code, in pydantic and as JSON Schema."""

from __future__ import annotations

import pickle
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel, TypeAdapter, ValidationError

from surefoot import Text
from surefoot.errors import UsageError
from surefoot.texts.patterns import matched_until


@pytest.mark.parametrize(
    ("rule", "value", "said", "offset"),
    [
        (Text(max=3), "abcd", "has 4 characters, and may have 3 (too long from offset 3)", 3),
        (Text(max=3, trim=True), "  abcd ", "has 4 characters, and may have 3 (too long from offset 5)", 5),
        (Text(min=1), "", "has 0 characters, and needs 1", 0),
        (Text(min=1, trim=True), " \n", "has 0 characters, and needs 1", 2),
        (Text(pattern="[a-z]+"), "abc9d", "does not match [a-z]+ (from offset 3)", 3),
        (Text(pattern="^[a-z]+$"), "abc9d", "does not match ^[a-z]+$ (from offset 3)", 3),
        (Text(pattern="[a-z]+"), "äbc", "does not match [a-z]+ (from offset 0)", 0),
        (Text(pattern="ä+"), "ääx", "does not match ä+ (from offset 2)", 2),
        (Text(pattern="[a-z]+", trim=True), " ab9 ", "does not match [a-z]+ (from offset 3)", 3),
        (Text(allow=["yes", "no"]), "Yes", "is none of 'yes', 'no'", None),
        (Text(), b"abc", "has to be text, and is 3 bytes", None),
        (Text(), None, "has to be text, and is nothing", None),
        (Text(), "ab\ud800", "has half of a character (a lone surrogate) at offset 2", 2),
        (Text(pattern=r".\?+"), "a\udfff", "has half of a character (a lone surrogate) at offset 1", 1),
    ],
)
def test_what_is_refused_and_where(rule: Text, value: object, said: str, offset: int | None) -> None:
    assert rule.problem(value) == said
    found = rule.mistake(value, "query")
    assert found is not None
    assert (found.field, found.offset) == ("query", offset)
    assert str(found) == f"query: {said}"


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        (Text(), ""),
        (Text(max=3, min=3), "äöü"),
        (Text(max=1, trim=True), " a "),
        (Text(pattern="[a-z]+"), "abc"),
        (Text(pattern="(?s).*"), "a\nb"),
        (Text(allow=["yes"]), "yes"),
        (Text(pattern="a|b", allow=["a"], max=1), "a"),
    ],
)
def test_what_passes(rule: Text, value: str) -> None:
    assert rule.problem(value) is None


def test_the_whole_of_a_text_has_to_match() -> None:
    rule = Text(pattern="[a-z]+")
    assert rule.problem("ok\nignore all rules") is not None
    assert rule.problem("x ok") is not None
    assert Text(pattern="yes|no").problem("no way") is not None


@pytest.mark.parametrize(
    "address",
    [
        "https://ok.example/a?b=c#d",
        "http://ok.example",
        "https://OK.example.:443/",
        "https://a.sub.example/",
        "https://ok.example:",
    ],
)
def test_addresses_of_allowed_hosts(address: str) -> None:
    assert Text(hosts=["ok.example", "*.sub.example"]).problem(address) is None


@pytest.mark.parametrize(
    "address",
    [
        "https://ok.example@evil.example/",
        "https://ok.example\\@evil.example/",
        "https://ok.example%2eevil.example/",
        "https://ok.example.evil.example/",
        "https://evil.example/#@ok.example",
        "https://evil.example?https://ok.example",
        "//ok.example/",
        "https:ok.example",
        "https:///ok.example",
        "ftp://ok.example/",
        "javascript://ok.example/%0aalert(1)",
        "data:text/html,ok.example",
        "https://ok.example:8443/",
        "https://ok.example:99999/",
        "https://ok.exam\tple/",
        " https://ok.example/",
        "https://\u043ek.example/",
        "https://sub.example/",
        "https://ok.example\n.evil.example/",
        "https://[::1]/",
        "ok.example",
        "",
    ],
)
def test_addresses_of_other_hosts_and_those_that_readers_take_for_others(address: str) -> None:
    said = Text(hosts=["ok.example", "*.sub.example"]).problem(address)
    assert said is not None
    assert "evil" not in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"pattern": "(?=a)b"}, "look-around is not in RE2"),
        ({"pattern": r"(a)\1"}, "references back to a group are not in RE2"),
        ({"pattern": "["}, "the syntax is RE2's"),
        ({"max": -1}, "0 or more"),
        ({"max": True}, "0 or more"),
        ({"min": 3, "max": 2}, "no text has both"),
        ({"allow": "yes"}, "a list of texts"),
        ({"allow": []}, "a list of texts"),
        ({"hosts": [1]}, "a list of texts"),
    ],
)
def test_a_declaration_that_does_not_hold_is_an_error_at_once(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Text(**arguments)


def test_it_can_be_compared_hashed_pickled_and_read() -> None:
    rule = Text(max=3, allow=["a"])
    assert rule == Text(max=3, allow=("a",))
    assert len({rule, Text(max=3, allow=["a"])}) == 1
    assert pickle.loads(pickle.dumps(rule)) == rule
    assert repr(Text(max=3, untrusted=True)) == "Text(max=3, untrusted=True)"
    listed = ["a"]
    rule = Text(allow=listed)
    listed.append("b")
    assert rule.problem("b") is not None


def test_whether_what_passes_is_described() -> None:
    assert [one.is_checked for one in (Text(pattern="a"), Text(allow=["a"]), Text(hosts=["a.example"]))] == [
        True
    ] * 3
    assert not Text(max=3, min=1, untrusted=True, trim=True).is_checked


def test_it_is_found_in_an_annotation() -> None:
    rule = Text(max=3)
    for hint in (
        Annotated[str, rule],
        Annotated[str, "doc", rule],
        Annotated[str | None, rule],
        Annotated[str, rule] | None,
        Annotated[Annotated[str, rule], "doc"],
    ):
        assert Text.of(hint) == rule
    for other in (str, int | None, list[Annotated[str, rule]], Annotated[str, "doc"], None):
        assert Text.of(other) is None


class Colour(Enum):
    RED = "red"


class Order(BaseModel):
    name: Annotated[str, Text(max=5, trim=True)]
    lines: list[Annotated[str | None, Text(pattern="[a-z]+")]] = []
    state: Annotated[Literal["open", "done"], Text(max=4)] = "open"


def test_in_a_model_of_pydantic() -> None:
    assert Order(name="  abc ", lines=["a", None]) == Order(name="abc", lines=["a", None])
    with pytest.raises(ValidationError) as caught:
        Order.model_validate({"name": b"abc", "lines": ["a", "B-secret"]})
    first, second = caught.value.errors()
    assert (first["loc"], first["msg"]) == (("name",), "has to be text, and is 3 bytes")
    assert (second["loc"], second["ctx"]["offset"]) == (("lines", 1), 0)
    assert "secret" not in second["msg"]
    assert TypeAdapter(Annotated[Colour, Text(max=9)]).validate_python("red") is Colour.RED


def test_as_json_schema() -> None:
    schema = Order.model_json_schema()
    assert schema["properties"]["name"]["maxLength"] == 5
    assert schema["properties"]["lines"]["items"]["anyOf"][0] == {"type": "string", "pattern": "^(?:[a-z]+)$"}
    assert schema["properties"]["state"]["enum"] == ["open", "done"]
    # What only RE2 reads is said, and what JSON Schema has no word for.
    rule = Text(pattern="(?i)https.*", hosts=["ok.example"])
    told = TypeAdapter(Annotated[str, rule]).json_schema()
    assert told == {
        "type": "string",
        "description": "has to match (?i)https.* (RE2); an address of 'ok.example'",
    }


rules = st.builds(
    Text,
    max=st.none() | st.integers(5, 20),
    min=st.none() | st.integers(0, 5),
    pattern=st.sampled_from([None, "[a-z ]*", "a+b?", r"\d+", "(x|yz)*"]),
    allow=st.none() | st.lists(st.text(max_size=4), min_size=1, max_size=3),
    trim=st.booleans(),
)


@given(rules, st.text(max_size=30))
@example(Text(pattern="a+b?"), "aab\n")
def test_it_never_tells_the_value_and_always_says_where(rule: Text, value: str) -> None:
    found = rule.mistake(value, "it")
    if found is None:
        text = rule.trimmed(value)
        assert rule.max is None or len(text) <= rule.max
        assert rule.min is None or len(text) >= rule.min
        assert rule.allow is None or text in rule.allow
        # What has passed, passes again: trimming is done once.
        assert rule.problem(text) is None
        return
    assert found.offset is None or 0 <= found.offset <= len(value)
    assert rule.allow is not None or len(value) < 6 or value not in found.problem


@given(rules.filter(lambda rule: not rule.trim), st.text(alphabet=st.characters(codec="utf-8"), max_size=30))
def test_what_a_reader_of_the_schema_would_refuse_is_refused(rule: Text, value: str) -> None:
    schema = TypeAdapter(Annotated[str, rule]).json_schema()
    if not Draft202012Validator(schema).is_valid(value):
        # Python's `$` is before a line's end too: what passes here passes there.
        assert rule.problem(value) is not None


@pytest.mark.parametrize(
    ("pattern", "text", "offset"),
    [
        (r"[A-Z]{2}\d{6}", "AB12-456", 4),
        (r"[A-Z]{2}\d{6}", "A123", 1),
        (r"^\w+@\w+\.com$", "joe@site.org", 9),
        (r"(a+)+$", "aaa!", 3),
        (r"a(b|c)d", "abx", 2),
        (r"(?i)ab+c", "ABBx", 3),
        (r"[]a[:digit:]]{2,}b", "]1]c", 3),
        (r"\p{L}+\d", "äö-", 2),
        (r"a{2,4}?b", "ac", 1),
        (r"yes|no", "no way", 2),
        ("", "x", 0),
        ("(?=a)", "a", None),
    ],
)
def test_the_offset_is_where_the_text_leaves_the_pattern(pattern: str, text: str, offset: int | None) -> None:
    assert matched_until(pattern, text) == offset


ENDINGS = ["", "a", "b", "z", "x", "0-0", "-0", "00-0", "0"]


@given(
    st.sampled_from(["[a-z]+", "a+b?", r"\d{2}-\d+", "(x|yz)*"]),
    st.text(st.sampled_from("abxyz01-"), max_size=9),
)
def test_up_to_the_offset_the_text_can_become_one_that_matches(pattern: str, value: str) -> None:
    offset = matched_until(pattern, value)
    assert offset is not None
    rule = Text(pattern=pattern)
    assert any(rule.problem(value[:offset] + ending) is None for ending in ENDINGS)
    if rule.problem(value) is None:
        assert offset == len(value)
