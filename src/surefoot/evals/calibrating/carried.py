"""A rate and a comparison by a judge that errs: corrected, with the judge's own error in the interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

from surefoot.errors import InvalidInput
from surefoot.evals.statistics import Interval, mcnemar_p, permutation_p
from surefoot.evals.statistics.columns import Numbers, column
from surefoot.evals.statistics.ratios import pair_of
from surefoot.values import Json

if TYPE_CHECKING:
    from surefoot.evals.statistics.columns import Floats

FEWEST = 10
"""Labelled cases of each kind below which a judge's error is not known well enough to be corrected."""


@dataclass(frozen=True, slots=True)
class JudgeAccuracy:
    """How often a judge is right: of `positives` cases labelled true, `true_positives` are judged true, and so on.

    Verdicts that failed are not counted: they have no value in a rate either.
    """

    positives: int
    true_positives: int
    negatives: int
    true_negatives: int

    @classmethod
    def of(cls, labelled: Sequence[tuple[bool, bool | None]]) -> JudgeAccuracy:
        """Of (label, verdict) pairs; a verdict of None is one that failed."""
        said = [(label, verdict) for label, verdict in labelled if verdict is not None]
        right = [label for label, verdict in said if label == verdict]
        positives = sum(label for label, _ in said)
        return cls(positives, sum(right), len(said) - positives, len(right) - sum(right))

    @property
    def sensitivity(self) -> float:
        """The share of what is true that is judged true, 0 to 1."""
        return self.true_positives / self.positives

    @property
    def specificity(self) -> float:
        """The share of what is false that is judged false, 0 to 1."""
        return self.true_negatives / self.negatives

    @property
    def telling(self) -> float:
        """Sensitivity + specificity - 1: 1 of a judge that is always right, 0 of one that guesses. By so much a judge
        shrinks every difference. Youden, "Index for Rating Diagnostic Tests", Cancer 3 (1950)."""
        return self.sensitivity + self.specificity - 1

    @property
    def n(self) -> int:
        """How many labelled cases have a verdict."""
        return self.positives + self.negatives

    @property
    def is_known(self) -> bool:
        """Whether there are enough labelled cases of each kind to carry its error."""
        return min(self.positives, self.negatives) >= FEWEST

    def may_be_guessing(self, confidence: float = 0.95) -> bool:
        """Whether its sensitivity + specificity - 1 is not shown to be above 0."""
        z = NormalDist().inv_cdf((1 + confidence) / 2)
        return self.telling <= z * math.sqrt(sum(self.variances))

    def why_not(self, confidence: float = 0.95) -> str:
        """Why its error cannot be carried; empty where it can."""
        if not self.is_known:
            return (
                f"of the labelled cases {self.positives} are true and {self.negatives} false: to carry a judge's error "
                f"label at least {FEWEST} of each"
            )
        if self.may_be_guessing(confidence):
            return (
                f"the judge may well be guessing (sensitivity {self.sensitivity:.0%}, specificity "
                f"{self.specificity:.0%} over {self.n} labelled cases): nothing can be corrected by it; label more "
                "cases, or take a better judge"
            )
        return ""

    @property
    def variances(self) -> tuple[float, float]:
        """Of the sensitivity and the specificity, as if one more case of each kind had been right and one wrong, so
        that a judge that was never wrong in a few cases is not taken for one that never is."""
        return _variance(self.true_positives, self.positives), _variance(self.true_negatives, self.negatives)


