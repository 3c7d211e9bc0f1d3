"""Which cases two experiments have in common, and each metric of a case as one number per arm."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from surefoot.errors import InvalidInput
from surefoot.evals.comparing.comparison import Level
from surefoot.evals.experiments.results import Experiment, MetricKind, Row, kind_of
from surefoot.evals.scales import Range
from surefoot.evals.scores import Value
from surefoot.evals.statistics import Direction

Cases = Mapping[str, Sequence[Row]]
"""The rows of each case, one for each repeat, in the order of the experiment."""


@dataclass(frozen=True, slots=True)
class Pairing:
    """The cases of two experiments: those that both have, and those of one arm alone, in the order of the arms."""

    candidate: Cases
    baseline: Cases
    common: tuple[str, ...]
    only_candidate: tuple[str, ...]
    only_baseline: tuple[str, ...]

    def metadata(self, case: str) -> Mapping[str, object]:
        """What a case is cut into slices by; the candidate's, as that is of the newer version of the dataset."""
        return self.candidate[case][0].metadata


def pair(candidate: Experiment, baseline: Experiment) -> Pairing:
    """Pair two experiments by the ids of their cases.

    Raises `InvalidInput` where they are one and the same, or have no case in common.
    """
    if candidate.id == baseline.id:
        raise InvalidInput(
            f"experiment {candidate.id} would be compared with itself: name another one as the baseline"
        )
    ours, theirs = _by_case(candidate.rows), _by_case(baseline.rows)
    common = tuple(case for case in ours if case in theirs)
    if not common:
        raise InvalidInput(
            f"the experiments {candidate.id} ({_said(candidate)}) and {baseline.id} ({_said(baseline)}) have no case "
            "in common, so that there is nothing to pair: evaluate both on the same dataset"
        )
    return Pairing(
        ours,
        theirs,
        common,
        tuple(case for case in ours if case not in theirs),
        tuple(case for case in theirs if case not in ours),
    )


def _by_case(rows: Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.case, []).append(row)
    return found


def _said(experiment: Experiment) -> str:
    count = len({row.case for row in experiment.rows})
    return f"{count} case{'s' if count != 1 else ''} of {experiment.dataset} {experiment.dataset_version}"


@dataclass(frozen=True, slots=True)
class Column:
    """A metric of one arm: a number for each case to which it applies, repeats averaged, and what lies behind them.

    `failures` has the reason of each row without a score. For labels the numbers are missing and `labels` has the share
    of each label among the repeats of a case; a failure is the label `FAILED`. `counts_failures`: they are in the
    numbers, as the worst.
    """

    values: Mapping[str, float]
    labels: Mapping[str, Mapping[str, float]]
    scored: Mapping[str, int]
    failures: Mapping[str, Sequence[str]]
    is_all_or_nothing: bool
    counts_failures: bool = True

    def shares(self, cases: Sequence[str]) -> list[float]:
        """Of each case the share of the repeats in its number that have a score."""
        if not self.counts_failures:
            return [1.0] * len(cases)
        return [self.scored[case] / (self.scored[case] + len(self.failures.get(case, ()))) for case in cases]

    @property
    def cases(self) -> Collection[str]:
        return self.scored.keys()

    def level(self, pairs: Sequence[str], *, within: Collection[str] | None = None) -> Level:
        """Where the metric stands over the pairs, and over all cases of the arm or those `within` a slice."""
        inside = [case for case in self.scored if within is None or case in within]
        scored = sum(self.scored[case] for case in inside)
        reasons = Counter(reason for case in inside for reason in self.failures.get(case, ()))
        shares: dict[str, float] = {}
        for case in pairs:
            for label, share in self.labels.get(case, {}).items():
                shares[label] = shares.get(label, 0.0) + share
        return Level(
            paired=_mean([self.values[case] for case in pairs if case in self.values]),
            overall=_mean([self.values[case] for case in inside if case in self.values]),
            cases=len(inside),
            scored=scored,
            applicable=scored + reasons.total(),
            reasons=dict(reasons.most_common()),
            labels={
                label: total / len(pairs)
                for label, total in sorted(shares.items(), key=lambda each: (-each[1], each[0]))
            },
        )


FAILED = "(failed)"
"""The label of a row that has none."""


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None


