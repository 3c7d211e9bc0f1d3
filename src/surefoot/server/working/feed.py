"""What happens in one run under way, for whoever follows it: the newest events, and the newest words of models."""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from surefoot.flows import CallStreamed, RunOpened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from surefoot.flows import RunEvent

_LONGEST = 4096
"""Characters up to which pieces of an answer that nobody has read become one."""
_MOST_CHARACTERS = 262_144
"""Characters of pieces that are kept for one run."""


@dataclass(frozen=True, slots=True)
class Place:
    """How far somebody has read a feed: so many events, and so many pieces of answers."""

    events: int = 0
    pieces: int = 0


@dataclass(frozen=True, slots=True)
class News:
    """What is there behind a place: each event with the place behind it, and how many there were that are gone.

    `place` is where it goes on.
    """

    told: Sequence[tuple[Place, RunEvent]]
    missed: Place
    place: Place


class Feed:
    """The newest events of a run. Told from any thread, read on event loops.

    Who reads more slowly than things happen misses the oldest of them and is told so: what is kept is bounded. Pieces
    of answers are kept apart, so that a model that says much drives out no steps; those that nobody has read yet become
    longer and not more. Nothing here waits for a reader.
    """

    __slots__ = (
        *("_events", "_first", "_first_piece", "_lock", "_pieces", "_read", "_readers", "_size"),
        *("is_opened", "is_over", "mark", "run_id"),
    )

    def __init__(self, run_id: str, *, kept: int) -> None:
        """kept: how many events, and how many pieces."""
        self.run_id = run_id
        self.mark = os.urandom(6).hex()
        """What tells its places from those in other feeds of the run."""
        self.is_opened = False
        """Whether the run has begun, so that it is recorded."""
        self.is_over = False
        self._events: deque[RunEvent] = deque(maxlen=kept)
        self._first = 0
        self._pieces: deque[tuple[int, CallStreamed]] = deque()
        """Each with the number of events that were before it."""
        self._first_piece = 0
        self._size = 0
        self._read = 0
        """Pieces below this number somebody has read: they stay as they are."""
        # Of one run, and none that a forked child has: a child runs nothing of its parent's.
        self._lock = threading.Lock()
        self._readers: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    def see(self, event: RunEvent) -> None:
        """Take an event in; this is the listener of the run."""
        if isinstance(event, RunOpened):
            self.run_id = event.run_id
            self.is_opened = True
        with self._lock:
            if isinstance(event, CallStreamed):
                self._add_piece(event)
            else:
                if len(self._events) == self._events.maxlen:
                    self._first += 1
                self._events.append(event)
            readers = self._readers
        if readers:
            self._wake(readers)

    def _add_piece(self, piece: CallStreamed) -> None:
        behind = self._first + len(self._events)
        number = self._first_piece + len(self._pieces)
        self._size += len(piece.text)
        if self._pieces and number > self._read:
            before, last = self._pieces[-1]
            if before == behind and _goes_on(last, piece):
                self._pieces[-1] = before, replace(last, text=last.text + piece.text)
                return
        self._pieces.append((behind, piece))
        while len(self._pieces) > (self._events.maxlen or 1) or (
            self._size > _MOST_CHARACTERS and len(self._pieces) > 1
        ):
            self._size -= len(self._pieces.popleft()[1].text)
            self._first_piece += 1

    def end(self) -> None:
        """Nothing more happens here."""
        with self._lock:
            self.is_over = True
            readers = list(self._readers)
        self._wake(readers)

    def after(self, place: Place) -> News:
        """What is there behind a place, in the order in which it happened."""
        with self._lock:
            end = self._first + len(self._events)
            last = self._first_piece + len(self._pieces)
            event = min(max(place.events, self._first), end)
            piece = min(max(place.pieces, self._first_piece), last)
            missed = Place(max(0, event - place.events), max(0, piece - place.pieces))
            events = deque(itertools.islice(self._events, event - self._first, None))
            pieces = list(itertools.islice(self._pieces, piece - self._first_piece, None))
            self._read = last
        told: list[tuple[Place, RunEvent]] = []
        for behind, one in pieces:
            while events and event < behind:
                event += 1
                told.append((Place(event, piece), events.popleft()))
            piece += 1
            told.append((Place(event, piece), one))
        told += [(Place(number, piece), one) for number, one in enumerate(events, event + 1)]
        return News(told, missed, Place(end, last))

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


def _goes_on(last: CallStreamed, piece: CallStreamed) -> bool:
    """Whether a piece follows another of the same answer, and both may become one."""
    return (
        (last.key, last.attempt, last.is_replayed) == (piece.key, piece.attempt, piece.is_replayed)
        and last.index + len(last.text) == piece.index
        and len(last.text) + len(piece.text) <= _LONGEST
    )
