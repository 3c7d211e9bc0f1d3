"""The threads in which pages are made."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import anyio.to_thread
from starlette.responses import Response

_COUNT = 8


class Threads:
    """So many pages are made side by side. Programs are answered in other threads, whatever the pages take."""

    def __init__(self) -> None:
        self._limiter: anyio.CapacityLimiter | None = None

    async def __call__(self, make: Callable[[], Response]) -> Response:
        """Make a page, which blocks."""
        if self._limiter is None:
            # Not before there is a loop, of which it is.
            self._limiter = anyio.CapacityLimiter(_COUNT)
        return await anyio.to_thread.run_sync(make, limiter=self._limiter)
