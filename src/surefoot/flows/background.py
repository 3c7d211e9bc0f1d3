"""Async work called from sync code: one loop in one thread, made when it is first needed."""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

from surefoot.effects import end_with_process
from surefoot.errors import UsageError

T = TypeVar("T")

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_thread: threading.Thread | None = None


def run_in_background(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in the caller's context on the background loop and wait for it. Ctrl-C cancels it."""
    loop = _background()
    if threading.current_thread() is _thread:
        work.close()
        raise UsageError(
            "an async flow was run by a blocking call in code that itself runs on the background loop, which would "
            "wait for ever: await it instead (app.run_async, app.resume_async, or the flow itself)"
        )
    context = contextvars.copy_context()
    result: Future[T] = Future()

    def start() -> None:
        tasks.append(loop.create_task(_hand_over(work, result), context=context))

    tasks: list[asyncio.Task[None]] = []
    loop.call_soon_threadsafe(start)
    try:
        return result.result()
    except (KeyboardInterrupt, SystemExit):
        # Let the flow end in good order, so that its run can be resumed at once.
        loop.call_soon_threadsafe(lambda: [task.cancel() for task in tasks])
        result.exception() if not result.cancelled() else None
        raise


async def run_in_thread(work: Callable[[], T]) -> T:
    """Run sync code in a worker thread, in the caller's context."""
    awaited: Awaitable[T] = asyncio.to_thread(work)
    return await awaited


async def _hand_over(work: Coroutine[Any, Any, T], result: Future[T]) -> None:
    """Whatever ends the work is the caller's: an exit that reached the loop would end it for everybody."""
    try:
        result.set_result(await work)
    except BaseException as error:
        result.set_exception(error)


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    while True:
        with suppress(SystemExit, KeyboardInterrupt):
            # Raised by a task that a flow began; whoever awaits that task gets it too.
            loop.run_forever()


def _background() -> asyncio.AbstractEventLoop:
    global _loop, _thread
    with _lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            _thread = threading.Thread(target=_serve, args=(_loop,), name="surefoot-loop", daemon=True)
            _thread.start()
            end_with_process(_loop)
        return _loop


def _forget() -> None:
    """A forked child has no such thread."""
    global _lock, _loop, _thread
    _lock, _loop, _thread = threading.Lock(), None, None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
