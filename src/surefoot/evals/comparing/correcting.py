"""A judge's own error in a comparison: which judge both arms had, and the figures that are corrected for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from surefoot.evals.calibrating import JudgeAccuracy, Verdicts, carried, corrected_rate
from surefoot.evals.comparing.comparison import AsJudged, Contrast, Level
from surefoot.evals.comparing.pairing import Column, Scale
from surefoot.evals.experiments.results import Metric
from surefoot.evals.statistics import effect_of


@dataclass(frozen=True, slots=True)
class Judge:
    """The judge of a metric in both arms. `accuracy` is how often it is right, None where that is not known well
    enough or cannot be carried; `why` says why. `is_guessing`: nothing can be told by it."""

    accuracy: JudgeAccuracy | None = None
    why: str = ""
    is_guessing: bool = False


NO_JUDGE = Judge()


def judge_of(candidate: Metric, baseline: Metric, *, kind: str, alpha: float) -> Judge:
    """The judge that both arms had, by what it said of labelled cases; the larger number of them counts."""
    known = [each.agreement for each in (candidate, baseline) if each.agreement is not None]
    if not known:
        return NO_JUDGE
    ours, theirs = candidate.about, baseline.about
    if ours.scorer != theirs.scorer or ours.models != theirs.models:
        return Judge(
            why="the judges of the two arms are not the same, so that no error of theirs can be carried"
        )
    agreement = max(known, key=lambda each: each.n)
    if kind != "rate":
        return Judge(
            why=f"its scores are numbers: what the judge errs over {agreement.n} labelled cases is told with the "
            "experiment, and not carried into the interval"
        )
    accuracy = JudgeAccuracy(
        positives=agreement.true_positive + agreement.false_negative,
        true_positives=agreement.true_positive,
        negatives=agreement.true_negative + agreement.false_positive,
        true_negatives=agreement.true_negative,
    )
    why = accuracy.why_not(1 - alpha)
    if not why:
        return Judge(accuracy)
    return Judge(why=why, is_guessing=accuracy.is_known)


def corrected(
    contrast: Contrast,
    judge: JudgeAccuracy,
    arms: tuple[Column, Column],
    *,
    cases: Sequence[str],
    inside: tuple[Sequence[str], Sequence[str]],
    scale: Scale,
    alpha: float,
) -> Contrast:
    """The contrast with its levels, delta, interval and effect corrected; what they were stands beside them.

    cases: those that both arms have. inside: those of each arm that its overall level is of.
    """
    if contrast.p is None or contrast.adjusted_p is None:
        return contrast
    ours, theirs = (_verdicts(arm, cases, scale) for arm in arms)
    found = carried(ours, theirs, judge, confidence=1 - alpha, p=contrast.p)
    levels = [
        _level(level, paired, _verdicts(arm, within, scale), judge, 1 - alpha)
        for level, paired, arm, within in zip(
            (contrast.candidate, contrast.baseline),
            (found.candidate, found.baseline),
            arms,
            inside,
            strict=True,
        )
    ]
    return replace(
        contrast,
        candidate=levels[0],
        baseline=levels[1],
        delta=found.delta,
        interval=found.interval,
        effect=effect_of(
            found.interval,
            margin=contrast.margin,
            p=contrast.adjusted_p,
            alpha=alpha,
            direction=contrast.direction,
        ),
        # A judge shrinks every difference, and so does not show as small ones.
        detectable=None if contrast.detectable is None else contrast.detectable / judge.telling,
        as_judged=AsJudged(
            candidate=contrast.candidate.paired,
            baseline=contrast.baseline.paired,
            delta=contrast.delta,
            interval=contrast.interval,
            effect=contrast.effect,
            sensitivity=judge.sensitivity,
            specificity=judge.specificity,
            labelled=judge.n,
            candidate_interval=found.candidate_interval,
            baseline_interval=found.baseline_interval,
        ),
    )


def _verdicts(arm: Column, cases: Sequence[str], scale: Scale) -> Verdicts:
    """What the judge said of these cases; failures are known without it to be the worst."""
    with_value = [case for case in cases if case in arm.values]
    return Verdicts([arm.values[case] for case in with_value], arm.shares(with_value), scale.worst)


def _level(level: Level, paired: float, every: Verdicts, judge: JudgeAccuracy, confidence: float) -> Level:
    return replace(level, paired=paired, overall=corrected_rate(every, judge, confidence=confidence)[0])
