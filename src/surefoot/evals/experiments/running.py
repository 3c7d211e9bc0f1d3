"""`evaluate`: a flow over a dataset with scorers, each case a run in the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Unpack, cast

from surefoot import flows, scope
from surefoot.errors import InvalidInput
from surefoot.evals.datasets import Dataset
from surefoot.evals.experiments import ordering, spending, trusting
from surefoot.evals.experiments.arm import Arm, refuse_unfit
from surefoot.evals.experiments.options import EvaluateOptions
from surefoot.evals.experiments.ordering import OnProgress, Order, Progress
from surefoot.evals.experiments.recorded import Threads
from surefoot.evals.experiments.results import Experiment
from surefoot.evals.scoring.binding import Scorer, bind, columns_of
from surefoot.evals.scoring.judging import Judged
from surefoot.evals.scoring.readings import Reader
from surefoot.flows import AnyFlow, Change, FlowSpec
from surefoot.values import Money

AT_ONCE, AT_ONCE_ASYNC = 4, 16
"""How many cases are under way at a time where nobody says: of a sync flow each takes a thread."""


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
    repeats: int = 1,
    concurrency: int | None = None,
    experiment: str | None = None,
    retry_failed: bool = False,
    allow_effects: bool = False,
    changes: Sequence[Change | str] = (),
    max_cost: Money | None = None,
    on_progress: OnProgress | None = None,
) -> Experiment:
    """Run a flow over the cases of a dataset and score what it returns.

    Every case is a run in the ledger with the tags `experiment` and `case`, and what is said of it is kept there too. A
    run that fails, and a scorer that raises, are failed rows with their reason: they lower a metric's coverage and are
    never left out. Ctrl-C lets the cases that are under way end or be resumable; whatever has been judged is not run
    or asked again by `experiment=`, but for scorers that have changed since.

    flow: a flow, or where it is, as in `FILE.py:NAME`.
    dataset: a dataset, or the path of a JSONL file whose `columns` are mapped as `Dataset.load` says.
    scorers: functions, flows, `Judged`, `OnStep` or `OnExperiment`; see `Scorer`. A mapping names them.
    reads: where scorers' parameters stand: a path in the output as in `context_used.text`, one that begins with
        `$inputs`, `$expected`, `$metadata` or `$steps.NAME`, or a function of the output.
    init: settings for the constructor of a `Workflow` class.
    limit: so many cases, evenly spread over the dataset.
    repeats: how often each case is run. Metrics average within a case first, and `Experiment.flakiness` says how far
        repeats differ.
    concurrency: so many cases at a time; by default 16 of an async flow, which run on one loop, and 4 of a sync one,
        which run in worker threads.
    experiment: goes on with this experiment, or begins it under this id; `last` is the newest of this flow and
        dataset. By default a new one begins.
    retry_failed: go on with runs of the experiment that failed, and ask again scorers and judges that did.
    allow_effects: let effects and transactions happen. By default none does: what the step declares as its `stand_in`
        is recorded instead, or its fallback, or None.
    changes: what is different in its runs from the code and the settings: `prompt:answer@candidate`,
        `model:openai:gpt-4o=openai:gpt-4o-mini`.
    max_cost: no case begins once this part of the experiment has cost as much; `Experiment.stopped` says so then. It
        does not begin at all where the record of former runs says that it will cost more.

    Raises `InvalidInput` before anything is run if a case does not fit the flow, a scorer takes what nothing fills, or
    the experiment was begun with another dataset or other settings; `TooDear` where the forecast is above
    `max_cost`; `RunBusy` if another process runs it.
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
            repeats=repeats,
            concurrency=concurrency,
            experiment=experiment,
            retry_failed=retry_failed,
            allow_effects=allow_effects,
            changes=changes,
            max_cost=max_cost,
            on_progress=on_progress,
        )
    )


async def evaluate_async(
    flow: AnyFlow | str,
    dataset: Dataset | str | Path,
    scorers: Sequence[Scorer] | Mapping[str, Scorer],
    **options: Unpack[EvaluateOptions],
) -> Experiment:
    """`evaluate` for async code: async flows and scorers run on the caller's loop."""
    order = order_of(flow, dataset, scorers, **options)
    [result] = await conduct([order])
    return result


