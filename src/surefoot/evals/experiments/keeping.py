"""Judged cases as the ledger keeps them, and as rows: what is judged is kept at once, and never judged again."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import cast

import orjson

from surefoot.errors import UnknownExperiment
from surefoot.evals.datasets import Case
from surefoot.evals.experiments import trusting
from surefoot.evals.experiments.marking import Marks
from surefoot.evals.experiments.recorded import Ended, Place
from surefoot.evals.experiments.results import Metric, Row
from surefoot.evals.scores import Score
from surefoot.ledger import CaseRecord, Evaluations, ExperimentRecord, Ledger, MetricRecord, Pending
from surefoot.values import Json

_MOST_WAITING = 64
"""Cases on their way into the ledger; above that the first of them are waited for."""


class Keeper:
    """Keeps the judged cases of one experiment. It does not hold up whoever judges: runs are durable before."""

    def __init__(self, ledger: Ledger, experiment: str) -> None:
        self._evaluations = Evaluations(ledger)
        self._experiment = experiment
        self._waiting: deque[Pending] = deque()

    def begun(self) -> ExperimentRecord | None:
        """The experiment as it was begun, if it was."""
        try:
            found = self._evaluations.experiment(self._experiment)
        except UnknownExperiment:
            return None
        return found if found.id == self._experiment else None

    def begin(self, record: ExperimentRecord) -> ExperimentRecord:
        """Record that it begins; what stands under its id where somebody else was first."""
        return self._evaluations.begin(record)

    def note(self, metrics: Sequence[MetricRecord]) -> Pending:
        """Hand over what is known of its metrics beside their scores."""
        return self._evaluations.note(metrics)

    def known(self) -> dict[Place, CaseRecord]:
        """The cases that are judged."""
        return {(case.case, case.repeat): case for case in self._evaluations.cases(self._experiment)}

    def prompts(self, record: ExperimentRecord) -> dict[str, str]:
        """What the prompts meant in its runs, name to digest."""
        return self._evaluations.prompts(record)

    def readable(self, case: CaseRecord) -> CaseRecord:
        """A judged case as it is read again from the ledger, secrets masked."""
        return self._evaluations.readable(case)

    def readable_said(self, said: Score | str | None) -> Score | str | None:
        """What was said of the whole experiment, in the same way."""
        if isinstance(said, str):
            return self._evaluations.readable_texts([said])[0]
        if said is None or not isinstance(said.value, str):
            return said
        value, reason = self._evaluations.readable_texts([said.value, said.reason])
        return Score(value, reason)

    async def keep(self, case: CaseRecord) -> None:
        """Hand a judged case over. Raises `LedgerError` where one could not be kept."""
        pending = self._evaluations.keep([case])
        self._waiting.append(pending)
        while len(self._waiting) > _MOST_WAITING or (self._waiting and self._waiting[0].is_done):
            await self._waiting.popleft()

    async def settle(self) -> None:
        """Wait until all of them are durable."""
        while self._waiting:
            await self._waiting.popleft()


def record_of(
    experiment: str,
    place: Place,
    case: Case,
    ended: Ended,
    marks: Marks,
    *,
    number: int,
    metadata: Mapping[str, Json],
) -> CaseRecord:
    """A case that has been judged. `number` is where it stands in the dataset, from 0."""
    return CaseRecord(
        experiment,
        case.id,
        ended.run_id,
        ended.status,
        place[1],
        ended.error,
        metadata,
        totals=ended.totals,
        judging=marks.judging,
        latency_ns=ended.latency_ns,
        scores=tuple(marks.scores.values()),
        place=number,
    )


def row_of(record: CaseRecord, *, is_reused: bool) -> Row:
    """A judged case as a row of the experiment: the same from the ledger as from the evaluation itself."""
    return Row(
        case=record.case,
        run_id=record.run_id,
        status=record.status,
        scores={
            score.metric: Score(score.value, score.reason)
            for score in record.scores
            if score.value is not None
        },
        failures={score.metric: score.failure for score in record.scores if score.value is None},
        error=record.error,
        totals=record.totals,
        judging=record.judging,
        latency_ns=record.latency_ns,
        is_reused=is_reused,
        repeat=record.repeat,
        metadata=record.metadata,
    )


def metric_record(experiment: str, place: int, metric: Metric) -> MetricRecord:
    """What is known of a metric beside its scores. `place` is where its scorer stands among the others."""
    low, high = metric.about.range or (None, None)
    return MetricRecord(
        experiment,
        metric.name,
        place,
        metric.about.scorer,
        metric.direction,
        None if low is None else float(low),
        None if high is None else float(high),
        labelled=trusting.labelled_json(metric.agreement),
        said=_said_json(metric),
    )


def _said_json(metric: Metric) -> dict[str, Json]:
    """What a scorer of the whole experiment came to; empty for one of cases, and where it said nothing."""
    if metric.scope != "experiment":
        return {}
    if metric.failures:
        return {"failure": metric.failures[0].reason}
    if metric.labels:
        return {"value": next(iter(metric.labels))}
    if metric.value is None:
        return {}
    return {"value": bool(metric.value) if metric.kind == "rate" else metric.value}


def said_of(said: Mapping[str, Json]) -> Score | str | None:
    """What `MetricRecord.said` holds: a score, why there is none, or None where nothing was said."""
    value = said.get("value")
    if isinstance(value, bool | int | float | str):
        return Score(value)
    failure = said.get("failure")
    return failure if isinstance(failure, str) else None


def json_of(metadata: Mapping[str, object]) -> dict[str, Json]:
    """Metadata as it is recorded: what is no JSON as its text."""
    if not metadata:
        return {}
    try:
        found: object = orjson.loads(
            orjson.dumps(dict(metadata), default=str, option=orjson.OPT_NON_STR_KEYS)
        )
    except (TypeError, ValueError):
        return {str(name): str(value) for name, value in metadata.items()}
    return cast("dict[str, Json]", found)
