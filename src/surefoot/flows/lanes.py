"""Which task or thread is running: what tells parallel chains of one scope apart."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_local = threading.local()


class _Job:
    """One piece of work of a thread pool; an identity that can be referred to weakly, and nothing more."""


def here() -> object:
    """The asyncio task that runs, else the job of a thread pool, else the thread: compared by identity."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    if task is not None:
        return task
    return getattr(_local, "job", None) or threading.current_thread()


def as_job(work: Callable[P, T]) -> Callable[P, T]:
    """`work` as a lane of its own, although a pool's thread runs many such jobs one after another."""

    def job(*args: P.args, **kwargs: P.kwargs) -> T:
        outer = getattr(_local, "job", None)
        _local.job = _Job()
        try:
            return work(*args, **kwargs)
        finally:
            _local.job = outer

    return job


def is_task() -> bool:
    """Whether this code runs in an asyncio task."""
    try:
        return asyncio.current_task() is not None
    except RuntimeError:
        return False
