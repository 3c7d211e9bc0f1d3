"""`backtest`: recorded runs once more with something changed, beside what they were."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from surefoot import flows, ledger
from surefoot.errors import InvalidInput, NotRestored, RunPruned, TooDear, UnknownExperiment
from surefoot.evals.backtesting.choosing import Wanted, chosen
from surefoot.evals.backtesting.forecast import Forecast, forecast, of_inputs
from surefoot.evals.backtesting.forks import Forks, Originals
from surefoot.evals.backtesting.reuse import Reuse
from surefoot.evals.comparing import Comparison, compare
from surefoot.evals.datasets import Case, Dataset
from surefoot.evals.experiments.arm import refuse_unfit
from surefoot.evals.experiments.ordering import LAST, OnProgress, Order
from surefoot.evals.experiments.recorded import Threads
from surefoot.evals.experiments.results import Experiment
from surefoot.evals.experiments.running import AT_ONCE, AT_ONCE_ASYNC, conduct
from surefoot.evals.scoring.binding import Bound, Scorer, bind, columns_of
from surefoot.evals.scoring.readings import Reader
from surefoot.flows import AnyFlow, Change
from surefoot.flows.changes import Changes
from surefoot.ledger import Evaluations, ExperimentRecord, Ledger, RunRecord, pins_of
from surefoot.locks import made_once
from surefoot.values import Json, Money, new_id

OnForecast = Callable[[Forecast], object]


@dataclass(frozen=True)
class Backtest:
    """What a backtest came to: the forks as `candidate`, the recorded runs as `baseline`.

    The candidate's totals are what its runs would have used as runs of their own; `reuse` tells apart what was taken
    from the record and what was made, and paid. `left_out` says how many runs were not taken for which reason.
    """

    candidate: Experiment
    baseline: Experiment
    forecast: Forecast
    reuse: Reuse
    left_out: Mapping[str, int] = field(default_factory=dict[str, int])
    warnings: tuple[str, ...] = ()

    @made_once
    def comparison(self) -> Comparison:
        """The two, paired by run. Raises `MissingExtra` without numpy."""
        return compare(self.candidate, self.baseline)

    def to_json(self) -> dict[str, Json]:
        return {
            "candidate": self.candidate.to_json(),
            "baseline": self.baseline.to_json(),
            "forecast": self.forecast.to_json(),
            "reuse": self.reuse.to_json(),
            "left_out": dict(self.left_out),
            "warnings": list(self.warnings),
            "comparison": self.comparison.to_json(),
        }


def backtest(
    flow: AnyFlow | str,
    scorers: Sequence[Scorer] | Mapping[str, Scorer],
    *,
    runs: Wanted | str | Sequence[str] | None = None,
    changes: Sequence[Change | str] = (),
    reads: Mapping[str, Reader] | None = None,
    name: str = "",
    concurrency: int | None = None,
    experiment: str | None = None,
    retry_failed: bool = False,
    allow_effects: bool = False,
    max_cost: Money | None = None,
    on_forecast: OnForecast | None = None,
    on_progress: OnProgress | None = None,
) -> Backtest:
    """Run recorded runs of a flow once more with something changed, and score both what they gave and what they give.

    Each run is forked: what the changes do not touch, and whose inputs are the same, is taken from the record and costs
    nothing. Effects and transactions do not happen. What the recorded runs gave is scored too, once, however many
    backtests there are of them.

    flow: a flow, or where it is, as in `FILE.py:NAME`.
    scorers: as `evaluate` takes them. Recorded runs have no expected output, so that what compares with one does not
        apply.
    runs: ids, a period as in `last 7 days`, or `Wanted`. Runs of evaluations, and forks, are left out.
    changes: what is different, as `prompt:answer@candidate`, `model:openai:gpt-4o=openai:gpt-4o-mini`, `step:parse` or
        `input:limit=5`; nothing, where the code has changed.
    experiment: goes on with this backtest, with its runs and its changes, or begins it under this id; `last` is the
        newest of the flow.
    retry_failed: go on with forks that failed, and ask again scorers that did.
    max_cost: it does not begin where what the changes touch has cost more when it was recorded, and no run is begun
        once so much is paid.
    on_forecast: is told, before anything is run, what will be taken and what made.

    Raises `InvalidInput` where no run fits or a scorer takes what nothing fills, `TooDear`, `RunBusy` if another
    process runs it, what `changes` raise, and `LedgerError`.
    """
    return flows.run_in_background(
        backtest_async(
            flow,
            scorers,
            runs=runs,
            changes=changes,
            reads=reads,
            name=name,
            concurrency=concurrency,
            experiment=experiment,
            retry_failed=retry_failed,
            allow_effects=allow_effects,
            max_cost=max_cost,
            on_forecast=on_forecast,
            on_progress=on_progress,
        )
    )


async def backtest_async(
    flow: AnyFlow | str,
    scorers: Sequence[Scorer] | Mapping[str, Scorer],
    *,
    runs: Wanted | str | Sequence[str] | None = None,
    changes: Sequence[Change | str] = (),
    reads: Mapping[str, Reader] | None = None,
    name: str = "",
    concurrency: int | None = None,
    experiment: str | None = None,
    retry_failed: bool = False,
    allow_effects: bool = False,
    max_cost: Money | None = None,
    on_forecast: OnForecast | None = None,
    on_progress: OnProgress | None = None,
) -> Backtest:
    """`backtest` for async code: async flows and scorers run on the caller's loop."""
    app, (found, spec) = flows.host(), flows.find_spec(flow)
    begun = _begun(app.ledger, spec.name, experiment)
    wanted, given = _as_begun(begun, Wanted.of(runs) if runs is not None else None, changes)
    selection = chosen(app.ledger, spec.name, wanted)
    own, left_out = _cases(app.ledger, selection.runs)
    in_force = Changes.of(given)
    records = {run.id: run for run in selection.runs if run.id in own}
    dataset = Dataset(f"runs of {spec.name}", tuple(own.values()))
    bound = bind(scorers, reads or {}, columns=columns_of(dataset.cases))
    made: list[Forks] = []

    def forks_of(order: Order, threads: Threads) -> Forks:
        made.append(Forks(order, threads, records, in_force))
        return made[-1]

    def originals_of(order: Order, threads: Threads) -> Originals:
        return Originals(order, threads, records)

    order = Order(
        app=app,
        flow=found,
        spec=spec,
        dataset=dataset,
        cases=dataset.cases,
        inputs={case.id: case.inputs for case in dataset.cases},
        scorers=bound,
        reads=reads or {},
        settings={},
        name=name,
        experiment=begun.id if begun is not None else experiment or new_id(),
        concurrency=_at_once(concurrency, is_async=spec.is_async),
        is_retrying=retry_failed,
        allows_effects=allow_effects,
        on_progress=on_progress,
        is_new=not experiment,
        changes=in_force.given,
        max_cost=max_cost,
        numbers={case.id: number for number, case in enumerate(dataset.cases)},
        kind="backtest",
        arm="candidate",
        runs=forks_of,
        prompts=(meant := _prompts(app.ledger, list(records))),
        more={"runs": list(records)},
    )
    baseline = replace(
        order,
        experiment=f"recorded {spec.name} {dataset.version}",
        name=f"{name or spec.name} as recorded",
        is_new=False,
        allows_effects=False,
        changes=(),
        arm="baseline",
        prompts=meant,
        runs=originals_of,
    )
    refuse_unfit(order)
    expected = _expected(app.ledger, list(records.values()), in_force)
    if on_forecast is not None:
        on_forecast(expected)
    was, now = await conduct([baseline, order], check=lambda _arms: _refuse_too_dear(expected, max_cost))
    return Backtest(
        now,
        was,
        expected,
        _reuse(app.ledger, now, made[0].reuse),
        {**selection.left_out, **left_out},
        tuple(_warnings(bound, dataset)),
    )


