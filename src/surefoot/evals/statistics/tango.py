"""The difference of two pass rates on the same cases: Tango's score interval."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

from surefoot.errors import InvalidInput
from surefoot.evals.statistics.interval import EVERYTHING, Interval


def tango_interval(only_first: int, only_second: int, cases: int, *, confidence: float = 0.95) -> Interval:
    """The interval of (passed in the first arm - passed in the second) / cases.

    only_first, only_second: cases that passed in one arm only; `cases` are all pairs.

    It holds the differences that a score test does not refuse, so that it has a width even where no case differs: then
    +-z**2 / (n + z**2). Tango, "Equivalence test and confidence interval for the difference in proportions for the
    paired-sample design", Statistics in Medicine 17 (1998). Everything for no case.

    Raises `InvalidInput` where the numbers cannot be.
    """
    if min(only_first, only_second, cases) < 0 or only_first + only_second > cases:
        raise InvalidInput(
            f"{only_first} and {only_second} of {cases} cases cannot have passed in one arm only: count each case once"
        )
    if cases == 0:
        return EVERYTHING
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    middle = (only_first - only_second) / cases

    def score(difference: float) -> float:
        """How many standard errors what was observed lies above this difference, as far as it is the true one."""
        share = _second_share(only_first, only_second, cases, difference)
        variance = cases * (2 * share + difference * (1 - difference))
        distance = only_first - only_second - cases * difference
        if variance <= 0:
            return math.copysign(math.inf, distance) if abs(distance) > 1e-9 else 0.0
        return distance / math.sqrt(variance)

    low = -1.0 if score(-1.0) <= z else _where(lambda at: score(at) > z, -1.0, middle)
    high = 1.0 if score(1.0) >= -z else _where(lambda at: score(at) >= -z, middle, 1.0)
    return Interval(low, high)


def _second_share(only_first: int, only_second: int, cases: int, difference: float) -> float:
    """The most likely share of cases that pass in the second arm only, were this the true difference."""
    a = 2 * cases
    b = -only_first - only_second + (2 * cases - only_first + only_second) * difference
    c = -only_second * difference * (1 - difference)
    return (math.sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)


def _where(is_below: Callable[[float], bool], low: float, high: float) -> float:
    """The place up to which it is so."""
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if is_below(middle) else (low, middle)
    return (low + high) / 2
