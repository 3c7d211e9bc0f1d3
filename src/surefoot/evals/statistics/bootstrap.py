"""The bias-corrected and accelerated bootstrap of a mean of paired differences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

from surefoot.errors import InvalidInput
from surefoot.evals.intervals import student, t_quantile
from surefoot.evals.statistics.columns import column
from surefoot.evals.statistics.draws import Draws
from surefoot.evals.statistics.interval import EVERYTHING, Interval

if TYPE_CHECKING:
    from surefoot.evals.statistics.columns import Floats, Numbers

FEWEST = 10
"""Below so many cases resamples tell less than Student's t does."""

_DRAWS, _LEAST, _MOST = 2_000_000, 2_000, 5_000
"""Draws of a case in all, and resamples at least and at most."""

_BLOCK = 4_000_000
"""Counts that are in memory at a time."""

_TINY = 1e-300

_NORMAL = NormalDist()


def bootstrap_interval(
    differences: Numbers, *, confidence: float = 0.95, seed: int = 0, resamples: int | None = None
) -> Interval:
    """The interval of the mean of paired differences.

    differences: shape (n,), one for each case; repeats are averaged before, so that it is cases that are resampled.
    resamples: by default 2,000 to 5,000, the more the fewer cases.

    It is `bca_interval` with the small-sample expansion, from 10 cases on; below that Student's, and everything for
    fewer than two. Raises `InvalidInput` for NaN.
    """
    return bootstrap_intervals([column(differences)], confidence=confidence, seed=seed, resamples=resamples)[
        0
    ]


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
    sample, count = Sample((values,)), resamples or resamples_for(len(values))
    around = sample.resampled(_resampled(values[:, None], Draws(seed, len(values)), count))
    return _bca(sample, around, confidence=confidence, is_expanded=is_expanded)


def resamples_for(cases: int) -> int:
    """How many resamples are drawn of so many cases."""
    return max(_LEAST, min(_MOST, _DRAWS // max(cases, 1)))


def bootstrap_intervals(
    columns: Sequence[Floats], *, confidence: float, seed: int, resamples: int | None = None
) -> list[Interval]:
    """`bootstrap_interval` of many columns; those with as many cases share their resamples."""
    samples = [Sample((values,)) for values in columns]
    return intervals_of(samples, confidence=confidence, seed=seed, resamples=resamples)


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """What is resampled: one column, of which the mean is looked at, or two, of which it is log(mean / mean).

    Of two, all values are 0 or more, and neither mean is 0.
    """

    columns: tuple[Floats] | tuple[Floats, Floats]

    @property
    def value(self) -> float:
        means = [float(column.mean()) for column in self.columns]
        return means[0] if len(means) == 1 else math.log(means[0] / means[1])

    @property
    def influence(self) -> Floats:
        """How the value moves with each case, to the first order; its mean is 0."""
        first, *second = self.columns
        moved: Floats = (
            first / first.mean() - second[0] / second[0].mean() if second else first - first.mean()
        )
        return moved

    def resampled(self, means: Floats) -> Floats:
        """The value in each resample less the observed one; `means` has a column for each of its own."""
        import numpy as np

        if len(self.columns) == 1:
            around: Floats = means[:, 0] - self.value
            return around
        # A resample of zeros alone is further out than any number.
        logs: Floats = np.log(np.maximum(means, _TINY))
        return logs[:, 0] - logs[:, 1] - self.value


def intervals_of(
    samples: Sequence[Sample], *, confidence: float, seed: int, resamples: int | None = None
) -> list[Interval]:
    """The intervals of their values. Raises `InvalidInput` for a confidence that is none."""
    import numpy as np

    if not 0 < confidence < 1:
        raise InvalidInput(f"the confidence is {confidence}: give a share between 0 and 1, such as 0.95")
    intervals = [EVERYTHING] * len(samples)
    groups: dict[int, list[int]] = {}
    for place, sample in enumerate(samples):
        groups.setdefault(len(sample.columns[0]), []).append(place)
    for cases, places in groups.items():
        if cases < FEWEST:
            for place in places:
                intervals[place] = _students(samples[place], confidence)
            continue
        data = np.column_stack([column for place in places for column in samples[place].columns])
        means, start = _resampled(data, Draws(seed, cases), resamples or resamples_for(cases)), 0
        for place in places:
            sample, end = samples[place], start + len(samples[place].columns)
            around = sample.resampled(means[:, start:end])
            intervals[place], start = _bca(sample, around, confidence=confidence, is_expanded=True), end
    return intervals


def _students(sample: Sample, confidence: float) -> Interval:
    found = student([float(each) for each in sample.influence], confidence=confidence)
    value = sample.value if found is not None else 0.0
    return EVERYTHING if found is None else Interval(value + found[0], value + found[1])


def _bca(sample: Sample, around: Floats, *, confidence: float, is_expanded: bool) -> Interval:
    """By the resampled values less the observed one, shape (resamples,)."""
    import numpy as np

    influence, value = sample.influence, sample.value
    squares, cases, resamples = float((influence**2).sum()), len(influence), len(around)
    if squares == 0:
        return Interval(value, value)
    # The jackknife's acceleration, of what is smooth, is the skewness of the influence of each case.
    acceleration = float((influence**3).sum()) / (6 * squares**1.5)
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