@dataclass(frozen=True, slots=True)
class Carried:
    """A comparison of two pass rates corrected for a judge's error. All rates and differences are shares, 0 to 1.

    `candidate` and `baseline` are the corrected rates with their intervals; `delta` is candidate - baseline.
    `interval` holds the uncertainty of the cases and of the labels. `judged_delta` is the difference of the judge's own
    verdicts. `p` is theirs, too: a judge that errs alike in both arms makes differences smaller and not more frequent.
    """

    n: int
    candidate: float
    candidate_interval: Interval
    baseline: float
    baseline_interval: Interval
    delta: float
    interval: Interval
    p: float
    judged_delta: float
    judge: JudgeAccuracy

    def to_json(self) -> dict[str, Json]:
        return {
            "n": self.n,
            "candidate": self.candidate,
            "candidate_interval": self.candidate_interval.to_json(),
            "baseline": self.baseline,
            "baseline_interval": self.baseline_interval.to_json(),
            "delta": self.delta,
            "interval": self.interval.to_json(),
            "p": self.p,
            "judged_delta": self.judged_delta,
            "sensitivity": self.judge.sensitivity,
            "specificity": self.judge.specificity,
            "labelled": self.judge.n,
        }


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What a judge said in one arm: of each case 0 or 1, or the mean over its repeats.

    `scored` is the share of a case's repeats that has a verdict; the others failed, and stand in the value as the
    `worst`. What is known without the judge is not corrected. Without `scored` the judge gave all of them.
    """

    values: Numbers
    scored: Numbers | None = None
    worst: float = 0.0


def carried(
    candidate_verdicts: Numbers | Verdicts,
    baseline_verdicts: Numbers | Verdicts,
    labelled: Sequence[tuple[bool, bool | None]] | JudgeAccuracy,
    *,
    confidence: float = 0.95,
    seed: int = 0,
    p: float | None = None,
) -> Carried:
    """Two arms on the same cases, judged by a judge of which `labelled` tells how often it is right.

    candidate_verdicts, baseline_verdicts: shape (n,), 0 or 1 for each case, or the mean over its repeats; `Verdicts`
        where some of them failed.
    labelled: (label, verdict) of cases that people have labelled, none of them among the n; a verdict of None failed.
    p: that of the verdicts, where it is known already.

    The rate is Rogan and Gladen's, (judged + specificity - 1) / (sensitivity + specificity - 1), cut to 0..1
    ("Estimating Prevalence from the Results of a Screening Test", American Journal of Epidemiology 107, 1978); the
    difference is the judged one over the same number below. The intervals hold the values that a normal test does not
    refuse, both variances in it (Fieller, "Some Problems in Interval Estimation", Journal of the Royal Statistical
    Society B 16, 1954), with two cases added on each side as Agresti and Coull do.

    It is right where the judge errs as often on these answers as on the labelled ones, and alike in both arms. Where
    one arm writes what the judge is blind for, label cases of both arms and use `prediction_powered`.

    Raises `InvalidInput` for no case, values outside 0..1, fewer than 10 labelled cases of a kind, and a judge that may
    well be guessing: its sensitivity + specificity - 1 is not shown to be above 0.
    """
    judge = labelled if isinstance(labelled, JudgeAccuracy) else JudgeAccuracy.of(labelled)
    arms = [
        _Seen.of(each if isinstance(each, Verdicts) else Verdicts(each))
        for each in (candidate_verdicts, baseline_verdicts)
    ]
    candidate, baseline = pair_of(arms[0].values, arms[1].values, is_ratio=False)
    if problem := judge.why_not(confidence):
        raise InvalidInput(problem)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    rates = [each.rate(judge, z) for each in arms]
    apart = arms[0].minus(arms[1])
    return Carried(
        n=len(candidate),
        candidate=rates[0][0],
        candidate_interval=rates[0][1],
        baseline=rates[1][0],
        baseline_interval=rates[1][1],
        delta=min(max(apart.corrected(judge), -1.0), 1.0),
        interval=apart.difference(judge, z),
        p=_p(candidate, baseline, seed) if p is None else p,
        judged_delta=float((candidate - baseline).mean()),
        judge=judge,
    )


def corrected_rate(
    verdicts: Verdicts, judge: JudgeAccuracy, *, confidence: float = 0.95
) -> tuple[float, Interval]:
    """The rate of one arm alone and its interval, as `carried` has them. Raises what that raises."""
    if problem := judge.why_not(confidence):
        raise InvalidInput(problem)
    return _Seen.of(verdicts).rate(judge, NormalDist().inv_cdf((1 + confidence) / 2))


@dataclass(frozen=True, slots=True)
class _Seen:
    """Verdicts in parts: `judged` is what the judge added to the value of each case, `known` what failures did, and
    `scored` the share that it was asked for. The truth of a case is expected to be
    (judged - (1 - specificity) * scored) / telling + known."""

    judged: Floats
    known: Floats
    scored: Floats

    @property
    def values(self) -> Floats:
        return self.judged + self.known

    @classmethod
    def of(cls, verdicts: Verdicts) -> _Seen:
        """Raises `InvalidInput` for no case, and for values outside 0..1."""
        import numpy as np

        values = column(verdicts.values, "verdicts")
        if len(values) == 0:
            raise InvalidInput("there is no case with a verdict in both arms")
        if values.min() < 0 or values.max() > 1:
            raise InvalidInput(
                "a verdict is 0 or 1, or the mean over repeats; correct numbers by prediction_powered"
            )
        scored: Floats = (
            np.ones(len(values)) if verdicts.scored is None else column(verdicts.scored, "shares of verdicts")
        )
        if len(scored) != len(values):
            raise InvalidInput(f"there are {len(values)} cases and {len(scored)} shares of verdicts")
        known: Floats = (1 - scored) * verdicts.worst
        return cls(values - known, known, scored)

    def minus(self, other: _Seen) -> _Seen:
        return _Seen(self.judged - other.judged, self.known - other.known, self.scored - other.scored)

    def corrected(self, judge: JudgeAccuracy) -> float:
        above = float(self.judged.mean()) - (1 - judge.specificity) * float(self.scored.mean())
        return above / judge.telling + float(self.known.mean())

    def rate(self, judge: JudgeAccuracy, z: float) -> tuple[float, Interval]:
        """The rates that, seen by the judge, fit the judged one: the roots of a parabola."""
        sensitivity, specificity = (
            (right + 1) / (count + 2)
            for right, count in (
                (judge.true_positives, judge.positives),
                (judge.true_negatives, judge.negatives),
            )
        )
        # Two cases of each verdict are added; what is known without the judge is what it was.
        more, cases = 2.0, len(self.values) + 4
        scored, known = (float(self.scored.sum()) + 4) / cases, float(self.known.sum()) / cases
        telling = sensitivity + specificity - 1
        seen: Floats = self.judged + telling * self.known - (1 - specificity) * self.scored
        extra = (1 - (1 - specificity), -(1 - specificity))
        above = (float(seen.sum()) + more * sum(extra)) / cases
        squares = (float((seen**2).sum()) + more * sum(each * each for each in extra)) / cases
        fit = _Fit(
            above=above,
            telling=telling,
            spread=(squares - above * above) / cases,
            # By how much above - rate * telling changes with the sensitivity, and with the specificity.
            of_sensitivity=known,
            of_specificity=known + scored,
            variances=judge.variances,
        )
        point = min(max(self.corrected(judge), 0.0), 1.0)
        found = fit.roots(z)
        if found is None:
            return point, Interval(0.0, 1.0)
        low, high = found
        return point, Interval(min(max(low, 0.0), 1.0), max(min(high, 1.0), 0.0))

    def difference(self, judge: JudgeAccuracy, z: float) -> Interval:
        """The differences that, shrunk by the judge, fit the judged one: the roots of a parabola, too."""
        cases = len(self.values) + 2
        # One case that got better is added, and one that got worse.
        seen: Floats = self.judged + judge.telling * self.known - (1 - judge.specificity) * self.scored
        above = float(seen.sum()) / cases
        squares = (float((seen**2).sum()) + 2) / cases
        known, scored = float(self.known.sum()) / cases, float(self.scored.sum()) / cases
        found = _Fit(
            above=above,
            telling=judge.telling,
            spread=(squares - above * above) / cases,
            of_sensitivity=known,
            of_specificity=known + scored,
            variances=judge.variances,
        ).roots(z)
        if found is None:
            return Interval(-1.0, 1.0)
        low, high = found
        return Interval(max(low, -1.0), min(high, 1.0))


@dataclass(frozen=True, slots=True)
class _Fit:
    """above - x * telling is expected to be 0; its variance is `spread`, and what the judge's error adds:
    (of_sensitivity - x)**2 and (of_specificity - x)**2 times the variances of the two."""

    above: float
    telling: float
    spread: float
    of_sensitivity: float
    of_specificity: float
    variances: tuple[float, float]

    def roots(self, z: float) -> tuple[float, float] | None:
        """The least and the greatest x that fits; None where all do."""
        sensitivity, specificity = self.variances
        a = self.telling**2 - z * z * (sensitivity + specificity)
        if a <= 0:
            return None
        b = self.above * self.telling - z * z * (
            self.of_sensitivity * sensitivity + self.of_specificity * specificity
        )
        c = self.above**2 - z * z * (
            self.spread + self.of_sensitivity**2 * sensitivity + self.of_specificity**2 * specificity
        )
        root = math.sqrt(max(b * b - a * c, 0.0))
        return (b - root) / a, (b + root) / a


def _p(candidate: Floats, baseline: Floats, seed: int) -> float:
    if all(bool(((arm == 0) | (arm == 1)).all()) for arm in (candidate, baseline)):
        return mcnemar_p(int((candidate > baseline).sum()), int((candidate < baseline).sum()))
    return permutation_p(candidate - baseline, seed=seed)


def _variance(right: int, count: int) -> float:
    share = (right + 1) / (count + 2)
    return share * (1 - share) / (count + 2)