def order_of(
    flow: AnyFlow | str,
    dataset: Dataset | str | Path,
    scorers: Sequence[Scorer] | Mapping[str, Scorer],
    *,
    reads: Mapping[str, Reader] | None = None,
    columns: Mapping[str, str] | None = None,
    init: Mapping[str, object] | None = None,
    name: str = "",
    limit: int | None = None,
    repeats: int = 1,
    concurrency: int | None = None,
    experiment: str | None = None,
    retry_failed: bool = False,
    allow_effects: bool = False,
    changes: Sequence[Change | str] = (),
    max_cost: Money | None = None,
    on_progress: OnProgress | None = None,
    arm: str = "",
    is_kept: bool = True,
) -> Order:
    """What is to be evaluated, checked, as `evaluate` takes it. Raises `UsageError` and its kin."""
    if concurrency is not None and concurrency < 1:
        raise InvalidInput(f"the concurrency is {concurrency}: let at least 1 case run at a time")
    found, spec = flows.find_spec(flow)
    data = dataset if isinstance(dataset, Dataset) else Dataset.load(dataset, flow=found, columns=columns)
    cases, app = data.spread(limit), flows.host()
    order = Order(
        app=app,
        flow=found,
        spec=spec,
        dataset=data,
        cases=cases,
        inputs=ordering.checked(spec, cases),
        scorers=bind(scorers, reads or {}, columns=columns_of(cases)),
        reads=reads or {},
        settings=dict(init or {}),
        name=name,
        experiment=ordering.meant(app, spec, data, experiment),
        concurrency=concurrency or (AT_ONCE_ASYNC if spec.is_async else AT_ONCE),
        is_retrying=retry_failed,
        allows_effects=allow_effects,
        on_progress=on_progress,
        is_new=not experiment,
        repeats=repeats,
        changes=resolved(spec, changes),
        max_cost=max_cost,
        arm=arm,
        is_kept=is_kept,
        numbers={case.id: number for number, case in enumerate(data.cases)},
    )
    refuse_unfit(order)
    return order


def resolved(spec: FlowSpec, changes: Iterable[Change | str]) -> tuple[Change, ...]:
    """Changes of all runs of an experiment. Raises `InvalidInput` for those that only single runs can have."""
    found = flows.resolved(changes)
    for change in found:
        if change.kind in ("input", "step"):
            raise InvalidInput(
                f"the change {change} is one of single runs of {spec.name}: an experiment changes prompts and models, "
                "and its inputs are the dataset's"
            )
    return found


async def conduct(
    orders: Sequence[Order], *, check: Callable[[Sequence[Arm]], None] = spending.refuse_too_dear
) -> list[Experiment]:
    """Evaluate one order, or several over the same cases interleaved.

    All of a case's runs are made one after the other, and who is first alternates, so that a slow minute of a provider
    hits all alike. `check` refuses what may not begin. Raises what `evaluate` raises.
    """
    threads = Threads(orders[0].concurrency)
    try:
        # It measures what models answer, what that costs and how long it takes: an answer given again tells neither.
        with scope.caching("never"):
            arms = [await threads.do(partial(Arm, order, threads)) for order in orders]
            check(arms)
            for arm in arms:
                await threads.do(arm.begin)
            await _interleaved(arms)
            return [await arm.result(_agreement) for arm in arms]
    finally:
        threads.close()


async def _interleaved(arms: Sequence[Arm]) -> None:
    order, purse = arms[0].order, spending.Purse(arms)
    waiting = iter(enumerate(order.places))

    async def work() -> None:
        for number, (place, case) in waiting:
            if purse.is_empty():
                return
            for arm in arms if number % 2 == 0 else reversed(arms):
                await arm.judge(place, case)

    try:
        async with asyncio.TaskGroup() as workers:
            for _ in range(min(order.concurrency, order.total)):
                workers.create_task(work())
    except BaseExceptionGroup as errors:
        raise _first(errors) from None


async def _agreement(
    order: Order, judged: Judged, *, name: str, experiment: str, on_progress: Callable[[Progress], None]
) -> Experiment:
    """A judge over its labelled cases, which are asked about once for as long as it stays the same."""
    labelled = order_of(
        judged.flow,
        trusting.labelled_of(judged),
        [trusting.verdict],
        name=name,
        concurrency=order.concurrency,
        experiment=experiment,
        on_progress=on_progress,
        is_kept=False,
    )
    [result] = await conduct([labelled])
    return result


def _first(errors: BaseExceptionGroup[Any]) -> BaseException:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return error
