"""A process that goes on with every unfinished run, then begins new ones, until all orders are made.

    python worker.py FOLDER ORDERS IN_FLIGHT PLACE WORKERS

It may be killed at any moment; the next one does the same. Runs whose effects are in doubt it decides as an operator
would: by looking at the world. Of several WORKERS it is the one at that PLACE; what another one holds it leaves alone.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import orders
import outside
from surefoot import App, Done
from surefoot.config import load
from surefoot.errors import InDoubt, LedgerError, RunBusy, StepFailed, UsageError
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


async def bring_home(app: App, key: str, go: Going, *, is_alone: bool) -> None:
    """See one run to its end, unless another worker does: what happens to it, as a lost server, is waited out."""
    again = go
    for _ in range(MOST_TRIES):
        try:
            output = await go()
        except InDoubt as doubt:
            go, again = resuming(app, doubt.run_id, decide(doubt)), resuming(app, doubt.run_id)
        except (RunBusy, UsageError):
            # Another worker holds the run, or has decided it.
            if is_alone:
                raise
            await asyncio.sleep(random.uniform(0.05, 0.2))
            return
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


@dataclass(frozen=True)
class Share:
    """What one worker is to do: so many orders, some at a time, beginning with those of its place among the workers."""

    orders: int
    in_flight: int
    place: int
    workers: int


async def jobs_of(app: App, share: Share) -> list[tuple[str, Going]]:
    """What is to be done, as things stand: first what was begun, then what was not."""
    known = await known_runs(app)
    begun = {run.run_key for run in known}
    unfinished = [run for run in reversed(known) if run.status != "completed"]
    numbers = [number for number in range(share.orders) if orders.key_of(number) not in begun]
    numbers.sort(key=lambda number: number % share.workers != share.place)
    return [
        *((str(run.run_key), resuming(app, run.id)) for run in unfinished),
        *((orders.key_of(number), beginning(app, number)) for number in numbers),
    ]


async def work(app: App, share: Share) -> None:
    while jobs := await jobs_of(app, share):
        waiting = iter(jobs)

        async def serve(waiting: Iterator[tuple[str, Going]] = waiting) -> None:
            for key, go in waiting:
                try:
                    await bring_home(app, key, go, is_alone=share.workers == 1)
                except Exception as error:
                    outside.note(outside.TROUBLES, f"{key}: {error!r}", traceback.format_exc())
                    raise

        await asyncio.gather(*(serve() for _ in range(share.in_flight)))


def main() -> None:
    folder, *numbers = sys.argv[1:]
    os.chdir(folder)
    app = App(load(Path.cwd()))
    asyncio.run(work(app, Share(*map(int, numbers))))
    app.close()


if __name__ == "__main__":
    main()
