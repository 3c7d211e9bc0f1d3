"""Who waits for room under a limit, in order: the first of a line tries, the others sleep until they are first."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from surefoot import effects
from surefoot.locks import ForkSafeLock

SLICE = 0.2
"""Seconds that blocking code waits at a time, between which it looks whether its run goes on."""


class Turn:
    """One that waits. `ticket` says since when: the lower one is first. `tokens` is what it will take."""

    __slots__ = ("_future", "_is_woken", "_lock", "_loop", "ticket", "tokens")

    def __init__(self, ticket: int, tokens: int) -> None:
        self.ticket = ticket
        self.tokens = tokens
        self._lock = ForkSafeLock()
        self._is_woken = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._future: asyncio.Future[None] | None = None

    def wake(self) -> None:
        """Let it look again, now or when it is about to rest; from any thread."""
        with self._lock:
            self._is_woken = True
            loop, future = self._loop, self._future
        if loop is not None and future is not None:
            # Its loop may have been closed, and nobody waits there any more.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_finish, future)

    async def rest(self, seconds: float) -> bool:
        """Sleep until it is woken, for so many seconds at most. True where blocking code waits for this."""
        loop = asyncio.get_running_loop()
        is_bridged = loop is effects.background()
        with self._lock:
            if self._is_woken:
                self._is_woken = False
                return is_bridged
            future = self._future = loop.create_future()
            self._loop = loop
        timer = loop.call_later(min(seconds, SLICE) if is_bridged else seconds, _finish, future)
        try:
            await future
        finally:
            timer.cancel()
            with self._lock:
                self._future = self._loop = None
                self._is_woken = False
        return is_bridged


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class Line:
    """Turns by their tickets. To be used under a lock."""

    __slots__ = ("tokens", "turns")

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self.tokens = 0

    @property
    def first(self) -> Turn | None:
        """The one that may try."""
        return self.turns[0] if self.turns else None

    def join(self, turn: Turn) -> None:
        """Stand behind all who have waited for longer."""
        place = len(self.turns)
        while place and self.turns[place - 1].ticket > turn.ticket:
            place -= 1
        self.turns.insert(place, turn)
        self.tokens += turn.tokens

    def leave(self, turn: Turn) -> None:
        """Go away; who is first then is woken."""
        if turn not in self.turns:
            # A forked child has forgotten those that wait in its parent.
            return
        was_first = self.first is turn
        self.turns.remove(turn)
        self.tokens -= turn.tokens
        if was_first:
            self.wake()

    def wake(self) -> None:
        """Let the first look again."""
        if self.turns:
            self.turns[0].wake()
