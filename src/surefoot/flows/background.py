"""Async work called from sync code: one loop in one thread, made when it is first needed."""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


def run_in_background(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in the caller's context on the background loop and wait for it. Ctrl-C cancels it."""
    loop = _background()
    context = contextvars.copy_context()
    result: Future[T] = Future()

    def start() -> None:
        task = loop.create_task(work, context=context)
        tasks.append(task)
        task.add_done_callback(lambda done: _hand_over(done, result))

    tasks: list[asyncio.Task[T]] = []
    loop.call_soon_threadsafe(start)
    try:
        return result.result()
    except KeyboardInterrupt:
        # Let the flow end in good order, so that its run can be resumed at once.
        loop.call_soon_threadsafe(lambda: [task.cancel() for task in tasks])
        result.exception() if not result.cancelled() else None
        raise


async def run_in_thread(work: Callable[[], T]) -> T:
    """Run sync code in a worker thread, in the caller's context."""
    awaited: Awaitable[T] = asyncio.to_thread(work)
    return await awaited


def _hand_over(done: asyncio.Task[T], result: Future[T]) -> None:
    if done.cancelled():
        result.set_exception(asyncio.CancelledError())
    elif (error := done.exception()) is not None:
        result.set_exception(error)
    else:
        result.set_result(done.result())


def _background() -> asyncio.AbstractEventLoop:
    global _loop
    with _lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="surefoot-loop", daemon=True).start()
        return _loop


def _forget() -> None:
    """A forked child has no such thread."""
    global _lock, _loop
    _lock, _loop = threading.Lock(), None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
