"""What is left when all is over, read by plain drivers: nothing of the library's own reading is trusted here."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import outside
import postgres
from grounds import Grounds

Select = Callable[[str], list[tuple[Any, ...]]]

ROWS = "SELECT run_id, key, attempt, kind, name, status, epoch, output_view, path FROM outcomes ORDER BY seq"
RUNS = "SELECT id, run_key, status FROM runs"
BUSINESS = "SELECT number, step, token FROM business"
MARKERS = "SELECT run_id, step FROM surefoot_markers"


@dataclass(frozen=True)
class Run:
    """A row of the ledger's runs."""

    id: str
    key: str
    status: str


@dataclass(frozen=True)
class Row:
    """A row of the ledger's outcomes, in which the step's key is hex and the output is data."""

    run_id: str
    key: str
    attempt: int
    kind: str
    name: str
    status: str
    epoch: int
    output: Any
    parent: str = ""
    """The key of the step that it is inside of; empty at the top of the run."""

    @property
    def idempotency_key(self) -> str:
        return f"{self.run_id}-{self.key}"


@dataclass
class Evidence:
    """Everything that the claims are judged by. `orders` is how many runs there should be."""

    orders: int
    kills: int
    runs: list[Run]
    rows: list[Row]
    business: list[tuple[int, str, str]]
    markers: list[tuple[str, str]]
    """[run id, step's key in hex] of all databases that have markers."""
    marked_steps: frozenset[str]
    """The steps whose database has markers."""
    executed: list[list[str]] = field(default_factory=list)
    effects: list[list[str]] = field(default_factory=list)
    acknowledged: list[list[Any]] = field(default_factory=list)
    answered: list[list[str]] = field(default_factory=list)
    returned: list[list[Any]] = field(default_factory=list)
    decided: list[list[str]] = field(default_factory=list)
    troubles: list[list[str]] = field(default_factory=list)
    verified: dict[str, Any] = field(default_factory=dict)


def gathered(grounds: Grounds, *, orders: int, kills: int, troubles: list[list[str]]) -> Evidence:
    folder = grounds.folder
    if grounds.engine == "sqlite":
        ledger, other = _file(folder / ".surefoot" / "ledger.db"), _file(folder / "other.db")
        schema, markers, marked = "", other(MARKERS), {"ship"}
    else:
        ledger, other = _server(grounds.ledger_url), _server(grounds.other_url)
        schema, markers, marked = "surefoot.", [*ledger(MARKERS), *other(MARKERS)], {"book", "ship"}
    return Evidence(
        orders=orders,
        kills=kills,
        runs=[Run(*row) for row in ledger(RUNS.replace("FROM ", f"FROM {schema}"))],
        rows=[_row(row) for row in ledger(ROWS.replace("FROM ", f"FROM {schema}"))],
        business=[*ledger(BUSINESS), *other(BUSINESS)],
        markers=markers,
        marked_steps=frozenset(marked),
        executed=outside.lines(outside.EXECUTED, folder),
        effects=outside.lines(outside.EFFECTS, folder),
        acknowledged=outside.lines(outside.ACKNOWLEDGED, folder),
        answered=outside.lines(outside.ANSWERED, folder),
        returned=outside.lines(outside.RETURNED, folder),
        decided=outside.lines(outside.DECIDED, folder),
        troubles=[*outside.lines(outside.TROUBLES, folder), *troubles],
        verified=verified(folder, grounds.environ),
    )


def verified(folder: Path, environ: dict[str, str]) -> dict[str, Any]:
    """What `surefoot ledger verify` says."""
    done = subprocess.run(
        [sys.executable, "-m", "surefoot.cli", "ledger", "verify", "--json"],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        said: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        said = {"error": done.stderr[-2000:]}
    return said | {"exit_code": done.returncode}


def _row(row: tuple[Any, ...]) -> Row:
    run_id, key, attempt, kind, name, status, epoch, output, path = row
    data, parent = json.loads(output or "null"), bytes(path)[-16:].hex()
    return Row(run_id, bytes(key).hex(), attempt, kind, name, status, epoch, data, parent)


def _file(path: Path) -> Select:
    def select(statement: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(path)) as connection:
            return connection.execute(statement).fetchall()

    return select


def _server(url: str) -> Select:
    return lambda statement: postgres.execute(url, statement)
