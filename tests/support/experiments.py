"""Experiments made by hand: their rows are what a test says, and so they stand in a ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from surefoot.evals import Experiment, Row, Score
from surefoot.evals.experiments.results import metric_of
from surefoot.evals.scores import Value
from surefoot.ledger import CaseRecord, Evaluations, ExperimentRecord, ScoreRecord, Totals
from surefoot.values import Money, Usage

FAILS = "!"
"""Begins a value that is a failure and its reason."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a test says of a case: its scores by metric, or `!why` for one that failed."""

    scores: Mapping[str, Value]
    metadata: Mapping[str, object] = field(default_factory=dict[str, object])
    cost: int = 1_000
    latency_ns: int | None = 100_000_000
    error: str = ""
    repeat: int = 1


def experiment(
    id: str,
    cases: Mapping[str, Told] | Sequence[tuple[str, Told]],
    *,
    dataset: str = "golden",
    version: str = "v1",
    flow: str = "answer",
    name: str = "",
    prompts: Mapping[str, str] | None = None,
    repeats: int = 1,
) -> Experiment:
    """An experiment of these cases; a sequence of pairs has repeats."""
    pairs = list(cases.items() if isinstance(cases, Mapping) else cases)
    rows = tuple(row(case, told, id) for case, told in pairs)
    metrics = dict.fromkeys(metric for _, told in pairs for metric in told.scores)
    return Experiment(
        id=id,
        name=name,
        flow=flow,
        flow_version="1",
        dataset=dataset,
        dataset_version=version,
        dataset_size=len({case for case, _ in pairs}),
        rows=rows,
        metrics=tuple(metric_of(metric, rows) for metric in metrics),
        judging=Totals(),
        elapsed_s=1.0,
        repeats=repeats,
        prompts=prompts or {},
    )


def row(case: str, told: Told, experiment_id: str) -> Row:
    failed = {m: v[1:] for m, v in told.scores.items() if isinstance(v, str) and v.startswith(FAILS)}
    return Row(
        case=case,
        run_id=f"{experiment_id}-{case}-{told.repeat}",
        status="failed" if told.error else "completed",
        scores={m: Score(v, f"said of {case}") for m, v in told.scores.items() if m not in failed},
        failures=failed,
        error=told.error,
        totals=Totals(steps=1, calls=1, usage=Usage(input=10, output=5), cost=Money(told.cost)),
        latency_ns=told.latency_ns,
        repeat=told.repeat,
        metadata=told.metadata,
    )


def numbered(values: Sequence[Value], *, metric: str = "quality", **rest: object) -> dict[str, Told]:
    """A case for each value, `c000` and on; `rest` is the same for all."""
    return {f"c{place:03}": Told({metric: value}, **rest) for place, value in enumerate(values)}  # type: ignore[arg-type]


def kept(
    found: Experiment, evaluations: Evaluations, *, begun_ns: int, cases: int | None = None
) -> Experiment:
    """The experiment, in a ledger; `cases` is how many it was to have."""
    evaluations.begin(
        ExperimentRecord(
            id=found.id,
            kind=found.kind,
            name=found.name,
            flow=found.flow,
            flow_version=found.flow_version,
            code_digest="code",
            dataset=found.dataset,
            dataset_version=found.dataset_version,
            dataset_size=found.dataset_size,
            cases=found.dataset_size if cases is None else cases,
            repeats=found.repeats,
            prompts=found.prompts,
            begun_ns=begun_ns,
        )
    )
    evaluations.keep([_record(found.id, each) for each in found.rows]).result()
    return found


def _record(experiment_id: str, each: Row) -> CaseRecord:
    scores = [ScoreRecord(metric, score.value, score.reason) for metric, score in each.scores.items()]
    scores += [ScoreRecord(metric, None, failure=why) for metric, why in each.failures.items()]
    return CaseRecord(
        experiment=experiment_id,
        case=each.case,
        run_id=each.run_id,
        status=each.status,
        repeat=each.repeat,
        error=each.error,
        metadata=dict(each.metadata),  # type: ignore[arg-type]
        totals=each.totals,
        judging=each.judging,
        latency_ns=each.latency_ns,
        scores=tuple(scores),
    )
