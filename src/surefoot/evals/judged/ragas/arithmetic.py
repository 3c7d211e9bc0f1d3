"""The arithmetic of ragas 0.4.3, with its small addends and its NaN."""

from __future__ import annotations

import math
from collections.abc import Sequence

from surefoot.errors import MalformedResponse
from surefoot.evals.judged.conversation import Vector

NAN = math.nan


def average_precision(verdicts: Sequence[int]) -> float:
    """Average precision of raw verdicts; a perfect ranking comes to a little less than 1."""
    total = sum(
        (sum(verdicts[: index + 1]) / (index + 1)) * verdict for index, verdict in enumerate(verdicts)
    )
    return total / (sum(verdicts) + 1e-10)


def share(verdicts: Sequence[int]) -> float:
    """The mean of raw verdicts, NaN of none."""
    return sum(verdicts) / len(verdicts) if verdicts else NAN


def f_beta(tp: int, fp: int, fn: int, beta: float) -> float:
    """F-beta where a quotient of nothing counts as 0."""
    precision = tp / (tp + fp) if tp + fp else 0.0
    recall = tp / (tp + fn) if tp + fn else 0.0
    return _combined(precision, recall, beta)


def f_beta_of_nothing(tp: int, fp: int, fn: int, beta: float) -> float:
    """F-beta where a quotient of nothing counts as 1 if nothing was missed, as answer correctness has it."""
    precision = tp / (tp + fp) if tp + fp else float(fn == 0)
    recall = tp / (tp + fn) if tp + fn else float(fp == 0)
    return _combined(precision, recall, beta)


def _combined(precision: float, recall: float, beta: float) -> float:
    if precision == 0 and recall == 0:
        return 0.0
    weight = beta**2
    return (1 + weight) * (precision * recall) / (weight * precision + recall)


def rounded(value: float) -> float:
    """To two decimals as numpy rounds: scaled, half to even, scaled back."""
    return round(value * 100) / 100


def cosine(first: Vector, second: Vector) -> float:
    """Cosine of two vectors; NaN where one of them is zero."""
    norms = math.hypot(*first) * math.hypot(*second)
    return sum(one * other for one, other in zip(first, second, strict=True)) / norms if norms else NAN


def weighted(factuality: float, similarity: float, weights: Sequence[float]) -> float:
    """The weighted mean of the two."""
    return (factuality * weights[0] + similarity * weights[1]) / (weights[0] + weights[1])


def refuse_ragged(*tables: Sequence[Sequence[int]]) -> None:
    """Raise `MalformedResponse` where contexts got different numbers of verdicts on the same statements."""
    if any(len({len(row) for row in table}) != 1 for table in tables):
        raise MalformedResponse("the judge gave different numbers of verdicts on the same statements")


def noise(
    reference_by_context: Sequence[Sequence[int]],
    response_by_context: Sequence[Sequence[int]],
    response_by_reference: Sequence[int],
    *,
    counts_irrelevant: bool,
) -> float:
    """The share of a response's statements that are wrong and that a (ir)relevant context supports.

    The three are verdicts: a context (outer) on the statements of the reference, on those of the response, and the
    reference on those of the response. As arrays they broadcast, so that one verdict stands for all; NaN without a
    statement of the response.

    Raises `MalformedResponse` where ragas raises: numbers of verdicts that make no array, none on the reference.
    """
    if not reference_by_context[0]:
        raise MalformedResponse("the judge found no statement in the reference")
    relevant = [any(row) for row in reference_by_context]
    columns = [[bool(verdict) for verdict in column] for column in zip(*response_by_context, strict=True)]
    faithful = [any(verdict and r for verdict, r in zip(column, relevant, strict=True)) for column in columns]
    if counts_irrelevant:
        loose = [
            any(verdict and not r for verdict, r in zip(column, relevant, strict=True)) for column in columns
        ]
        faithful = [is_loose and not is_held for is_loose, is_held in zip(loose, faithful, strict=True)]
    wrong = [not verdict for verdict in response_by_reference]
    if len(faithful) != len(wrong):
        if 1 not in (len(faithful), len(wrong)):
            raise MalformedResponse("the judge gave different numbers of verdicts on the same statements")
        faithful = faithful * len(wrong) if len(faithful) == 1 else faithful
        wrong = wrong * len(faithful) if len(wrong) == 1 else wrong
    hits = [held and is_wrong for held, is_wrong in zip(faithful, wrong, strict=True)]
    return sum(hits) / len(hits) if hits else NAN
