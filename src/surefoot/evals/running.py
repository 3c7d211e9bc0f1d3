"""`evaluate`: a flow over a dataset with scorers, each case a run in the ledger."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from surefoot import flows, scope, traces
from surefoot.errors import InvalidInput
from surefoot.evals import ordering, recorded, trusting
from surefoot.evals.binding import Bound, Sample, Scorer, bind, columns_of, settle
from surefoot.evals.datasets import Case, Dataset
from surefoot.evals.judging import Agreement, agreement_of
from surefoot.evals.ordering import OnProgress, Order, Progress
from surefoot.evals.readings import Reader
from surefoot.evals.recorded import Ended, Runs, Threads
from surefoot.evals.results import Experiment, Metric, Row, metric_of, metric_of_experiment, summed
from surefoot.evals.scores import Score
from surefoot.evals.stepping import RecordedSteps
from surefoot.flows import AnyFlow
from surefoot.ledger import Totals
from surefoot.values import new_id

log = scope.logger("surefoot.evals")


def evaluate(
    flow: AnyFlow | str,
    dataset: Dataset | str | Path,
    scorers: Sequence[Scorer] | Mapping[str, Scorer],
    *,
    reads: Mapping[str, Reader] | None = None,
    columns: Mapping[str, str] | None = None,
    init: Mapping[str, object] | None = None,
    name: str = "",
    limit: int | None = None,
    concurrency: int = 4,
    experiment: str | None = None,
    retry_failed: bool = False,
    allow_effects: bool = False,
    on_progress: OnProgress | None = None,
) -> Experiment:
    """Run a flow over the cases of a dataset and score what it returns.

    Every case is a run in the ledger with the tags `experiment` and `case`. A run that fails, and a scorer that
    raises, are failed rows with their reason: they lower a metric's coverage and are never left out. Ctrl-C lets the
    cases that are under way end or be resumable; whatever has ended is not run again by `experiment=`.

    flow: a flow, or where it is, as in `FILE.py:NAME`.
    dataset: a dataset, or the path of a JSONL file whose `columns` are mapped as `Dataset.load` says.
    scorers: functions, flows or `Judged`; see `Scorer`. A mapping names them.
    reads: where scorers' parameters stand in the output: a path as in `context_used.text`, or a function of it.
    init: settings for the constructor of a `Workflow` class.
    limit: so many cases, evenly spread over the dataset.
    concurrency: so many cases at a time; sync flows and scorers run in worker threads, async ones on one loop.
    experiment: goes on with this experiment, or begins it under this id; `last` is the newest of this flow and
        dataset. By default a new one begins.
    retry_failed: go on with runs of the experiment that failed, too.
    allow_effects: let effects and transactions happen. By default none does: what the step declares as its `stand_in`
        is recorded instead, or its fallback, or None.

    Raises `InvalidInput` before anything is run if a case does not fit the flow, a scorer takes what nothing fills, or
    the experiment was begun with another dataset or other settings; `RunBusy` if another process runs it.
    """
    return flows.run_in_background(
        evaluate_async(
            flow,
            dataset,
            scorers,
            reads=reads,
            columns=columns,
            init=init,
            name=name,
            limit=limit,
            concurrency=concurrency,
            experiment=experiment,
            retry_failed=retry_failed,
            allow_effects=allow_effects,
            on_progress=on_progress,
        )
    )


async def evaluate_async(
    flow: AnyFlow | str,
    dataset: Dataset | str | Path,
    scorers: Sequence[Scorer] | Mapping[str, Scorer],
    *,
    reads: Mapping[str, Reader] | None = None,
    columns: Mapping[str, str] | None = None,
    init: Mapping[str, object] | None = None,
    name: str = "",
    limit: int | None = None,
    concurrency: int = 4,
    experiment: str | None = None,
    retry_failed: bool = False,
    allow_effects: bool = False,
    on_progress: OnProgress | None = None,
) -> Experiment:
    """`evaluate` for async code: async flows and scorers run on the caller's loop."""
    if concurrency < 1:
        raise InvalidInput(f"the concurrency is {concurrency}: let at least 1 case run at a time")
    found, spec = flows.find_spec(flow)
    data = dataset if isinstance(dataset, Dataset) else Dataset.load(dataset, flow=found, columns=columns)
    cases, settings = data.spread(limit), dict(init or {})
    app = flows.host()
    order = Order(
        app=app,
        flow=found,
        spec=spec,
        dataset=data,
        cases=cases,
        inputs=ordering.checked(spec, cases),
        scorers=bind(scorers, reads or {}, columns=columns_of(cases)),
        reads=reads or {},
        settings=settings,
        name=name,
        experiment=ordering.last(app, spec, data) if experiment == ordering.LAST else experiment or new_id(),
        concurrency=concurrency,
        is_retrying=retry_failed,
        allows_effects=allow_effects,
        on_progress=on_progress,
    )
    for bound in order.scorers:
        if bound.spec is not None and bound.judged is not None and bound.judged.labelled is not None:
            ordering.checked(bound.spec, trusting.labelled_of(bound.judged).cases)
    threads = Threads(concurrency)
    try:
        # It measures what models answer, what that costs and how long it takes: an answer given again tells neither.
        with scope.caching("never"):
            return await _Evaluation(order, threads).run()
    finally:
        threads.close()


