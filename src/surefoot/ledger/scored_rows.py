"""Experiments, judged cases with scores, and verdicts as rows, and back. Pure: no I/O.

The statements are in the SQL that both engines understand, with `?` for parameters.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TypeAlias, cast

import orjson

from surefoot.ledger import rows
from surefoot.ledger.events import Totals
from surefoot.ledger.listing import Query
from surefoot.ledger.rows import Row, clean
from surefoot.ledger.scored import (
    CaseRecord,
    ExperimentKind,
    ExperimentRecord,
    MetricRecord,
    ScoreRecord,
    VerdictRecord,
)
from surefoot.values import Json, Money, Usage

CaseKey: TypeAlias = tuple[str, str, int]
"""Experiment, case, repeat."""

_USED = (
    "steps, calls, tokens_in, tokens_cached, tokens_out, tokens_reasoning, cost_nanos, "
    "is_cost_complete, is_degraded"
)
_JUDGING = ", ".join(f"judging_{name}" for name in _USED.split(", "))

EXPERIMENT_COLUMNS = (
    "id, kind, name, flow, flow_version, code_digest, dataset, dataset_version, dataset_size, cases, repeats, prompts, "
    "settings, tenant, principal, begun_ns"
)
CASE_COLUMNS = (
    "experiment, case_id, repeat, place, run_id, tenant, status, error, metadata, latency_ns, scored_ns, "
    f"{_USED}, {_JUDGING}"
)
SCORE_COLUMNS = (
    "run_id, experiment, metric, flow, kind, tenant, value_type, number, label, reason, failure, scorer, judge_run, "
    "scored_ns"
)
METRIC_COLUMNS = "experiment, metric, place, scorer, direction, low, high, labelled, said, noted_ns"
VERDICT_COLUMNS = (
    "id, gate, gate_digest, candidate, baseline, subjects, baselines, has_passed, reasons, "
    "judged_by, judged_ns, tenant"
)
CASE_WIDTH = CASE_COLUMNS.count(",") + 1
_MOST = 1 << 63
# What a score adds to its case where both are read together.
_SCORE_OF_CASE = "metric, value_type, number, label, reason, failure, scorer, judge_run"


def _insert(table: str, columns: str) -> str:
    return f"INSERT INTO {table} ({columns}) VALUES ({', '.join('?' * (columns.count(',') + 1))})"


def _replacing(columns: str, key: str) -> str:
    """What an insert does with a row of that key that is there."""
    rest = [name for name in columns.split(", ") if name not in key.split(", ")]
    return f" ON CONFLICT ({key}) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in rest)}"


BEGIN = f"{_insert('experiments', EXPERIMENT_COLUMNS)} ON CONFLICT (id) DO NOTHING"
EXPERIMENT_BY_ID = f"SELECT {EXPERIMENT_COLUMNS} FROM experiments WHERE id = ?"
REPLACING_CASE = _replacing(CASE_COLUMNS, "experiment, case_id, repeat")
REPLACING_SCORE = _replacing(SCORE_COLUMNS, "run_id, experiment, metric")
KEEP_CASE = _insert("experiment_cases", CASE_COLUMNS) + REPLACING_CASE
KEEP_SCORE = _insert("scores", SCORE_COLUMNS) + REPLACING_SCORE
RUN_OF_CASE = "SELECT run_id FROM experiment_cases WHERE experiment = ? AND case_id = ? AND repeat = ?"
# The newest counts; what a judge said of labelled cases is true for as long as the judge is the same.
KEEP_METRIC = (
    f"{_insert('experiment_metrics', METRIC_COLUMNS)} ON CONFLICT (experiment, metric) DO UPDATE SET "
    "place = excluded.place, direction = excluded.direction, low = excluded.low, high = excluded.high, "
    "labelled = CASE WHEN excluded.labelled = '{}' AND excluded.scorer = experiment_metrics.scorer "
    "THEN experiment_metrics.labelled ELSE excluded.labelled END, "
    "scorer = excluded.scorer, said = excluded.said, noted_ns = excluded.noted_ns "
    "WHERE excluded.noted_ns >= experiment_metrics.noted_ns"
)
METRICS_OF = f"SELECT {METRIC_COLUMNS} FROM experiment_metrics WHERE experiment = ? ORDER BY place, metric"
DROP_SCORES = "DELETE FROM scores WHERE run_id = ? AND experiment = ?"
KEEP_VERDICT = f"{_insert('verdicts', VERDICT_COLUMNS)} ON CONFLICT (id) DO NOTHING"
KEEP_SUBJECT = f"{_insert('verdict_subjects', 'prompt, digest, verdict')} ON CONFLICT DO NOTHING"
VERDICT_BY_ID = f"SELECT {VERDICT_COLUMNS} FROM verdicts WHERE id = ?"


@dataclass(slots=True)
class CaseRow:
    """A judged case as the tables take it: the parameters of `KEEP_CASE`, and those of `KEEP_SCORE` for each score."""

    case: Row
    scores: list[Row]

    @property
    def key(self) -> CaseKey:
        return self.case[:3]

    @property
    def run_id(self) -> str:
        run_id: str = self.case[4]
        return run_id


def case_row(
    record: CaseRecord, *, metadata: str, flow: str, kind: ExperimentKind, tenant: str, scored_ns: int
) -> CaseRow:
    """The rows of a case whose texts are such as the tables take; `metadata` is its metadata as JSON."""
    experiment, run_id = record.experiment, record.run_id
    case: Row = (
        *(experiment, record.case, record.repeat, record.place, run_id, tenant, record.status),
        *(record.error, metadata, record.latency_ns, scored_ns),
        *rows.total_columns(record.totals),
        *rows.total_columns(record.judging),
    )
    written: list[Row] = []
    for score in record.scores:
        value = score.value
        value_type, number, label = "number", None, None
        if value is None:
            value_type = "none"
        elif isinstance(value, str):
            value_type, label = "label", value
        else:
            value_type = "bool" if isinstance(value, bool) else "number"
            number = float(value)
        written.append(
            (
                *(run_id, experiment, score.metric, flow, kind, tenant, value_type, number, label),
                *(score.reason, score.failure, score.scorer, score.judge_run, scored_ns),
            )
        )
    return CaseRow(case, written)


def newest(cases: Iterable[CaseRow]) -> list[CaseRow]:
    """Each case once, as it was kept last, sorted: so no two processes wait for each other in turn."""
    found = {case.key: case for case in cases}
    return [found[key] for key in sorted(found)]


def cases_of(found: Iterable[Row]) -> Iterator[CaseRecord]:
    """Cases from rows of `joined`, those of one case one behind the other."""
    for _, together in groupby(found, key=lambda row: row[:3]):
        lines = list(together)
        yield _case(
            lines[0], tuple(score_of(row[CASE_WIDTH:]) for row in lines if row[CASE_WIDTH] is not None)
        )


def joined(page: str) -> str:
    """The cases that a query of `experiment_cases` finds, each with its scores, in order."""
    columns = ", ".join(f"c.{name}" for name in CASE_COLUMNS.split(", "))
    scores = ", ".join(f"s.{name}" for name in _SCORE_OF_CASE.split(", "))
    return (
        f"SELECT {columns}, {scores} FROM ({page}) c LEFT JOIN scores s ON s.run_id = c.run_id "
        "AND s.experiment = c.experiment ORDER BY c.experiment, c.place, c.case_id, c.repeat, s.metric"
    )


def _case(row: Row, scores: tuple[ScoreRecord, ...]) -> CaseRecord:
    experiment, case, repeat, place, run_id, tenant, status, error, metadata, latency_ns, scored_ns = row[:11]
    return CaseRecord(
        *(experiment, case, run_id, status, repeat, error, mapping(metadata)),
        totals=_totals(row[11:20]),
        judging=_totals(row[20:29]),
        latency_ns=latency_ns,
        scored_ns=scored_ns,
        scores=scores,
        place=place,
        tenant=tenant,
    )


def run_scores_query(run_id: str) -> Query:
    """What scorers have said of a run, in whichever experiment; rows for `score_of` behind id and time."""
    return (
        f"SELECT experiment, scored_ns, {_SCORE_OF_CASE} FROM scores WHERE run_id = ? ORDER BY experiment, metric",
        (run_id,),
    )


def score_of(row: Row) -> ScoreRecord:
    """A score from its columns."""
    metric, value_type, number, label, reason, failure, scorer, judge_run = row
    value = value_of(value_type, number, label)
    if value is None and not failure:
        failure = "why there is no value was not recorded, or was pruned with the run"
    return ScoreRecord(metric, value, reason, failure, scorer, judge_run)


def value_of(value_type: str, number: float | None, label: str | None) -> bool | float | str | None:
    """A score's value from its columns."""
    if value_type == "bool":
        return bool(number)
    return label if value_type == "label" else number