def _at_once(concurrency: int | None, *, is_async: bool) -> int:
    if concurrency is not None and concurrency < 1:
        raise InvalidInput(f"the concurrency is {concurrency}: let at least 1 run be under way at a time")
    return concurrency or (AT_ONCE_ASYNC if is_async else AT_ONCE)


def _begun(store: Ledger, flow: str, experiment: str | None) -> ExperimentRecord | None:
    """The backtest to go on with; None for a new one. Raises `UnknownExperiment` where the last is asked for."""
    if experiment is None:
        return None
    evaluations = Evaluations(store)
    if experiment == LAST:
        found = [
            one
            for one in evaluations.experiments(flow=flow, kind="backtest")
            if one.settings.get("arm") == "candidate"
        ]
        if not found:
            raise UnknownExperiment(f"there is no backtest of {flow} in the ledger {store.where}: begin one")
        return found[0]
    try:
        known = evaluations.experiment(experiment)
    except UnknownExperiment:
        return None
    if known.kind != "backtest" or known.settings.get("arm") != "candidate":
        raise InvalidInput(f"experiment {known.id} is no backtest: leave it out, or name one")
    return known


def _as_begun(
    begun: ExperimentRecord | None, wanted: Wanted | None, changes: Sequence[Change | str]
) -> tuple[Wanted, Sequence[Change | str]]:
    """The runs and changes: those that it was begun with, unless others are given, which then have to be the same."""
    if begun is not None:
        ids = cast("list[str]", begun.settings.get("runs") or [])
        said = cast("list[str]", begun.settings.get("changes") or [])
        return (wanted or Wanted(ids=ids)), (changes or said)
    if wanted is None:
        raise InvalidInput("no runs are chosen: give ids, or a period as in 'last 7 days'")
    return wanted, changes


