"""Scorers of retrieval: what a step found, in its order, against what is relevant to the case."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from surefoot.errors import InvalidInput
from surefoot.evals.datasets import Case
from surefoot.evals.plain import ranking
from surefoot.evals.plain.matching import shown
from surefoot.evals.plain.ranking import Gain
from surefoot.evals.scales import scaled
from surefoot.evals.scores import Score

By = Literal["id", "text"]
Retrieval = Callable[[Sequence[object], Case], Score | None]
"""A scorer of `retrieved`, a list of ids or texts, the best first: say where it is read, as in
`reads={"retrieved": "$steps.retrieve_context.document"}`."""

_COLUMN = "relevant"
_LISTED = 5
_GREATEST = 1000.0


def recall_at(k: int | None = None, *, relevant: str = _COLUMN, by: By = "id") -> Retrieval:
    """A scorer: the share of what is relevant that is among the first k, 0 to 1; of all that was retrieved without k.

    What is relevant stands in a column of the case: a list of ids (numbers and texts that read the same are the same),
    or an object of id to grade, where a grade of 0 is not relevant. A case without it, or with nothing in it, has
    nothing to be found and the scorer does not apply. What was retrieved twice counts once, at its first place.

    relevant: the metadata column, or `expected`.
    by: `text` compares texts, with case and spaces folded.

    Raises `InvalidInput` for a k below 1. The scorer does where the column or what was retrieved holds something else.
    """
    return _retrieval(f"recall_at:{k}" if k is not None else "id_recall", k, relevant, by, _recall)


def precision_at(k: int | None = None, *, relevant: str = _COLUMN, by: By = "id") -> Retrieval:
    """A scorer: the share of the first k places that hold something relevant, 0 to 1; see `recall_at`.

    A place that nothing was retrieved for counts too. Without k it is the share of all that was retrieved, and 0 for
    nothing.
    """
    return _retrieval(f"precision_at:{k}" if k is not None else "id_precision", k, relevant, by, _precision)


def hit_at(k: int | None = None, *, relevant: str = _COLUMN, by: By = "id") -> Retrieval:
    """A scorer: whether anything relevant is among the first k; its mean is the hit rate. See `recall_at`."""
    return _retrieval(f"hit_at:{k}" if k is not None else "hit", k, relevant, by, _hit)


def mrr(k: int | None = None, *, relevant: str = _COLUMN, by: By = "id") -> Retrieval:
    """A scorer: 1 / the rank of the first that is relevant, 0 if none is among the first k. See `recall_at`."""
    return _retrieval(f"mrr:{k}" if k is not None else "mrr", k, relevant, by, _reciprocal)


def average_precision(*, relevant: str = _COLUMN, by: By = "id") -> Retrieval:
    """A scorer: the mean of the precision at each relevant item, 0 to 1; its mean is MAP. See `recall_at`."""
    return _retrieval("average_precision", None, relevant, by, _average)


def ndcg_at(
    k: int | None = None, *, relevant: str = _COLUMN, by: By = "id", gain: Gain = "linear"
) -> Retrieval:
    """A scorer: nDCG of the first k by the grades of what is relevant (1 each in a list), 0 to 1. See `recall_at`.

    gain: the grade itself, or `exponential`, 2 ** grade - 1.
    """
    if gain not in ("linear", "exponential"):
        raise InvalidInput(f"a gain is linear or exponential, and not {gain!r}")
    return _retrieval(
        f"ndcg_at:{k}" if k is not None else "ndcg", k, relevant, by, lambda found: _ndcg(found, gain)
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """What was retrieved, each once and in order, with the grades of all that is relevant."""

    items: tuple[str, ...]
    grades: Mapping[str, float]
    k: int | None

    @property
    def top(self) -> tuple[str, ...]:
        return self.items[: self.k]

    @property
    def hits(self) -> list[bool]:
        return [item in self.grades for item in self.top]

    @property
    def missing(self) -> list[str]:
        return [item for item in self.grades if item not in self.top]


def _retrieval(
    name: str, k: int | None, relevant: str, by: By, score: Callable[[_Found], Score]
) -> Retrieval:
    if k is not None and (isinstance(k, bool) or k < 1):
        raise InvalidInput(f"k is {k!r}: count the first places from 1, as in recall_at:5")
    if by not in ("id", "text"):
        raise InvalidInput(f"what is retrieved is compared by id or text, and not by {by!r}")

    def retrieval(retrieved: Sequence[object], case: Case) -> Score | None:
        column = case.expected if relevant == "expected" else case.metadata.get(relevant)
        if column is None:
            return None
        grades = _grades(column, relevant, by)
        if not grades:
            return None
        items = tuple(dict.fromkeys(_key(item, by, "retrieved") for item in _list(retrieved)))
        return score(_Found(items, grades, k))

    return scaled(retrieval, name=name)


def _recall(found: _Found) -> Score:
    return Score(sum(found.hits) / len(found.grades), _missing(found))


def _precision(found: _Found) -> Score:
    if not found.top:
        return Score(0.0, "nothing was retrieved")
    wrong = [item for item, is_hit in zip(found.top, found.hits, strict=True) if not is_hit]
    reason = f"not relevant: {_listed(wrong)}" if wrong else ""
    return Score(sum(found.hits) / (len(found.top) if found.k is None else found.k), reason)


def _hit(found: _Found) -> Score:
    return Score(any(found.hits), "" if any(found.hits) else _missing(found))


def _reciprocal(found: _Found) -> Score:
    value = ranking.reciprocal_rank(found.hits)
    return Score(value, f"the first is at rank {round(1 / value)}" if value else _missing(found))


def _average(found: _Found) -> Score:
    return Score(ranking.average_precision(found.hits, len(found.grades)), _missing(found))


def _ndcg(found: _Found, gain: Gain) -> Score:
    grades = [found.grades.get(item, 0.0) for item in found.top]
    return Score(ranking.ndcg(grades, list(found.grades.values()), found.k, gain), _missing(found))


def _missing(found: _Found) -> str:
    among = "what was retrieved" if found.k is None else f"the first {found.k}"
    return f"not in {among}: {_listed(found.missing)}" if found.missing else ""


def _listed(items: Sequence[str]) -> str:
    more = f" and {len(items) - _LISTED} more" if len(items) > _LISTED else ""
    return ", ".join(shown(item) for item in items[:_LISTED]) + more


def _grades(column: object, name: str, by: By) -> dict[str, float]:
    """The grades above 0 by id or text."""
    if isinstance(column, str | int):
        column = [column]
    if isinstance(column, list | tuple):
        items = cast("Sequence[object]", column)
        return {_key(item, by, f"the column {name!r}"): 1.0 for item in items}
    if not isinstance(column, Mapping):
        raise InvalidInput(
            f"the column {name!r} is {type(column).__name__}: write a list of ids, or an object of id to grade"
        )
    grades: dict[str, float] = {}
    for item, grade in cast("Mapping[object, object]", column).items():
        if isinstance(grade, bool) or not isinstance(grade, int | float) or not _is_grade(grade):
            raise InvalidInput(
                f"the grade of {item!r} in {name!r} is {grade!r}: write a number from 0 to {_GREATEST:g}"
            )
        if grade > 0:
            grades[_key(item, by, f"the column {name!r}")] = float(grade)
    return grades


def _is_grade(grade: float) -> bool:
    return math.isfinite(grade) and 0 <= grade <= _GREATEST


def _list(retrieved: object) -> Sequence[object]:
    if isinstance(retrieved, list | tuple):
        return cast("Sequence[object]", retrieved)
    raise InvalidInput(
        f"retrieved is {type(retrieved).__name__}: say where the list stands, "
        "reads={'retrieved': '$steps.NAME'}, on the command line --read 'retrieved=$steps.NAME'"
    )


def _key(item: object, by: By, where: str) -> str:
    if isinstance(item, bool) or not isinstance(item, str | int):
        kind = type(item).__name__
        fields = map(str, cast("Mapping[object, object]", item)) if isinstance(item, Mapping) else ()
        hint = f" with {known}" if (known := ", ".join(fields)) else ""
        raise InvalidInput(
            f"{where} holds {kind}{hint} and no {by}: name the field, "
            "as in reads={'retrieved': '$steps.NAME.id'}"
        )
    return " ".join(str(item).casefold().split()) if by == "text" else str(item)
