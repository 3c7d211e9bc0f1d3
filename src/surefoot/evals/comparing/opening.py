"""An experiment as the ledger has it."""

from __future__ import annotations

from surefoot.evals.results import Experiment, Row, metric_of, summed
from surefoot.evals.scores import Score
from surefoot.ledger import CaseRecord, Evaluations, ExperimentRecord


def opened(record: ExperimentRecord, evaluations: Evaluations) -> Experiment:
    rows = tuple(map(_row, evaluations.cases(record)))
    names = dict.fromkeys(name for row in rows for name in (*row.scores, *row.failures))
    return Experiment(
        id=record.id,
        name=record.name,
        flow=record.flow,
        flow_version=record.flow_version,
        dataset=record.dataset,
        dataset_version=record.dataset_version,
        dataset_size=record.dataset_size,
        rows=rows,
        metrics=tuple(metric_of(name, rows) for name in names),
        judging=summed(row.judging for row in rows),
        elapsed_s=0.0,
        kind=record.kind,
        repeats=record.repeats,
        prompts=record.prompts,
    )


def _row(record: CaseRecord) -> Row:
    return Row(
        case=record.case,
        run_id=record.run_id,
        status=record.status,
        scores={
            each.metric: Score(each.value, each.reason) for each in record.scores if each.value is not None
        },
        failures={each.metric: each.failure for each in record.scores if each.value is None},
        error=record.error,
        totals=record.totals,
        judging=record.judging,
        latency_ns=record.latency_ns,
        repeat=record.repeat,
        metadata=record.metadata,
    )
