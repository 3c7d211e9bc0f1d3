"""The interval of a mean of paired differences: the BCa bootstrap, and what it needs for few cases."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING

from surefoot.errors import InvalidInput
from surefoot.evals.statistics.columns import column
from surefoot.evals.statistics.draws import Draws
from surefoot.evals.statistics.interval import EVERYTHING, Interval
from surefoot.evals.statistics.intervals import t_quantile
from surefoot.evals.statistics.samples import Sample

if TYPE_CHECKING:
    from surefoot.evals.statistics.columns import Floats, Numbers

FEWEST = 10
"""Below so many cases resamples tell less than Student's t does."""

FEW_MOVED = 6
"""If so many cases or more differ from the rest, how they differ is seen in them."""

_DRAWS, _LEAST, _MOST = 2_000_000, 2_000, 5_000
"""Draws of a case in all, and resamples at least and at most."""

_SLACK = 1e-12

_BLOCK = 4_000_000
"""Counts that are in memory at a time."""

_NORMAL = NormalDist()


def bootstrap_interval(
    differences: Numbers,
    *,
    confidence: float = 0.95,
    seed: int = 0,
    resamples: int | None = None,
    scale: float = 1.0,
) -> Interval:
    """The interval of the mean of paired differences.

    differences: shape (n,), one for each case; repeats are averaged before, so that it is cases that are resampled.
    resamples: by default 2,000 to 5,000, the more the fewer cases.
    scale: how large a difference can be, in the metric's unit; it counts only where nearly all are the same.

    It reaches as far as the expanded BCa bootstrap (`bca_interval`) or Student's interval, whichever is further on each
    side: the first is right where differences are skewed, the second where they have heavy tails. Below 10 cases it is
    Student's alone. Where half of the differences or more are the same and fewer than 6 are not, it reaches as far as
    if there were two cases more, one a `scale` above and one below. Everything for fewer than two cases.

    Raises `InvalidInput` for NaN.
    """
    values = column(differences)
    if not len(values):
        return EVERYTHING
    sample = Sample((values,), scale)
    return intervals_of([sample], confidence=confidence, seed=seed, resamples=resamples)[0]


def bca_interval(
    differences: Numbers,
    *,
    confidence: float = 0.95,
    seed: int = 0,
    resamples: int | None = None,
    is_expanded: bool = False,
) -> Interval:
    """The interval of a mean by the bias-corrected and accelerated bootstrap.

    Efron, "Better Bootstrap Confidence Intervals", Journal of the American Statistical Association 82 (1987).

    is_expanded: take the quantiles further out, by Student's t with n - 1 degrees and the factor sqrt(n / (n - 1)), as
        the bootstrap takes the spread of few cases for too small: Hesterberg, "What Teachers Should Know About the
        Bootstrap", The American Statistician 69 (2015).

    Raises `InvalidInput` for NaN.
    """
    values = column(differences)
    if len(values) < 2:
        return EVERYTHING
    sample = Sample((values,))
    means = _resampled(values[:, None], Draws(seed, len(values)), resamples or resamples_for(len(values)))
    return _bca(sample, sample.influence, means, confidence=confidence, is_expanded=is_expanded)


