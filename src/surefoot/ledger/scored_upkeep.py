"""Experiments, judged cases and scores under work on the store as a whole: checked, pruned, exported and imported.

A pruned run keeps its numbers and labels, so that a trend goes on for years; what was written of it (reasons, failures,
errors, metadata) goes with its payloads. Cases go with their runs in an export, and take the record of their experiment
along. Verdicts stay where they were given: whoever hands over a file must not be able to pass a gate here.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

from surefoot.ledger import scored_rows
from surefoot.ledger.rows import Row, clean
from surefoot.ledger.scored import LONGEST_ID, LONGEST_LABEL, LONGEST_METRIC, CaseRecord, ExperimentRecord
from surefoot.ledger.scored_rows import CASE_COLUMNS, SCORE_COLUMNS
from surefoot.ledger.scored_texts import NothingHidden, ready_case
from surefoot.ledger.selecting import Condition
from surefoot.ledger.tables import Session, Tables, one

_SINCE_FORMAT = 6
_PAGE = 500
_LONGEST = 100_000

_WITH_TEXT = {
    "experiment_cases": "(error <> '' OR metadata <> '{}')",
    "scores": "(reason <> '' OR failure <> '')",
}
_WITHOUT_TEXT = {
    "experiment_cases": "error = '', metadata = '{}'",
    "scores": "reason = '', failure = ''",
}
_OF_PRUNED_RUNS = "EXISTS (SELECT 1 FROM runs WHERE runs.id = {}.run_id AND runs.pruned_ns IS NOT NULL)"


def has_scores(tables: Tables) -> bool:
    """Whether the tables are there: a server's may be of an earlier format."""
    return tables.format() >= _SINCE_FORMAT


# Pruning


def drop_texts(session: Session, run_id: str) -> int:
    """Take what was written off the scores of a run; of how many cases and scores."""
    return sum(
        session.change(
            f"UPDATE {table} SET {_WITHOUT_TEXT[table]} WHERE run_id = ? AND {_WITH_TEXT[table]}", run_id
        )
        for table in _WITH_TEXT
    )


def drop_late_texts(tables: Tables) -> int:
    """Take what was written off the scores of runs that were pruned before they were judged; of how many."""
    if not has_scores(tables):
        return 0
    dropped = 0
    for run_ids in _late(tables):
        with tables.writing() as session:
            dropped += sum(drop_texts(session, run_id) for run_id in run_ids)
    return dropped


def _late(tables: Tables) -> Iterator[list[str]]:
    found: set[str] = set()
    with tables.reading() as session:
        for table, term in _WITH_TEXT.items():
            late = f"{term} AND {_OF_PRUNED_RUNS.format(table)}"
            found |= {row[0] for row in session.rows(f"SELECT DISTINCT run_id FROM {table} WHERE {late}")}
    ordered = sorted(found)
    for start in range(0, len(ordered), _PAGE):
        yield ordered[start : start + _PAGE]


def count_texts(tables: Tables, doomed: Condition) -> int:
    """Of how many cases and scores `drop_texts` and `drop_late_texts` would take something, were these runs pruned."""
    if not has_scores(tables):
        return 0
    term, values = doomed
    with tables.reading() as session:
        return sum(
            cast(
                "int",
                one(
                    session,
                    f"SELECT count(*) FROM {table} WHERE {with_text} AND "
                    f"run_id IN (SELECT id FROM runs WHERE runs.pruned_ns IS NOT NULL OR ({term}))",
                    *values,
                )[0],
            )
            for table, with_text in _WITH_TEXT.items()
        )


def forget_principals(session: Session, run_ids: Sequence[str]) -> None:
    """Take the names of those for whom these runs were off the experiments that they began."""
    held = f"({', '.join('?' * len(run_ids))})"
    found = session.rows(f"SELECT DISTINCT principal FROM runs WHERE id IN {held}", *run_ids)
    for principal in sorted({cast("str", row[0]) for row in found} - {""}):
        session.change("UPDATE experiments SET principal = '' WHERE principal = ?", principal)


# Verifying


