"""The floor: one row per step by sqlite3 alone, each committed with `synchronous = FULL` before the next.

With a write-ahead log, as the ledger has, and with the rollback journal that sqlite3 has by itself.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.contenders.serving import STEPS, Round, arguments, payload, serve


def main(folder: Path) -> None:
    wal, journal = (prepared(folder / f"{mode}.db", mode) for mode in ("wal", "delete"))
    serve({"sequential": rows_into(wal), "sequential-journal": rows_into(journal)})


def prepared(file: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute(f"PRAGMA journal_mode = {mode}")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE rows (seq INTEGER PRIMARY KEY, body TEXT NOT NULL)")
    return connection


def rows_into(connection: sqlite3.Connection) -> Callable[[int], dict[str, float]]:
    def sequential(number: int) -> dict[str, float]:
        with Round() as taken:
            for run in range(number * STEPS):
                begin = time.perf_counter()
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("INSERT INTO rows (body) VALUES (?)", (json.dumps(payload(run)),))
                connection.execute("COMMIT")
                taken.step_seconds.append(time.perf_counter() - begin)
        return taken.result(number * STEPS)

    return sequential


if __name__ == "__main__":
    main(arguments()[0])
