"""Streams: however a text is cut, what leaves is the redacted whole, and no secret leaves in part."""

from __future__ import annotations

import random

import pytest

import planted
from surefoot.errors import UsageError
from surefoot.guards.privacy import KINDS, Finder, Holdback

FIND = Finder(personal=KINDS)
WORDS = [
    *("the", "quick", "answer", "is", "in", "chapter", "four,", "which", "says:", "see", "below\n", "and"),
    *("above;", "(really)", "12", "3.14", "x=y"),
]


def cut(text: str, random: random.Random, most: int) -> list[str]:
    pieces: list[str] = []
    while text:
        size = random.randint(1, most)
        pieces.append(text[:size])
        text = text[size:]
    return pieces


def whole(random: random.Random) -> tuple[str, list[str]]:
    """Ordinary words with secrets and personal data between them; and those."""
    parts: list[str] = []
    hidden: list[str] = []
    for _ in range(random.randint(1, 6)):
        parts += random.choices(WORDS, k=random.randint(0, 60))
        samples = planted.secrets if random.random() < 0.6 else planted.people
        sample = random.choice(samples(random))
        hidden.append(sample.value)
        parts.append(sample.text)
    parts += random.choices(WORDS, k=random.randint(0, 60))
    return " ".join(parts), hidden


@pytest.mark.parametrize("seed", range(20))
def test_a_text_in_pieces_leaves_as_the_redacted_whole(seed: int) -> None:
    chance = random.Random(seed)
    text, _ = whole(chance)
    expected = FIND.redacted(text) or text
    for most in (1, 7, 60, 1000):
        hold = Holdback(FIND)
        left = [hold.feed(piece) for piece in cut(text, chance, most)]
        left.append(hold.end())
        assert "".join(left) == expected
        assert sum(hold.kinds.values()) == len(FIND.found(text))


def test_a_key_over_three_pieces_leaves_in_no_part() -> None:
    key = "sk-proj-" + "Ab1_" * 12
    for first in range(1, len(key) - 1, 5):
        hold = Holdback(FIND)
        seen = [hold.feed("Your key: "), hold.feed(key[:first]), hold.feed(key[first : first + 4])]
        seen += [hold.feed(key[first + 4 :]), hold.feed(" and " + "so on " * 60), hold.end()]
        assert "".join(seen) == "Your key: [secret] and " + "so on " * 60
        assert not any(part and part in key for part in seen)


def test_a_value_is_known_by_what_left_long_before_it() -> None:
    hold = Holdback(FIND)
    seen = hold.feed("x" * 300 + " the password is ")
    seen += "".join(hold.feed(piece) for piece in cut("Zx81-" * 100, random.Random(1), 3)) + hold.end()
    assert seen == "x" * 300 + " the password is [secret]"


def test_a_private_key_of_many_lines_leaves_as_one() -> None:
    body = "\n".join("MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQ" + "abc9" for _ in range(40))
    text = (
        f"here:\n-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\nand that was it "
        + "ok " * 80
    )
    hold = Holdback(FIND)
    left = "".join(map(hold.feed, cut(text, random.Random(3), 9))) + hold.end()
    assert left == "here:\n[secret]\nand that was it " + "ok " * 80


def test_what_waits_is_bounded_whatever_comes() -> None:
    hold = Holdback(FIND)
    left = "".join(hold.feed("A1b2C3d4" * 16) for _ in range(500))
    assert hold.held < 10_000
    assert len(left) + hold.held == 500 * 128
    endless = Holdback(FIND)
    left = endless.feed("key sk-proj-")
    for _ in range(800):
        left += endless.feed("A1b2C3d4" * 8)
        assert endless.held < 18_000
    left += endless.feed("!") + endless.feed(" over ") + endless.feed("and out " * 40) + endless.end()
    assert left == "key [secret] over " + "and out " * 40


def test_a_window_has_a_least_size_and_a_stream_one_end() -> None:
    with pytest.raises(UsageError, match="128 characters or more"):
        Holdback(FIND, window=100)
    hold = Holdback(FIND)
    hold.feed("a")
    assert (hold.end(), hold.end()) == ("a", "")
    with pytest.raises(UsageError, match="has ended"):
        hold.feed("b")
