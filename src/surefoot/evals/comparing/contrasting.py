"""Contrasts of many metrics and slices at once: their figures, p adjusted over all of them, and effects."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from surefoot.errors import InvalidInput
from surefoot.evals.comparing.comparison import Contrast
from surefoot.evals.comparing.correcting import NO_JUDGE, Judge, corrected
from surefoot.evals.comparing.pairing import Column, Scale
from surefoot.evals.statistics import (
    Direction,
    Kind,
    Paired,
    Pairs,
    cases_needed,
    compare_pairs,
    effect_of,
    holm,
    minimum_detectable,
)
from surefoot.evals.statistics.columns import column

POWER = 0.8


@dataclass(frozen=True, slots=True)
class Measured:
    """A metric as both arms have it. `omitted` says why it cannot be compared; then the columns are empty."""

    metric: str
    direction: Direction
    scale: Scale
    candidate: Column
    baseline: Column
    margin: float
    omitted: str = ""
    judge: Judge = NO_JUDGE


@dataclass(frozen=True, slots=True)
class Draft:
    """A contrast before its statistics: the levels are there, and the pairs that are to be tested.

    `pairs` is one for numbers, and for labels one for each label; none where no case has the metric in both arms.
    `cases` are those of the pairs, and `inside` those of each arm, the candidate's first.
    """

    contrast: Contrast
    pairs: tuple[Pairs, ...]
    measured: Measured
    cases: Sequence[str]
    inside: tuple[Sequence[str], Sequence[str]]

    def spread(self) -> float | None:
        """The standard deviation of the differences of cases; None where they do not differ among each other."""
        found = self.pairs[0]
        differences = column(found.candidate) - column(found.baseline)
        if len(differences) < 2 or differences.min() == differences.max():
            return None
        return float(differences.std(ddof=1))


def draft(measured: Measured, *, name: str = "", within: Collection[str] | None = None) -> Draft:
    """The contrast of a metric over all cases, or over those `within` the slice of this name."""
    ours, theirs = measured.candidate, measured.baseline
    inside = [[case for case in arm.scored if within is None or case in within] for arm in (ours, theirs)]
    if measured.scale.kind == "labels":
        common = [case for case in ours.labels if case in theirs.labels]
    else:
        common = [case for case in ours.values if case in theirs.values]
    cases = [case for case in common if within is None or case in within]
    contrast = Contrast(
        metric=measured.metric,
        kind=measured.scale.kind,
        direction=measured.direction,
        candidate=ours.level(cases, within=within),
        baseline=theirs.level(cases, within=within),
        slice=name,
        n=len(cases),
        margin=measured.margin,
        only_candidate=sum(case not in theirs.scored for case in inside[0]),
        only_baseline=sum(case not in ours.scored for case in inside[1]),
        omitted=measured.omitted or ("" if cases else "no case has it in both arms"),
        uncorrected="" if measured.omitted else measured.judge.why,
    )
    pairs = () if contrast.omitted else tuple(_pairs(measured, cases))
    return Draft(contrast, pairs, measured, cases, (inside[0], inside[1]))


def _pairs(measured: Measured, cases: Sequence[str]) -> Iterator[Pairs]:
    ours, theirs = measured.candidate, measured.baseline
    if measured.scale.kind != "labels":
        kind: Kind = "rate" if measured.scale.kind == "rate" else "mean"
        yield Pairs([ours.values[case] for case in cases], [theirs.values[case] for case in cases], kind)
        return
    labels = sorted({label for arm in (ours, theirs) for case in cases for label in arm.labels[case]})
    for label in labels:
        yield Pairs(
            [ours.labels[case].get(label, 0.0) for case in cases],
            [theirs.labels[case].get(label, 0.0) for case in cases],
            "rate",
        )


def finished(drafts: Sequence[Draft], *, alpha: float, seed: int) -> list[Contrast]:
    """The contrasts with their figures; p is adjusted over all that can be compared."""
    tested = [each for each in drafts if each.pairs]
    said = iter(
        compare_pairs([pairs for each in tested for pairs in each.pairs], confidence=1 - alpha, seed=seed)
    )
    found = [[next(said) for _ in each.pairs] for each in tested]
    ps = [min(holm([one.p for one in of_one])) for of_one in found]
    finals = iter(
        _finished(each, of_one[0], p=p, adjusted=adjusted, alpha=alpha, tests=len(tested))
        for each, of_one, p, adjusted in zip(tested, found, ps, holm(ps), strict=True)
    )
    return [next(finals) if each.pairs else each.contrast for each in drafts]


def _finished(each: Draft, said: Paired, *, p: float, adjusted: float, alpha: float, tests: int) -> Contrast:
    contrast = each.contrast
    if contrast.kind == "labels":
        return replace(contrast, p=p, adjusted_p=adjusted, has_shifted=adjusted < alpha)
    effect = effect_of(
        said.interval, margin=contrast.margin, p=adjusted, alpha=alpha, direction=contrast.direction
    )
    spread = each.spread()
    detectable, needed = None, None
    if spread is not None:
        detectable = spread * _detectable_of_unit(contrast.n, alpha, tests)
        if effect == "too few cases":
            needed = _needed(said.delta or 0.0, spread, alpha=alpha, tests=tests)
    found = replace(
        contrast,
        delta=said.delta,
        interval=said.interval,
        p=p,
        adjusted_p=adjusted,
        effect=effect,
        detectable=detectable,
        needed=needed,
    )
    measured = each.measured
    if measured.judge.accuracy is None:
        return found
    return corrected(
        found,
        measured.judge.accuracy,
        (measured.candidate, measured.baseline),
        cases=each.cases,
        inside=each.inside,
        scale=measured.scale,
        alpha=alpha,
    )


@lru_cache(maxsize=1024)
def _detectable_of_unit(n: int, alpha: float, tests: int) -> float:
    """The smallest difference that so many cases show, for differences with a standard deviation of 1: it is linear in
    that, and slices are often as large as each other."""
    return minimum_detectable(1.0, n, alpha=alpha, power=POWER, tests=tests)


def _needed(delta: float, spread: float, *, alpha: float, tests: int) -> int | None:
    """How many cases would show the difference that was seen."""
    try:
        return cases_needed(delta, spread, alpha=alpha, power=POWER, tests=tests)
    except InvalidInput:
        # So small a difference is shown by no number of cases that anybody has.
        return None
