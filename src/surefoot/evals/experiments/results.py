"""What an evaluation came to: rows, metrics, and the experiment that holds them. Plain data, drawn elsewhere."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from surefoot.evals.experiments.repeating import Flakiness, flakiness_of, mean_of_cases
from surefoot.evals.scales import Direction, Range, direction_of_name
from surefoot.evals.scores import Score, Value
from surefoot.evals.scoring.judging import Agreement
from surefoot.ledger import ExperimentKind, Totals
from surefoot.values import Json

MetricKind = Literal["rate", "mean", "labels"]
MetricScope = Literal["case", "experiment"]


@dataclass(frozen=True, slots=True)
class Row:
    """One case: its run, and what each scorer said of it.

    `failures` holds the reason for each metric that applies to the case and has no score. A metric that stands in
    neither does not apply. `latency_ns` is None for a run that was interrupted and resumed. `judging` is what judges
    used. `is_reused`: the run had ended before this evaluation began. A case that is run several times has a row for
    each `repeat`, from 1. `metadata` is the case's, by which slices are cut.
    """

    case: str
    run_id: str
    status: Literal["completed", "failed"]
    scores: Mapping[str, Score] = field(default_factory=dict[str, Score])
    failures: Mapping[str, str] = field(default_factory=dict[str, str])
    error: str = ""
    totals: Totals = Totals()
    judging: Totals = Totals()
    latency_ns: int | None = None
    is_reused: bool = False
    repeat: int = 1
    metadata: Mapping[str, object] = field(default_factory=dict[str, object])

    def quality(self, metrics: Collection[str]) -> float:
        """0 to 1: the mean of these metrics, where passed is 1, failed is 0 and numbers are cut to 0..1."""
        values = [score.value for name, score in self.scores.items() if name in metrics]
        numbers = [min(max(float(value), 0.0), 1.0) for value in values if not isinstance(value, str)]
        numbers += [0.0 for name in self.failures if name in metrics]
        return sum(numbers) / len(numbers) if numbers else 1.0

    def to_json(self) -> dict[str, Json]:
        return {
            "case": self.case,
            "repeat": self.repeat,
            "run": self.run_id,
            "status": self.status,
            "scores": {name: {"value": s.value, "reason": s.reason} for name, s in self.scores.items()},
            "failures": dict(self.failures),
            "error": self.error,
            "totals": totals_json(self.totals),
            "judging": totals_json(self.judging),
            "seconds": None if self.latency_ns is None else self.latency_ns / 1e9,
            "is_reused": self.is_reused,
        }


@dataclass(frozen=True, slots=True)
class Failure:
    """A case to which a metric applies and for which it has no score."""

    case: str
    run_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class About:
    """What the scorer of a metric is, beside what it said.

    `scorer` is its digest, `direction` and `range` are as it declares them. `models` are those that have answered its
    judge, if it has one. All of them are empty or None where that is not known.
    """

    scorer: str = ""
    direction: Direction | None = None
    range: Range | None = None
    models: tuple[str, ...] = ()


NOTHING_SAID = About()


@dataclass(frozen=True, slots=True)
class Metric:
    """The aggregate of one scorer over the cases that it applies to.

    `kind` is `rate` (bools: the share that passed), `mean` (numbers) or `labels` (texts, counted in `labels`).
    `value` is over the `n` rows that have a score, `value_with_failures` counts every failure as 0; where cases are
    repeated both average within each of the `cases` first. `coverage` is n / (n + failures), None where the metric
    applies to no case. A metric that must not be shown is `withheld`, and
    says why; then it has no value. One whose `scope` is the experiment was scored once, by `OnExperiment`: `n` is 1.
    """

    name: str
    kind: MetricKind
    value: float | None
    value_with_failures: float | None
    n: int
    failures: tuple[Failure, ...] = ()
    labels: Mapping[str, int] = field(default_factory=dict[str, int])
    agreement: Agreement | None = None
    withheld: str = ""
    scope: MetricScope = "case"
    cases: int = 0
    about: About = NOTHING_SAID

    @property
    def direction(self) -> Direction:
        """Which values are better, as the scorer says; where it does not, by the name of the metric."""
        return self.about.direction or direction_of_name(self.name)

    @property
    def applicable(self) -> int:
        return self.n + len(self.failures)

    @property
    def coverage(self) -> float | None:
        return self.n / self.applicable if self.applicable else None

    def in_words(self) -> TableRow:
        """A line of the table of metrics."""
        return _table_row(self)

    def to_json(self) -> dict[str, Json]:
        return {
            "name": self.name,
            "kind": self.kind,
            "scope": self.scope,
            "value": self.value,
            "value_with_failures": self.value_with_failures,
            "n": self.n,
            "cases": self.cases,
            "applicable": self.applicable,
            "coverage": self.coverage,
            "labels": dict(self.labels),
            "failures": [{"case": f.case, "run": f.run_id, "reason": f.reason} for f in self.failures],
            "agreement": self.agreement.to_json() if self.agreement else None,
            "withheld": self.withheld,
            "direction": self.direction,
            "range": None if self.about.range is None else list(self.about.range),
            "scorer": self.about.scorer,
            "models": list(self.about.models),
        }


@dataclass(frozen=True, slots=True)
class Latency:
    """Quantiles of the runs' times in seconds, over the `n` runs that went through without an interruption."""

    p50: float | None
    p95: float | None
    n: int