def resamples_for(cases: int) -> int:
    """How many resamples are drawn of so many cases."""
    return max(_LEAST, min(_MOST, _DRAWS // max(cases, 1)))


def intervals_of(
    samples: Sequence[Sample], *, confidence: float, seed: int, resamples: int | None = None
) -> list[Interval]:
    """The intervals of their values, as `bootstrap_interval` says; those of as many cases share their resamples.

    Raises `InvalidInput` for a confidence that is none.
    """
    import numpy as np

    if not 0 < confidence < 1:
        raise InvalidInput(f"the confidence is {confidence}: give a share between 0 and 1, such as 0.95")
    intervals = [EVERYTHING] * len(samples)
    groups: dict[int, list[int]] = {}
    for place, sample in enumerate(samples):
        groups.setdefault(sample.cases, []).append(place)
    for cases, places in groups.items():
        if cases < 2:
            continue
        data = np.column_stack([each for place in places for each in samples[place].columns])
        count = resamples or resamples_for(cases)
        means = _resampled(data, Draws(seed, cases), count) if cases >= FEWEST else None
        start = 0
        for place in places:
            end = start + len(samples[place].columns)
            drawn = None if means is None else means[:, start:end]
            intervals[place], start = _interval(samples[place], drawn, confidence), end
    return intervals


def _interval(sample: Sample, means: Floats | None, confidence: float) -> Interval:
    """By the resampled means of the sample's columns, if there are any."""
    if sample.hangs_on_one:
        return EVERYTHING
    influence = sample.influence
    found = [_students(sample.value, influence, confidence)]
    if means is not None:
        found.append(_bca(sample, influence, means, confidence=confidence, is_expanded=True))
    if _is_sparse(influence):
        found.append(_with_two_more(sample, influence, confidence))
    low, high = min(each.low for each in found), max(each.high for each in found)
    return Interval(_rounded(low), _rounded(high))


def _rounded(bound: float) -> float:
    """To 12 digits: the last ones depend on the order in which a machine adds."""
    return float(f"{bound:.12g}")


def _students(value: float, influence: Floats, confidence: float) -> Interval:
    """Student, "The Probable Error of a Mean", Biometrika 6 (1908)."""
    cases = len(influence)
    half = t_quantile((1 + confidence) / 2, cases - 1) * float(influence.std(ddof=1)) / math.sqrt(cases)
    return Interval(value - half, value + half)


def _is_sparse(influence: Floats) -> bool:
    """Whether half of the cases or more are the same, and fewer are not than would tell how those may differ."""
    import numpy as np

    # What is the same can differ in its last digits.
    rounded = np.round(influence / (float(np.abs(influence).max()) or 1.0), 9)
    most = int(np.unique(rounded, return_counts=True)[1].max())
    return 2 * most >= len(influence) and len(influence) - most < FEW_MOVED


def _with_two_more(sample: Sample, influence: Floats, confidence: float) -> Interval:
    """The interval as if there were a case more a scale above the others, and one below.

    For verdicts that is the adjustment of Bonett and Price, "Improved Confidence Intervals for Paired Binomial
    Proportions", Journal of Educational and Behavioral Statistics 37 (2012); Student's t in place of the normal.
    """
    import numpy as np

    middle = float(np.median(influence))
    reach = max(sample.scale, float(np.abs(influence - middle).max()))
    more = np.concatenate([influence, [middle - reach, middle + reach]])
    return _students(sample.value + float(more.mean()), more, confidence)


def _bca(
    sample: Sample, influence: Floats, means: Floats, *, confidence: float, is_expanded: bool
) -> Interval:
    """By the means of the sample's columns in each resample, shape (resamples, columns)."""
    import numpy as np

    around, value = sample.around(means), sample.value
    squares, cases, resamples = float((influence**2).sum()), len(influence), len(around)
    if squares == 0:
        return Interval(value, value)
    acceleration = float((influence**3).sum()) / (6 * squares**1.5)
    # Sums that are the same can differ in their last digits.
    around[np.abs(around) < _SLACK * math.sqrt(squares)] = 0.0
    below = float((around < 0).mean() + (around <= 0).mean()) / 2
    bias = _NORMAL.inv_cdf(min(max(below, 1 / resamples), 1 - 1 / resamples))
    reach = _NORMAL.inv_cdf((1 + confidence) / 2)
    if is_expanded:
        reach = t_quantile((1 + confidence) / 2, cases - 1) * math.sqrt(cases / (cases - 1))
    shares = [_corrected(bias, each, acceleration) for each in (-reach, reach)]
    low, high = np.quantile(around, shares)
    return Interval(value + float(low), value + float(high))


def _corrected(bias: float, reach: float, acceleration: float) -> float:
    """The share of the resampled values that a bound cuts off."""
    shifted = bias + reach
    # Beyond its pole the formula turns round; what is meant there is the end.
    stretch = 1 - acceleration * shifted
    if stretch <= 0:
        return 1.0 if shifted > 0 else 0.0
    return _NORMAL.cdf(bias + shifted / stretch)


def _resampled(data: Floats, draws: Draws, resamples: int) -> Floats:
    """The means of the columns in each resample, shape (resamples, columns)."""
    import numpy as np

    cases = len(data)
    block = max(_BLOCK // cases, 1)
    parts = [draws.resamples(min(block, resamples - start)) @ data for start in range(0, resamples, block)]
    return np.concatenate(parts) / cases