def _totals(row: Row) -> Totals:
    steps, calls, tokens_in, cached, tokens_out, reasoning, cost, complete, degraded = row
    usage = Usage(tokens_in, cached, tokens_out, reasoning)
    return Totals(steps, calls, usage, Money(cost), bool(complete), bool(degraded))


def experiment_row(record: ExperimentRecord, *, settings: str) -> Row:
    """The parameters of `BEGIN`; `settings` are its settings as JSON."""
    r = record
    return (
        *(clean(r.id), r.kind, clean(r.name), clean(r.flow), clean(r.flow_version), r.code_digest),
        *(clean(r.dataset), clean(r.dataset_version), r.dataset_size, r.cases, r.repeats),
        *(as_json(dict(r.prompts)), settings, clean(r.tenant), clean(r.principal), r.begun_ns),
    )


def experiment_of(row: Row) -> ExperimentRecord:
    """An experiment from a row of `EXPERIMENT_COLUMNS`."""
    experiment, kind, name, flow, flow_version, code, dataset, dataset_version, size, cases, repeats = row[
        :11
    ]
    prompts, settings, tenant, principal, begun_ns = row[11:]
    return ExperimentRecord(
        *(experiment, kind, name, flow, flow_version, code, dataset, dataset_version, size, cases, repeats),
        prompts=cast("dict[str, str]", mapping(prompts)),
        settings=mapping(settings),
        tenant=tenant,
        principal=principal,
        begun_ns=begun_ns,
    )


