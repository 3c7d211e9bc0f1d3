"""Runs with all that a ledger can hold, for tests of what is done to the store as a whole."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

from ledgers import open_ledger, outcome, start
from surefoot.ledger import (
    END_KEY,
    Append,
    Detail,
    EndRun,
    Freight,
    Ledger,
    Note,
    SqliteLedger,
    StartRun,
    Totals,
)
from surefoot.ledger.tables import SqliteTables
from surefoot.values import RunStatus, new_id

SECRET = "the-secret-of-a-test"
LARGE = "abc " * 3000


def hide(text: str) -> str | None:
    return text.replace(SECRET, "[hidden]") if SECRET in text else None


def kept_ledger(folder: Path, **options: Any) -> SqliteLedger:
    """A ledger that seals `SECRET`."""
    folder.mkdir(parents=True, exist_ok=True)
    return open_ledger(folder, privacy=hide, **options)


def tables_of(ledger: SqliteLedger) -> SqliteTables:
    return SqliteTables(ledger.path, synchronous="NORMAL", notary=ledger.payloads.notary)


def kept_run(
    ledger: Ledger,
    *texts: str,
    status: RunStatus | None = "completed",
    tag: str = "",
    **rest: Any,
) -> str:
    """A run with one step per text, plain ones by default; None as status leaves it running.

    Its steps hold an inline text, a sealed one, a large one that other runs share, and a large sealed one.
    """
    run_id = new_id()
    tenant = rest.get("tenant", "")
    begun = start(run_id, **rest)
    freight: Freight = []
    given = ledger.payloads.store(run_id, '{"inputs":{},"init":{}}', freight, tenant=tenant)
    first = outcome(
        run_id, 0, key=bytes(16), kind="start", name=begun.run.flow, status="running", inputs=given
    )
    ledger.submit(StartRun(begun.run, first, freight)).wait()
    kept = texts or (f'"plain{tag}"', f'"{SECRET}{tag}"', f'"{LARGE}"', f'"{SECRET} {LARGE}{tag}"')
    for n, text in enumerate(kept, start=1):
        freight = []
        payload = ledger.payloads.store(run_id, text, freight, tenant=tenant)
        ledger.submit(Append(outcome(run_id, n, output=payload), freight)).wait()
    ledger.submit(Note([Detail(run_id, b"k" * 16, 1, "started", 5, '{"name":"step"}')])).wait()
    if status is not None:
        now = time.time_ns()
        row = outcome(
            run_id, 0, key=END_KEY, kind="end", name="flow", attempt=1, started_ns=now, ended_ns=now
        )
        ledger.submit(EndRun(row, [], status, Totals(steps=len(kept)))).wait()
    ledger.payloads.forget_run(run_id)
    return run_id


def change(path: Path, statement: str, *values: object) -> None:
    """What somebody does to the file with a tool of their own."""
    connection = sqlite3.connect(path)
    connection.execute(statement, values)
    connection.commit()
    connection.close()


def asked(path: Path, statement: str, *values: object) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(statement, values).fetchall()
    finally:
        connection.close()