@dataclass(frozen=True, slots=True)
class TableRow:
    """A line of the table of metrics, in words."""

    metric: str
    value: str
    n: str
    coverage: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Experiment:
    """A flow run over a dataset with scorers. `id` goes on with it: what is recorded is not run again.

    `kind` tells a backtest over recorded runs from an evaluation over a dataset. Each case was run `repeats` times.
    `prompts` is what the flow's prompts meant in it, name to digest, `changes` what was different in its runs from the
    code and the settings (`prompt:answer@...`). `stopped` says why not all cases are judged, where that is so.

    `totals` is what the cases have used, `judging` what the judges have, labelled cases included; both count runs of
    former parts of the experiment too. `elapsed_s` is the time of this part.
    """

    id: str
    name: str
    flow: str
    flow_version: str
    dataset: str
    dataset_version: str
    dataset_size: int
    rows: tuple[Row, ...]
    metrics: tuple[Metric, ...]
    judging: Totals
    elapsed_s: float
    warnings: tuple[str, ...] = ()
    kind: ExperimentKind = "eval"
    repeats: int = 1
    prompts: Mapping[str, str] = field(default_factory=dict[str, str])
    changes: tuple[str, ...] = ()
    stopped: str = ""

    def __getitem__(self, metric: str) -> Metric:
        """The metric of this name. Raises `KeyError`."""
        for each in self.metrics:
            if each.name == metric:
                return each
        raise KeyError(metric)

    @property
    def totals(self) -> Totals:
        return summed(row.totals for row in self.rows)

    @property
    def failed(self) -> tuple[Row, ...]:
        """The rows whose run failed."""
        return tuple(row for row in self.rows if row.status == "failed")

    @property
    def reused(self) -> int:
        """How many cases were taken from the record."""
        return sum(row.is_reused for row in self.rows)

    @property
    def flakiness(self) -> tuple[Flakiness, ...]:
        """How far the repeats of a case differ, by metric; nothing where no case was repeated."""
        if self.repeats == 1:
            return ()
        return tuple(
            flakiness_of(metric.name, _said(metric.name, self.rows))
            for metric in self.metrics
            if metric.scope == "case" and not metric.withheld
        )

    @property
    def flaky(self) -> tuple[str, ...]:
        """The cases of which some verdict differs between repeats, or of which some runs failed and some did not."""
        statuses: dict[str, set[str]] = {}
        for row in self.rows:
            statuses.setdefault(row.case, set()).add(row.status)
        flaky = {case for each in self.flakiness for case in each.cases}
        return tuple(case for case, found in statuses.items() if len(found) > 1 or case in flaky)

    @property
    def latency(self) -> Latency:
        times = sorted(row.latency_ns / 1e9 for row in self.rows if row.latency_ns is not None)
        return Latency(quantile(times, 0.5), quantile(times, 0.95), len(times))

    def worst(self, most: int = 5) -> list[Row]:
        """The cases that did worst: failed runs, then the least mean of their metrics. None that is perfect.

        Metrics that are withheld, or whose judge is near chance, do not count, nor do those that are better when they
        are lower, as time and cost are.
        """
        telling = {
            m.name
            for m in self.metrics
            if not (m.withheld or (m.agreement and m.agreement.is_near_chance)) and m.direction == "higher"
        }
        ranked = [(row.status != "failed", row.quality(telling), row) for row in self.rows]
        imperfect = [each for each in ranked if not each[0] or each[1] < 1]
        return [row for _, _, row in sorted(imperfect, key=lambda each: each[:2])[:most]]

    def table(self) -> list[TableRow]:
        """The metrics in words."""
        return [metric.in_words() for metric in self.metrics]

    def to_json(self) -> dict[str, Json]:
        latency = self.latency
        return {
            "experiment": self.id,
            "name": self.name,
            "flow": self.flow,
            "flow_version": self.flow_version,
            "dataset": {"name": self.dataset, "version": self.dataset_version, "cases": self.dataset_size},
            "cases": len({row.case for row in self.rows}),
            "repeats": self.repeats,
            "kind": self.kind,
            "prompts": dict(self.prompts),
            "changes": list(self.changes),
            "stopped": self.stopped,
            "flaky": list(self.flaky),
            "flakiness": [each.to_json() for each in self.flakiness],
            "failed": len(self.failed),
            "reused": self.reused,
            "metrics": [metric.to_json() for metric in self.metrics],
            "totals": totals_json(self.totals),
            "judging": totals_json(self.judging),
            "seconds": {"p50": latency.p50, "p95": latency.p95, "n": latency.n, "elapsed": self.elapsed_s},
            "warnings": list(self.warnings),
            "rows": [row.to_json() for row in self.rows],
        }


