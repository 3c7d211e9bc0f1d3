"""Bounding one attempt of a step in time: by cancellation in async code, in a thread of its own in sync code."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Any


class Overran(Exception):
    """An attempt was not through in time. Never seen by users, who get `StepTimeout`."""

    def __init__(self, ended: threading.Event | None = None) -> None:
        super().__init__()
        self._ended = ended

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing of the attempt runs any more."""
        return self._ended is None or self._ended.is_set()

    def has_ended(self, *, within: float) -> bool:
        """Whether nothing of the attempt runs any more, after waiting for at most so many seconds.

        Python cannot stop a thread: what was given up may go on.
        """
        return self._ended is None or self._ended.wait(within)


def run_in_time(run: Callable[[], Any], inside: AbstractContextManager[object], seconds: float) -> Any:
    """Run sync code in a thread of its own, in the caller's context and inside of a scope. Raises `Overran`."""
    attempt = _Attempt(run, inside)
    # A daemon: what hangs for ever must not keep the process from ending.
    threading.Thread(
        target=contextvars.copy_context().run, args=(attempt,), name="surefoot-timed", daemon=True
    ).start()
    if not attempt.ended.wait(seconds):
        raise Overran(attempt.ended)
    return attempt.result()


async def await_in_time(
    run: Callable[[], Awaitable[Any]], inside: AbstractContextManager[object], seconds: float
) -> Any:
    """Await async code inside of a scope, and cancel it after so many seconds. Raises `Overran`."""
    with inside:
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                result = await run()
        except Exception as error:
            # Whatever the code made of its cancellation, it was too late.
            if limit.expired():
                raise Overran from error
            raise
    if limit.expired():
        raise Overran
    return result


class _Attempt:
    """What a thread does, and how that ended."""

    def __init__(self, run: Callable[[], Any], inside: AbstractContextManager[object]) -> None:
        self._run = run
        self._inside = inside
        self._result: Any = None
        self._error: BaseException | None = None
        self.ended = threading.Event()

    def __call__(self) -> None:
        try:
            with self._inside:
                self._result = self._run()
        except BaseException as error:
            self._error = error
        finally:
            self.ended.set()

    def result(self) -> Any:
        error, self._error = self._error, None
        if error is not None:
            raise error
        return self._result
