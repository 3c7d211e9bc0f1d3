"""Carrying the open run into threads, which start without it."""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from surefoot import scope
from surefoot.errors import OutsideRun
from surefoot.flows import lanes
from surefoot.locks import ForkSafeLock

P = ParamSpec("P")
T = TypeVar("T")

_lock = ForkSafeLock()
_original: Callable[..., Any] | None = None


def carry(function: Callable[P, T]) -> Callable[P, T]:
    """`function` bound to the run that is open here, for a thread that is started by hand.

    `threading.Thread(target=carry(work))`; pools of `concurrent.futures` and `asyncio.to_thread` need no help.
    """
    return _carried(function, lanes.name_of(function))


def _carried(function: Callable[P, T], name: str) -> Callable[P, T]:
    context = lanes.branched_context(name)
    job = lanes.as_job(function)

    def carried(*args: P.args, **kwargs: P.kwargs) -> T:
        # A context can be entered by one thread at a time; each call gets a copy.
        return context.copy().run(job, *args, **kwargs)

    return carried


def patch_executors() -> None:
    """Let `ThreadPoolExecutor.submit` (and so `map` and `run_in_executor`) carry an open run. Does it once."""
    global _original
    with _lock:
        if _original is not None:
            return
        original = _original = concurrent.futures.ThreadPoolExecutor.submit

        def submit(
            self: concurrent.futures.ThreadPoolExecutor, fn: Callable[..., Any], /, *args: Any, **kwargs: Any
        ) -> concurrent.futures.Future[Any]:
            if scope.current() is not None:
                fn = _carried(fn, lanes.name_of(fn, *args))
            return original(self, fn, *args, **kwargs)

        concurrent.futures.ThreadPoolExecutor.submit = submit  # type: ignore[method-assign, assignment]


def refuse_lost_context(name: str, open_runs: int) -> None:
    """Raise `OutsideRun` where a step is called from a thread that was started without its run's context."""
    if open_runs and threading.current_thread() is not threading.main_thread() and not lanes.is_task():
        raise OutsideRun(
            f"step {name!r} was called in thread {threading.current_thread().name!r}, which does not see the open run: "
            "start the thread with carry(fn), or declare @step(plain=True) if it is meant to run outside of runs"
        )