def metric_of(
    name: str,
    rows: Sequence[Row],
    *,
    agreement: Agreement | None = None,
    withheld: str = "",
    about: About = NOTHING_SAID,
) -> Metric:
    """The aggregate of one scorer over the rows."""
    scored = [(row.case, row.scores[name].value) for row in rows if name in row.scores]
    failures = tuple(
        Failure(row.case, row.run_id, row.failures[name]) for row in rows if name in row.failures
    )
    values = [value for _, value in scored]
    kind = kind_of(values)
    labels = Counter(str(value) for value in values) if kind == "labels" else Counter[str]()
    mean = with_failures = None
    if kind != "labels" and not withheld:
        numbers = [(case, float(value)) for case, value in scored]
        mean = mean_of_cases(numbers)
        with_failures = mean_of_cases([*numbers, *((failure.case, 0.0) for failure in failures)])
    return Metric(
        name,
        kind,
        mean,
        with_failures,
        len(values),
        failures,
        {} if withheld else dict(labels.most_common()),
        agreement,
        withheld,
        cases=len({case for case, _ in scored}),
        about=about,
    )


def metric_of_experiment(name: str, said: Score | str | None, *, about: About = NOTHING_SAID) -> Metric:
    """What a scorer of the whole experiment came to: a score, why there is none, or None where it does not apply."""
    if not isinstance(said, Score):
        failures = () if said is None else (Failure("", "", said),)
        return Metric(name, "mean", None, None, 0, failures, scope="experiment", about=about)
    kind = kind_of([said.value])
    if isinstance(said.value, str):
        return Metric(name, kind, None, None, 1, labels={said.value: 1}, scope="experiment", about=about)
    value = float(said.value)
    return Metric(name, kind, value, value, 1, scope="experiment", about=about)


def kind_of(values: Sequence[Value]) -> MetricKind:
    if any(isinstance(value, str) for value in values):
        return "labels"
    return "rate" if values and all(isinstance(value, bool) for value in values) else "mean"


def quantile(ordered: Sequence[float], share: float) -> float | None:
    """The quantile of sorted numbers by linear interpolation between neighbours; None of nothing."""
    if not ordered:
        return None
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def summed(parts: Iterable[Totals]) -> Totals:
    total = Totals()
    for part in parts:
        total += part
    return total


def totals_json(totals: Totals) -> dict[str, Json]:
    """Steps, calls, tokens and cost; the cost in US dollars and as an exact count of nano-dollars."""
    usage = totals.usage
    return {
        "steps": totals.steps,
        "calls": totals.calls,
        "tokens": {
            "input": usage.input,
            "cached": usage.cached,
            "output": usage.output,
            "reasoning": usage.reasoning,
        },
        "cost_usd": totals.cost.nanos / 1e9,
        "cost_nanos": totals.cost.nanos,
        "is_cost_complete": totals.is_cost_complete,
    }


def _said(name: str, rows: Sequence[Row]) -> dict[str, list[Value | None]]:
    """What a metric said of each case's repeats, None for a failure."""
    found: dict[str, list[Value | None]] = {}
    for row in rows:
        if name in row.scores:
            found.setdefault(row.case, []).append(row.scores[name].value)
        elif name in row.failures:
            found.setdefault(row.case, []).append(None)
    return found


def _table_row(metric: Metric) -> TableRow:
    notes: list[str] = []
    if metric.withheld:
        value = "withheld"
        notes.append(metric.withheld)
    elif metric.kind == "labels":
        value = ", ".join(f"{label} {count}" for label, count in metric.labels.items())
    elif metric.value is None:
        value = "none"
    elif metric.scope == "experiment" and metric.kind == "rate":
        value = "yes" if metric.value else "no"
    elif metric.kind == "rate" and metric.cases != metric.n:
        value = f"{metric.value:.1%} ({metric.cases} cases, {metric.n} runs)"
    elif metric.kind == "rate":
        value = f"{metric.value:.0%} ({round(metric.value * metric.n)} of {metric.n})"
    else:
        value = f"{metric.value:.3f}"
    if metric.failures and metric.value is not None and metric.value_with_failures is not None:
        as_rate = metric.kind == "rate"
        counted = f"{metric.value_with_failures:.0%}" if as_rate else f"{metric.value_with_failures:.3f}"
        notes.append(f"{counted} with failures counted as 0")
    if metric.agreement is not None:
        notes.append(f"the judge {metric.agreement}")
    coverage = "does not apply" if metric.coverage is None else f"{metric.n} of {metric.applicable}"
    if metric.scope == "experiment" and metric.n:
        coverage = "of all cases"
    return TableRow(metric.name, value, str(metric.n), coverage, "; ".join(notes))
