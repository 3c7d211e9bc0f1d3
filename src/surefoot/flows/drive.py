"""Logic that is written once, as a generator of effects, and driven by sync or async code."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeVar

from surefoot.flows import lanes
from surefoot.scope import Ticket

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Body:
    """Run the user's code; its result is sent back, its exception thrown in."""

    run: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Durable:
    """Go on once the ticket is durable."""

    ticket: Ticket


@dataclass(frozen=True, slots=True)
class Pause:
    """Go on after so many seconds."""

    seconds: float


Effect = Body | Durable | Pause
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
                match effect:
                    case Body(run):
                        value = run()
                    case Durable(ticket):
                        ticket.wait()
                    case Pause(seconds):
                        time.sleep(seconds)
            except BaseException as raised:
                error = raised
    finally:
        error = None  # else exception, traceback and this frame hold each other


async def drive_async(logic: Logic[T]) -> T:
    """Perform the effects in the caller's task."""
    lanes.follow(asyncio.get_running_loop())
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
                match effect:
                    case Body(run):
                        awaited: Awaitable[Any] = run()
                        value = await awaited
                    case Durable(ticket):
                        await ticket
                    case Pause(seconds):
                        await asyncio.sleep(seconds)
            except BaseException as raised:
                error = raised
    finally:
        error = None