def _cases(store: Ledger, runs: Sequence[RunRecord]) -> tuple[dict[str, Case], dict[str, int]]:
    """A case for each run whose inputs can be read, and how many could not."""
    cases: dict[str, Case] = {}
    left_out: dict[str, int] = {}
    for run in runs:
        try:
            given = ledger.decode(store.exact(run.id, store.start(run.id).inputs))
        except (NotRestored, RunPruned):
            left_out["cannot be read any more"] = left_out.get("cannot be read any more", 0) + 1
            continue
        metadata: dict[str, object] = {**run.tags, **({"tenant": run.tenant} if run.tenant else {})}
        cases[run.id] = Case(run.id, given["inputs"], metadata=metadata, place=f"run {run.id}")
    if not cases:
        raise InvalidInput("the inputs of none of these runs can be read any more: choose others")
    return cases, left_out


def _prompts(store: Ledger, runs: Sequence[str]) -> dict[str, str]:
    """What the prompts of recorded runs meant, of several versions that of the newest run: name to digest."""
    found: dict[str, str] = {}
    for run in runs:
        found |= {prompt.name: prompt.digest for prompt in pins_of(store, run).values()}
    return found


def _expected(store: Ledger, runs: Sequence[RunRecord], changes: Changes) -> Forecast:
    if any(change.kind == "input" for change in changes.given):
        return of_inputs(store, runs)
    return forecast(store, runs, changes)


def _refuse_too_dear(expected: Forecast, limit: Money | None) -> None:
    if limit is not None and expected.least.cost.nanos > limit.nanos:
        raise TooDear(
            f"what the changes touch in {expected.runs} runs has cost {expected.least.cost}, and this may cost "
            f"{limit}: take fewer runs (limit, --limit; size, --sample), or let it cost more (max_cost=, --max-cost). "
            "Nothing was run"
        )


def _reuse(store: Ledger, experiment: Experiment, known: Mapping[str, Reuse]) -> Reuse:
    """What all forks of a backtest took and made, those of former parts of it too."""
    total = Reuse()
    for row in experiment.rows:
        total += known.get(row.run_id) or Reuse.of(store, row.run_id, row.case)
    return total


def _warnings(scorers: Sequence[Bound], dataset: Dataset) -> list[str]:
    unfit = [
        bound.name
        for bound in scorers
        if not bound.is_of_experiment and not any(map(bound.can_apply, dataset.cases))
    ]
    if not unfit:
        return []
    verb = "compares" if len(unfit) == 1 else "compare"
    said = (
        f"{', '.join(unfit)} {verb} with an expected output, which recorded runs do not have: make a dataset of runs "
        "(`surefoot dataset from-runs`), correct it and evaluate that, or score without one"
    )
    return [said]
