"""Texts compared without a model: any language, parts, patterns, lengths, refusals. What differs is said."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.errors import InvalidInput
from surefoot.evals import Case, Score
from surefoot.evals.plain import (
    Folding,
    contains,
    contains_expected,
    exact_match,
    in_any_language,
    is_refusal,
    length,
    no_refusal,
    normalised_match,
    not_contains,
    not_regex,
    regex,
    right_refusal,
    token_f1,
)
from surefoot.evals.plain.matching import f1
from surefoot.evals.plain.normalising import letters, normalised, words

HUGE = "the pager rings at night. " * 4_000


def failed(said: Score | None) -> str:
    """The reason of a verdict that has to be no."""
    assert said is not None
    assert said.value is False
    assert said.reason
    return said.reason


# Any language


@given(st.text())
def test_folding_twice_changes_nothing(text: str) -> None:
    assert normalised(normalised(text, "unicode"), "unicode") == normalised(text, "unicode")


@given(st.text())
def test_what_is_folded_has_no_punctuation_no_format_character_and_no_double_space(text: str) -> None:
    done = Folding()(text)
    assert not [c for c in done if unicodedata.category(c)[0] == "P" or unicodedata.category(c) == "Cf"]
    assert done == " ".join(done.split())


@given(st.text())
def test_case_and_form_do_not_count(text: str) -> None:
    for other in (unicodedata.normalize("NFD", text), unicodedata.normalize("NFKC", text)):
        assert normalised(other, "unicode") == normalised(text, "unicode")


@given(st.text(), st.text())
def test_f1_of_any_language_is_symmetric_and_1_for_itself(left: str, right: str) -> None:
    assert f1(left, right, "unicode") == f1(right, left, "unicode")
    assert 0 <= f1(left, right, "unicode") <= 1
    assert f1(left, left, "unicode") == 1


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("STRASSE!", "straße"),
        ("\uff21\uff42\uff43\uff11", "abc1"),
        ("caf\u00e9", "cafe\u0301"),
        ("¿Qué?", "qué"),
        ("«Привет», мир…", "привет мир"),
        ("東京。", "東京"),
        ("co\u00adope\u200brate", "cooperate"),
        ("ΟΔΟΣ", "οδος"),
        ("مرحبا؟", "مرحبا"),
    ],
)
def test_the_same_in_any_language(answer: str, expected: str) -> None:
    assert in_any_language(normalised_match)(answer, expected).value is True
    assert in_any_language(token_f1)(answer, expected).value == 1
    assert in_any_language(contains_expected)(f"- {answer} -", expected).value is True


def test_what_means_something_is_not_folded_away() -> None:
    match = in_any_language(normalised_match)
    assert failed(match("C", "C++")) == "'C' is not 'C++'"
    assert match("the answer", "answer").value is False
    assert normalised_match("the answer", "answer").value is True
    assert match("हिन्दी", "हिनदी").value is False


def test_letters_of_scripts_without_spaces_are_words() -> None:
    assert words("東京は 大きい Tokyo", "unicode") == [*"東京は大きい", "tokyo"]
    assert letters("Äpfel_und 2.5kg हिन्दी") == ["äpfel", "und", "2", "5kg", "हिन्दी"]
    # 2 of 3 and 2 of 2 shared.
    assert f1("東京都", "東京", "unicode") == pytest.approx(0.8)


def test_only_what_compares_words_has_another_normalisation() -> None:
    with pytest.raises(InvalidInput, match="does not normalise"):
        in_any_language(exact_match)


# Parts


def test_a_reason_names_what_differs() -> None:
    assert failed(exact_match("Oslo ", "Oslo")) == "'Oslo ' is not 'Oslo'"
    assert failed(exact_match("x", ["a", "b", "c", "d"])) == "'x' is not one of 'a', 'b', 'c' and 1 more"
    assert failed(contains_expected("by the yard", "at noon")) == "'at noon' does not stand in 'by the yard'"
    assert failed(contains("36", "hours")("36 days")) == "'hours' does not stand in '36 days'"
    assert (
        failed(not_contains("secret")("the Secret, secret"))
        == "'secret' stands in it, at 'the Secret, secret'"
    )
    assert len(failed(exact_match(HUGE, "Oslo"))) < 200


def test_parts_may_fold_case() -> None:
    assert contains("Pager")("the pager").value is False
    assert contains("Pager", folds_case=True)("the pager").value is True
    assert not_contains("SECRET", folds_case=True)("secret").value is False
    assert contains("a", "b")("ab").value is True


@pytest.mark.parametrize("parts", [(), ("",), ("a", "")])
def test_an_empty_part_is_refused(parts: tuple[str, ...]) -> None:
    for scorer in (contains, not_contains):
        with pytest.raises(InvalidInput, match="no text to look for"):
            scorer(*parts)


# Patterns


def test_patterns_are_found_anywhere_or_are_the_whole() -> None:
    assert regex(r"\d{4}-\d\d")("due 2026-11").value is True
    assert failed(regex(r"^\d+$")("12 ")) == r"'12 ' does not match ^\d+$"
    # The end is the end, and not the place before a last line feed.
    assert regex(r"^\d+$")("12\n").value is False
    assert regex("ab", where="whole")("abc").value is False
    assert regex("(?i)abc", where="whole")("ABC").value is True
    assert failed(not_regex("(?i)as an ai")("As an AI model")) == "'As an AI' matches (?i)as an ai"
    assert not_regex("x")("y").value is True
    assert regex("東.")("東京").value is True
    assert regex("a")("\ud800a").value is True


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [
        ("(?=a)", "look-around"),
        ("b(?!a)", "look-around"),
        ("(?<=a)b", "look-around"),
        (r"(?<!\\)x", "look-around"),
        (r"(a)\1", "references back"),
        ("(a", "RE2/wiki/Syntax|re2/wiki/Syntax"),
        (r"\(?=a)", "Syntax"),
        ("*", "Syntax"),
    ],
)
def test_what_re2_has_not_is_said(pattern: str, hint: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InvalidInput, match=hint):
        regex(pattern)
    assert capfd.readouterr().err == ""


def test_no_text_makes_a_pattern_slow() -> None:
    began = time.monotonic()
    regex("^(a+)+$")("a" * 100_000 + "b")
    # Backtracking would take longer than the universe.
    assert time.monotonic() - began < 20


# Lengths


@pytest.mark.parametrize(
    ("text", "limits", "reason"),
    [
        ("", {"most": 0}, ""),
        ("", {"least": 1}, "it has 0 chars, 1 less than 1"),
        ("12345", {"most": 5, "least": 5}, ""),
        ("123456", {"most": 5}, "it has 6 chars, 1 more than 5"),
        ("one two three", {"most": 2, "unit": "words"}, "it has 3 words, 1 more than 2"),
        ("東京都", {"least": 4, "unit": "words"}, "it has 3 words, 1 less than 4"),
    ],
)
def test_lengths(text: str, limits: dict[str, int], reason: str) -> None:
    said = length(**limits)(text)  # type: ignore[arg-type]
    assert (said.value, said.reason) == (not reason, reason)


@pytest.mark.parametrize("limits", [{}, {"least": 3, "most": 2}, {"most": -1}, {"most": 1, "unit": "lines"}])
def test_lengths_that_nothing_keeps_are_refused(limits: dict[str, int]) -> None:
    with pytest.raises(InvalidInput, match=r"length|text|counted"):
        length(**limits)  # type: ignore[arg-type]


# Refusals


@pytest.mark.parametrize(
    "response",
    [
        "I'm sorry, but I can't help with that.",
        "I\u2019m sorry, I cannot assist you here.",
        "As an AI language model, I do not have opinions.",
        "I am unable to provide medical advice.",
        "I don't know.",
        "The context does not mention the price.",
        "There is not enough information to say.",
        "Ich kann das leider nicht beantworten.",
        "Je ne peux pas répondre.",
        "No puedo ayudarte con eso.",
        "I must decline.",
    ],
)
def test_refusals(response: str) -> None:
    assert is_refusal(response)
    assert failed(no_refusal(response)).startswith("it declines: ")


@pytest.mark.parametrize(
    "response",
    [
        "",
        "You can't help but love it.",
        "The valve cannot open below 5 bar.",
        "I can help with that: press the button.",
        "Oslo",
        f"{'The answer is long. ' * 30} I can't help with that.",
    ],
)
def test_answers_are_no_refusals(response: str) -> None:
    assert no_refusal(response).value is True


def test_a_refusal_is_right_where_there_is_no_answer() -> None:
    scorer = right_refusal(is_refusal)
    assert scorer("I don't know.", Case("1", {}, metadata={"unanswerable": True})) == Score(
        value=True, reason="refused, and there is no answer"
    )
    assert failed(scorer("42", Case("1", {}, metadata={"unanswerable": True})))
    assert scorer("42", Case("1", {})) is None


# What is no text


@pytest.mark.parametrize("value", [None, {"a": 1}, ["x"], b"x"])
def test_what_is_no_text_is_refused_with_what_to_do(value: object) -> None:
    for scorer in (exact_match, normalised_match, token_f1, in_any_language(token_f1)):
        with pytest.raises(InvalidInput, match=r"the answer is \w+ and no text: .*--read answer=PATH"):
            scorer(value, "x")  # type: ignore[arg-type]
    for of_response in (
        contains("x"),
        not_contains("x"),
        regex("x"),
        not_regex("x"),
        length(most=1),
        no_refusal,
    ):
        with pytest.raises(InvalidInput, match=r"--read response=PATH"):
            of_response(value)  # type: ignore[arg-type]


def test_a_number_is_compared_as_it_is_written() -> None:
    assert exact_match(42, 42).value is True  # type: ignore[arg-type]
    assert exact_match("42", [41, 42]).value is True  # type: ignore[list-item]


def test_huge_texts_take_no_time_to_speak_of() -> None:
    began = time.process_time()
    for scorer in (exact_match, normalised_match, token_f1, contains_expected):
        scorer(HUGE, HUGE[:-5])
        if scorer is not exact_match:
            in_any_language(scorer)(HUGE, HUGE[5:])
    for of_response in (contains("nowhere"), regex("nowhere$"), length(most=5, unit="words"), no_refusal):
        of_response(HUGE)
    assert time.process_time() - began < 10