def count_scored(tables: Tables) -> tuple[int, int]:
    """How many experiments there are, and how many scores."""
    if not has_scores(tables):
        return 0, 0
    with tables.reading() as session:
        experiments, scores = one(
            session, "SELECT (SELECT count(*) FROM experiments), (SELECT count(*) FROM scores)"
        )
    return int(experiments), int(scores)


def wrong_scores(tables: Tables) -> Iterator[str]:
    """Judged cases and scores that belong to nothing, in words."""
    if not has_scores(tables):
        return
    with tables.reading() as session:
        cases = one(
            session,
            "SELECT count(*) FROM experiment_cases c "
            "WHERE NOT EXISTS (SELECT 1 FROM experiments e WHERE e.id = c.experiment)",
        )[0]
        if cases:
            yield f"{cases:,} judged case{'' if cases == 1 else 's'} of experiments that are not there"
        scores = one(
            session,
            "SELECT count(*) FROM scores s WHERE NOT EXISTS "
            "(SELECT 1 FROM experiment_cases c WHERE c.run_id = s.run_id AND c.experiment = s.experiment)",
        )[0]
        if scores:
            yield f"{scores:,} score{'' if scores == 1 else 's'} of cases that are not there"
        metrics = one(
            session,
            "SELECT count(*) FROM experiment_metrics m "
            "WHERE NOT EXISTS (SELECT 1 FROM experiments e WHERE e.id = m.experiment)",
        )[0]
        if metrics:
            yield f"{metrics:,} metric{'' if metrics == 1 else 's'} of experiments that are not there"


# Moving


def export_run(session: Session, target: sqlite3.Connection, run_id: str) -> int:
    """Write the cases for which a run stands, their scores and the records of their experiments; how many cases."""
    cases = list(session.rows(f"SELECT {CASE_COLUMNS} FROM experiment_cases WHERE run_id = ?", run_id))
    if not cases:
        return 0
    for experiment in sorted({row[0] for row in cases}):
        target.executemany(scored_rows.BEGIN, session.rows(scored_rows.EXPERIMENT_BY_ID, experiment))
        target.executemany(scored_rows.KEEP_METRIC, session.rows(scored_rows.METRICS_OF, experiment))
    target.executemany(scored_rows.KEEP_CASE, cases)
    target.executemany(
        scored_rows.KEEP_SCORE, session.rows(f"SELECT {SCORE_COLUMNS} FROM scores WHERE run_id = ?", run_id)
    )
    return len(cases)


def import_run(there: Session, here: Session, run_id: str) -> tuple[int, int]:
    """Take over the cases for which a run stands: how many were taken, and how many were left out.

    Of a case that is here too the one that was scored later stands. Left out are cases of an experiment that is here
    under the same id and is another one. Raises `ValueError` for rows that no ledger has written.
    """
    cases = list(_foreign(there, run_id))
    taken = left_out = 0
    for case in cases:
        experiment = _experiment(there, case.experiment)
        here.insert(scored_rows.BEGIN, [_experiment_row(experiment)])
        if not _is_same(_experiment(here, case.experiment), experiment):
            left_out += 1
            continue
        here.insert(scored_rows.KEEP_METRIC, _metric_rows(there, case.experiment))
        taken += _take(here, case, experiment)
    return taken, left_out


def _take(here: Session, case: CaseRecord, experiment: ExperimentRecord) -> bool:
    key = (clean(case.experiment), clean(case.case), case.repeat)
    own = next(
        here.rows(
            "SELECT scored_ns, run_id FROM experiment_cases WHERE experiment = ? AND case_id = ? AND repeat = ?",
            *key,
        ),
        None,
    )
    if own is not None:
        if own[0] >= case.scored_ns:
            return False
        for run_id in {own[1], case.run_id}:
            here.change(scored_rows.DROP_SCORES, run_id, key[0])
    ready, metadata = ready_case(case, NothingHidden())
    row = scored_rows.case_row(
        ready,
        metadata=metadata,
        flow=clean(experiment.flow),
        kind=experiment.kind,
        tenant=ready.tenant,
        scored_ns=case.scored_ns,
    )
    here.insert(scored_rows.KEEP_CASE, [row.case])
    here.insert(scored_rows.KEEP_SCORE, row.scores)
    return True


