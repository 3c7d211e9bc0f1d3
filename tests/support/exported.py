"""Runs whose traces are owed to a receiver, made in processes of their own that send in the background.

In a child: `python exported.py make|go_on|finish|take_times FOLDER ...`, whose settings are those of the folder.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from surefoot import App, flow, step
from surefoot.config import load
from surefoot.errors import SurefootError
from surefoot.traces import standing

AT_ONCE = 50


@step
async def small(n: int) -> int:
    await asyncio.sleep(0)
    return n + 1


@flow
async def many(n: int, steps: int) -> int:
    for _ in range(steps):
        n = await small(n)
    return n


@step
def slow(n: int) -> int:
    time.sleep(0.02)
    return n + 1


@flow
def unhurried(n: int) -> int:
    for _ in range(5):
        n = slow(n)
    return n


def make(app: App, runs: str, steps: str) -> None:
    """So many runs, some at a time."""

    async def go() -> None:
        for first in range(0, int(runs), AT_ONCE):
            some = range(first, min(first + AT_ONCE, int(runs)))
            await asyncio.gather(*(many(n, int(steps)) for n in some))

    asyncio.run(go())


def go_on(app: App) -> None:
    """Take up the runs of those who were killed and make new ones, until it is killed itself."""
    app.export()
    while True:
        take_up(app)
        unhurried(1)


def finish(app: App) -> None:
    """Go on with all that is not over."""
    while take_up(app):
        pass


def take_up(app: App) -> int:
    """Go on with runs that were left behind; how many there were."""
    now = time.time_ns()
    left = [
        run.id for run in app.ledger.runs(status="running", limit=None) if standing(run, now) == "abandoned"
    ]
    for run_id in left:
        # Another one may be at it already.
        with suppress(SurefootError):
            app.resume(run_id)
    return len(left)


def take_times(app: App, runs: str) -> None:
    """Seconds of each of so many runs, one after the other."""
    times: list[float] = []
    for n in range(int(runs)):
        began = time.perf_counter()
        unhurried(n)
        times.append(time.perf_counter() - began)
    print(json.dumps(times))  # noqa: T201


if __name__ == "__main__":
    # So that a run names its flow in a way that others find.
    import exported

    name, place, *given = sys.argv[1:]
    work: Callable[..., None] = getattr(exported, name)
    app = App(load(Path(place)))
    with app.entered():
        work(app, *given)
    app.close()
