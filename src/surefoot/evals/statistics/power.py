"""Before the run: which difference so many cases can show, and how many cases show a difference."""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

from surefoot.errors import InvalidInput
from surefoot.evals.statistics.columns import Numbers, column
from surefoot.evals.statistics.intervals import t_quantile

_NORMAL = NormalDist()
_STEPS, _FEW_STEPS = 400, 90
_MANY = 40
_NO_WEIGHT = 1e-18
_EXACT = 1e-9
_ROOT_HALF = math.sqrt(0.5)
_MOST_CASES = 10_000_000


def minimum_detectable(
    differences_or_sd: Numbers | float,
    n: int,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
    tests: int = 1,
) -> float:
    """The smallest true difference that n cases show (p < alpha, two-sided) with this probability.

    It is in the metric's unit.

    differences_or_sd: paired differences of a former comparison, or their standard deviation. For pass/fail that is
        about the square root of the share of cases of which the verdict changes; `discordance_sd` says it exactly.
    tests: how many metrics and slices are looked at; the most careful step of Holm's procedure divides alpha by them.

    Infinite for fewer than two cases. The power is that of Student's paired test, `power_of`.
    """
    sd = _spread(differences_or_sd)
    _check(alpha, power)
    if n < 2:
        return math.inf
    if sd == 0:
        return 0.0

    def lacking(size: float) -> float:
        return power - power_of(size, 1.0, n, alpha=alpha, tests=tests)

    low, high = 0.0, _of_normals(alpha / tests, power) / math.sqrt(n)
    while lacking(high) > 0:
        low, high = high, high * 2
    while high - low > _EXACT * high:
        middle = (low + high) / 2
        low, high = (low, middle) if lacking(middle) <= 0 else (middle, high)
    return high * sd


def minimum_detectable_rate(
    discordance: float, n: int, *, alpha: float = 0.05, power: float = 0.8, tests: int = 1
) -> float:
    """`minimum_detectable` of pass/fail, as a difference of rates, 0 to 1.

    discordance: the share of cases of which the verdict will change, in whichever direction.

    Infinite where not even all of those changing in one direction would be shown.
    """
    discordance_sd(discordance)
    each = minimum_detectable(1.0, n, alpha=alpha, power=power, tests=tests)
    if math.isinf(each):
        return math.inf
    # The difference takes its own square from the variance: d = each * sqrt(discordance - d**2).
    found = each * math.sqrt(discordance / (1 + each * each))
    return found if found <= discordance else math.inf


def cases_needed(
    difference: float,
    differences_or_sd: Numbers | float,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
    tests: int = 1,
) -> int:
    """How many cases show a true difference of this size with this probability; see `minimum_detectable`.

    Raises `InvalidInput` for a difference of 0, which no number of cases shows.
    """
    sd, size = _spread(differences_or_sd), abs(difference)
    _check(alpha, power)
    if size == 0:
        raise InvalidInput(
            "a difference of 0 is shown by no number of cases: give the smallest one that matters"
        )

    def is_enough(cases: int) -> bool:
        return power_of(size, sd, cases, alpha=alpha, tests=tests) >= power

    # Student's test takes a little more than the normal one, whose number is known at once.
    guess = (_of_normals(alpha / tests, power) * sd / size) ** 2
    low, high = 1, max(2, min(math.ceil(guess), 2 * _MOST_CASES))
    step = max(high // 64, 2)
    if not is_enough(high):
        low = high
        high += step
    elif not is_enough(max(high - step, 1)):
        low = max(high - step, 1)
    while not is_enough(high):
        if high > _MOST_CASES:
            raise InvalidInput(
                f"to show a difference of {difference:g} where differences spread by {sd:g} takes over "
                f"{_MOST_CASES:,} cases"
            )
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high


def power_of(difference: float, sd: float, n: int, *, alpha: float = 0.05, tests: int = 1) -> float:
    """With which probability Student's paired test on n cases shows a true difference; sd is that of the differences.

    The noncentral t distribution, integrated over the distribution of the standard deviation that is observed.
    """
    if n < 2:
        return 0.0
    if sd == 0:
        return 1.0 if difference else 0.0
    freedom = n - 1
    shift = abs(difference) / sd * math.sqrt(n)
    critical = t_quantile(1 - alpha / tests / 2, freedom)
    total = 0.0
    for ratio, weight in _deviations(freedom):
        reach = critical * ratio
        total += weight * (math.erfc((reach - shift) * _ROOT_HALF) + math.erfc((reach + shift) * _ROOT_HALF))
    return min(1.0, total / 2)


@lru_cache(maxsize=256)
def _deviations(freedom: int) -> tuple[tuple[float, float], ...]:
    """The observed deviation over the true one, chi / sqrt(freedom), by Simpson's rule: values and their weights, where
    they have any."""
    half = 9 / math.sqrt(2 * freedom)
    start, end = max(0.0, 1 - half), 1 + half
    # For many degrees it is nearly normal: a fifth of its deviation is a step that is small enough.
    steps = _STEPS if freedom < _MANY else _FEW_STEPS
    width = (end - start) / steps
    constant = math.log(2) + freedom / 2 * math.log(freedom / 2) - math.lgamma(freedom / 2)
    found: list[tuple[float, float]] = []
    for step in range(steps + 1):
        ratio = start + step * width
        if ratio == 0:
            density = math.sqrt(2 / math.pi) if freedom == 1 else 0.0
        else:
            density = math.exp(constant + (freedom - 1) * math.log(ratio) - freedom * ratio * ratio / 2)
        weight = (1 if step in (0, steps) else 4 if step % 2 else 2) * density * width / 3
        if weight > _NO_WEIGHT:
            found.append((ratio, weight))
    return tuple(found)


def _of_normals(alpha: float, power: float) -> float:
    """How many standard errors a difference has to be away, if the deviation were known: a little less than is true."""
    return _NORMAL.inv_cdf(1 - alpha / 2) + max(
        _NORMAL.inv_cdf(power), -_NORMAL.inv_cdf(1 - alpha / 2) + 0.01
    )


def discordance_sd(discordance: float, *, difference: float = 0.0) -> float:
    """The standard deviation of paired differences of pass/fail.

    discordance: the share of cases of which the verdict changes, in whichever direction; `difference`: of the rates.
    """
    if not abs(difference) <= discordance <= 1:
        raise InvalidInput(
            f"with {discordance:g} of the verdicts changed, the rates cannot differ by {difference:g}"
        )
    return math.sqrt(discordance - difference * difference)


def _spread(differences_or_sd: Numbers | float) -> float:
    if isinstance(differences_or_sd, int | float):
        if not 0 <= differences_or_sd < math.inf:
            raise InvalidInput(f"{differences_or_sd} is no standard deviation: give a number, 0 or more")
        return float(differences_or_sd)
    values = column(differences_or_sd)
    if len(values) < 2:
        raise InvalidInput(
            "the spread of differences is seen from two on: give more, or their standard deviation"
        )
    return float(values.std(ddof=1))


def _check(alpha: float, power: float) -> None:
    if not (0 < alpha < 1 and 0 < power < 1):
        raise InvalidInput(f"alpha is {alpha:g} and the power {power:g}: both are shares between 0 and 1")
