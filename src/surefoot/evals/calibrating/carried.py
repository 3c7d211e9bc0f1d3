"""A rate and a comparison by a judge that errs: corrected, with the judge's own error in the interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

from surefoot.errors import InvalidInput
from surefoot.evals.statistics import Interval, mcnemar_p, permutation_p
from surefoot.evals.statistics.columns import Numbers
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
            "labelled": self.judge.positives + self.judge.negatives,
        }


def carried(
    candidate_verdicts: Numbers,
    baseline_verdicts: Numbers,
    labelled: Sequence[tuple[bool, bool | None]] | JudgeAccuracy,
    *,
    confidence: float = 0.95,
    seed: int = 0,
) -> Carried:
    """Two arms on the same cases, judged by a judge of which `labelled` tells how often it is right.

    candidate_verdicts, baseline_verdicts: shape (n,), 0 or 1 for each case, or the mean over its repeats.
    labelled: (label, verdict) of cases that people have labelled, none of them among the n; a verdict of None failed.

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
    candidate, baseline = pair_of(candidate_verdicts, baseline_verdicts, is_ratio=False)
    if len(candidate) == 0:
        raise InvalidInput("there is no case with a verdict in both arms")
    if min(candidate.min(), baseline.min()) < 0 or max(candidate.max(), baseline.max()) > 1:
        raise InvalidInput(
            "a verdict is 0 or 1, or the mean over repeats; correct numbers by prediction_powered"
        )
    judge = labelled if isinstance(labelled, JudgeAccuracy) else JudgeAccuracy.of(labelled)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    _check(judge, z)
    differences = candidate - baseline
    judged = float(differences.mean())
    rates = [
        (
            min(max((float(arm.mean()) + judge.specificity - 1) / judge.telling, 0.0), 1.0),
            _rate(arm, judge, z),
        )
        for arm in (candidate, baseline)
    ]
    return Carried(
        n=len(differences),
        candidate=rates[0][0],
        candidate_interval=rates[0][1],
        baseline=rates[1][0],
        baseline_interval=rates[1][1],
        delta=min(max(judged / judge.telling, -1.0), 1.0),
        interval=_difference(differences, judge, z),
        p=_p(candidate, baseline, seed),
        judged_delta=judged,
        judge=judge,
    )


def _check(judge: JudgeAccuracy, z: float) -> None:
    if min(judge.positives, judge.negatives) < FEWEST:
        raise InvalidInput(
            f"of the labelled cases {judge.positives} are true and {judge.negatives} false: to carry a judge's error "
            f"label at least {FEWEST} of each"
        )
    if judge.telling <= z * math.sqrt(sum(judge.variances)):
        raise InvalidInput(
            f"the judge may well be guessing (sensitivity {judge.sensitivity:.0%}, specificity "
            f"{judge.specificity:.0%} over {judge.positives + judge.negatives} labelled cases): nothing can be "
            "corrected by it; label more cases, or take a better judge"
        )


def _p(candidate: Floats, baseline: Floats, seed: int) -> float:
    if all(bool(((arm == 0) | (arm == 1)).all()) for arm in (candidate, baseline)):
        return mcnemar_p(int((candidate > baseline).sum()), int((candidate < baseline).sum()))
    return permutation_p(candidate - baseline, seed=seed)


def _difference(differences: Floats, judge: JudgeAccuracy, z: float) -> Interval:
    """The differences that, shrunk by the judge, fit the judged one: the roots of a parabola."""
    cases = len(differences) + 2
    judged = float(differences.sum()) / cases
    spread = ((float((differences**2).sum()) + 2) / cases - judged * judged) / cases
    a = judge.telling**2 - z * z * sum(judge.variances)
    b = judged * judge.telling
    root = math.sqrt(max(b * b - a * (judged * judged - z * z * spread), 0.0))
    return Interval(max((b - root) / a, -1.0), min((b + root) / a, 1.0))


def _rate(verdicts: Floats, judge: JudgeAccuracy, z: float) -> Interval:
    """The rates that, seen by the judge, fit the judged one: the roots of a parabola, too."""
    cases = len(verdicts) + 4
    judged = (float(verdicts.sum()) + 2) / cases
    spread = ((float((verdicts**2).sum()) + 2) / cases - judged * judged) / cases
    sensitivity, specificity = (
        (right + 1) / (count + 2)
        for right, count in (
            (judge.true_positives, judge.positives),
            (judge.true_negatives, judge.negatives),
        )
    )
    of_sensitivity, of_specificity = judge.variances
    above, telling = judged + specificity - 1, sensitivity + specificity - 1
    # (above - rate * telling)**2 = z**2 * (spread + rate**2 * of_sensitivity + (1 - rate)**2 * of_specificity)
    a = telling**2 - z * z * (of_sensitivity + of_specificity)
    b = above * telling - z * z * of_specificity
    c = above**2 - z * z * (spread + of_specificity)
    if a <= 0:
        return Interval(0.0, 1.0)
    root = math.sqrt(max(b * b - a * c, 0.0))
    return Interval(min(max((b - root) / a, 0.0), 1.0), max(min((b + root) / a, 1.0), 0.0))


def _variance(right: int, count: int) -> float:
    share = (right + 1) / (count + 2)
    return share * (1 - share) / (count + 2)
