"""Flows that crash at chosen moments and are resumed, by edited code or the same, and the world that they act on.

A flow is written once, as a coroutine, and is run in two ways: as an async flow on an event loop, with `side_by_side`
as a gather; and as a sync flow, with `side_by_side` in a pool of threads.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import threading
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import orjson

from surefoot import App, flow, scope, step
from surefoot.errors import Diverged, StepFailed
from surefoot.scope import Ending, Work
from surefoot.values import CallFacts
from tampering import as_ours

Mode = Literal["async", "sync"]
Code = Callable[[], Coroutine[Any, Any, Any]]


class Crash(BaseException):
    """The process ends here."""


@dataclass
class World:
    """What lies outside of the process. A process crashes at one of its points, and does nothing afterwards."""

    mode: Mode
    seed: int = 0
    crash_at: int = 0
    process: int = 1
    points: int = 0
    is_dead: bool = False
    done: list[str] = field(default_factory=list[str])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def point(self) -> None:
        """A moment at which the process may be killed."""
        with self._lock:
            self.points += 1
            self.is_dead = self.is_dead or self.points == self.crash_at
            if self.is_dead:
                raise Crash

    async def act(self, what: str) -> str:
        """Do something that shows outside; what comes back depends on what was done and where in the code."""
        await self.dawdle()
        self.point()
        label = f"{what} at {_place.get()}" if _place.get() else what
        with self._lock:
            self.done.append(label)
        self.point()
        await self.dawdle()
        return label

    async def dawdle(self) -> None:
        """Time that the record knows nothing of: another in each process."""
        with self._lock:
            ticks = self._random.randrange(4)
        if self.mode == "sync":
            threading.Event().wait(0.0002 if ticks == 3 else 0)
            return
        for _ in range(ticks):
            await asyncio.sleep(0)


_world: ContextVar[World] = ContextVar("world")
_place: ContextVar[str] = ContextVar("place", default="")


def world() -> World:
    return _world.get()


@contextmanager
def at(place: str) -> Generator[None]:
    """Where in the code the work inside stands: it shows in the results, and takes no part in any identity."""
    token = _place.set(place)
    try:
        yield
    finally:
        _place.reset(token)


def finished(code: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that never has to wait."""
    try:
        code.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("sync code waited for something")


def stepped(
    name: str, body: Callable[[Any], Coroutine[Any, Any, Any]] | None = None, **options: Any
) -> Callable[[Any], Coroutine[Any, Any, Any]]:
    """A step of both kinds: one that acts on the world under its name and input, or one with a body."""

    async def acted(what: Any) -> Any:
        return await world().act(f"{name} {what}")

    inside = body or acted

    async def asynchronous(what: Any) -> Any:
        return await inside(what)

    def synchronous(what: Any) -> Any:
        return finished(inside(what))

    kind: Callable[[Any], Any] = step(name=name, **options)
    both: dict[Mode, Any] = {"async": kind(asynchronous), "sync": kind(synchronous)}

    async def call(what: Any) -> Any:
        result: Any = both[world().mode](what)
        return await result if world().mode == "async" else result

    return call


async def ask(prompt: str) -> str:
    """A model call, as the room of models makes it."""
    here = scope.current()
    assert here is not None
    claim = here.claim(Work("call", "ask", {"prompt": prompt}))
    if claim.recorded is not None:
        answer: Any = claim.recorded.output
        return str(answer)
    try:
        answer = await world().act(f"ask {prompt}")
    except BaseException:
        claim.abandon()
        raise
    ticket = claim.finish(Ending("completed", answer, call=CallFacts("test", "model", "model")))
    if world().mode == "sync":
        ticket.wait()
    else:
        await ticket
    return str(answer)


async def side_by_side(*chains: Coroutine[Any, Any, Any]) -> list[Any]:
    """The results of all, in a gather or in a pool of threads."""
    if world().mode == "async":
        return list(await asyncio.gather(*chains))
    try:
        with ThreadPoolExecutor(len(chains)) as pool:
            return list(pool.map(finished, chains))
    finally:
        for chain in chains:
            chain.close()


