"""Killing a load at random moments, until it is done all the same."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import orders
import outside
from grounds import Grounds

What = Literal["worker", "server", "both"]

_LOOK_EVERY_S = 0.005
_MOST_TROUBLES = 3


@dataclass(frozen=True)
class Load:
    """How much is to be done, and how often that is interrupted; `server_kills` only where there is a server."""

    orders: int
    in_flight: int
    kills: int
    server_kills: int
    seed: int
    seconds: float
    """After this time something hangs."""
    workers: int = 1
    """Processes that share the load; one of them is killed at a time, while the others go on."""
    longest_away: float = 3.0
    """For how many seconds a killed server is away at most."""
    syncs: bool = True
    """Whether that server waits for the disk, as it does in earnest."""


@dataclass(frozen=True)
class Moment:
    """When so much of the work is done, something is killed; the process after it perhaps before it gets going."""

    progress: float
    what: What
    early: tuple[float, ...] = ()
    """For each process after it that is killed as it starts or resumes: when, in parts of the time that takes."""
    after: float = 0.0
    away: float = 0.0
    """How many seconds later, and for how many seconds the server is away."""


@dataclass
class Course:
    """What was done to a load."""

    kills: int = 0
    early_kills: int = 0
    server_kills: int = 0
    processes: int = 0
    seconds: float = 0.0
    troubles: list[list[str]] = field(default_factory=list)


def moments_of(load: Load, dice: random.Random) -> list[Moment]:
    """When what is killed: a third of the processes while they start or resume, the others under way."""
    early = load.kills // 3
    under_way = load.kills - early
    both = min(load.server_kills // 2, under_way)
    kinds: list[What] = ["worker"] * (under_way - both)
    kinds += ["both"] * both
    kinds += ["server"] * (load.server_kills - both)
    dice.shuffle(kinds)
    spread: list[list[float]] = [[] for _ in kinds]
    with_successor = [place for place, what in enumerate(kinds) if what != "server"]
    for _ in range(early):
        spread[dice.choice(with_successor)].append(dice.uniform(0.0, 1.3))
    progress = sorted(dice.uniform(0.0, 0.9) for _ in kinds)
    return [
        Moment(at, what, tuple(soon), dice.uniform(0.0, 0.05), dice.uniform(0.0, load.longest_away))
        for at, what, soon in zip(progress, kinds, spread, strict=True)
    ]


class Killer:
    """Starts one worker after the other, and kills it."""

    def __init__(self, grounds: Grounds, load: Load) -> None:
        self._grounds = grounds
        self._load = load
        self._dice = random.Random(load.seed)
        self._executed = grounds.folder / outside.EXECUTED
        self._line = 0
        self._whole = load.orders * len(orders.DEFAULT)
        self._end_at = time.monotonic() + load.seconds
        self._startup_s = 1.0
        self._workers: list[subprocess.Popen[bytes]] = []
        self.course = Course()

    def run(self) -> Course:
        """The course of the load, once it is done."""
        began = time.monotonic()
        try:
            self._workers += [self._start(place) for place in range(self._load.workers)]
            for moment in moments_of(self._load, self._dice):
                self._wait_for(moment.progress)
                time.sleep(moment.after)
                self._strike(moment)
            self._wait_for(float("inf"))
        finally:
            for worker in self._workers:
                worker.kill()
                worker.wait()
        self.course.seconds = time.monotonic() - began
        return self.course

    def _strike(self, moment: Moment) -> None:
        server = self._grounds.server
        if moment.what != "worker" and server is not None:
            server.kill()
            self.course.server_kills += 1
        if moment.what != "server":
            place = self._dice.randrange(self._load.workers)
            self._kill(place)
            for part in moment.early:
                time.sleep(part * self._startup_s)
                self._kill(place)
                self.course.early_kills += 1
        if moment.what != "worker" and server is not None:
            time.sleep(moment.away)
            server.start()

    def _start(self, place: int) -> subprocess.Popen[bytes]:
        load = self._load
        self.course.processes += 1
        return self._grounds.start(load.orders, load.in_flight // load.workers, place, load.workers)

    def _kill(self, place: int) -> None:
        """Kill a worker; another one takes its place."""
        self._workers[place].send_signal(signal.SIGKILL)
        if self._workers[place].wait() == -signal.SIGKILL:
            self.course.kills += 1
        self._workers[place] = self._start(place)

    def _wait_for(self, progress: float) -> None:
        """Wait until so much is done, or all is. A worker that ends in an error is another one's work to finish."""
        began, before, is_measured = time.monotonic(), self._size(), False
        while self._progress() < progress and not all(worker.poll() == 0 for worker in self._workers):
            for place, worker in enumerate(self._workers):
                if code := worker.poll():
                    said = _tail(self._grounds.folder / "log")
                    self.course.troubles.append([f"a worker ended with {code}", said])
                    self._workers[place] = self._start(place)
            if time.monotonic() > self._end_at:
                self.course.troubles.append(["the load is not done", f"in {self._load.seconds:.0f} s"])
                return
            if len(self.course.troubles) >= _MOST_TROUBLES:
                return
            if not is_measured and self._size() > before:
                is_measured = True
                self._startup_s = min(3.0, max(0.5, time.monotonic() - began))
            time.sleep(_LOOK_EVERY_S)

    def _size(self) -> int:
        return self._executed.stat().st_size if self._executed.exists() else 0

    def _progress(self) -> float:
        """How much of the work is done: 1 and more where all is, as some of it is done again."""
        size = self._size()
        if size and not self._line:
            self._line = len(self._executed.read_bytes().partition(b"\n")[0]) + 1
        return size / (self._line * self._whole) if self._line else 0.0


def _tail(file: Path) -> str:
    return file.read_text(errors="replace")[-2000:]
