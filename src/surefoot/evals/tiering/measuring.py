"""What a frontier is drawn from: every case answered by each tier, or each model, alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from surefoot import flows, models
from surefoot.errors import InvalidInput
from surefoot.evals.datasets import Dataset
from surefoot.evals.experiments import ordering
from surefoot.evals.experiments.results import Experiment, Row
from surefoot.evals.ids import MARK
from surefoot.evals.tiering import frontier
from surefoot.evals.tiering.frontier import Climb, Finding, Frontier, Target, Tried
from surefoot.flows import AnyFlow
from surefoot.ledger import Ledger, decode
from surefoot.models import Call, Trial, Using
from surefoot.values import new_id

RunUnder = Callable[[str], Experiment]
"""Evaluates the flow under this id of an experiment."""


def measure(
    run: RunUnder,
    *,
    flow: AnyFlow | str,
    dataset: Dataset,
    candidates: Sequence[Using] = (),
    metric: str = "",
    target: Target | None = None,
    experiment: str | None = None,
) -> Frontier:
    """Run every case with each candidate alone, and draw the frontier. What is recorded of the experiment is not asked
    again.

    run: evaluates the flow; it is called once for each candidate.
    candidates: what answers in the place of every `using=` in the flow, the cheapest first; the last is the reference.
        Without any they are the tiers of the flow's own `Tiered`.
    metric: the scorer that says how good an answer is, from 0 to 1 or passed or not; by default the first.
    experiment: goes on with this one, or begins it under this id; `last` is the newest.

    Raises `InvalidInput` where the flow has no tiers, or no such metric, and what `evaluate` raises.
    """
    app, found = flows.host(), flows.find_spec(flow)[1]
    if experiment == ordering.LAST:
        experiment = ordering.last(app, found, dataset)
    base = (experiment or new_id()).partition(MARK)[0]
    trials = _Trials(run, app.ledger, base, metric)
    if candidates:
        if len(candidates) < 2:
            raise InvalidInput("a frontier of one model is a point: name two or more, the cheapest first")
        names = _distinct([_label(each) for each in candidates])
        tried = [trials.of(name, Trial(using=each)) for name, each in zip(names, candidates, strict=True)]
        options = frontier.of_models(tried, names)
        signal = ""
    else:
        tried = [trials.of("tier 1", Trial(tier=1))]
        if not trials.tiers:
            failed = f" (or fails before: {trials.failure})" if trials.failure else ""
            raise InvalidInput(
                f"flow {found.name} asks no Tiered{failed}: name the models to be compared, --frontier "
                "openai:gpt-4o-mini,openai:gpt-4o, the cheapest first"
            )
        tried += [trials.of(f"tier {number}", Trial(tier=number)) for number in range(2, trials.tiers + 1)]
        names = _distinct(
            [trials.names.get(f"tier {number}", f"tier {number}") for number in range(1, len(tried) + 1)]
        )
        signal = frontier.signal_in(tried)
        options = frontier.of_tiers(tried, names, signal=signal)
    wanted = target or Target()
    options = frontier.judged(options, wanted, order="any" if candidates else "sequence")
    return Frontier(
        flow=found.name,
        metric=trials.metric,
        cases=len(options[0].scores),
        target=wanted,
        reference=options[0].name,
        options=tuple(options),
        recommended=frontier.recommended(options),
        experiment=base,
        warnings=tuple(trials.warnings()),
        signal=signal,
    )


@dataclass(slots=True)
class _Trials:
    """The experiments of one frontier."""

    run: RunUnder
    ledger: Ledger
    base: str
    metric: str
    tiers: int = 0
    """How many tiers the longest ladder of the flow has."""
    failure: str = ""
    """Why a run failed, where one did."""
    names: dict[str, str] = field(default_factory=dict[str, str])
    """The model of each tier."""
    _experiments: list[tuple[str, Experiment]] = field(default_factory=list[tuple[str, Experiment]])
    _most: int = 0
    """How many ladders a case has at most."""
    _is_unpriced: bool = False

    def of(self, name: str, trial: Trial) -> list[Tried]:
        """Every case to which the metric applies, answered by one candidate."""
        with models.trying(trial):
            found = self.run(f"{self.base}{MARK}{name.replace(' ', '-')}")
        self._experiments.append((name, found))
        self.metric = self.metric or _first_metric(found)
        if self.metric not in {metric.name for metric in found.metrics}:
            known = ", ".join(metric.name for metric in found.metrics)
            raise InvalidInput(f"there is no metric {self.metric!r}: there are {known}")
        return [
            self._tried(name, row)
            for row in found.rows
            if self.metric in row.scores or self.metric in row.failures
        ]

    def _tried(self, name: str, row: Row) -> Tried:
        self.failure = self.failure or row.error
        records = list(_verdicts(self.ledger, row.run_id))
        for record in records:
            self.tiers = max(self.tiers, int(record["of"]))
            if record["model"]:
                self.names.setdefault(name, record["model"])
        self._most = max(self._most, len(records))
        cost = row.totals.cost.nanos if row.totals.is_cost_complete else None
        self._is_unpriced = self._is_unpriced or cost is None
        return Tried(_score(row, self.metric), cost, tuple(map(_climb, records)))

    def warnings(self) -> Iterator[str]:
        """What a reader has to know."""
        for name, found in self._experiments:
            failures = found[self.metric].failures
            if failures:
                yield f"{name}: {len(failures)} of {len(found.rows)} cases count as 0: {failures[0].reason}"
            yield from (f"{name}: {warning}" for warning in found.warnings)
        if self._most > 1:
            yield (
                f"the flow asks up to {self._most} ladders for a case: a case goes up in all of them where it does in "
                "one, so that costs are those at most"
            )
        if self._is_unpriced:
            yield "the price of some calls is not known, so nothing is recommended: set [prices]"


def _first_metric(found: Experiment) -> str:
    for metric in found.metrics:
        if metric.kind != "labels" and not metric.withheld:
            return metric.name
    raise InvalidInput("no metric is a number: add a scorer that returns a bool or a number from 0 to 1")


def _score(row: Row, metric: str) -> float:
    """The score of a row, 0 where there is none. Raises `InvalidInput` for one that is not from 0 to 1."""
    if metric not in row.scores:
        return 0.0
    value = row.scores[metric].value
    if isinstance(value, str) or not 0 <= float(value) <= 1:
        raise InvalidInput(
            f"{metric} of case {row.case} is {value!r}: a frontier needs scores that are passed or not, or from 0 to "
            "1; scale them, or name another scorer with --metric"
        )
    return float(value)


def _verdicts(ledger: Ledger, run_id: str) -> Iterator[Mapping[str, Any]]:
    """What is recorded of the tiers of a run."""
    newest = {
        outcome.key: outcome
        for outcome in ledger.outcomes(run_id)
        if outcome.kind == "step" and outcome.name.startswith("tier ") and outcome.status == "completed"
    }
    for outcome in newest.values():
        record: object = decode(ledger.exact(run_id, outcome.output))
        # A step of the user's may be called so, too.
        if isinstance(record, dict) and {"tier", "of", "accepted", "asking"} <= record.keys():
            yield cast("dict[str, Any]", record)


def _climb(record: Mapping[str, Any]) -> Climb:
    findings = tuple(
        Finding(check["check"], check["passed"], check.get("value"), check.get("cost_nanos", 0))
        for check in record.get("checks", ())
    )
    is_answered = record["accepted"] or bool(findings)
    return Climb(record["asking"]["cost_nanos"], findings, is_answered)


def _label(using: Using) -> str:
    if isinstance(using, str):
        return using
    if isinstance(using, Call) and using.model:
        return using.model
    return type(using).__name__


def _distinct(names: Sequence[str]) -> list[str]:
    """The names, with a number where one stands twice."""
    return [name if names.count(name) == 1 else f"{name} ({place})" for place, name in enumerate(names, 1)]