def _foreign(there: Session, run_id: str) -> Iterator[CaseRecord]:
    query = scored_rows.joined(f"SELECT {CASE_COLUMNS} FROM experiment_cases WHERE run_id = ?")
    for case in scored_rows.cases_of(list(there.rows(query, run_id))):
        _check(case)
        yield case


def _experiment(session: Session, experiment: str) -> ExperimentRecord:
    found = next(session.rows(scored_rows.EXPERIMENT_BY_ID, clean(experiment)), None)
    if found is None:
        raise ValueError(f"its experiment {experiment!r} is not there")
    record = scored_rows.experiment_of(found)
    _check_all(str, found[:8], f"the experiment {experiment!r}")
    _check_all(int, (*found[8:11], found[15]), f"the experiment {experiment!r}")
    _check_all(str, list(record.prompts.values()), f"the experiment {experiment!r}")
    if len(record.id) > LONGEST_ID or record.kind not in ("eval", "backtest", "online"):
        raise ValueError(f"the experiment {experiment!r} is of kind {record.kind!r}")
    return record


def _experiment_row(record: ExperimentRecord) -> Row:
    return scored_rows.experiment_row(record, settings=scored_rows.as_json(dict(record.settings)))


def _metric_rows(there: Session, experiment: str) -> list[Row]:
    """What a file says of the metrics of an experiment. Raises `ValueError` for what no ledger has written."""
    found: list[Row] = []
    for row in there.rows(scored_rows.METRICS_OF, clean(experiment)):
        what = f"a metric of the experiment {experiment!r}"
        _check_all(str, (*row[:2], *row[3:5], *row[7:9]), what)
        _check_all(int, (row[2], row[9]), what)
        record = scored_rows.metric_of(row)
        ends: list[Any] = [end for end in (record.low, record.high) if end is not None]
        is_number = all(isinstance(end, float) and math.isfinite(end) for end in ends)
        if not is_number or len(record.metric) > LONGEST_METRIC or len(record.experiment) > LONGEST_ID:
            raise ValueError(f"{what} has a range or a name that is none")
        found.append(scored_rows.metric_row(record))
    return found


def _is_same(own: ExperimentRecord, theirs: ExperimentRecord) -> bool:
    """Whether both are one experiment; the name of who began it may have been forgotten here."""
    return replace(own, principal="") == replace(theirs, principal="")


def _check(case: CaseRecord) -> None:
    """Raise `ValueError` for a case that no ledger has written."""
    what = f"the judged case {case.case!r}"
    texts = [case.error]
    short = [(case.tenant, LONGEST_ID), (case.run_id, LONGEST_ID), (case.experiment, LONGEST_ID)]
    short.append((case.case, LONGEST_ID))
    numbers: list[Any] = [case.repeat, case.place, case.scored_ns, case.latency_ns or 0]
    for totals in (case.totals, case.judging):
        usage = totals.usage
        numbers += (totals.steps, totals.calls, usage.input, usage.cached, usage.output, usage.reasoning)
        numbers.append(totals.cost.nanos)
    for score in case.scores:
        texts += (score.reason, score.failure, score.scorer, score.judge_run)
        short.append((score.metric, LONGEST_METRIC))
        value: Any = score.value
        if isinstance(value, str):
            short.append((value, LONGEST_LABEL))
        elif value is not None and not (isinstance(value, bool | int | float) and math.isfinite(value)):
            raise ValueError(f"{what} has a score that is no number")
    _check_all(str, (*texts, *(text for text, _ in short)), what)
    if any(len(text) > most for text, most in short):
        raise ValueError(f"{what} holds names that are too long")
    _check_all(int, numbers, what)
    if case.status not in ("completed", "failed"):
        raise ValueError(f"{what} is {case.status!r}")


def _check_all(kind: type, values: Sequence[object], what: str) -> None:
    for value in values:
        if not isinstance(value, kind) or (isinstance(value, str) and len(value) > _LONGEST):
            raise ValueError(f"{what} holds {type(value).__name__} where {kind.__name__} belongs")
