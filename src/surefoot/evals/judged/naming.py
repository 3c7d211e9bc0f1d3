"""Metrics that a model judges by name, as they are written: `faithfulness:votes=3`, `aspect_critic:TEXT`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from surefoot.evals.judged import metrics
from surefoot.evals.judged.settings import Model
from surefoot.evals.scoring.judging import Judged
from surefoot.evals.scoring.written import Entry, Reading, Written, choice, count, number, some_text


def metric_of(text: str, *, using: Model = None) -> Judged | None:
    """The metric that a text names, as `plain.scorer_of` reads one; None for a name that is none of them.

    using: what judges.

    Raises `InvalidInput` for arguments that do not fit.
    """
    written = Written.of(text)
    entry = _ENTRIES.get(written.name)
    if entry is None:
        return None
    written = entry.tidied(written)
    made: Judged = replace(entry, make=partial(entry.make, using=using)).made(written.name, written.arguments)
    return replace(made, name=written.called) if written.called else made


def names() -> list[str]:
    """The names of all metrics that are judged, with their arguments as they are written."""
    return [f"{name}{entry.usage}" for name, entry in _ENTRIES.items()]


def _flag(given: str) -> bool:
    return choice("yes", "no")(given) == "yes"


_COMPAT: Mapping[str, Reading] = {"compat": choice("ragas", "ragas-legacy")}
_VOTES: Mapping[str, Reading] = {"votes": count, "prompt": some_text, **_COMPAT}
_ONCE: Mapping[str, Reading] = {"prompt": some_text, **_COMPAT}
_VECTORS: Mapping[str, Reading] = {"embeddings": some_text}
_LEVEL = choice("low", "high")

_ENTRIES: Mapping[str, Entry] = {
    "faithfulness": Entry(metrics.faithfulness, _VOTES, usage="[:votes=3]"),
    "answer_relevancy": Entry(
        metrics.answer_relevancy, {"strictness": count, **_VECTORS, **_ONCE}, usage="[:strictness=5]"
    ),
    "context_precision": Entry(metrics.context_precision, _VOTES, usage="[:votes=3]"),
    "context_utilization": Entry(metrics.context_utilization, _VOTES, usage="[:votes=3]"),
    "context_recall": Entry(metrics.context_recall, _VOTES, usage="[:votes=3]"),
    "context_entity_recall": Entry(
        metrics.context_entity_recall, {"is_exact": _flag, **_ONCE}, usage="[:is_exact=yes]"
    ),
    "noise_sensitivity": Entry(
        metrics.noise_sensitivity, {"mode": choice("relevant", "irrelevant"), **_VOTES}, usage="[:irrelevant]"
    ),
    "factual_correctness": Entry(
        metrics.factual_correctness,
        {
            "mode": choice("precision", "recall", "f1"),
            "beta": number,
            "atomicity": _LEVEL,
            "coverage": _LEVEL,
            **_VOTES,
        },
        usage="[:recall,votes=3]",
    ),
    "answer_correctness": Entry(
        metrics.answer_correctness, {"beta": number, **_VECTORS, **_ONCE}, usage="[:beta=2]"
    ),
    "semantic_similarity": Entry(
        metrics.semantic_similarity, {"threshold": number, **_VECTORS, **_COMPAT}, usage="[:threshold=0.8]"
    ),
    "rubric": Entry(metrics.rubric, _VOTES, usage="[:votes=3]"),
    "aspect_critic": Entry(metrics.aspect_critic, rest=some_text, required=1, usage=":Is it polite?"),
    "simple_criteria": Entry(
        metrics.simple_criteria, rest=some_text, required=1, usage=":How friendly is it?"
    ),
    "answer_accuracy": Entry(metrics.answer_accuracy, _ONCE, usage="[:compat=ragas]"),
    "context_relevance": Entry(metrics.context_relevance, _ONCE, usage="[:compat=ragas]"),
    "response_groundedness": Entry(metrics.response_groundedness, _ONCE, usage="[:compat=ragas]"),
    "summary_score": Entry(
        metrics.summary_score,
        {"coeff": number, "length_penalty": _flag, **_ONCE},
        usage="[:coeff=0.9,length_penalty=no]",
    ),
    "pairwise_preference": Entry(
        metrics.pairwise_preference, {"criteria": some_text, "prompt": some_text}, usage="[:criteria=shorter]"
    ),
}
