"""A batch of entries on its way to Postgres: what became of each, and which of them can be written together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from surefoot.ledger.entries import Append, EndRun, KeepCases, LedgerEntry, Note, Reserve, Settle, StartRun
from surefoot.ledger.writer import Settled

Item = tuple[int, Any]
"""An entry and its place in the batch."""


@dataclass(slots=True)
class Batch:
    """Entries that were handed over, what became of each, and what was sent for it and perhaps got there."""

    entries: Sequence[LedgerEntry]
    settled: dict[int, Settled] = field(default_factory=dict[int, Settled])
    sent: dict[int, set[bytes]] = field(default_factory=dict[int, set[bytes]])
    reserving: set[int] = field(default_factory=set[int])

    def settle(self, place: int, result: object = None, error: BaseException | None = None) -> None:
        self.settled[place] = (result, error)

    def fail(self, error: BaseException) -> None:
        """Refuse what is not settled yet."""
        for place in range(len(self.entries)):
            if place not in self.settled:
                self.settle(place, error=error)

    def is_open(self, item: Item) -> bool:
        return item[0] not in self.settled

    def results(self) -> list[Settled]:
        return [self.settled[place] for place in range(len(self.entries))]


@dataclass(slots=True)
class Round:
    """What of a batch can be written together: the rest of it comes after."""

    starts: list[Item] = field(default_factory=list[Item])
    chained: list[Item] = field(default_factory=list[Item])
    notes: list[Item] = field(default_factory=list[Item])
    reserves: list[Item] = field(default_factory=list[Item])
    settles: list[Item] = field(default_factory=list[Item])
    cases: list[Item] = field(default_factory=list[Item])
    others: list[Item] = field(default_factory=list[Item])


def rounds(entries: Sequence[LedgerEntry]) -> Iterator[Round]:
    """The batch in rounds, such that entries of one run, or one hold, keep their order.

    In a round starts come first, others last. Whoever reserves waits for it before he does anything else of the hold,
    unless he gives it back.
    """
    current = Round()
    settled = set[str]()
    for item in enumerate(entries):
        entry = item[1]
        if isinstance(entry, Note):
            current.notes.append(item)
        elif isinstance(entry, Reserve):
            current.reserves.append(item)
        elif isinstance(entry, Settle):
            current.settles.append(item)
            settled.add(entry.settlement.hold)
        elif isinstance(entry, KeepCases):
            current.cases.append(item)
        elif isinstance(entry, Append | EndRun | StartRun):
            cost = entry.settlement if isinstance(entry, Append) else None
            if current.others or (cost is not None and cost.hold in settled):
                yield current
                current = Round()
                settled.clear()
            (current.starts if isinstance(entry, StartRun) else current.chained).append(item)
        else:
            current.others.append(item)
    yield current


def apart(items: list[Item]) -> list[list[Item]]:
    """In groups, in order, such that none settles one hold twice: one statement changes a row once."""
    groups: list[list[Item]] = []
    seen = set[str]()
    for item in items:
        cost = item[1].settlement if isinstance(item[1], Append | Settle) else None
        if not groups or (cost is not None and cost.hold in seen):
            groups.append([])
            seen.clear()
        groups[-1].append(item)
        if cost is not None:
            seen.add(cost.hold)
    return groups
