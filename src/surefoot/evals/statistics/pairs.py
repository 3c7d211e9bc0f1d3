"""A metric of two arms on the same cases: its difference, interval and p, by the method that fits its values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from surefoot.evals.statistics.bootstrap import FEWEST, intervals_of
from surefoot.evals.statistics.columns import Numbers
from surefoot.evals.statistics.interval import EVERYTHING, Interval
from surefoot.evals.statistics.mcnemar import mcnemar_p
from surefoot.evals.statistics.permutation import permutation_ps
from surefoot.evals.statistics.ratios import exponential, pair_of
from surefoot.evals.statistics.samples import Sample
from surefoot.evals.statistics.tango import tango_interval
from surefoot.values import Json

if TYPE_CHECKING:
    from surefoot.evals.statistics.columns import Floats

Kind = Literal["rate", "mean", "ratio"]
"""Pass/fail, numbers that are compared by their difference, and costs or times that are compared by their ratio."""


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """The values of one metric, one of each arm for every case, in the same order of cases.

    candidate, baseline: shape (n,); pass/fail as 0 and 1; repeats averaged, so that the case is what is counted.
    """

    candidate: Numbers
    baseline: Numbers
    kind: Kind = "mean"


@dataclass(frozen=True, slots=True)
class Paired:
    """What the pairs of a metric say.

    `delta` is candidate - baseline, for the kind `ratio` candidate / baseline - 1; `interval` is its. Both are in the
    metric's unit (a ratio has none). `p` is two-sided and not adjusted for other tests. `candidate` and `baseline` are
    the means. `method` names interval and test. Without a case the means are None, the interval is everything, p is 1.
    """

    n: int
    candidate: float | None
    baseline: float | None
    delta: float | None
    interval: Interval
    p: float
    method: str

    def to_json(self) -> dict[str, Json]:
        return {
            "n": self.n,
            "candidate": self.candidate,
            "baseline": self.baseline,
            "delta": self.delta,
            "interval": self.interval.to_json(),
            "p": self.p,
            "method": self.method,
        }


NOTHING = Paired(0, None, None, None, EVERYTHING, 1.0, "none")
"""What no case says."""


def compare_pairs(pairs: Sequence[Pairs], *, confidence: float = 0.95, seed: int = 0) -> list[Paired]:
    """What each metric (or metric in a slice) says; equal inputs give equal numbers.

    Pass/fail gets Tango's interval and McNemar's mid-p, or, where repeats were averaged, what numbers get: the
    bootstrap and the permutation of differences.

    Raises `InvalidInput` for NaN, arms of different lengths, and negative values of the kind `ratio`.
    """
    arms = [pair_of(each.candidate, each.baseline, is_ratio=each.kind == "ratio") for each in pairs]
    found: list[Paired | None] = [
        _verdicts(*arm, confidence) if each.kind == "rate" and _is_binary(*arm) else None
        for each, arm in zip(pairs, arms, strict=True)
    ]
    numbers = [place for place, said in enumerate(found) if said is None]
    samples = [_sample(pairs[place].kind, *arms[place]) for place in numbers]
    known = [sample for sample in samples if sample is not None]
    intervals = iter(intervals_of(known, confidence=confidence, seed=seed))
    ps = permutation_ps([arms[place][0] - arms[place][1] for place in numbers], seed=seed)
    for place, sample, p in zip(numbers, samples, ps, strict=True):
        interval = EVERYTHING if sample is None else next(intervals)
        found[place] = _numbers(pairs[place].kind, arms[place], interval, p)
    return [said for said in found if said is not None]


def _is_binary(candidate: Floats, baseline: Floats) -> bool:
    return all(bool(((arm == 0) | (arm == 1)).all()) for arm in (candidate, baseline))


def _verdicts(candidate: Floats, baseline: Floats, confidence: float) -> Paired:
    cases = len(candidate)
    better, worse = int((candidate > baseline).sum()), int((candidate < baseline).sum())
    interval = tango_interval(better, worse, cases, confidence=confidence)
    if cases == 0:
        return NOTHING
    means = float(candidate.mean()), float(baseline.mean())
    delta = (better - worse) / cases
    return Paired(cases, *means, delta, interval, mcnemar_p(better, worse), "Tango, McNemar mid-p")


def _sample(kind: Kind, candidate: Floats, baseline: Floats) -> Sample | None:
    """What is resampled; None where nothing can be known."""
    if len(candidate) == 0:
        return None
    if kind != "ratio":
        return Sample((candidate - baseline,), _scale(candidate, baseline))
    return Sample((candidate, baseline)) if candidate.any() and baseline.any() else None


def _scale(candidate: Floats, baseline: Floats) -> float:
    """How large a difference can be: 1 for what goes from 0 to 1, else the largest value that was seen."""
    if min(candidate.min(), baseline.min()) >= 0 and max(candidate.max(), baseline.max()) <= 1:
        return 1.0
    return float(max(abs(candidate).max(), abs(baseline).max()))


def _numbers(kind: Kind, arms: tuple[Floats, Floats], interval: Interval, p: float) -> Paired:
    candidate, baseline = arms
    cases = len(candidate)
    if cases == 0:
        return NOTHING
    means = float(candidate.mean()), float(baseline.mean())
    delta: float | None = means[0] - means[1]
    if kind == "ratio":
        delta = means[0] / means[1] - 1 if means[1] else None
        ratio = exponential(interval)
        interval = Interval(ratio.low - 1, ratio.high - 1)
    method = f"{'Student' if cases < FEWEST else 'BCa bootstrap'}, permutation"
    return Paired(cases, *means, delta, interval, p, method)
