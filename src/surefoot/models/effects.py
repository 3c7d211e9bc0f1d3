"""What an exchange asks of the outside, and the drivers that do it: one blocking, one on an event loop."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, cast

from surefoot.scope import Ticket

if TYPE_CHECKING:
    import httpx2

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Send:
    """Send a request, for the response as soon as its headers are there; a routed one by a client of ours."""

    request: httpx2.Request
    is_routed: bool = False


@dataclass(frozen=True, slots=True)
class Read:
    """Read the whole body of a response."""

    response: httpx2.Response


@dataclass(frozen=True, slots=True)
class Close:
    """Close a response that is of no further use."""

    response: httpx2.Response


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait for some seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Commit:
    """Wait until an outcome is durable."""

    ticket: Ticket


@dataclass(frozen=True, slots=True)
class Block:
    """Do work that may block for long, off the event loop where there is one."""

    work: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Await:
    """Await what a function gives, as a library needs that knows no blocking code; only an event loop can."""

    work: Callable[[], Awaitable[object]]


Effect = Send | Read | Close | Sleep | Commit | Block | Await

# What comes back depends on the effect, so a program says at each `yield` what it is.
Program = Generator[Effect, object, R]


def drive(program: Program[R], send: Callable[[Send], httpx2.Response]) -> R:
    """Run a program in this thread."""
    result: object = None
    error: BaseException | None = None
    try:
        while True:
            try:
                effect = program.send(result) if error is None else program.throw(error)
            except StopIteration as done:
                return cast("R", done.value)
            result = error = None
            try:
                match effect:
                    case Send():
                        result = send(effect)
                    case Read(response):
                        response.read()
                    case Close(response):
                        response.close()
                    case Sleep(seconds):
                        time.sleep(seconds)
                    case Commit(ticket):
                        ticket.wait()
                    case Block(work):
                        result = work()
                    case Await():
                        raise TypeError("a program that awaits was given to blocking code")  # noqa: TRY301
            except BaseException as raised:  # noqa: BLE001 - the program decides what it means
                error = raised
    finally:
        error = None  # else exception, traceback and this frame hold each other


async def drive_async(
    program: Program[R], send: Callable[[Send], Awaitable[httpx2.Response]] | None = None
) -> R:
    """Run a program on the running event loop; `send` is not needed where it awaits its own library."""
    import asyncio

    result: object = None
    error: BaseException | None = None
    try:
        while True:
            try:
                effect = program.send(result) if error is None else program.throw(error)
            except StopIteration as done:
                return cast("R", done.value)
            result = error = None
            try:
                match effect:
                    case Send() if send is not None:
                        result = await send(effect)
                    case Send():
                        raise TypeError("a program that sends was given no way to do so")  # noqa: TRY301
                    case Read(response):
                        await response.aread()
                    case Close(response):
                        await response.aclose()
                    case Sleep(seconds):
                        await asyncio.sleep(seconds)
                    case Commit(ticket):
                        await ticket
                    case Block(work):
                        result = await asyncio.to_thread(work)
                    case Await(work):
                        result = await work()
            except BaseException as raised:  # noqa: BLE001 - the program decides what it means
                error = raised
    finally:
        error = None  # else exception, traceback and this frame hold each other
