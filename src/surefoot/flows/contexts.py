"""Driving awaitables in a context of their own, and knowing when the garbage collector is at work."""

from __future__ import annotations

import contextvars
import gc
import threading
from collections.abc import Awaitable, Generator
from typing import Any


class InContext:
    """An awaitable whose every step is made in a context of its own, though its reader's task awaits it."""

    __slots__ = ("_awaitable", "_context")

    def __init__(self, context: contextvars.Context, awaitable: Awaitable[Any]) -> None:
        self._context = context
        self._awaitable = awaitable

    def __await__(self) -> Generator[Any, Any, Any]:
        steps: Any = self._awaitable.__await__()
        value: Any = None
        error: BaseException | None = None
        try:
            while True:
                try:
                    if error is not None:
                        asked = self._context.run(steps.throw, error)
                    else:
                        asked = self._context.run(steps.send, value)
                except StopIteration as done:
                    return done.value
                value = error = None
                try:
                    value = yield asked
                except BaseException as raised:
                    error = raised
        finally:
            error = None


_local = threading.local()


def watch_collections() -> None:
    if _note_collection not in gc.callbacks:
        gc.callbacks.append(_note_collection)


def _note_collection(phase: str, _details: object) -> None:
    _local.is_collecting = phase == "start"


def is_collecting() -> bool:
    """Whether the garbage collector is at work in this thread, in the midst of whatever ran here."""
    return getattr(_local, "is_collecting", False)
