"""ragas' numbers: what its two generations make of the same answers, beyond the cases of `make conformance-metrics`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from surefoot.errors import InvalidInput, MalformedResponse
from surefoot.evals.judged import ragas
from surefoot.evals.judged.conversation import Ask, hold
from surefoot.evals.judged.ragas import RagasSample
from surefoot.evals.judged.shapes import read

VECTORS = {
    "r": [3.0, 4.0],
    "e": [1.0, 0.0],
    "q": [1.0, 0.0],
    "": [0.0, 1.0],
    "o": [0.0, 0.0],
    " ": [0.0, 2.0],
}
FULL = RagasSample("q", "r", "e", ["c", "d"], ["a text"], {"score1_description": "bad"})


class Judge:
    """Gives the answers to the questions of a metric in turn, and counts them."""

    def __init__(self, said: Sequence[object]) -> None:
        self.said = list(said)
        self.asked: list[Ask] = []

    def answer(self, asked: Ask) -> object:
        self.asked.append(asked)
        return read(asked, self.said.pop(0))


def scored(
    metric: str,
    said: Sequence[object] = (),
    *,
    sample: RagasSample = FULL,
    api: ragas.Api = "collections",
    **more: Any,
) -> float:
    return asked(metric, said, sample=sample, api=api, **more)[0]


def asked(
    metric: str,
    said: Sequence[object] = (),
    *,
    sample: RagasSample = FULL,
    api: ragas.Api = "collections",
    **more: Any,
) -> tuple[float, list[Ask]]:
    judge = Judge(said)
    talk = ragas.conversation(metric, sample, api=api, **more)
    value = hold(talk, answer=judge.answer, embed=lambda texts: [VECTORS[text] for text in texts])
    return value, judge.asked


def judging(*verdicts: object) -> dict[str, Any]:
    return {"statements": [{"statement": "s", "reason": "so", "verdict": each} for each in verdicts]}


def rating(*ratings: object) -> list[Mapping[str, object]]:
    return [{"rating": each} for each in ratings]


@pytest.mark.parametrize("given", ["1", True, 1.0, 7, -1])
def test_numbers_are_read_as_ragas_reads_them(given: object) -> None:
    assert scored("faithfulness", [{"statements": ["s"]}, judging(given)]) == 1.0


def test_a_verdict_of_two_counts_double_in_the_newer_code() -> None:
    said = [{"reason": "", "verdict": verdict} for verdict in (2, 0)]
    assert scored("context_precision", list(said)) == pytest.approx(2.0)
    assert scored("context_precision", list(said), api="legacy") == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("ratings", "value", "calls"),
    [
        (rating(4, 2), 0.75, 2),
        (rating(3, 4, 2), 0.75, 3),
        (rating("x", None, 4, 2), 0.75, 4),
        (rating(1, 1, 1, 1, 1, 2), 0.5, 6),
        (rating(4, 1, 1, 1, 1, 1), 1.0, 6),
        (rating(*[1] * 10), math.nan, 10),
    ],
)
def test_a_rating_is_asked_for_five_times(ratings: Sequence[object], value: float, calls: int) -> None:
    found, questions = asked("answer_accuracy", ratings)
    assert found == pytest.approx(value, nan_ok=True)
    assert len(questions) == calls


def test_the_older_code_reads_digits_out_of_texts() -> None:
    assert scored("answer_accuracy", ["I say 4", "2 of 4"], api="legacy") == 0.75
    assert scored("context_relevance", ["1 or 2", "0"], api="legacy") == 0.5
    assert math.isnan(scored("answer_accuracy", [*["none"] * 5, "4"], api="legacy"))
    assert scored("answer_accuracy", ["4", *["none"] * 5], api="legacy") == 1.0


def test_what_needs_no_judge_gets_none() -> None:
    within = RagasSample("is c\nd there?", "c", None, ["c", "d"])
    assert asked("context_relevance", sample=within) == (0.0, [])
    assert asked("response_groundedness", sample=within, api="legacy") == (1.0, [])
    assert asked("response_groundedness", sample=RagasSample(response=" ", retrieved_contexts=["c"])) == (
        0.0,
        [],
    )


def test_noise_sensitivity_fails_where_numbers_of_verdicts_make_no_array() -> None:
    first = [{"statements": ["x"]}, {"statements": ["a", "b"]}]
    ragged = [*first, judging(1), judging(1, 0), judging(1), judging(1), judging(0, 0)]
    with pytest.raises(MalformedResponse, match="different numbers"):
        scored("noise_sensitivity", ragged)
    none = [*first, judging(), judging(1, 0), judging(), judging(1, 0), judging(0, 0)]
    with pytest.raises(MalformedResponse, match="no statement in the reference"):
        scored("noise_sensitivity", none)
    # One verdict of the reference stands for both statements.
    spread = [*first, judging(1), judging(1, 0), judging(1), judging(1, 0), judging(0)]
    assert scored("noise_sensitivity", spread) == 0.5
    three = [*first, judging(1), judging(1, 0), judging(1), judging(1, 0), judging(0, 0, 0)]
    with pytest.raises(MalformedResponse, match="different numbers"):
        scored("noise_sensitivity", three)


@pytest.mark.parametrize(("api", "calls"), [("collections", 1), ("legacy", 3)])
def test_the_older_code_asks_about_the_other_text_too_where_one_fails(api: ragas.Api, calls: int) -> None:
    judge = Judge([{"claims": None}, {"claims": ["x"]}, judging(1)])
    talk = ragas.conversation("factual_correctness", FULL, api=api)
    with pytest.raises(MalformedResponse):
        hold(talk, answer=judge.answer, embed=lambda _: [])
    assert len(judge.asked) == calls


def test_ragged_verdicts_end_it_before_the_last_question() -> None:
    judge = Judge(
        [{"statements": ["x"]}, {"statements": ["a"]}, judging(1), judging(1), judging(1, 1), judging(1)]
    )
    with pytest.raises(MalformedResponse, match="different numbers"):
        hold(ragas.conversation("noise_sensitivity", FULL), answer=judge.answer, embed=lambda _: [])
    assert len(judge.asked) == 6


def test_a_zero_vector_is_nan_but_not_in_every_metric() -> None:
    zero = RagasSample("q", "o", "e")
    stated = [{"statements": []}, {"statements": []}]
    assert math.isnan(scored("semantic_similarity", sample=zero))
    assert scored("semantic_similarity", sample=zero, threshold=0.5) == 0.0
    assert scored("answer_correctness", list(stated), sample=zero) == 0.75
    assert math.isnan(scored("answer_correctness", list(stated), sample=zero, api="legacy"))


def test_a_summary_without_the_penalty_is_weighed_by_the_older_code() -> None:
    said = [{"keyphrases": []}, {"questions": ["u"]}, {"answers": ["1", "0"]}]
    assert scored("summary_score", list(said), length_penalty=False) == 0.5
    assert scored("summary_score", list(said), length_penalty=False, api="legacy") == 0.25
    with pytest.raises(MalformedResponse, match="no answers"):
        scored("summary_score", [*said[:2], {"answers": []}])


def test_grades_pass_as_they_are() -> None:
    assert scored("domain_specific_rubrics", [{"feedback": "", "score": 9}]) == 9.0
    assert scored("instance_specific_rubrics", [{"feedback": "", "score": 0}]) == 0.0
    assert scored("aspect_critic", [{"reason": "", "verdict": 3}], definition="d", strictness=3) == 3.0
    assert scored("simple_criteria", [{"reason": "", "score": -2}], definition="d") == -2.0


@pytest.mark.parametrize(
    ("metric", "empty"),
    [
        ("faithfulness", RagasSample("", "r", "e", ["c"])),
        ("answer_relevancy", RagasSample("q", "")),
        ("context_utilization", RagasSample("q", "", "e", ["c"])),
        ("context_recall", RagasSample("q", "r", "", ["c"])),
        ("noise_sensitivity", RagasSample("q", "r", "e", [])),
        ("factual_correctness", RagasSample(response="r", reference="")),
        ("answer_accuracy", RagasSample("q", "r", "")),
        ("context_relevance", RagasSample("q", retrieved_contexts=[])),
        ("response_groundedness", RagasSample(response="", retrieved_contexts=["c"])),
        ("summary_score", RagasSample(response="r", reference_contexts=[" "])),
        ("instance_specific_rubrics", RagasSample("q", "r", rubrics={})),
        ("semantic_similarity", RagasSample(response="r")),
    ],
)
def test_the_newer_code_refuses_what_is_empty(metric: str, empty: RagasSample) -> None:
    with pytest.raises(InvalidInput, match="ragas scores no row without"):
        scored(metric, sample=empty)


@pytest.mark.parametrize(
    ("metric", "more"),
    [
        ("noise_sensitivity", {"mode": "loud"}),
        ("answer_correctness", {"weights": [0, 0]}),
        ("answer_correctness", {"weights": [1, -1]}),
        ("answer_correctness", {"weights": [1]}),
        ("answer_correctness", {"beta": 1}),
        ("factual_correctness", {"beta": "1"}),
        ("summary_score", {"coeff": 1.5}),
        ("shininess", {}),
    ],
)
def test_settings_that_ragas_refuses_are_refused(metric: str, more: Mapping[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        scored(metric, **more)
