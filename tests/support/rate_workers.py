"""Processes of tests that keep to limits on one Redis server together, and log what they were admitted to."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from surefoot.limits.redis import SharedRedis


@dataclass(frozen=True)
class Load:
    """What each worker does: so many tasks at once, each of which holds its place for some seconds."""

    url: str
    log: str
    tasks: int
    processes: int
    seconds: float
    tokens: int
    limit: dict[str, Any]
    lease: float = 15.0
    timeout: float = 1.0
    crashes: float = 0.0


async def _work(load: Load) -> None:
    from surefoot import effects
    from surefoot.limits.rates import InProcess, RateLimit, Rates, Shared
    from surefoot.values import Caller, Demand

    limits = [RateLimit("shared", **load.limit)]
    redis = SharedRedis(lambda: load.url, timeout=load.timeout)
    shared = Shared(InProcess(limits), redis, parts=load.processes, lease=load.lease)
    rates = Rates(limits, shared=shared)
    demand = Demand(Caller(), "p", "p", "m", load.tokens)
    chance = random.Random(os.getpid())
    log = os.open(load.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def note(event: str, permit: Any, number: int) -> None:
        # One write for each line, so that a kill leaves whole ones; all processes of a machine share this clock.
        line = f"{time.monotonic():.6f} {event} {number} {permit.at:.6f} {int(permit.is_local)}\n"
        os.write(log, line.encode())

    async def call(number: int) -> None:
        permit = await effects.drive_async(rates.admit(demand, patience=3600, pause=lambda _: None))
        note("begin", permit, number)
        try:
            await asyncio.sleep(load.seconds * chance.random())
        finally:
            # What it used is not said, so all that was asked counts.
            note("end", permit, number)
            permit.done(None)

    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.readline)
    await asyncio.gather(*(call(number) for number in range(load.tasks)))
    await redis.flush()


@dataclass(frozen=True)
class Event:
    """That a call began or ended: when by the clock of the machine, and when it was admitted by that which counted."""

    worker: int
    time: float
    what: str
    number: int
    at: float
    is_local: bool


class Workers:
    """So many processes, which begin together."""

    def __init__(self, load: Load, folder: Path, count: int) -> None:
        self._logs = [folder / f"worker-{number}.log" for number in range(count)]
        self.processes = [
            subprocess.Popen(
                [sys.executable, __file__, json.dumps(asdict(load) | {"log": str(log)})],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for log in self._logs
        ]

    def begin(self) -> None:
        for process in self.processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()

    def wait(self, seconds: float) -> list[int]:
        """The exit codes of all; a worker that is not through by then has locked up."""
        end_at = time.monotonic() + seconds
        return [process.wait(max(0.1, end_at - time.monotonic())) for process in self.processes]

    def kill(self, number: int) -> None:
        self.processes[number].send_signal(signal.SIGKILL)
        self.processes[number].wait(30)

    def events(self) -> list[Event]:
        """What they logged so far, in order of time."""
        found: list[Event] = []
        for worker, log in enumerate(self._logs):
            if log.exists():
                for line in log.read_text().splitlines():
                    moment, what, number, at, is_local = line.split()
                    found.append(Event(worker, float(moment), what, int(number), float(at), is_local == "1"))
        return sorted(found, key=lambda event: event.time)

    def until(self, count: int, seconds: float = 60) -> None:
        """Wait until so many calls have begun."""
        end_at = time.monotonic() + seconds
        while sum(event.what == "begin" for event in self.events()) < count:
            assert time.monotonic() < end_at, f"{count} calls never begin"
            time.sleep(0.01)

    def end(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait(30)
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                pipe.close()


@contextmanager
def workers(load: Load, folder: Path, count: int) -> Iterator[Workers]:
    """Processes that are through, or killed, behind the block."""
    made = Workers(load, folder, count)
    try:
        made.begin()
        yield made
    finally:
        made.end()


if __name__ == "__main__":
    asyncio.run(_work(Load(**json.loads(sys.argv[1]))))
