"""What happens in one run under way, for whoever follows it: the newest events, by number."""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
from collections import deque
from typing import TYPE_CHECKING

from surefoot.flows import RunOpened

if TYPE_CHECKING:
    from surefoot.flows import RunEvent


class Feed:
    """The newest events of a run, numbered from 0. Told from any thread, read on event loops.

    Who reads more slowly than things happen misses the oldest of them and is told so: what is kept is bounded.
    """

    __slots__ = ("_events", "_first", "_lock", "_readers", "is_opened", "is_over", "mark", "run_id")

    def __init__(self, run_id: str, *, kept: int) -> None:
        self.run_id = run_id
        self.mark = os.urandom(6).hex()
        """What tells its numbers from those of other feeds of the run."""
        self.is_opened = False
        """Whether the run has begun, so that it is recorded."""
        self.is_over = False
        self._events: deque[RunEvent] = deque(maxlen=kept)
        self._first = 0
        # Of one run, and none that a forked child has: a child runs nothing of its parent's.
        self._lock = threading.Lock()
        self._readers: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    def see(self, event: RunEvent) -> None:
        """Take an event in; this is the listener of the run."""
        if isinstance(event, RunOpened):
            self.run_id = event.run_id
            self.is_opened = True
        events = self._events
        with self._lock:
            if len(events) == events.maxlen:
                self._first += 1
            events.append(event)
            readers = self._readers
        if readers:
            self._wake(readers)

    def end(self) -> None:
        """Nothing more happens here."""
        with self._lock:
            self.is_over = True
            readers = list(self._readers)
        self._wake(readers)

    def after(self, number: int) -> tuple[int, list[RunEvent]]:
        """The events from this number on, and the number of the first of them, which is higher where some are gone."""
        with self._lock:
            begin = min(max(number, self._first), self._first + len(self._events))
            return begin, list(itertools.islice(self._events, begin - self._first, None))

    def enter(self, news: asyncio.Event) -> None:
        """Set `news`, on the loop that runs here, whenever something happens, until `leave`."""
        with self._lock:
            self._readers = [*self._readers, (asyncio.get_running_loop(), news)]

    def leave(self, news: asyncio.Event) -> None:
        with self._lock:
            self._readers = [reader for reader in self._readers if reader[1] is not news]

    @staticmethod
    def _wake(readers: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]]) -> None:
        for loop, news in readers:
            if not news.is_set():
                try:
                    loop.call_soon_threadsafe(news.set)
                except RuntimeError:
                    # The loop of a reader that is gone is closed.
                    continue
