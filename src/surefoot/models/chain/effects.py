"""What an exchange asks of the outside, and the drivers that do it: one blocking, one on an event loop."""

from __future__ import annotations

import inspect
import time
from collections.abc import Awaitable, Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, cast

from surefoot.errors import UsageError
from surefoot.models.generating.transport import bridged
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
    """Wait for some seconds; `pause` is how blocking code does so, where something may end the wait."""

    seconds: float
    pause: Callable[[float], None] = time.sleep


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
    """Await what a function gives, as a library needs that knows no blocking code."""

    work: Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Invoke:
    """Call code of the user's, for what it returns; on an event loop it may be async."""

    function: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Together:
    """Call functions side by side, for a list of what they return; an exception is raised once all are through."""

    functions: Sequence[Callable[[], object]]


Own = Read | Close | Sleep | Commit | Block | Await | Invoke | Together
Effect = Send | Own

# What comes back depends on the effect, so a program says at each `yield` what it is.
Program = Generator[Effect, object, R]


def drive(program: Program[R], send: Callable[[Send], httpx2.Response] | None = None) -> R:
    """Run a program in this thread; `send` is not needed where it awaits its own library: a loop of ours does that."""
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
                result = _given(send)(effect) if isinstance(effect, Send) else _perform(effect)
            except BaseException as raised:  # noqa: BLE001 - the program decides what it means
                error = raised
    finally:
        error = None  # else exception, traceback and this frame hold each other


def _perform(effect: Own) -> object:
    match effect:
        case Await(work):
            return bridged(work)
        case Commit(ticket):
            ticket.wait()
        case Read(response):
            response.read()
        case Close(response):
            response.close()
        case Sleep(seconds, pause):
            pause(seconds)
        case Block(work):
            return work()
        case Invoke(function):
            return _called(function)
        case Together(functions):
            return _side_by_side(functions)
    return None


async def drive_async(
    program: Program[R], send: Callable[[Send], Awaitable[httpx2.Response]] | None = None
) -> R:
    """Run a program on the running event loop; `send` is not needed where it awaits its own library."""
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
                # The two of every call of ours, without the cost of another coroutine.
                if isinstance(effect, Await):
                    result = await effect.work()
                elif isinstance(effect, Commit):
                    await effect.ticket
                elif isinstance(effect, Send):
                    result = await _given(send)(effect)
                else:
                    result = await _perform_async(effect)
            except BaseException as raised:  # noqa: BLE001 - the program decides what it means
                error = raised
    finally:
        error = None  # else exception, traceback and this frame hold each other


async def _perform_async(effect: Own) -> object:
    import asyncio

    match effect:
        case Read(response):
            await response.aread()
        case Close(response):
            await response.aclose()
        case Sleep(seconds):
            await asyncio.sleep(seconds)
        case Block(work):
            return await asyncio.to_thread(work)
        case Invoke(function):
            return await _awaited(function)
        case Together(functions):
            return await _gathered(functions)
        case Await() | Commit():
            raise TypeError(f"{effect!r} is performed by the driver itself")
    return None


def _given(send: Callable[[Send], R] | None) -> Callable[[Send], R]:
    if send is None:
        raise TypeError("a program that sends was given no way to do so")
    return send


def _called(function: Callable[[], object]) -> object:
    result = function()
    if inspect.isawaitable(result):
        if inspect.iscoroutine(result):
            result.close()
        raise UsageError(
            "blocking code was given an async function to call: give it a sync one, or `await generate(...)` in an "
            "async flow"
        )
    return result


def _side_by_side(functions: Sequence[Callable[[], object]]) -> list[object]:
    if len(functions) == 1:
        return [_called(functions[0])]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(len(functions), thread_name_prefix="surefoot-tool") as pool:
        futures = [pool.submit(_called, function) for function in functions]
        # Leaving the pool waits for all of them.
    return [future.result() for future in futures]


async def _awaited(function: Callable[[], object]) -> object:
    result = function()
    return await result if inspect.isawaitable(result) else result


async def _gathered(functions: Sequence[Callable[[], object]]) -> list[object]:
    import asyncio

    if len(functions) == 1:
        return [await _awaited(functions[0])]
    results = await asyncio.gather(*map(_awaited, functions), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results
