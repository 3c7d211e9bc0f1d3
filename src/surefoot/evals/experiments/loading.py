"""An experiment as the ledger has it: whole, without its flow, its dataset or its scorers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from surefoot import flows
from surefoot.evals.experiments import trusting
from surefoot.evals.experiments.keeping import row_of, said_of
from surefoot.evals.experiments.results import (
    About,
    Experiment,
    Metric,
    Row,
    metric_of,
    metric_of_experiment,
    summed,
)
from surefoot.evals.scales import direction_of_name
from surefoot.ledger import Evaluations, ExperimentRecord, MetricRecord
from surefoot.values import Json, first_id


def experiment(reference: str = "last", *, flow: str = "", tenant: str | None = None) -> Experiment:
    """The experiment with this id, with an id that begins so, or the newest one (of a flow) for `last`.

    It is what the evaluation returned, but that metrics of `OnExperiment` are not recorded.

    Raises `UnknownExperiment` and `LedgerError`.
    """
    evaluations = Evaluations(flows.host().ledger)
    record = evaluations.experiment(reference, flow=flow, tenant=tenant)
    return opened(record, evaluations, tenant=tenant)


def opened(
    record: ExperimentRecord, evaluations: Evaluations, *, since_ns: int = 0, tenant: str | None = None
) -> Experiment:
    """The experiment of a record, with the cases that are judged by now, or those of a tenant.

    since_ns: of an online experiment, which has no end: runs whose ids were made at this time or later.
    """
    rows: list[Row] = []
    judges: set[str] = set()
    scorers: dict[str, set[str]] = {}
    ended_ns = record.begun_ns
    is_part = record.kind == "online" and since_ns > 0
    for case in evaluations.cases(record, tenant=tenant, first=first_id(since_ns) if is_part else ""):
        rows.append(row_of(case, is_reused=True))
        for score in case.scores:
            scorers.setdefault(score.metric, set()).add(score.scorer)
            if score.judge_run:
                judges.add(score.metric)
        ended_ns = max(ended_ns, case.scored_ns)
    stopped = _missing(record, len(rows))
    noted = {each.metric: each for each in evaluations.noted(record.id)}
    return Experiment(
        id=record.id,
        name=record.name,
        flow=record.flow,
        flow_version=record.flow_version,
        dataset=record.dataset,
        dataset_version=record.dataset_version,
        dataset_size=record.dataset_size,
        rows=tuple(rows),
        metrics=tuple(
            _metric(
                noted.get(name, MetricRecord(record.id, name, direction=direction_of_name(name))),
                rows,
                scorers.get(name, ()),
                evaluations.judges(record.id, name, tenant=tenant) if name in judges else (),
            )
            for name in _names(record, noted, rows)
        ),
        judging=summed(row.judging for row in rows),
        elapsed_s=(ended_ns - record.begun_ns) / 1e9,
        warnings=(stopped,) if stopped else (),
        kind=record.kind,
        repeats=record.repeats,
        prompts=evaluations.prompts(record, tenant=tenant),
        changes=_texts(record.settings.get("changes")),
        stopped=stopped,
    )


def _metric(
    noted: MetricRecord, rows: Sequence[Row], scorers: Collection[str], served: tuple[str, ...]
) -> Metric:
    """A metric, withheld where its judge was too small for it, or its agreement is that of other models."""
    agreement = trusting.agreement_in(noted.labelled)
    if agreement is None:
        withheld = trusting.withheld_without_labels(served)
    else:
        withheld = trusting.withheld_for_others(served, agreement.models)
    has_range = noted.low is not None or noted.high is not None
    about = About(
        # Several where somebody began to score anew, and was stopped.
        "+".join(sorted(scorers)) or noted.scorer,
        noted.direction,
        (noted.low, noted.high) if has_range else None,
        served,
    )
    if noted.said:
        return metric_of_experiment(noted.metric, said_of(noted.said), about=about)
    return metric_of(noted.metric, rows, agreement=agreement, withheld=withheld, about=about)


def _names(record: ExperimentRecord, noted: Mapping[str, MetricRecord], rows: Sequence[Row]) -> list[str]:
    """The metrics, in the order of the scorers as far as that is recorded."""
    found = dict.fromkeys(name for row in rows for name in (*row.scores, *row.failures))
    found.update(dict.fromkeys(name for name, each in noted.items() if each.said))
    declared = record.settings.get("scorers")
    ordered = [*noted, *(declared if isinstance(declared, dict) else ())]
    return list(dict.fromkeys((*(name for name in ordered if name in found), *found)))


def _missing(record: ExperimentRecord, judged: int) -> str:
    """Why not all cases are judged; an online experiment has no end."""
    wanted = record.cases * record.repeats
    if record.kind == "online" or judged >= wanted:
        return ""
    return f"{judged} of {wanted} rows are judged: it goes on with experiment={record.id!r} (--experiment {record.id})"


def _texts(changes: Json) -> tuple[str, ...]:
    return tuple(map(str, changes)) if isinstance(changes, list) else ()
