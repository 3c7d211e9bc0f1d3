"""ragas' numbers for metrics without a model: its faults by hand, and every case of a data file by `make`."""

from __future__ import annotations

import pytest

from surefoot.errors import InvalidInput
from surefoot.evals.plain import parity


def of(metric: str, sample: dict[str, object], **params: object) -> float | None:
    collections, legacy = (parity(metric, api, sample, params) for api in ("collections", "legacy"))
    assert collections == legacy
    return collections


def pair(reference: object, response: object) -> dict[str, object]:
    return {"reference": reference, "response": response}


@pytest.mark.parametrize(
    ("metric", "params", "reference", "response", "score"),
    [
        ("exact_match", {}, "Oslo", "Oslo", 1.0),
        ("exact_match", {}, "Oslo", "oslo", 0.0),
        ("exact_match", {}, None, None, 1.0),
        ("string_presence", {}, "slo", "Oslo", 1.0),
        ("string_presence", {}, "", "", 1.0),
        ("non_llm_string_similarity", {}, "flaw", "lawn", 0.5),
        ("non_llm_string_similarity", {"distance_measure": "hamming"}, "toned", "roses", 0.4),
        ("non_llm_string_similarity", {"distance_measure": "jaro"}, "martha", "marhta", 17 / 18),
        ("non_llm_string_similarity", {"distance_measure": "jaro_winkler"}, "martha", "marhta", 173 / 180),
        # 2 of 3 words said, 2 of 4 expected.
        ("rouge", {"rouge_type": "rouge1", "mode": "precision"}, "the old dogs bark", "a dog barks", 2 / 3),
        ("rouge", {"rouge_type": "rouge1", "mode": "recall"}, "the old dogs bark", "a dog barks", 2 / 4),
        ("rouge", {"rouge_type": "rouge1"}, "the old dogs bark", "a dog barks", 4 / 7),
        ("rouge", {"rouge_type": "rougeL"}, "dogs bark", "bark dogs", 0.5),
        ("rouge", {"rouge_type": "rouge2"}, "dogs bark loud", "bark loud dogs", 0.5),
        # Letters beyond ASCII part words.
        ("rouge", {"rouge_type": "rouge1"}, "Köln", "Köln", 1.0),
        ("rouge", {"rouge_type": "rouge1"}, "東京", "東京", 0.0),
        # The second sentence counts for nothing.
        ("bleu", {}, "The train leaves at nine. Be there.", "The train leaves at nine. Stay home.", 1.0),
        ("bleu", {}, "Be there. The train leaves at nine", "The train leaves at nine", 1.0),
        ("chrf", {}, "Oslo", " ", 0.0),
        ("chrf", {}, "Oslo", None, 0.0),
        ("chrf", {}, "Oslo", "Oslo", 1.0),
    ],
)
def test_a_pair_of_texts(
    metric: str, params: dict[str, object], reference: object, response: object, score: float
) -> None:
    assert of(metric, pair(reference, response), **params) == pytest.approx(score, abs=1e-9)


@pytest.mark.parametrize(
    ("metric", "retrieved", "references", "score"),
    [
        # A similarity of exactly 0.5 is a hit for one and none for the other.
        ("non_llm_context_recall", ["ab"], ["ac"], 0.0),
        ("non_llm_context_precision", ["ab"], ["ac"], 1 / (1 + 1e-10)),
        ("non_llm_context_precision", ["zzzz", "ab"], ["ab"], 0.5 / (1 + 1e-10)),
        ("non_llm_context_recall", ["ab", "cd"], ["ab", "zzzz"], 0.5),
        ("non_llm_context_recall", ["ab"], [], None),
        ("non_llm_context_precision", [], ["ab"], 0.0),
    ],
)
def test_contexts(metric: str, retrieved: list[str], references: list[str], score: float | None) -> None:
    said = of(metric, {"retrieved_contexts": retrieved, "reference_contexts": references})
    assert said == (None if score is None else pytest.approx(score, abs=1e-9))


@pytest.mark.parametrize(
    ("metric", "retrieved", "references", "score"),
    [
        ("id_context_recall", [1, 2, 2], ["1", 3], 0.5),
        ("id_context_precision", [1, 2, 2, 4], ["1"], 1 / 3),
        ("id_context_recall", [1], [], None),
        ("id_context_precision", [], [1], None),
    ],
)
def test_ids(metric: str, retrieved: list[object], references: list[object], score: float | None) -> None:
    assert of(metric, {"retrieved_context_ids": retrieved, "reference_context_ids": references}) == score


@pytest.mark.parametrize(
    ("response", "params", "score"),
    [
        ('It says "two of  THREE" there', {}, 1.0),
        ("It says \u201ctwo of three' there", {}, 1.0),
        ('It says "two of four" and "two of three"', {}, 0.5),
        ('It says "two of"', {}, 1.0),
        ('It says "of four"', {"min_span_words": 2}, 0.0),
        ('It says "Two of three"', {"casefold": False}, 0.0),
        ("nothing", {}, 1.0),
        (None, {}, 0.0),
    ],
)
def test_quoted_spans(response: object, params: dict[str, object], score: float) -> None:
    sample = {"response": response, "retrieved_contexts": ["one", "two of three"]}
    assert of("quoted_spans", sample, **params) == score


@pytest.mark.parametrize(
    ("metric", "sample", "params"),
    [
        ("rouge", pair(None, "x"), {}),
        ("bleu", pair("x", 1), {}),
        ("rouge", pair("x", "x"), {"rouge_type": "rougeW"}),
        ("non_llm_string_similarity", pair("x", "x"), {"distance_measure": "soundex"}),
        ("non_llm_context_recall", {"retrieved_contexts": [], "reference_contexts": ["x"]}, {}),
        ("non_llm_context_precision", {"retrieved_contexts": ["x"], "reference_contexts": []}, {}),
        ("id_context_recall", {"retrieved_context_ids": None, "reference_context_ids": []}, {}),
        ("faithfulness", {}, {}),
    ],
)
def test_what_ragas_refuses_is_refused(
    metric: str, sample: dict[str, object], params: dict[str, object]
) -> None:
    with pytest.raises(InvalidInput):
        parity(metric, "collections", sample, params)


def test_an_api_that_there_is_not_is_refused() -> None:
    with pytest.raises(InvalidInput, match="collections or legacy"):
        parity("exact_match", "v1", pair("x", "x"), {})
