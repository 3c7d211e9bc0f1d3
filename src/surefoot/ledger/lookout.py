"""Finds the ends of runs in the ledger for whoever follows them, so that none is missed and none is noted twice."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Protocol

from surefoot.ledger import deliveries as kept
from surefoot.ledger.access_rows import Change
from surefoot.ledger.deliveries import DeliveryRow, EndRow
from surefoot.ledger.entries import TellDeliveries

if TYPE_CHECKING:
    from surefoot.ledger.store import Ledger

_PAGE = 500
_LATE_SECONDS = 60.0
"""How long after a later one an end may become visible: twice what a batch of the ledger may take on a server."""
_AGAIN_SECONDS = 10.0
_AWRY_NS = 600_000_000_000
"""By how much the clocks of those who end runs may be behind."""
_MOST_LATE = 5_000


class Follower(Protocol):
    """Who follows the ends of runs: a webhook, or a receiver of traces. `name` is the one of its deliveries."""

    @property
    def name(self) -> str: ...

    @property
    def waits(self) -> bool:
        """Whether it is told of runs that wait, too."""
        ...

    def event(self, end: EndRow) -> str | None:
        """What it is told by how a run ended; None where it is not told of it."""
        ...


def is_one(name: str, patterns: Sequence[str]) -> bool:
    """Whether a name is one of a follower's patterns, `*` standing for any characters; capitals count."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


class Lookout:
    """Goes through the ends of runs in the order in which they were recorded, from where each follower was begun.

    On a server the rows of two processes may become visible in another order than that of their numbers. So the last
    minute is looked through again, and only what lies before it is noted as looked at. In a file, places become free as
    the last runs are pruned, and are taken once more: where the end that was looked at last is gone, all ends
    since then are gone through. Several processes may look at once: what they find is the same, and is noted once.
    For one thread.
    """

    def __init__(
        self, ledger: Ledger, followers: Sequence[Follower], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ledger = ledger
        self._followers = followers
        self._clock = clock
        # From behind which place on a follower is told, and of what ended since when.
        self._from: dict[str, tuple[int, int]] = {}
        self._since_ns = 0
        # The ends that were seen since `_safe`, which is the last one that nothing comes before any more.
        self._seen: dict[int, tuple[EndRow, float]] = {}
        self._order: deque[int] = deque()
        self._safe: EndRow | None = None
        self._first = self._newest = 0
        self._looked_again = 0.0
        self._after_wait = ""
        self._waits: set[tuple[str, int]] = set()
        self._waits_seen: set[tuple[str, int]] = set()

    def begin(self) -> None:
        """Note from where on followers are told, for those that were never begun. Raises `LedgerError`."""
        now = time.time_ns()
        self._ledger.submit(
            TellDeliveries([kept.begin(one.name, now_ns=now) for one in self._followers])
        ).result()
        for one in self._followers:
            [row] = self._ledger.ask(kept.mark_query(one.name))
            mark = kept.mark_of(row)
            is_there = self._is_there(mark.seq, mark.name)
            self._from[one.name] = (
                (mark.seq, 0) if is_there else (0, max(mark.begun_ns, mark.at_ns - _AWRY_NS))
            )
        self._first = self._newest = min((seq for seq, _ in self._from.values()), default=0)
        self._since_ns = min((since for _, since in self._from.values()), default=0)
        self._safe = None
        self._seen.clear()
        self._order.clear()
        self._looked_again = self._clock()

    def look(self) -> int:
        """Note what followers are owed that nobody has noted; of how many ends and waits. Raises `LedgerError`."""
        if not self._from:
            self.begin()
        found = 0
        while rows := self._ledger.ask(kept.ends_query(self._newest, since_ns=self._since_ns, most=_PAGE)):
            found += self._found([kept.end_of(row) for row in rows])
            self._newest = max(self._newest, *(int(row[0]) for row in rows))
            if len(rows) < _PAGE:
                break
        if self._clock() - self._looked_again >= _AGAIN_SECONDS:
            found += self._look_again()
            self._looked_again = self._clock()
        if any(one.waits for one in self._followers):
            found += self._look_for_waits()
        return found

    def _is_there(self, seq: int, name: str) -> bool:
        return any(end.name == name for end in self._ends_at([seq]))

    def _ends_at(self, seqs: Sequence[int]) -> list[EndRow]:
        return [kept.end_of(row) for row in self._ledger.ask(kept.ends_at_query(seqs))]

    def _found(self, ends: Sequence[EndRow]) -> int:
        self._tell(ends)
        now = self._clock()
        for end in ends:
            if end.seq not in self._seen:
                self._order.append(end.seq)
            self._seen[end.seq] = (end, now)
        return len(ends)

    def _look_again(self) -> int:
        """What has become visible behind what was seen; then note how far nothing can come any more."""
        if self._safe is not None and not self._is_there(self._safe.seq, self._safe.name):
            # Pruned: what comes may get its place, and those before it.
            self.begin()
            return 0
        late = 0
        after = self._first if self._safe is None else self._safe.seq
        while page := self._ledger.ask(
            kept.places_query(after, until=self._newest, since_ns=self._since_ns, most=_MOST_LATE)
        ):
            missed = [int(seq) for seq, run_id, epoch in page if self._name_at(seq) != f"{run_id} {epoch}"]
            for start in range(0, len(missed), _PAGE):
                late += self._found(self._ends_at(missed[start : start + _PAGE]))
            after = int(page[-1][0])
        self._forget()
        return late

    def _name_at(self, seq: int) -> str:
        seen = self._seen.get(seq)
        return "" if seen is None else seen[0].name

    def _forget(self) -> None:
        until = self._clock() - _LATE_SECONDS
        safe = self._safe
        while self._order and self._seen[self._order[0]][1] <= until:
            end, _ = self._seen.pop(self._order.popleft())
            if safe is None or end.seq > safe.seq:
                safe = end
        if safe is not None and safe is not self._safe:
            self._safe = safe
            now = time.time_ns()
            marks = [kept.looked(one.name, safe, now_ns=now) for one in self._followers]
            self._ledger.submit(TellDeliveries(marks)).result()

    def _look_for_waits(self) -> int:
        rows = self._ledger.ask(kept.waits_query(self._after_wait, most=_PAGE))
        waits = [kept.end_of(row) for row in rows]
        new = [one for one in waits if (one.run_id, one.epoch) not in self._waits]
        self._tell(new)
        named = {(one.run_id, one.epoch) for one in waits}
        self._waits |= named
        self._waits_seen |= named
        if len(waits) < _PAGE:
            # Once through: of those that wait no more, nothing has to be known.
            self._waits, self._waits_seen, self._after_wait = self._waits_seen, set(), ""
        else:
            self._after_wait = waits[-1].run_id
        return len(new)

    def _tell(self, ends: Sequence[EndRow]) -> None:
        now = time.time_ns()
        owed: list[Change] = []
        for follower in self._followers:
            for end in ends:
                # A wait has no place, and is told of whenever it is seen.
                after, since_ns = self._from[follower.name]
                is_before = end.seq > 0 and (end.seq <= after or end.ended_ns < since_ns)
                event = None if is_before else follower.event(end)
                if event is not None:
                    owed.append(
                        kept.owe(DeliveryRow(follower.name, end.run_id, end.epoch, event, next_ns=now))
                    )
        if owed:
            self._ledger.submit(TellDeliveries(owed)).result()
