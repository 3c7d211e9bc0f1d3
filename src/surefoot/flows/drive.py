"""Logic that is written once, as a generator of effects, and driven by sync or async code."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

from surefoot.errors import UsageError
from surefoot.flows import lanes
from surefoot.flows.stopping import Brake
from surefoot.flows.timing import await_in_time, run_in_time
from surefoot.scope import Ticket

T = TypeVar("T")


# Effects are not frozen: that would double what it costs to make one, of which each step makes several.
@dataclass(slots=True)
class Body:
    """Run the user's code; its result is sent back, its exception thrown in."""

    run: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Timed:
    """`Body` inside of a scope and for at most so many seconds; `Overran` is thrown in where it takes longer."""

    run: Callable[[], Any]
    inside: AbstractContextManager[object]
    seconds: float


@dataclass(slots=True)
class Durable:
    """Go on once the ticket is durable."""

    ticket: Ticket


@dataclass(frozen=True, slots=True)
class Pause:
    """Go on after so many seconds; sync code goes on at once when the run stops."""

    seconds: float
    brake: Brake | None = None


@dataclass(frozen=True, slots=True)
class AskDriver:
    """Whether async code drives this, whose bodies have to be awaitable: True or False is sent back."""


Effect = Body | Timed | Durable | Pause | AskDriver
Logic = Generator[Effect, Any, T]


def drive(logic: Logic[T]) -> T:
    """Perform the effects in the caller's own thread."""
    value: Any = None
    error: BaseException | None = None
    try:
        while True:
            try:
                effect = logic.throw(error) if error is not None else logic.send(value)
            except StopIteration as done:
                result: T = done.value
                return result
            value = error = None
            try:
                # The two of every step, without the cost of a `match`.
                if isinstance(effect, Durable):
                    effect.ticket.wait()
                elif isinstance(effect, Body):
                    value = effect.run()
                else:
                    value = _perform(effect)
            except BaseException as raised:
                error = raised
    finally:
        error = None  # else exception, traceback and this frame hold each other


def _perform(effect: Timed | Pause | AskDriver) -> Any:
    match effect:
        case Timed(run, inside, seconds):
            return run_in_time(run, inside, seconds)
        case Pause(seconds, Brake() as brake):
            brake.pause(seconds)
        case Pause(seconds):
            time.sleep(seconds)
        case AskDriver():
            return False
    return None


def _running_loop() -> asyncio.AbstractEventLoop:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise UsageError(
            "an async flow or step is awaited where no asyncio loop runs: use asyncio.run, or anyio with its asyncio "
            "backend (uvloop is fine, trio is not supported)"
        ) from None


async def drive_async(logic: Logic[T]) -> T:
    """Perform the effects in the caller's task."""
    lanes.follow(_running_loop())
    value: Any = None
    error: BaseException | None = None
    try:
        while True:
            try:
                effect = logic.throw(error) if error is not None else logic.send(value)
            except StopIteration as done:
                result: T = done.value
                return result
            value = error = None
            try:
                if isinstance(effect, Durable):
                    await effect.ticket
                elif isinstance(effect, Body):
                    value = await effect.run()
                else:
                    value = await _perform_async(effect)
            except BaseException as raised:
                error = raised
    finally:
        error = None


async def _perform_async(effect: Timed | Pause | AskDriver) -> Any:
    match effect:
        case Timed(run, inside, seconds):
            return await await_in_time(run, inside, seconds)
        case Pause(seconds):
            await asyncio.sleep(seconds)
        case AskDriver():
            return True
    return None
