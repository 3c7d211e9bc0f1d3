"""Similarity, refusals, citations and support, with the embedded embedder where meaning counts."""

from __future__ import annotations

import pytest

from surefoot.app import App
from surefoot.evals import (
    Case,
    Excerpt,
    Score,
    citation_correctness,
    embedding_similarity,
    right_refusal,
    support,
)
from surefoot.evals.plain.meaning import taken_apart

PAGE = "The duty engineer must acknowledge a page within 15 minutes, at any hour of the day."
OTHER = "Nobody under notice of leaving is placed on the rota."
SAID = f'15 minutes — "{PAGE}" [on-call.md]'


def refused(response: str) -> bool:
    return response == "No answer."


def test_what_means_the_same_is_more_similar(app: App) -> None:
    near = embedding_similarity("a quarter of an hour", "15 minutes")
    far = embedding_similarity("a yellow forklift", "15 minutes")
    assert isinstance(near.value, float)
    assert isinstance(far.value, float)
    assert near.value > far.value + 0.2
    best = embedding_similarity("15 minutes", ["a forklift", "15 minutes"])
    assert best.value == pytest.approx(1, abs=1e-5)
    assert best.reason == "compared with '15 minutes' by local:minilm"


@pytest.mark.parametrize(
    ("response", "expected", "metadata", "value"),
    [
        ("No answer.", None, {"unanswerable": True}, True),
        ("42", None, {"unanswerable": True}, False),
        ("42", "42", {"unanswerable": False}, True),
        ("No answer.", "42", {"unanswerable": False}, False),
        ("No answer.", "42", {}, False),
        ("42", None, {}, None),
    ],
)
def test_right_refusal(response: str, expected: object, metadata: dict[str, object], value: object) -> None:
    score = right_refusal(refused)(response, Case("1", {}, expected, metadata))
    assert (score.value if score else None) is value


@pytest.mark.parametrize(
    ("cited", "evidence", "value"),
    [
        ([Excerpt(PAGE, "on-call.md")], PAGE, True),
        ([Excerpt("acknowledge a page\nwithin 15 Minutes", "on-call.md")], None, True),
        ([Excerpt(OTHER, "on-call.md"), Excerpt(PAGE, "on-call.md")], PAGE, True),
        ([Excerpt(OTHER, "on-call.md")], PAGE, False),
        ([Excerpt(PAGE, "backups.md")], PAGE, False),
        ([Excerpt(PAGE.replace("15", "50"), "on-call.md")], None, False),
        ([], PAGE, False),
    ],
)
def test_citation_correctness(cited: list[Excerpt], evidence: str | None, value: bool) -> None:
    excerpts = [Excerpt(PAGE, "on-call.md"), Excerpt(OTHER, "on-call.md")]
    score = citation_correctness(refused)(
        "15 minutes", cited, excerpts, Case("1", {}, None, {"evidence": evidence})
    )
    assert score is not None
    assert score.value is value
    assert value or score.reason


def test_a_refusal_needs_no_citation_and_no_support() -> None:
    assert citation_correctness(refused)("No answer.", [], [], Case("1", {})) is None
    assert support(refused=refused)("No answer.", [PAGE]) is None


def test_a_response_is_taken_apart() -> None:
    assert taken_apart(SAID) == ([PAGE], ["15 minutes"])
    assert taken_apart('The "Sev 1" level ends. Soon [a.md].') == ([], ['The "Sev 1" level ends.', "Soon."])
    assert taken_apart("[a.md]") == ([], [])


def test_what_stands_in_the_context_is_supported() -> None:
    assert support()(SAID, [OTHER, PAGE]) == Score(1.0)
    assert support()("", [PAGE]) is None


def test_a_misquotation_is_not_supported_however_near_it_is(app: App) -> None:
    misquoted = support()(SAID.replace("15 minutes,", "50 minutes,"), [OTHER, PAGE])
    assert misquoted is not None
    assert misquoted.value == 0.5
    assert "within 50 minutes" in misquoted.reason


def test_a_paraphrase_is_supported_and_another_subject_is_not(app: App) -> None:
    paraphrase = "The engineer on duty has to acknowledge a page within 15 minutes."
    both = support()(f"{paraphrase} Forklifts are painted yellow in spring.", [OTHER, PAGE])
    assert both is not None
    assert both.value == 0.5
    assert both.reason == "not supported: Forklifts are painted yellow in spring."
    assert support(threshold=1.01)(paraphrase, [PAGE]) == Score(0.0, f"not supported: {paraphrase}")


def test_part_of_a_word_is_no_support(app: App) -> None:
    score = support(threshold=1.01)("5 minutes", [PAGE])
    assert score is not None
    assert score.value == 0.0


def test_without_a_context_nothing_is_supported() -> None:
    assert support()("15 minutes", []) == Score(0.0, "not supported: 15 minutes")
