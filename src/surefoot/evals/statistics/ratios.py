"""Cost and latency: the ratio of two means over the same cases."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from surefoot.errors import InvalidInput
from surefoot.evals.statistics.bootstrap import intervals_of
from surefoot.evals.statistics.columns import Numbers, column
from surefoot.evals.statistics.interval import EVERYTHING, Interval
from surefoot.evals.statistics.samples import Sample

if TYPE_CHECKING:
    from surefoot.evals.statistics.columns import Floats


_MOST = 700.0
"""The logarithm of the largest numbers."""


def ratio_interval(
    candidate: Numbers,
    baseline: Numbers,
    *,
    confidence: float = 0.95,
    seed: int = 0,
    resamples: int | None = None,
) -> Interval:
    """The interval of mean(candidate) / mean(baseline) over the same cases: 0.8 is a fifth less.

    candidate, baseline: shape (n,), 0 or more, in any unit that both share.

    Raises `InvalidInput` for NaN, negative values and arms of different lengths.
    """
    first, second = pair_of(candidate, baseline)
    if len(first) == 0 or not (first.any() and second.any()):
        return exponential(EVERYTHING)
    found = intervals_of([Sample((first, second))], confidence=confidence, seed=seed, resamples=resamples)[0]
    return exponential(found)


def exponential(logs: Interval) -> Interval:
    """The interval of a ratio by that of its logarithm."""
    low, high = (math.exp(bound) if bound < _MOST else math.inf for bound in (logs.low, logs.high))
    return Interval(low, high)


def pair_of(candidate: Numbers, baseline: Numbers, *, is_ratio: bool = True) -> tuple[Floats, Floats]:
    """Both arms, checked; those of a ratio hold nothing below 0."""
    first, second = column(candidate, "values of the candidate"), column(baseline, "values of the baseline")
    if len(first) != len(second):
        raise InvalidInput(
            f"the candidate has {len(first)} values and the baseline {len(second)}: give one of each for every case"
        )
    if is_ratio and len(first) and min(first.min(), second.min()) < 0:
        raise InvalidInput("a cost or a time below 0 has no ratio: compare the difference")
    return first, second
