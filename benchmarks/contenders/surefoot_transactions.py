"""Ours: rows of the user's, written exactly once with the step's outcome, against the user's own connections."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.contenders.serving import STEPS, Round, arguments, in_flight, serve
from surefoot import App, flow, step

THREADS = 16
FILE = Path(".surefoot") / "ledger.db"
INSERT = "INSERT INTO orders (number, body) VALUES (?, 'an order of some length, as they are')"

_local = threading.local()
_mutex = threading.Lock()
_shared: list[sqlite3.Connection] = []


@step(transaction="ledger")
def create(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE orders (number INTEGER NOT NULL, body TEXT NOT NULL)")


@step(transaction="ledger")
def save(connection: sqlite3.Connection, number: int) -> int:
    connection.execute(INSERT, (number,))
    return number


@step(transaction="ledger")
async def save_async(connection: sqlite3.Connection, number: int) -> int:
    connection.execute(INSERT, (number,))
    return number


@step
def save_by_mutex(number: int) -> int:
    with _mutex:
        if not _shared:
            _shared.append(opened())
        commit(_shared[0], number)
    return number


@step
def save_by_waiting(number: int) -> int:
    if not hasattr(_local, "connection"):
        _local.connection = opened()
    commit(_local.connection, number)
    return number


def opened() -> sqlite3.Connection:
    connection = sqlite3.connect(FILE, timeout=60, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def commit(connection: sqlite3.Connection, number: int) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(INSERT, (number,))
    connection.execute("COMMIT")


@flow
def creating() -> None:
    create()


@flow
def saving(steps: int) -> int:
    return sum(save(number) for number in range(steps))


@flow
async def saving_async(steps: int) -> int:
    for number in range(steps):
        await save_async(number)
    return steps


@flow
def saving_by_mutex(steps: int) -> int:
    return sum(save_by_mutex(number) for number in range(steps))


@flow
def saving_by_waiting(steps: int) -> int:
    return sum(save_by_waiting(number) for number in range(steps))


def in_threads(app: App, runs: Callable[[int], object]) -> Callable[[int], dict[str, float]]:
    """A round of so many runs in a pool of threads."""

    def run(_: int) -> None:
        with app.entered():
            runs(STEPS)

    def perform(number: int) -> dict[str, float]:
        with Round() as taken, ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(run, range(number)))
        return taken.result(number * STEPS)

    return counted(perform)


def on_loop(app: App, runs: Callable[[int], Any]) -> Callable[[int], dict[str, float]]:
    """A round of so many runs on a loop, many in flight."""

    async def perform(number: int) -> Round:
        with app.entered(), Round() as taken:
            await in_flight(lambda: runs(STEPS), number)
        return taken

    return counted(lambda number: asyncio.run(perform(number)).result(number * STEPS))


def counted(perform: Callable[[int], dict[str, float]]) -> Callable[[int], dict[str, float]]:
    """A round, after which there must be as many more rows as there were transactions."""

    def rows() -> int:
        connection = sqlite3.connect(FILE)
        try:
            return int(connection.execute("SELECT count(*) FROM orders").fetchone()[0])
        finally:
            connection.close()

    def work(number: int) -> dict[str, float]:
        before = rows()
        result = perform(number)
        if rows() - before != number * STEPS:
            raise SystemExit(f"{rows() - before} rows were written by {number * STEPS} transactions")
        return result

    return work


def main(folder: Path) -> None:
    os.chdir(folder)
    app = App()
    with app.entered():
        creating()
    serve(
        {
            "ledger": in_threads(app, saving),
            "ledger-async": on_loop(app, saving_async),
            "own-mutex": in_threads(app, saving_by_mutex),
            "own-waiting": in_threads(app, saving_by_waiting),
        }
    )
    app.close()


if __name__ == "__main__":
    main(arguments()[0])
