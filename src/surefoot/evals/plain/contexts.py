"""Scorers of contexts by likeness: which reference texts were retrieved, where their wording may differ (`eval`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from surefoot.errors import InvalidInput
from surefoot.evals.datasets import Case
from surefoot.evals.plain import extras
from surefoot.evals.plain.compat import parity
from surefoot.evals.plain.grounding import context_of
from surefoot.evals.plain.matching import shown
from surefoot.evals.plain.ranking import average_precision
from surefoot.evals.scales import scaled
from surefoot.evals.scores import Score

Compat = Literal["ragas"] | None
Likeness = Callable[[Sequence[str], Case], Score | None]

_COLUMN = "reference_contexts"
_ENOUGH = 0.5


def text_recall(*, threshold: float = _ENOUGH, reference: str = _COLUMN, compat: Compat = None) -> Likeness:
    """A scorer: the share of reference texts that a text of the context is like, 0 to 1.

    Alike is a normalised Levenshtein similarity of at least `threshold`. The reference texts stand in the column
    `reference` of the case, or in `expected`; a case without any has nothing to be found.

    compat: `ragas` gives that library's number, which asks for more than the threshold.

    Raises `InvalidInput` for a threshold outside 0 to 1. The scorer raises `MissingExtra` without rapidfuzz.
    """
    _check(threshold)

    def text_recall(context: Sequence[str], case: Case) -> Score | None:
        known, wanted = context_of(context), _references(case, reference)
        if compat is not None:
            return _of_ragas("non_llm_context_recall", known, wanted, threshold)
        if not wanted:
            return None
        missing = [text for text in wanted if _likest(text, known) < threshold]
        return Score(1 - len(missing) / len(wanted), _reason("like nothing in the context", missing))

    return scaled(text_recall)


def text_precision(
    *, threshold: float = _ENOUGH, reference: str = _COLUMN, compat: Compat = None
) -> Likeness:
    """A scorer: how far up the texts of the context stand that are like a reference text: average precision over what
    was retrieved, 0 to 1. See `text_recall`.

    compat: `ragas` gives that library's number, which is just below 1 where all is right.
    """
    _check(threshold)

    def text_precision(context: Sequence[str], case: Case) -> Score | None:
        known, wanted = context_of(context), _references(case, reference)
        if compat is not None:
            return _of_ragas("non_llm_context_precision", known, wanted, threshold)
        if not wanted:
            return None
        hits = [_likest(text, wanted) >= threshold for text in known]
        wrong = [text for text, is_hit in zip(known, hits, strict=True) if not is_hit]
        reason = _reason("like no reference text", wrong)
        return Score(average_precision(hits, sum(hits)) if any(hits) else 0.0, reason)

    return scaled(text_precision)


def _likest(text: str, among: Sequence[str]) -> float:
    measure: Any = extras.rapidfuzz("a scorer of contexts").Levenshtein
    return max((1 - float(measure.normalized_distance(text, other)) for other in among), default=-1.0)


def _references(case: Case, reference: str) -> list[str]:
    found = case.expected if reference == "expected" else case.metadata.get(reference)
    if found is None:
        return []
    try:
        return context_of(found)
    except InvalidInput:
        raise InvalidInput(
            f"the column {reference!r} is {type(found).__name__}: write a list of texts"
        ) from None


def _reason(what: str, found: Sequence[str]) -> str:
    return f"{what}: {'; '.join(shown(text) for text in found[:3])}" if found else ""


def _of_ragas(metric: str, known: list[str], wanted: list[str], threshold: float) -> Score | None:
    sample = {"retrieved_contexts": known, "reference_contexts": wanted}
    value = parity(metric, "legacy", sample, {"threshold": threshold})
    return None if value is None else Score(value)


def _check(threshold: float) -> None:
    if not 0 <= threshold <= 1:
        raise InvalidInput(f"the threshold is {threshold}: write a similarity from 0 to 1")
