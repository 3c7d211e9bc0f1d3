"""Programs that are written once, as generators of effects, and driven by blocking code or on an event loop.

An effect is what a program asks of the outside; the effects of one room alone derive from `Effect` and are performed
by what that room gives to the driver.
"""

from __future__ import annotations

import atexit
import inspect
import os
import threading
import time
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, cast

from surefoot.errors import UsageError
from surefoot.locks import ForkSafeLock
from surefoot.scope import Ticket

if TYPE_CHECKING:
    import asyncio

R = TypeVar("R")
T = TypeVar("T")

_PATIENCE = 1.0
"""Seconds that the end of the process waits for a loop, which work may hold up."""

_lock = ForkSafeLock()
_bridge: asyncio.AbstractEventLoop | None = None


class Effect:
    """What a program asks of the outside."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Sleep(Effect):
    """Wait for some seconds; `pause` is how blocking code does so, where something may end the wait."""

    seconds: float
    pause: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True)
class Commit(Effect):
    """Wait until an outcome is durable."""

    ticket: Ticket


@dataclass(frozen=True, slots=True)
class Block(Effect):
    """Do work that may block for long, off the event loop where there is one."""

    work: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Await(Effect):
    """Await what a function gives, as a library needs that knows no blocking code."""

    work: Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Invoke(Effect):
    """Call code of the user's, for what it returns; on an event loop it may be async."""

    function: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Together(Effect):
    """Call functions side by side, for a list of what they return; an exception is raised once all are through."""

    functions: Sequence[Callable[[], object]]


# What comes back depends on the effect, so a program says at each `yield` what it is.
Program = Generator[Effect, object, R]


def drive(program: Program[R], perform: Callable[[Effect], object] | None = None) -> R:
    """Run a program in this thread; `perform` is for effects that are not of this module, and returns their results."""
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
                result = _perform(effect, perform)
            except BaseException as raised:  # noqa: BLE001 - the program decides what it means
                error = raised
    finally:
        error = None  # else exception, traceback and this frame hold each other


def handed_over(program: Program[object]) -> None:
    """Run a program up to its first commit and leave it there: for code that was cancelled, or may not wait."""
    try:
        effect = program.send(None)
    except StopIteration:
        return
    program.close()
    if not isinstance(effect, Commit):
        raise TypeError(f"a program that is only handed over asks for {effect!r}")


def _perform(effect: Effect, other: Callable[[Effect], object] | None) -> object:
    match effect:
        case Await(work):
            return bridged(work)
        case Commit(ticket):
            ticket.wait()
        case Sleep(seconds, pause):
            pause(seconds)
        case Block(work):
            return work()
        case Invoke(function):
            return _called(function)
        case Together(functions):
            return _side_by_side(functions)
        case _:
            return _given(other)(effect)
    return None


async def drive_async(program: Program[R], perform: Callable[[Effect], Awaitable[object]] | None = None) -> R:
    """Run a program on the running event loop; `perform` is for effects that are not of this module."""
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
                else:
                    result = await _perform_async(effect, perform)
            except BaseException as raised:  # noqa: BLE001 - the program decides what it means
                error = raised
    finally:
        error = None  # else exception, traceback and this frame hold each other


async def _perform_async(effect: Effect, other: Callable[[Effect], Awaitable[object]] | None) -> object:
    import asyncio

    match effect:
        case Sleep(seconds):
            await asyncio.sleep(seconds)
        case Block(work):
            return await asyncio.to_thread(work)
        case Invoke(function):
            return await _awaited(function)
        case Together(functions):
            return await _gathered(functions)
        case _:
            return await _given(other)(effect)
    return None


def _given(perform: Callable[[Effect], T] | None) -> Callable[[Effect], T]:
    if perform is None:
        raise TypeError("a program asks for an effect of its own room, and nobody was given who performs it")
    return perform


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
    if not functions:
        return []
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


def bridged(work: Callable[[], Awaitable[T]]) -> T:
    """Await, for blocking code: on a loop in a thread of ours. An interruption here cancels the work there."""
    import asyncio

    async def awaited() -> T:
        return await work()

    future = asyncio.run_coroutine_threadsafe(awaited(), background())
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


def background() -> asyncio.AbstractEventLoop:
    """The loop on which blocking code has things awaited, made when it is first needed."""
    global _bridge
    import asyncio

    with _lock:
        if _bridge is None or _bridge.is_closed():
            _bridge = asyncio.new_event_loop()
            threading.Thread(target=_bridge.run_forever, name="surefoot-bridge", daemon=True).start()
            end_with_process(_bridge)
        return _bridge


def end_with_process(loop: asyncio.AbstractEventLoop) -> None:
    """Let what is bound to a loop in a thread of ours end while the interpreter is whole.

    Connections are closed by open generators, which a loop ends when it is told to.
    """
    import asyncio

    owner = os.getpid()

    def end() -> None:
        # A forked child has no such thread.
        if os.getpid() == owner and loop.is_running():
            with suppress(Exception):
                asyncio.run_coroutine_threadsafe(loop.shutdown_asyncgens(), loop).result(_PATIENCE)

    atexit.register(end)


def _forget() -> None:
    """In a forked child the loop's thread is not there, and its connections are the parent's."""
    global _bridge
    _bridge = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
