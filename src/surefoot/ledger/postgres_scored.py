"""Experiments, judged cases and verdicts, as rows on Postgres. Done again after a cut, each changes nothing."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from typing import Any

from surefoot.ledger import deliveries, scored_rows
from surefoot.ledger.entries import BeginExperiment, KeepMetrics, KeepVerdict
from surefoot.ledger.postgres_connection import numbered, state_of
from surefoot.ledger.scored import ExperimentRecord, VerdictRecord
from surefoot.ledger.scored_rows import CASE_COLUMNS, SCORE_COLUMNS, CaseKey, CaseRow

Connection = Any

_TRIES = 20
_LONGEST_PAUSE = 0.05
_DEADLOCK = "40P01"

_FLAGS = frozenset(("is_cost_complete", "is_degraded", "judging_is_cost_complete", "judging_is_degraded"))
_TEXTS = frozenset(
    (
        *("experiment", "case_id", "run_id", "tenant", "status", "error", "metadata"),
        *("metric", "flow", "kind", "value_type", "label", "reason", "failure", "scorer", "judge_run"),
    )
)


def _type_of(column: str) -> str:
    if column == "number":
        return "double precision"
    if column in _FLAGS:
        return "smallint"
    return "text" if column in _TEXTS else "bigint"


def _given(columns: str) -> str:
    """The rows that are handed over as an array for each column."""
    types = [_type_of(name) for name in columns.split(", ")]
    arrays = ", ".join(f"${place}::{kind}[]" for place, kind in enumerate(types, 1))
    return f"SELECT * FROM unnest({arrays}) AS g ({columns})"


_ADD_CASES = (
    f"INSERT INTO experiment_cases ({CASE_COLUMNS}) {_given(CASE_COLUMNS)} "
    "ORDER BY experiment, case_id, repeat"
)
# In order, so that no two processes wait for each other in turn. Those that are there already are not written yet: the
# scores that go are those of the run that stood there.
_ADD_NEW = (
    f"{_ADD_CASES} ON CONFLICT (experiment, case_id, repeat) DO NOTHING RETURNING experiment, case_id, repeat"
)
_HOLD = (
    "SELECT c.run_id, c.experiment FROM experiment_cases c "
    "JOIN unnest($1::text[], $2::text[], $3::bigint[]) AS g (experiment, case_id, repeat) "
    "ON c.experiment = g.experiment AND c.case_id = g.case_id AND c.repeat = g.repeat "
    "ORDER BY c.experiment, c.case_id, c.repeat FOR UPDATE OF c"
)
_DROP = (
    "DELETE FROM scores s USING unnest($1::text[], $2::text[]) AS g (run_id, experiment) "
    "WHERE s.run_id = g.run_id AND s.experiment = g.experiment"
)
_REPLACE = _ADD_CASES + scored_rows.REPLACING_CASE
_ADD_SCORES = (
    f"INSERT INTO scores ({SCORE_COLUMNS}) {_given(SCORE_COLUMNS)} ORDER BY run_id, experiment, metric"
    f"{scored_rows.REPLACING_SCORE}"
)


async def begin(entry: BeginExperiment, connection: Connection) -> ExperimentRecord:
    """See `BeginExperiment`."""
    await connection.execute(numbered(scored_rows.BEGIN), *entry.row)
    found = await connection.fetchrow(numbered(scored_rows.EXPERIMENT_BY_ID), entry.row[0])
    return scored_rows.experiment_of(tuple(found))


async def keep(cases: Sequence[CaseRow], connection: Connection) -> None:
    """See `KeepCases`; a few statements for any number of cases."""
    table = scored_rows.newest(cases)
    if not table:
        return
    for left in range(_TRIES, 0, -1):
        try:
            async with connection.transaction():
                await _keep(table, connection)
                await _owe(table, connection)
            # Once more: a trace that became owed meanwhile was not seen, and may have been read without these scores.
            await _owe(table, connection)
        except Exception as error:
            # A prune takes texts off cases in the order of their runs.
            if left == 1 or state_of(error) != _DEADLOCK:
                raise
        else:
            return
        await asyncio.sleep(random.uniform(0, _LONGEST_PAUSE))


async def _keep(table: Sequence[CaseRow], connection: Connection) -> None:
    added = await connection.fetch(_ADD_NEW, *scored_rows.parameters([case.case for case in table]))
    if len(added) < len(table):
        new: set[CaseKey] = {(row[0], row[1], row[2]) for row in added}
        there = [case for case in table if case.key not in new]
        held = await connection.fetch(_HOLD, *scored_rows.parameters([case.key for case in there]))
        former: set[tuple[str, str]] = {(row[0], row[1]) for row in held}
        former |= {(case.run_id, case.key[0]) for case in there}
        await connection.execute(_DROP, *scored_rows.parameters(sorted(former)))
        await connection.execute(_REPLACE, *scored_rows.parameters([case.case for case in there]))
    # One statement writes a row once: of two cases with one run, whatever made them, the last counts.
    scores = {row[:3]: row for case in table for row in case.scores}
    if scores:
        await connection.execute(_ADD_SCORES, *scored_rows.parameters(list(scores.values())))


async def _owe(table: Sequence[CaseRow], connection: Connection) -> None:
    """Note who is to be told of these scores, in order, so that no two processes wait for each other in turn."""
    now = time.time_ns()
    runs = sorted({case.run_id for case in table if case.scores})
    owed = [deliveries.owe_scores(run_id, now_ns=now) for run_id in runs]
    if owed:
        await connection.executemany(numbered(owed[0].statement), [each.row for each in owed])


async def note(entry: KeepMetrics, connection: Connection) -> None:
    """See `KeepMetrics`."""
    async with connection.transaction():
        # In order, so that no two processes wait for each other in turn.
        await connection.executemany(
            numbered(scored_rows.KEEP_METRIC), sorted(entry.rows, key=lambda row: row[:2])
        )


async def judge(entry: KeepVerdict, connection: Connection) -> VerdictRecord:
    """See `KeepVerdict`."""
    async with connection.transaction():
        await connection.execute(numbered(scored_rows.KEEP_VERDICT), *entry.row)
        await connection.executemany(numbered(scored_rows.KEEP_SUBJECT), entry.subjects)
    found = await connection.fetchrow(numbered(scored_rows.VERDICT_BY_ID), entry.row[0])
    return scored_rows.verdict_of(tuple(found))
