"""Experiments, judged cases and verdicts, in one SQLite transaction."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence

from surefoot.ledger import deliveries, scored_rows
from surefoot.ledger.entries import BeginExperiment, KeepMetrics, KeepVerdict
from surefoot.ledger.scored import ExperimentRecord, VerdictRecord
from surefoot.ledger.scored_rows import CaseRow


def begin(entry: BeginExperiment, connection: sqlite3.Connection) -> ExperimentRecord:
    """See `BeginExperiment`."""
    connection.execute(scored_rows.BEGIN, entry.row)
    found = connection.execute(scored_rows.EXPERIMENT_BY_ID, (entry.row[0],)).fetchone()
    return scored_rows.experiment_of(found)


def keep(cases: Sequence[CaseRow], connection: sqlite3.Connection) -> None:
    """See `KeepCases`; of one case that is there several times the last counts."""
    latest = {case.key: case for case in cases}
    for key, case in latest.items():
        former = connection.execute(scored_rows.RUN_OF_CASE, key).fetchone()
        if former is not None:
            for run_id in {former[0], case.run_id}:
                connection.execute(scored_rows.DROP_SCORES, (run_id, key[0]))
    connection.executemany(scored_rows.KEEP_CASE, [case.case for case in latest.values()])
    connection.executemany(scored_rows.KEEP_SCORE, [row for case in latest.values() for row in case.scores])
    now = time.time_ns()
    for run_id in {case.run_id for case in latest.values() if case.scores}:
        owed = deliveries.owe_scores(run_id, now_ns=now)
        connection.execute(owed.statement, owed.row)


def note(entry: KeepMetrics, connection: sqlite3.Connection) -> None:
    """See `KeepMetrics`."""
    connection.executemany(scored_rows.KEEP_METRIC, entry.rows)


def judge(entry: KeepVerdict, connection: sqlite3.Connection) -> VerdictRecord:
    """See `KeepVerdict`."""
    connection.execute(scored_rows.KEEP_VERDICT, entry.row)
    connection.executemany(scored_rows.KEEP_SUBJECT, entry.subjects)
    found = connection.execute(scored_rows.VERDICT_BY_ID, (entry.row[0],)).fetchone()
    return scored_rows.verdict_of(found)
