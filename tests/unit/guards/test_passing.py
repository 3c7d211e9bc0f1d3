"""A text that passes while it comes: a secret never leaves, however it is cut; ordinary words are not held back."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.errors import GuardRefused
from surefoot.guards.checking.passing import SecretPassing
from surefoot.guards.privacy import Finder

KEYS = (
    "sk-proj-Zx81kQ0pLmN7vB3cR5tY9wUa",
    "AKIAQ3EGZ7XW2NM4PLKD",
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "hf_aBcDeFgHiJkLmNoPqRsTuVwXyZ01234567",
)
KNOWN = "correcthorsebatterystaple"


def passing(known: str = "") -> SecretPassing:
    finder = Finder((lambda: frozenset({known})) if known else frozenset)

    def look(text: str) -> None:
        if finder.found(text):
            raise GuardRefused("found")

    return SecretPassing(look, (lambda: frozenset({known}),) if known else ())


def passed(text: str, cuts: list[int], by: SecretPassing) -> tuple[str, bool]:
    """What leaves of a text that comes in pieces, and whether all of it did."""
    ends = sorted({min(cut, len(text)) for cut in cuts} | {len(text)})
    start = left = 0
    for end in ends:
        try:
            left = by.feed(text[start:end])
        except GuardRefused:
            return text[:left], False
        start = end
    try:
        by.end()
    except GuardRefused:
        return text[:left], False
    return text, True


@given(
    st.sampled_from(KEYS),
    st.sampled_from(["the key is ", "", "see:\n", "(", "api_key=", "caf\u00e9 "]),
    st.sampled_from([" and more", "", ".", ", then\nnext"]),
    st.lists(st.integers(0, 80), max_size=12),
)
def test_no_part_of_a_key_of_more_than_a_few_letters_leaves(
    key: str, before: str, after: str, cuts: list[int]
) -> None:
    left, is_whole = passed(before + key + after, cuts, passing())
    assert not is_whole
    assert not any(key[at : at + 6] in left for at in range(len(key) - 5))


@given(st.lists(st.integers(0, 60), max_size=12))
def test_a_known_secret_of_plain_letters_does_not_leave(cuts: list[int]) -> None:
    left, is_whole = passed(f"it is {KNOWN} you see", cuts, passing(KNOWN))
    assert not is_whole
    assert KNOWN[:8] not in left


@given(st.text(alphabet="ab Cd.,\n\u00e9\u4f60", max_size=300), st.lists(st.integers(0, 300), max_size=20))
def test_all_of_an_ordinary_text_leaves_in_the_end(text: str, cuts: list[int]) -> None:
    assert passed(text, cuts, passing()) == (text, True)


@pytest.mark.parametrize(
    "text", ["Hel", "Hello, wor", "The ", "\u4f60\u597d\u4e16\u754c", "\u00dcber", "(see"]
)
def test_words_are_not_held_back(text: str) -> None:
    assert passing().feed(text) == len(text)


def test_a_private_key_in_several_lines_is_held_as_a_whole() -> None:
    by = passing()
    assert by.feed("here:\n-----BEGIN RSA PRIVATE KEY-----\n") == len("here:\n")
    assert by.feed("abc def\n") == len("here:\n")


def test_a_long_run_of_data_is_not_held_for_ever() -> None:
    by = passing()
    assert max(by.feed("A1" * 500) for _ in range(20)) > 4_000


@pytest.mark.parametrize(
    "known",
    [
        "correct horse battery 9",
        "s\u00fc\u00df und geheim",
        "\u79d8\u5bc6\u306e\u9375\u3067\u3059\u304b\u3089\u306d\u3088",
    ],
)
@given(cuts=st.lists(st.integers(0, 60), max_size=12))
def test_no_part_of_a_known_secret_of_several_words_or_in_another_script_leaves(
    known: str, cuts: list[int]
) -> None:
    left, is_whole = passed(f"it is {known} indeed", cuts, passing(known))
    assert not is_whole
    # Fewer than four letters are the beginning of any word.
    assert known[:4] not in left


def test_a_long_word_costs_no_more_than_its_length() -> None:
    by = passing()
    began = time.process_time()
    for _ in range(100):
        by.feed("x" * 4_000 + " ")
    assert time.process_time() - began < 20