@dataclass(frozen=True)
class Killed:
    """A run that was killed: where, what is durable of it, and in what world."""

    run_id: str
    kept: set[str]
    mode: Mode
    seed: int
    where: str

    def next_world(self, process: int) -> World:
        return World(self.mode, seed=self.seed + process, process=process)


@dataclass(frozen=True)
class Edit:
    """Two versions of a flow, and where going on with the second could repeat what the first has done.

    `stops` maps what was done to what must not be done any more without consent; `moved` is all that consent lets
    be done again. Where `is_racing`, equal calls follow after unrecorded time: if the code may have changed, nothing
    tells whether a lane is the same or stands where another one stood (`key=` would).
    """

    before: Code
    after: Code
    stops: dict[str, str] = field(default_factory=dict[str, str])
    moved: frozenset[str] = frozenset()
    is_racing: bool = False


def flow_of(code: Code, mode: Mode) -> Any:
    async def asynchronous() -> Any:
        result = await code()
        world().point()
        return result

    def synchronous() -> Any:
        result = finished(code())
        world().point()
        return result

    return flow(name="edited")(asynchronous if mode == "async" else synchronous)


def in_world(what: World, app: App, act: Callable[[], Any]) -> Any:
    token = _world.set(what)
    try:
        with app.entered():
            made = act()
            return asyncio.run(made) if what.mode == "async" else made
    finally:
        _world.reset(token)


def run(code: Code, app: App, what: World) -> Any:
    made = flow_of(code, what.mode)
    return in_world(what, app, lambda: app.run_async(made) if what.mode == "async" else app.run(made))


def resume(code: Code, app: App, what: World, run_id: str, *, accept: bool = False) -> Any:
    made = flow_of(code, what.mode)
    go = app.resume_async if what.mode == "async" else app.resume
    return in_world(what, app, lambda: go(run_id, flow=made, accept_divergence=accept))


def durable(app: App, run_id: str) -> set[str]:
    """What is recorded as done: each leaf of the tree has its own label."""
    views = (
        app.ledger.view(link.outcome.output)
        for link in app.ledger.history(run_id)
        if link.outcome.kind in ("step", "call")
    )
    return {value for value in map(orjson.loads, views) if isinstance(value, str)}


def touch(app: App, run_id: str) -> None:
    """Let the run have begun under a file that read differently."""
    with sqlite3.connect(app.ledger.path) as connection:
        connection.execute("UPDATE runs SET code_digest = 'another' WHERE id = ?", (run_id,))
    connection.close()
    as_ours(Path(app.ledger.where))


def crash(edit: Edit, app: App, mode: Mode, *, point: int, seed: int, is_touched: bool) -> Killed:
    """A run that was killed at that point; `is_touched`: the file has changed since, though not this flow's code."""
    killed = World(mode, seed=seed, crash_at=point)
    try:
        run(edit.before, app, killed)
    except Crash:
        pass
    else:
        raise AssertionError(f"there is no point {point}")
    run_id = app.ledger.run("last").id
    if is_touched:
        touch(app, run_id)
    where = f"killed at {point}, seed {seed}{', file touched' if is_touched else ''}"
    return Killed(run_id, durable(app, run_id), mode, seed, where)


def reference(code: Code, app: App, mode: Mode, *, process: int) -> tuple[Any, int]:
    """What an uninterrupted run returns, and how many points it has."""
    whole = World(mode, process=process)
    return run(code, app, whole), whole.points


def go_on(code: Code, app: App, what: World, run_id: str) -> tuple[Any, Diverged | None]:
    """What the resumed run returns, or why it stopped."""
    try:
        return resume(code, app, what, run_id), None
    except Diverged as stopped:
        return None, stopped
    except StepFailed as failed:
        if not isinstance(failed.__cause__, Diverged):
            raise
        return None, failed.__cause__
