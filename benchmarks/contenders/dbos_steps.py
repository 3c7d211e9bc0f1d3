"""DBOS: ten steps of 1 KiB in a workflow."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

from dbos import DBOS, DBOSConfig

from benchmarks.contenders.serving import STEPS, Round, arguments, in_flight, payload, serve

_seconds: list[float] = []


@DBOS.step()
def make(number: int) -> dict[str, Any]:
    return payload(number)


@DBOS.step()
async def make_async(number: int) -> dict[str, Any]:
    return payload(number)


@DBOS.workflow()
def sequential(steps: int) -> int:
    for number in range(steps):
        begin = time.perf_counter()
        make(number)
        _seconds.append(time.perf_counter() - begin)
    return steps


@DBOS.workflow()
async def concurrent(steps: int) -> int:
    for number in range(steps):
        await make_async(number)
    return steps


def one_at_a_time(number: int) -> dict[str, float]:
    _seconds.clear()
    with Round() as taken:
        for _ in range(number):
            sequential(STEPS)
    taken.step_seconds = list(_seconds)
    return taken.result(number * STEPS)


def in_threads(number: int) -> dict[str, float]:
    with Round() as taken:
        handles = [DBOS.start_workflow(sequential, STEPS) for _ in range(number)]
        for handle in handles:
            handle.get_result()
    return taken.result(number * STEPS)


async def on_loop(number: int) -> Round:
    with Round() as taken:
        await in_flight(lambda: concurrent(STEPS), number)
    return taken


def main(folder: Path, url: str) -> None:
    if not url:
        # As shipped the file has a rollback journal, which is slower; the mode stays with the file.
        connection = sqlite3.connect(folder / "dbos.db")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.close()
    config: DBOSConfig = {
        "name": "steps",
        "system_database_url": url.replace("postgresql://", "postgresql+psycopg://")
        or f"sqlite:///{folder}/dbos.db",
        "log_level": "ERROR",
    }
    DBOS(config=config)
    DBOS.launch()
    serve(
        {
            "sequential": one_at_a_time,
            "concurrent": lambda number: asyncio.run(on_loop(number)).result(number * STEPS),
            "concurrent-threads": in_threads,
        }
    )
    DBOS.destroy()
    # Its own threads may still wait for something; nothing of theirs is needed any more.
    sys.exit(0)


if __name__ == "__main__":
    main(*arguments())
