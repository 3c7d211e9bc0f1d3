"""What an interval and a p value say in words."""

from __future__ import annotations

from typing import Literal

from surefoot.errors import InvalidInput
from surefoot.evals.statistics.interval import Interval

Effect = Literal["improved", "worse", "equivalent", "too few cases"]
Direction = Literal["higher", "lower"]
"""Which values are better."""


def effect_of(
    interval: Interval, *, margin: float, p: float, alpha: float = 0.05, direction: Direction = "higher"
) -> Effect:
    """The class of a difference (candidate - baseline).

    interval: of the difference, in the metric's unit; `margin`, 0 or more, is in the same unit.
    p: adjusted for all tests that are looked at, as by `holm`.
    direction: which values of the metric are better.

    `equivalent`: the interval lies within +-margin; however significant, so small a difference does not matter.
    `improved`, `worse`: else, if p < alpha and the interval lies beyond 0. `too few cases`: anything else.

    Raises `InvalidInput` for a negative margin.
    """
    _check(margin)
    if interval.is_within(margin) and margin > 0:
        return "equivalent"
    if p < alpha and interval.is_beyond_zero:
        return "improved" if (interval.low > 0) == (direction == "higher") else "worse"
    return "too few cases"


def non_inferior(interval: Interval, *, margin: float, direction: Direction = "higher") -> bool:
    """Whether the candidate is shown to be worse by less than the margin (in the metric's unit), if it is worse at all.

    With an interval of confidence c this is a one-sided test at (1 - c) / 2. Raises `InvalidInput` for a negative
    margin.
    """
    _check(margin)
    return interval.low > -margin if direction == "higher" else interval.high < margin


def _check(margin: float) -> None:
    if not margin >= 0:
        raise InvalidInput(f"the margin is {margin}: give the difference that does not matter, 0 or more")