def metric_row(record: MetricRecord) -> Row:
    """The parameters of `KEEP_METRIC`."""
    r = record
    return (
        *(clean(r.experiment), clean(r.metric), r.place, r.scorer, r.direction, r.low, r.high),
        *(as_json(dict(r.labelled)), as_json(dict(r.said)), r.noted_ns),
    )


def metric_of(row: Row) -> MetricRecord:
    """A metric from a row of `METRIC_COLUMNS`. Raises `ValueError` for a direction that is none."""
    experiment, metric, place, scorer, direction, low, high, labelled, said, noted_ns = row
    if direction not in ("higher", "lower"):
        raise ValueError(f"{direction!r} is no direction")
    return MetricRecord(
        *(experiment, metric, place, scorer, direction, low, high),
        labelled=mapping(labelled),
        said=mapping(said),
        noted_ns=noted_ns,
    )


def verdict_row(record: VerdictRecord, *, reasons: Sequence[str]) -> Row:
    """The parameters of `KEEP_VERDICT`; the reasons are such as people may read."""
    r = record
    return (
        *(clean(r.id), clean(r.gate), r.gate_digest, clean(r.candidate), clean(r.baseline)),
        *(as_json(dict(r.subjects)), as_json(dict(r.baselines)), int(r.has_passed), as_json(list(reasons))),
        *(clean(r.by), r.judged_ns, clean(r.tenant)),
    )


def subject_rows(record: VerdictRecord) -> list[Row]:
    """The parameters of `KEEP_SUBJECT`, sorted."""
    return sorted(
        (clean(prompt), clean(digest), clean(record.id)) for prompt, digest in record.subjects.items()
    )


def verdict_of(row: Row) -> VerdictRecord:
    """A verdict from a row of `VERDICT_COLUMNS`."""
    verdict, gate, gate_digest, candidate, baseline, subjects, baselines, has_passed, reasons = row[:9]
    by, judged_ns, tenant = row[9:]
    return VerdictRecord(
        *(verdict, gate, gate_digest, candidate, baseline),
        subjects=cast("dict[str, str]", mapping(subjects)),
        baselines=cast("dict[str, str]", mapping(baselines)),
        has_passed=bool(has_passed),
        reasons=tuple(map(str, orjson.loads(reasons))),
        by=by,
        judged_ns=judged_ns,
        tenant=tenant,
    )


def as_json(value: object) -> str:
    """A value as JSON, whatever it holds: what is no JSON as its text."""
    try:
        return orjson.dumps(value, default=_other, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:
        # Halves of characters, and numbers of more than 64 bits.
        return orjson.dumps(_plain(value)).decode()


def _other(value: object) -> object:
    return dict(cast("Mapping[object, object]", value)) if isinstance(value, Mapping) else str(value)


def _plain(value: object) -> Json:
    if isinstance(value, Mapping):
        pairs = cast("Mapping[object, object]", value).items()
        return {clean(str(name)): _plain(held) for name, held in pairs}
    if isinstance(value, list | tuple):
        return list(map(_plain, cast("Sequence[object]", value)))
    if value is None or isinstance(value, float) or (isinstance(value, int) and -_MOST <= value < _MOST):
        return value
    return clean(str(value))


def mapping(text: str) -> Mapping[str, Json]:
    """An object from its JSON. Raises `ValueError` for anything else."""
    found: object = orjson.loads(text)
    if isinstance(found, dict):
        return cast("dict[str, Json]", found)
    raise ValueError(f"{text[:40]!r} is no object")


def parameters(table: Sequence[Row]) -> list[tuple[Any, ...]]:
    """Rows as one array for each column."""
    return list(zip(*table, strict=True))