@dataclass(slots=True)
class _Marks:
    """What was said of one case."""

    scores: dict[str, Score] = field(default_factory=dict[str, Score])
    failures: dict[str, str] = field(default_factory=dict[str, str])
    judging: list[Totals] = field(default_factory=list[Totals])

    def note(self, name: str, said: Score | str | None) -> None:
        if isinstance(said, str):
            self.failures[name] = said
        elif said is not None:
            self.scores[name] = said


class _Evaluation:
    """One evaluation under way."""

    def __init__(self, order: Order, threads: Threads) -> None:
        self._order = order
        self._threads = threads
        self._runs = self._runs_of(order.flow, order.settings, order.tags)
        self._judges = {
            bound.name: self._runs_of(
                bound.flow, {}, {recorded.EXPERIMENT: order.experiment, recorded.SCORER: bound.name}
            )
            for bound in order.scorers
            if bound.flow is not None
        }
        self._judgements: dict[str, list[str]] = {name: [] for name in self._judges}
        self._rows: dict[str, Row] = {}
        ordering.refuse_other(order, self._runs)

    async def run(self) -> Experiment:
        began, order = time.monotonic(), self._order
        self._tell(None)
        waiting = iter(order.cases)
        try:
            async with asyncio.TaskGroup() as workers:
                for _ in range(min(order.concurrency, len(order.cases))):
                    workers.create_task(self._work(waiting))
        except BaseExceptionGroup as errors:
            raise _first(errors) from None
        rows = tuple(self._rows[case.id] for case in order.cases)
        judging = [row.judging for row in rows]
        metrics: list[Metric] = []
        for bound in order.scorers:
            if bound.is_of_experiment:
                metrics.append(await self._of_all(bound, rows))
                continue
            agreement, withheld, used = await self._trusted(bound)
            metrics.append(metric_of(bound.name, rows, agreement=agreement, withheld=withheld))
            judging.append(used)
        return Experiment(
            id=order.experiment,
            name=order.name,
            flow=order.spec.name,
            flow_version=order.spec.version,
            dataset=order.dataset.name,
            dataset_version=order.dataset.version,
            dataset_size=len(order.dataset),
            rows=rows,
            metrics=tuple(metrics),
            judging=summed(judging),
            elapsed_s=time.monotonic() - began,
            warnings=tuple(ordering.warnings(order, self._runs)),
        )

    async def _work(self, waiting: Iterator[Case]) -> None:
        for case in waiting:
            ended = await self._runs.run(case.id, self._order.inputs[case.id])
            marks = await self._marked(case, ended)
            row = _row(case, ended, marks)
            self._rows[case.id] = row
            self._tell(row)

    async def _marked(self, case: Case, ended: Ended) -> _Marks:
        """All that the scorers say of a case that has ended."""
        marks = _Marks()
        applying = [b for b in self._order.scorers if b.can_apply(case) and not b.is_of_experiment]
        if ended.record.status != "completed":
            for bound in applying:
                marks.failures[bound.name] = f"the run failed: {ended.record.error}"
            return marks
        ledger, run_id = self._order.app.ledger, ended.record.id
        sample = Sample(
            case,
            ended.output,
            self._order.reads,
            trace=lambda: traces.trace(ledger, run_id),
            steps=RecordedSteps(ledger, run_id),
        )
        plain = [bound for bound in applying if bound.flow is None and not bound.is_async]
        if plain:
            said = await self._threads.do(lambda: [_asked(bound, sample) for bound in plain])
            for bound, each in zip(plain, said, strict=True):
                marks.note(bound.name, await _settled(each))
        for bound in applying:
            if bound.flow is not None:
                marks.note(bound.name, await self._judged(bound, sample, marks))
            elif bound.is_async:
                marks.note(bound.name, await _settled(_asked(bound, sample)))
        return marks

    async def _judged(self, bound: Bound, sample: Sample, marks: _Marks) -> Score | str | None:
        """What a judge says, in a run of its own."""
        try:
            subject = bound.subject(sample)
            if subject is None or not bound.is_wanted(subject):
                return None
            inputs = flows.checked(self._judges[bound.name].spec, bound.arguments(subject))
        except Exception as error:  # noqa: BLE001  (whatever a reading raises is a failed row)
            return _said(error)
        ended = await self._judges[bound.name].run(sample.case.id, inputs)
        self._judgements[bound.name].append(ended.record.id)
        marks.judging.append(ended.record.totals)
        if ended.record.status != "completed":
            return f"the judge failed in run {ended.record.id}: {ended.record.error}"
        return settle(ended.output)

    async def _of_all(self, bound: Bound, rows: Sequence[Row]) -> Metric:
        """What a scorer of the experiment says of all rows."""
        try:
            said: object = bound.function(rows=rows)
        except Exception as error:  # noqa: BLE001  (whatever a scorer raises is its failure)
            said = error
        return metric_of_experiment(bound.name, await _settled(said))

    async def _trusted(self, bound: Bound) -> tuple[Agreement | None, str, Totals]:
        """How far a judge agrees with labelled cases, or why its metric is withheld, and what finding out has used."""
        order, judged = self._order, bound.judged
        if judged is None or bound.spec is None or not self._judgements[bound.name]:
            return None, "", Totals()
        served = trusting.served_by(order.app.ledger, self._judgements[bound.name])
        if judged.labelled is None:
            return None, trusting.withheld_without_labels(served), Totals()

        def tell(progress: Progress) -> None:
            if order.on_progress is None:
                return
            order.on_progress(
                Progress(progress.experiment, progress.done, progress.total, progress.row, bound.name)
            )

        measured = await evaluate_async(
            judged.flow,
            trusting.labelled_of(judged),
            [trusting.verdict],
            name=f"agreement of {bound.name}",
            concurrency=order.concurrency,
            experiment=trusting.experiment_of(judged, bound.spec, served),
            on_progress=tell,
        )
        pairs = trusting.pairs(judged.labelled, measured)
        ids = [row.run_id for row in measured.rows]
        models = trusting.served_by(order.app.ledger, ids)
        agreement = agreement_of(pairs, models=models, experiment=measured.id)
        used = summed(row.totals for row in measured.rows if not row.is_reused)
        return agreement, trusting.withheld_for_others(served, models), used

    def _runs_of(self, flow: AnyFlow, init: Mapping[str, object], tags: Mapping[str, str]) -> Runs:
        order = self._order
        return Runs(
            order.app,
            flow,
            init=init,
            tags=tags,
            threads=self._threads,
            is_retrying=order.is_retrying,
            allows_effects=order.allows_effects,
        )

    def _tell(self, row: Row | None) -> None:
        order = self._order
        if order.on_progress is None:
            return
        try:
            order.on_progress(Progress(order.experiment, len(self._rows), len(order.cases), row))
        except Exception:
            log.exception("experiment %s: whoever watches it failed", order.experiment)


def _row(case: Case, ended: Ended, marks: _Marks) -> Row:
    record = ended.record
    return Row(
        case=case.id,
        run_id=record.id,
        status="completed" if record.status == "completed" else "failed",
        scores=marks.scores,
        failures=marks.failures,
        error=record.error or "",
        totals=record.totals,
        judging=summed(marks.judging),
        latency_ns=ended.latency_ns,
        is_reused=ended.is_reused,
    )


def _asked(bound: Bound, sample: Sample) -> object:
    """What a scorer returned, or the exception that it raised."""
    try:
        subject = bound.subject(sample)
        return None if subject is None else bound.ask(subject)
    except Exception as error:  # noqa: BLE001  (whatever a scorer raises is a failed row)
        return error


async def _settled(said: object) -> Score | str | None:
    try:
        if inspect.isawaitable(said):
            said = await cast("Awaitable[object]", said)
    except Exception as error:  # noqa: BLE001  (whatever a scorer raises is a failed row)
        said = error
    return _said(said) if isinstance(said, Exception) else settle(said)


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _first(errors: BaseExceptionGroup[Any]) -> BaseException:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return error
