"""How far a mean over cases can be trusted: intervals of one mean, and what is shown of two that belong together."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from statistics import NormalDist, fmean, variance

BETS = 40
"""How many bets the evidence is a mean of; more hardly change it."""

_MANY = 300
"""Degrees of freedom beyond which the expansion is as exact as the series and takes no time."""

_MOST = 600.0
"""The largest logarithm of a capital; beyond it numbers end."""


def student(values: Sequence[float], *, confidence: float = 0.95) -> tuple[float, float] | None:
    """The two-sided interval of a mean by Student's t; None of fewer than two values.

    Student, "The Probable Error of a Mean", Biometrika 6 (1908). It takes the mean to be about normal.
    """
    if len(values) < 2:
        return None
    return student_of(fmean(values), variance(values), len(values), confidence=confidence)


def student_of(mean: float, variance: float, n: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """`student` of values of which only these figures are known; n is 2 or more, the variance that of a sample."""
    half = t_quantile((1 + confidence) / 2, n - 1) * math.sqrt(variance / n)
    return mean - half, mean + half


def wilson(passed: float, n: int, *, confidence: float = 0.95) -> tuple[float, float] | None:
    """The interval of a share, which holds where nearly all passed, or none did.

    Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", Journal of the American Statistical
    Association 22 (1927).
    """
    if n == 0:
        return None
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = passed / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(middle - half, 0.0), min(middle + half, 1.0)


def t_quantile(share: float, freedom: int) -> float:
    """The value below which a share (above 0.5, below 1) of Student's t lies; `freedom` are its degrees, 1 or more.

    For many degrees by the expansion from the normal quantile: Abramowitz and Stegun, 26.7.5.
    """
    if freedom > _MANY:
        return _expanded(NormalDist().inv_cdf(share), freedom)
    low, high = 0.0, 1.0
    while _t_within(high, freedom) < 2 * share - 1:
        low, high = high, high * 2
    return _bisected(lambda t: _t_within(t, freedom) < 2 * share - 1, low, high)


def _expanded(z: float, freedom: int) -> float:
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + math.fsum(term / freedom**power for power, term in enumerate(terms, start=1))


def _t_within(t: float, freedom: int) -> float:
    """How probable it is that Student's t lies between -t and t.

    The finite series for whole degrees of freedom: Abramowitz and Stegun, "Handbook of Mathematical Functions" (1964),
    26.7.3 and 26.7.4.
    """
    angle = math.atan2(t, math.sqrt(freedom))
    sine, cosine = math.sin(angle), math.cos(angle)
    is_odd = freedom % 2 == 1
    term = total = (0.0 if freedom == 1 else cosine) if is_odd else 1.0
    for step in range(3 if is_odd else 2, freedom, 2):
        term *= cosine * cosine * (step - 1) / step
        total += term
    return 2 / math.pi * (angle + sine * total) if is_odd else sine * total


def evidence_for_mean(values: Sequence[float], target: float) -> float:
    """How strongly values from 0 to 1 speak for a mean above `target` (above 0): see `evidence_for_share`."""
    return _evidence([value / target - 1 for value in values])


def evidence_for_share(others: Sequence[float], references: Sequence[float], share: float) -> float:
    """How strongly pairs of values from 0 to 1 speak for mean(other) > share * mean(reference).

    It is the capital of a gambler who begins with 1 and bets, case by case, that other - share * reference is above 0,
    the mean over fixed bets of all sizes. If it were not so, no bet would win in the long run, and by Markov's
    inequality the capital is 1 / alpha or more with a probability of alpha at most: whatever the distribution, and for
    however few cases. Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", Journal of
    the Royal Statistical Society B 86 (2024); the mixture of bets after Cover, "Universal Portfolios" (1991).
    """
    gains = [other / share - reference for other, reference in zip(others, references, strict=True)]
    return _evidence(gains)


def _evidence(gains: Sequence[float]) -> float:
    """The mean capital of bets on gains of -1 or more, of which the mean is 0 or less if nothing is to be shown."""
    # Most scores are passed or not, so that there are few different gains.
    counts = Counter(gains)

    def capital(bet: float) -> float:
        grown = math.fsum(count * math.log1p(bet * gain) for gain, count in counts.items())
        return math.exp(min(grown, _MOST))

    return fmean(capital((place + 0.5) / BETS) for place in range(BETS))


def mean_at_least(values: Sequence[float], *, confidence: float = 0.95) -> float:
    """The largest target that `evidence_for_mean` shows with this confidence; 0 where it shows none."""
    return _largest(lambda target: evidence_for_mean(values, target), confidence)


def share_at_least(
    others: Sequence[float], references: Sequence[float], *, confidence: float = 0.95
) -> float:
    """The largest share that `evidence_for_share` shows with this confidence, at most 2; 0 where it shows none."""
    return _largest(lambda share: evidence_for_share(others, references, share), confidence, most=2.0)


def _largest(evidence: Callable[[float], float], confidence: float, most: float = 1.0) -> float:
    enough = 1 / (1 - confidence)
    if evidence(1e-9) < enough:
        return 0.0
    return _bisected(lambda target: evidence(target) >= enough, 1e-9, most)


def _bisected(is_below: Callable[[float], bool], low: float, high: float) -> float:
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if is_below(middle) else (low, middle)
    return low
