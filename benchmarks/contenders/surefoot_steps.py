"""Ours: ten steps of 1 KiB in a run; and the replay of a run with many."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from pathlib import Path
from typing import Any

from benchmarks.contenders.serving import STEPS, Round, arguments, in_flight, payload, payload_with, serve
from surefoot import App, flow, last_run, step
from surefoot.ledger import PostgresLedger

# A made-up key of the form that providers use: what holds it is screened, redacted and sealed.
SECRET = "sk-proj-" + "0123456789abcdefABCDEF" * 2
secretive = payload_with(SECRET)

_seconds: list[float] = []


@step
def make(number: int) -> dict[str, Any]:
    return payload(number)


@step
async def make_async(number: int) -> dict[str, Any]:
    return payload(number)


@step
async def make_sealed(number: int) -> dict[str, Any]:
    return secretive(number)


@flow
def sequential(steps: int) -> int:
    for number in range(steps):
        begin = time.perf_counter()
        make(number)
        _seconds.append(time.perf_counter() - begin)
    return steps


@flow
async def sequential_async(steps: int) -> int:
    for number in range(steps):
        begin = time.perf_counter()
        await make_async(number)
        _seconds.append(time.perf_counter() - begin)
    return steps


@flow
async def concurrent(steps: int) -> int:
    for number in range(steps):
        await make_async(number)
    return steps


@flow
async def concurrent_sealed(steps: int) -> int:
    for number in range(steps):
        await make_sealed(number)
    return steps


class Unfinished(Exception):
    """How a run ends that is to be resumed again and again."""


@flow
def replayed(steps: int) -> None:
    for number in range(steps):
        make(number)
    raise Unfinished


def rounds_of(app: App, runs: Any) -> Any:
    """A round of so many runs, one at a time in this thread."""

    def one_at_a_time(number: int) -> dict[str, float]:
        _seconds.clear()
        with app.entered(), Round() as taken:
            for _ in range(number):
                runs(STEPS)
        taken.step_seconds = list(_seconds)
        return taken.result(number * STEPS)

    return one_at_a_time


def loops_of(app: App, runs: Any, *, is_sequential: bool = False) -> Any:
    """A round of so many runs on a loop: one at a time, or many in flight."""

    async def perform(number: int) -> Round:
        _seconds.clear()
        with app.entered(), Round() as taken:
            if is_sequential:
                for _ in range(number):
                    await runs(STEPS)
            else:
                await in_flight(lambda: runs(STEPS), number)
        taken.step_seconds = list(_seconds)
        return taken

    return lambda number: asyncio.run(perform(number)).result(number * STEPS)


class Replays:
    """Resumes of runs with so many recorded steps; each is recorded once and never ends."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._runs: dict[int, str] = {}

    def __call__(self, steps: int) -> dict[str, float]:
        if steps not in self._runs:
            with self._app.entered():
                try:
                    replayed(steps)
                except Unfinished:
                    self._runs[steps] = last_run().id
        with Round() as taken:
            try:
                self._app.resume(self._runs[steps])
            except Exception as error:
                if not isinstance(error.__cause__, Unfinished):
                    raise
        return taken.result(steps)


def sealed_rows(folder: Path) -> int:
    """How many outputs stand sealed in a ledger on SQLite."""
    connection = sqlite3.connect(folder / ".surefoot" / "ledger.db")
    try:
        found = connection.execute("SELECT count(*) FROM outcomes WHERE output_sealed IS NOT NULL")
        return int(found.fetchone()[0])
    finally:
        connection.close()


def main(folder: Path, url: str) -> None:
    os.chdir(folder)
    if url:
        os.environ["SUREFOOT_LEDGER_URL"] = url
    app = App()
    app.prepare()
    app.ledger.runs(limit=1)
    if url and not isinstance(app.ledger, PostgresLedger):
        raise SystemExit(f"the ledger is {app.ledger.where} and not in Postgres")
    sealed = loops_of(app, concurrent_sealed)

    def checked(number: int) -> dict[str, float]:
        result: dict[str, float] = sealed(number)
        if not url and sealed_rows(folder) < number * STEPS:
            raise SystemExit("the outputs that hold a secret were not sealed")
        return result

    serve(
        {
            "sequential": rounds_of(app, sequential),
            "sequential-async": loops_of(app, sequential_async, is_sequential=True),
            "concurrent": loops_of(app, concurrent),
            "concurrent-sealed": checked,
            "replay": Replays(app),
        }
    )
    app.close()


if __name__ == "__main__":
    main(*arguments())
