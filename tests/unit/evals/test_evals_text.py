"""Text scorers: SQuAD's normalisation and F1 by their properties, and by examples worked out by hand."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.errors import InvalidInput
from surefoot.evals import contains_expected, exact_match, normalised_match, token_f1
from surefoot.evals.plain.matching import f1
from surefoot.evals.plain.normalising import normalised

WORDS = st.lists(
    st.sampled_from(["the", "cold", "store", "15", "Minutes", "a", "pager,", "rings."]), max_size=8
)
SENTENCES = WORDS.map(" ".join)


@given(st.text())
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalised(normalised(text)) == normalised(text)


@given(st.text())
def test_what_is_normalised_has_no_ascii_punctuation_no_article_and_no_double_space(text: str) -> None:
    done = normalised(text)
    assert not set(done) & set(string.punctuation)
    assert done == " ".join(done.split())
    assert not {"a", "an", "the"} & set(done.split())


@given(SENTENCES, SENTENCES)
def test_f1_is_symmetric_and_between_0_and_1(left: str, right: str) -> None:
    assert f1(left, right) == f1(right, left)
    assert 0 <= f1(left, right) <= 1


@given(SENTENCES, SENTENCES)
def test_f1_is_1_exactly_for_the_same_words_in_any_order(left: str, right: str) -> None:
    is_same = sorted(normalised(left).split()) == sorted(normalised(right).split())
    assert (f1(left, right) == 1) == is_same


@given(SENTENCES, SENTENCES)
def test_a_normalised_match_has_an_f1_of_1_and_contains_what_is_expected(left: str, right: str) -> None:
    if normalised_match(left, right).value:
        assert f1(left, right) == 1
        assert contains_expected(left, right).value or not normalised(right)


@given(SENTENCES, SENTENCES, SENTENCES)
def test_what_stands_in_the_middle_is_contained(before: str, middle: str, after: str) -> None:
    assert contains_expected(f"{before} {middle} {after}", middle).value == bool(normalised(middle))


@pytest.mark.parametrize(
    ("answer", "expected", "value"),
    [
        # precision 2/7, recall 2/2
        ("It must be within 15 minutes, always.", "15 minutes", 4 / 9),
        ("the 15 minutes", "15 minutes", 1.0),
        ("15 15", "15", 2 / 3),
        ("", "", 1.0),
        ("", "15 minutes", 0.0),
        ("the", "a", 1.0),
        ("never", "15 minutes", 0.0),
    ],
)
def test_f1_by_hand(answer: str, expected: str, value: float) -> None:
    assert token_f1(answer, expected).value == pytest.approx(value, abs=1e-12)


def test_of_several_expected_answers_the_best_counts() -> None:
    score = token_f1("on the yard", ["in the yard", "on yard", "elsewhere"])
    assert (score.value, score.reason) == (1.0, "compared with 'on yard'")
    assert exact_match("two", ["2", "two"]).value
    assert normalised_match("The Two!", ["2", "two"]).value
    assert not exact_match("The Two!", ["2", "two"]).value


def test_contained_means_whole_words_side_by_side() -> None:
    assert contains_expected("He said: the 36 Hours, at full load.", "36 hours").value
    assert not contains_expected("after 136 hours", "36 hours").value
    assert not contains_expected("36 long hours", "36 hours").value


@pytest.mark.parametrize("expected", [None, {"text": "x"}, [], [["x"]]])
def test_what_is_no_text_is_refused(expected: object) -> None:
    with pytest.raises(InvalidInput, match="a text or a list of texts"):
        token_f1("x", expected)  # type: ignore[arg-type]
