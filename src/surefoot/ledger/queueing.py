"""Calls of one process that wait for room in an account: in a queue for each, of which the first alone asks again."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from surefoot import scope
from surefoot.locks import ForkSafeLock

if TYPE_CHECKING:
    import asyncio

_SLICE_S = 0.25
"""How long blocking code waits until it looks whether its run goes on."""


class Bell:
    """A wait that ends when somebody rings, or after some seconds; a ticket for `surefoot.effects.Commit`."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.is_rung = False
        self._lock = threading.Lock()
        self._lock.acquire()
        self._future: tuple[asyncio.AbstractEventLoop, asyncio.Future[None]] | None = None

    def ring(self) -> None:
        """End the wait, from any thread."""
        if self.is_rung:
            return
        self.is_rung = True
        with suppress(RuntimeError):
            self._lock.release()
        if (waiting := self._future) is not None:
            with suppress(RuntimeError):
                waiting[0].call_soon_threadsafe(_end, waiting[1])

    def wait(self) -> None:
        """Block. Raises `RunStopped` soon after the run has stopped."""
        left = self._seconds
        here = scope.current()
        while left > 0 and not self._lock.acquire(timeout=min(left, _SLICE_S)):
            left -= _SLICE_S
            if here is not None:
                here.check()

    def __await__(self) -> Generator[Any, None, None]:
        import asyncio

        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        # Set first, then looked at: whichever side comes second sees the other.
        self._future = (loop, future)
        if self.is_rung:
            return
        timer = loop.call_later(max(0.0, self._seconds), _end, future)
        try:
            yield from future
        finally:
            timer.cancel()


def _end(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class Place:
    """The place of one call in the queue of one account."""

    __slots__ = ("_bell", "_queues", "account")

    def __init__(self, queues: Queues, account: str) -> None:
        self._queues = queues
        self.account = account
        self._bell: Bell | None = None

    @property
    def is_first(self) -> bool:
        return self._queues.first(self.account) is self

    def bell(self, seconds: float, pause: float) -> Bell:
        """What is waited for: for `seconds`, or until this one is first; then for `pause`, or until a settlement."""
        is_first = self.is_first
        bell = self._bell = Bell(min(seconds, pause) if is_first else seconds)
        if not is_first and self.is_first:
            # Its turn came in between, and nobody could ring.
            bell.ring()
        return bell

    def ring(self) -> None:
        """Something has changed."""
        if self._bell is not None:
            self._bell.ring()

    def leave(self) -> None:
        """Wait no more; the next one is told that it is first."""
        self._queues.leave(self)


class Queues:
    """The queues of a process, by account."""

    def __init__(self) -> None:
        self._lock = ForkSafeLock()
        self._queues: dict[str, deque[Place]] = {}

    def join(self, account: str) -> Place:
        """A place at the end."""
        place = Place(self, account)
        with self._lock:
            self._queues.setdefault(account, deque()).append(place)
        return place

    def first(self, account: str) -> Place | None:
        """Whose turn it is; None where nobody waits."""
        with self._lock:
            queue = self._queues.get(account)
            return queue[0] if queue else None

    def leave(self, place: Place) -> None:
        """See `Place.leave`."""
        with self._lock:
            queue = self._queues.get(place.account)
            if queue is not None:
                with suppress(ValueError):
                    queue.remove(place)
                if not queue:
                    del self._queues[place.account]
        self.ring([place.account])

    def ring(self, accounts: Iterable[str]) -> None:
        """Something was settled on these accounts."""
        if self._queues:
            for account in accounts:
                if (first := self.first(account)) is not None:
                    first.ring()