@dataclass(frozen=True, slots=True)
class Scale:
    """How a metric's values are read: their kind, what a failure counts as, and how far apart they lie.

    `span` is 1 for what lies within 0 to 1, else the distance of the smallest and the largest value. `is_unit`: all
    values lie within 0 and 1, where a difference means the same for every metric.
    """

    kind: MetricKind
    worst: float
    span: float
    is_unit: bool


def scale_of(metric: str, arms: Iterable[Cases], direction: Direction, within: Range | None = None) -> Scale:
    """How the values of a metric in both arms are read; `within` is the range that its scorer declares.

    A failure counts as the worst that there is: 0, or 1 where lower is better; beyond 0 to 1, as the worst value that
    was seen; and nothing outside the range. Raises `InvalidInput` where one arm has numbers and the other labels.
    """
    kinds: set[MetricKind] = set()
    least, most = within or (None, None)
    numbers = [_within(end, least, most) for end in (0.0, 1.0)]
    for cases in arms:
        values = [row.scores[metric].value for rows in cases.values() for row in rows if metric in row.scores]
        if values:
            kinds.add(kind_of(values))
            numbers += [float(value) for value in values if not isinstance(value, str)]
    if "labels" in kinds and len(kinds) > 1:
        raise InvalidInput("it is labels in one arm and numbers in the other")
    low, high = min(numbers), max(numbers)
    kind: MetricKind = kinds.pop() if len(kinds) == 1 else "mean"
    worst = low if direction == "higher" else high
    # Of seconds or of a rubric's levels nobody knows which difference matters, though all may lie below 1.
    is_unit = low >= 0 and high <= 1 and (within is None or (most is not None and most <= 1))
    if is_unit:
        return Scale(kind, worst, 1.0, is_unit=True)
    span = most - least if least is not None and most is not None else high - low
    return Scale(kind, worst, span or 1.0, is_unit=False)


def _within(value: float, least: float | None, most: float | None) -> float:
    value = value if least is None else max(value, least)
    return value if most is None else min(value, most)


def column(metric: str, cases: Cases, scale: Scale, *, counts_failures: bool = True) -> Column:
    """A metric of one arm. A case to which it does not apply in any repeat is not in it.

    Where failures do not count, a case has the mean of the repeats that have a score, and no value without one.
    """
    values: dict[str, float] = {}
    labels: dict[str, dict[str, float]] = {}
    scored: dict[str, int] = {}
    failures: dict[str, list[str]] = {}
    for case, rows in cases.items():
        found = [row.scores[metric].value for row in rows if metric in row.scores]
        failed = [row.failures[metric] for row in rows if metric in row.failures]
        if not found and not failed:
            continue
        scored[case] = len(found)
        if failed:
            failures[case] = failed
        counted_failures = len(failed) if counts_failures else 0
        if not found and not counted_failures:
            continue
        if scale.kind == "labels":
            counted = Counter([*map(str, found), *([FAILED] * counted_failures)])
            labels[case] = {label: count / counted.total() for label, count in counted.items()}
        else:
            values[case] = _averaged(found, counted_failures, scale.worst)
    is_all_or_nothing = scale.kind == "rate" and all(value in (0.0, 1.0) for value in values.values())
    return Column(values, labels, scored, failures, is_all_or_nothing, counts_failures)


def _averaged(found: Sequence[Value], failed: int, worst: float) -> float:
    total = math.fsum(float(value) for value in found) + failed * worst
    return total / (len(found) + failed)


@dataclass(frozen=True, slots=True)
class Cost:
    """A figure of each case per run, repeats averaged; cases that have none are counted by why."""

    values: Mapping[str, float] = field(default_factory=dict[str, float])
    missing: Mapping[str, str] = field(default_factory=dict[str, str])


def costs(cases: Cases, of: Callable[[Row], float | str]) -> Cost:
    """A figure of each case; `of` gives it for a row, or says why there is none."""
    values: dict[str, float] = {}
    missing: dict[str, str] = {}
    for case, rows in cases.items():
        found = [of(row) for row in rows]
        numbers = [each for each in found if not isinstance(each, str)]
        reasons = [each for each in found if isinstance(each, str)]
        if numbers:
            values[case] = fmean(numbers)
        else:
            missing[case] = reasons[0]
    return Cost(values, missing)
