"""What comparing two experiments comes to: effects per metric and slice, cost and time, and the cases that moved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from surefoot.evals.experiments.results import MetricKind
from surefoot.evals.statistics import Direction, Effect, Interval
from surefoot.values import Json

Figure = Literal["cost", "latency", "tokens"]


@dataclass(frozen=True, slots=True)
class Arm:
    """One of the two experiments. `failed` counts its rows whose run failed, `prompts` are name to digest.

    `changes` is what was different in its runs from the code and the settings, `stopped` why not all of its cases are
    judged, where that is so.
    """

    id: str
    name: str
    flow: str
    flow_version: str
    dataset: str
    dataset_version: str
    cases: int
    rows: int
    failed: int
    repeats: int
    prompts: Mapping[str, str]
    changes: tuple[str, ...] = ()
    stopped: str = ""

    @property
    def title(self) -> str:
        return self.name or self.flow

    def to_json(self) -> dict[str, Json]:
        return {
            "experiment": self.id,
            "name": self.name,
            "flow": self.flow,
            "flow_version": self.flow_version,
            "dataset": {"name": self.dataset, "version": self.dataset_version},
            "cases": self.cases,
            "rows": self.rows,
            "failed": self.failed,
            "repeats": self.repeats,
            "prompts": dict(self.prompts),
            "changes": list(self.changes),
            "stopped": self.stopped,
        }


@dataclass(frozen=True, slots=True)
class Level:
    """Where a metric stands in one arm.

    `paired` is its mean over the cases that both arms have, `overall` that over all cases of the arm; None where there
    are none, and of labels. In both a failure counts as the worst: `scored` of `applicable` rows have a score.
    `reasons` are those of the failures, the most frequent first. `labels` is the share of each label over the pairs.
    """

    paired: float | None
    overall: float | None
    cases: int
    scored: int
    applicable: int
    reasons: Mapping[str, int] = field(default_factory=dict[str, int])
    labels: Mapping[str, float] = field(default_factory=dict[str, float])

    @property
    def failures(self) -> int:
        return self.applicable - self.scored

    @property
    def coverage(self) -> float | None:
        return self.scored / self.applicable if self.applicable else None

    def to_json(self) -> dict[str, Json]:
        return {
            "paired": self.paired,
            "overall": self.overall,
            "cases": self.cases,
            "scored": self.scored,
            "applicable": self.applicable,
            "coverage": self.coverage,
            "failures": dict(self.reasons),
            "labels": dict(self.labels),
        }


@dataclass(frozen=True, slots=True)
class AsJudged:
    """What a judge's own verdicts say, where the figures of a contrast are corrected for its error.

    `candidate` and `baseline` are the levels over the pairs, by its verdicts. Of what is true it calls the share
    `sensitivity` true, of what is false the share `specificity` false, over `labelled` cases that people have labelled.
    `candidate_interval` and `baseline_interval` are those of the corrected levels.
    """

    candidate: float | None
    baseline: float | None
    delta: float | None
    interval: Interval | None
    effect: Effect | None
    sensitivity: float
    specificity: float
    labelled: int
    candidate_interval: Interval
    baseline_interval: Interval

    def to_json(self) -> dict[str, Json]:
        return {
            "candidate": self.candidate,
            "baseline": self.baseline,
            "delta": self.delta,
            "interval": _interval_json(self.interval),
            "effect": self.effect,
            "sensitivity": self.sensitivity,
            "specificity": self.specificity,
            "labelled": self.labelled,
            "candidate_interval": self.candidate_interval.to_json(),
            "baseline_interval": self.baseline_interval.to_json(),
        }


@dataclass(frozen=True, slots=True)
class Contrast:
    """One metric of the candidate against the baseline's, over the `n` cases that have it in both arms.

    `delta` is candidate minus baseline, each case counting once; `interval` is its confidence interval at 1 - alpha.
    `p` is that of no difference at all: McNemar's where each case passed or not, else by permutation. `adjusted_p` is
    Holm's over all metrics and slices of the comparison, by which `effect` is told. `margin` is the difference that
    does not matter, 0 where none is known. `detectable` is the smallest difference that so many cases would show in 8
    of 10 experiments, `needed` how many cases would show the one that was seen.

    Labels have no better and no worse, so neither delta nor effect: `has_shifted` says whether the distribution is
    shown to differ. Their p is the smallest over the labels, each against the rest, adjusted for how many there are.

    Verdicts of a judge of which it is known how often it is right are corrected by that: levels, delta, interval and
    effect are what people would say, as far as that is known; `as_judged` is what the judge itself says, and `p` is the
    same. Where a judge's error is known and cannot be carried, `uncorrected` says why.

    A metric that cannot be compared says why in `omitted`, and has no figures. `only_candidate` and `only_baseline`
    count the cases to which it applies in one arm alone.
    """

    metric: str
    kind: MetricKind
    direction: Direction
    candidate: Level
    baseline: Level
    slice: str = ""
    n: int = 0
    delta: float | None = None
    interval: Interval | None = None
    p: float | None = None
    adjusted_p: float | None = None
    effect: Effect | None = None
    has_shifted: bool = False
    margin: float = 0.0
    detectable: float | None = None
    needed: int | None = None
    only_candidate: int = 0
    only_baseline: int = 0
    omitted: str = ""
    as_judged: AsJudged | None = None
    uncorrected: str = ""

    def to_json(self) -> dict[str, Json]:
        return {
            "metric": self.metric,
            "slice": self.slice,
            "kind": self.kind,
            "direction": self.direction,
            "n": self.n,
            "candidate": self.candidate.to_json(),
            "baseline": self.baseline.to_json(),
            "delta": self.delta,
            "interval": _interval_json(self.interval),
            "p": self.p,
            "adjusted_p": self.adjusted_p,
            "effect": self.effect,
            "has_shifted": self.has_shifted,
            "margin": self.margin,
            "detectable": self.detectable,
            "needed": self.needed,
            "only_candidate": self.only_candidate,
            "only_baseline": self.only_baseline,
            "omitted": self.omitted,
            "as_judged": None if self.as_judged is None else self.as_judged.to_json(),
            "uncorrected": self.uncorrected,
        }


@dataclass(frozen=True, slots=True)
class Ratio:
    """What the candidate costs or takes, as a multiple of the baseline's mean over the same `n` cases.

    Cost is in dollars, latency in seconds, per run. `interval` is that of the ratio. `left_out` cases have no figure in
    one of the arms, for the reason in `note`.
    """

    figure: Figure
    candidate: float | None
    baseline: float | None
    ratio: float | None
    interval: Interval | None
    n: int
    left_out: int = 0
    note: str = ""

    def to_json(self) -> dict[str, Json]:
        return {
            "figure": self.figure,
            "candidate": self.candidate,
            "baseline": self.baseline,
            "ratio": self.ratio,
            "interval": _interval_json(self.interval),
            "n": self.n,
            "left_out": self.left_out,
            "note": self.note,
        }


@dataclass(frozen=True, slots=True)
class Moved:
    """A case that got better or worse. `change` is the mean change of its metrics, above 0 where it got better.

    `metrics` holds those that changed, the largest change first: name, the baseline's value and the candidate's.
    `reason` is what the scorer said of the candidate, or why it has no score.
    """

    case: str
    change: float
    metrics: tuple[tuple[str, float, float], ...]
    candidate_runs: tuple[str, ...]
    baseline_runs: tuple[str, ...]
    reason: str = ""

    def to_json(self) -> dict[str, Json]:
        return {
            "case": self.case,
            "change": self.change,
            "metrics": {name: {"baseline": was, "candidate": now} for name, was, now in self.metrics},
            "candidate_runs": list(self.candidate_runs),
            "baseline_runs": list(self.baseline_runs),
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class Slice:
    """The cases whose metadata has this value under this key. One with too few cases has no contrasts."""

    key: str
    value: str
    n: int
    contrasts: tuple[Contrast, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.key}={self.value}"

    @property
    def is_too_small(self) -> bool:
        return not self.contrasts

    def to_json(self) -> dict[str, Json]:
        return {
            "key": self.key,
            "value": self.value,
            "cases": self.n,
            "is_too_small": self.is_too_small,
            "metrics": [each.to_json() for each in self.contrasts],
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two experiments, paired by case.

    `pairs` cases are in both; the others are listed by id. `better` and `worse` list the cases that moved, the biggest
    change first.
    """

    candidate: Arm
    baseline: Arm
    alpha: float
    pairs: int
    contrasts: tuple[Contrast, ...]
    slices: tuple[Slice, ...] = ()
    ratios: tuple[Ratio, ...] = ()
    better: tuple[Moved, ...] = ()
    worse: tuple[Moved, ...] = ()
    only_candidate: tuple[str, ...] = ()
    only_baseline: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def __getitem__(self, metric: str) -> Contrast:
        """The contrast of a metric over all pairs. Raises `KeyError`."""
        for each in self.contrasts:
            if each.metric == metric:
                return each
        raise KeyError(metric)

    def ratio(self, figure: Figure) -> Ratio:
        """Cost, latency or tokens. Raises `KeyError`."""
        for each in self.ratios:
            if each.figure == figure:
                return each
        raise KeyError(figure)

    def all_contrasts(self) -> Iterator[Contrast]:
        """Those over all pairs, then those of slices: the family over which p is adjusted."""
        yield from self.contrasts
        for each in self.slices:
            yield from each.contrasts

    @property
    def differing(self) -> tuple[dict[str, str], dict[str, str]]:
        """The prompts that differ between the arms, name to digest: the candidate's, then the baseline's.

        One that an arm does not use has an empty digest there.
        """
        ours, theirs = self.candidate.prompts, self.baseline.prompts
        names = sorted(name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name))
        return {name: ours.get(name, "") for name in names}, {name: theirs.get(name, "") for name in names}

    def to_json(self) -> dict[str, Json]:
        from surefoot.evals.comparing.wording import headline

        return {
            "verdict": headline(self),
            "candidate": self.candidate.to_json(),
            "baseline": self.baseline.to_json(),
            "alpha": self.alpha,
            "pairs": self.pairs,
            "only_candidate": list(self.only_candidate),
            "only_baseline": list(self.only_baseline),
            "metrics": [each.to_json() for each in self.contrasts],
            "slices": [each.to_json() for each in self.slices],
            "figures": [each.to_json() for each in self.ratios],
            "better": [each.to_json() for each in self.better],
            "worse": [each.to_json() for each in self.worse],
            "warnings": list(self.warnings),
        }


def _interval_json(interval: Interval | None) -> Json:
    return None if interval is None else interval.to_json()
