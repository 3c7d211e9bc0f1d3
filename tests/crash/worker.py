"""A process that goes on with every unfinished run, then begins new ones, until all orders are made.

    python worker.py FOLDER ORDERS IN_FLIGHT

It may be killed at any moment; the next one does the same. Runs whose effects are in doubt it decides as an operator
would: by looking at the world.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import orders
import outside
from surefoot import App, Done
from surefoot.config import load
from surefoot.errors import InDoubt, LedgerError, StepFailed
from surefoot.flows import Decision
from surefoot.ledger import RunRecord

MOST_TRIES = 100

Going = Callable[[], Awaitable[object]]


def decide(doubt: InDoubt) -> dict[str, Decision]:
    """What became of each effect in doubt: it stands in the world, or it does not."""
    seen = {(key.partition("-")[0], name): token for key, name, token in outside.lines(outside.EFFECTS)}
    decisions: dict[str, Decision] = {}
    for name in doubt.steps:
        token = seen.get((doubt.run_id, name))
        decisions[name] = "retry" if token is None else Done(token)
        outside.note(outside.DECIDED, doubt.run_id, name, "retry" if token is None else "done")
    return decisions


async def bring_home(app: App, key: str, go: Going) -> None:
    """See one run to its end: what the world does to it, as a lost server, is waited out."""
    again = go
    for _ in range(MOST_TRIES):
        try:
            output = await go()
        except InDoubt as doubt:
            go, again = resuming(app, doubt.run_id, decide(doubt)), resuming(app, doubt.run_id)
        except LedgerError:
            if not has_server(app):
                raise
            # Perhaps the decisions are recorded: they are not made twice.
            go = again
            await asyncio.sleep(random.uniform(0.05, 0.2))
        except StepFailed as failed:
            if not (has_server(app) and is_of_the_world(failed.__cause__)):
                raise
            go = resuming(app, failed.run_id)
            await asyncio.sleep(random.uniform(0.05, 0.2))
        else:
            outside.note(outside.RETURNED, key, output)
            return
    raise RuntimeError(f"{key} did not come to its end in {MOST_TRIES} tries")


def has_server(app: App) -> bool:
    return app.config.ledger.url is not None


def is_of_the_world(error: BaseException | None) -> bool:
    """Whether it says that a database server was away."""
    import asyncpg
    import psycopg

    return isinstance(
        error, OSError | psycopg.OperationalError | asyncpg.PostgresConnectionError | asyncpg.InterfaceError
    ) or str(getattr(error, "sqlstate", "")).startswith(("57P", "08"))


def resuming(app: App, run_id: str, decisions: dict[str, Decision] | None = None) -> Going:
    return lambda: app.resume_async(run_id, decisions=decisions)


def beginning(app: App, number: int) -> Going:
    return lambda: app.run_async(orders.flow_of(number), {"number": number}, key=orders.key_of(number))


async def known_runs(app: App) -> list[RunRecord]:
    """All runs, as soon as the server says which there are."""
    while True:
        try:
            return app.ledger.runs(limit=None)
        except LedgerError:
            await asyncio.sleep(0.1)


async def work(app: App, number_of_orders: int, in_flight: int) -> None:
    known = await known_runs(app)
    begun = {run.run_key for run in known}

    def jobs() -> Iterator[tuple[str, Going]]:
        for run in reversed(known):
            if run.status != "completed":
                yield str(run.run_key), resuming(app, run.id)
        for number in range(number_of_orders):
            if (key := orders.key_of(number)) not in begun:
                yield key, beginning(app, number)

    waiting = jobs()

    async def serve() -> None:
        for key, go in waiting:
            try:
                await bring_home(app, key, go)
            except Exception as error:
                outside.note(outside.TROUBLES, f"{key}: {error!r}", traceback.format_exc())
                raise

    await asyncio.gather(*(serve() for _ in range(in_flight)))


def main() -> None:
    folder, number_of_orders, in_flight = sys.argv[1:]
    os.chdir(folder)
    app = App(load(Path.cwd()))
    asyncio.run(work(app, int(number_of_orders), int(in_flight)))
    app.close()


if __name__ == "__main__":
    main()
