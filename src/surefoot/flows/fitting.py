"""A function for whoever drives it: awaitable under an async driver, a plain value under a sync one."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from surefoot import scope
from surefoot.flows.background import run_in_background


def fitted(work: Callable[..., Any], *, is_async: bool) -> Callable[..., Any]:
    """`work`, which may be of either kind, for a driver of one kind."""

    async def awaited(*args: Any) -> Any:
        return await awaitable(work(*args))

    def called(*args: Any) -> Any:
        value = work(*args)
        return run_in_background(awaitable(value)) if inspect.isawaitable(value) else value

    return awaited if is_async else called


def unrecorded(work: Callable[..., Any], *, is_async: bool) -> Callable[..., Any]:
    """`fitted`, as plain code: nothing that it calls is recorded."""

    async def awaited(*args: Any) -> Any:
        with scope.hidden():
            return await awaitable(work(*args))

    def called(*args: Any) -> Any:
        with scope.hidden():
            return fitted(work, is_async=False)(*args)

    return awaited if is_async else called


async def awaitable(value: Any) -> Any:
    """The value, or what it gives if it is awaited itself."""
    return await value if inspect.isawaitable(value) else value
