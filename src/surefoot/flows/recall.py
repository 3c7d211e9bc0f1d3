"""What a run has recorded, and which record a claim of the resumed run means. Pure: no I/O, no clock.

Identity is scope, name and digest of the inputs (or the user's key), and occurrence. A *lane* is a task or thread of
a scope, in the order in which they first claimed something; it tells apart equal claims of parallel chains.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from surefoot.ledger import Outcome

ScopeKey = tuple[bytes, int]
"""A step's path, its own key last, and its attempt: the address of everything that happens inside."""

Identity = tuple[str, bytes | str]
"""Name, and digest of the inputs or the user's key."""


@dataclass(slots=True)
class Record:
    """The latest attempt of a recorded step, and whether the resumed run has asked for it."""

    outcome: Outcome
    is_claimed: bool = False

    @property
    def identity(self) -> Identity:
        return identity_of(self.outcome)

    @property
    def is_effect(self) -> bool:
        """Whether doing it again may do harm: all but model calls and steps that are declared pure."""
        return self.outcome.kind in ("step", "flow") and not self.outcome.is_pure

    @property
    def is_over(self) -> bool:
        return self.outcome.status in ("completed", "failed") and self.outcome.retry_at_ns is None


def identity_of(outcome: Outcome) -> Identity:
    return (outcome.name, outcome.digest if outcome.user_key is None else outcome.user_key)


class ScopeRecall:
    """The records of one scope, and the lanes of the resumed run mapped to the recorded ones."""

    def __init__(self, records: Sequence[Record] = ()) -> None:
        self._records = records
        self._by_identity: defaultdict[Identity, list[Record]] = defaultdict(list)
        for record in sorted(records, key=lambda record: record.outcome.occurrence):
            self._by_identity[record.identity].append(record)
        self._asked: defaultdict[Identity, int] = defaultdict(int)
        self._taken: dict[Identity, set[int]] = {}
        self._lanes: dict[int, int] = {0: 0}
        self._next_lane = 1 + max((record.outcome.lane for record in records), default=0)

    def match(self, identity: Identity, lane: int) -> Record | None:
        """The record that a claim means, now taken; None if there is none. A record of the lane goes first."""
        asked = self._asked[identity]
        self._asked[identity] += 1
        free = [record for record in self._by_identity.get(identity, ()) if not record.is_claimed]
        if not free:
            return None
        mapped = self._lanes.get(lane)
        found = next((record for record in free if record.outcome.lane == mapped), None)
        if found is None:
            found = next((record for record in free if record.outcome.occurrence == asked), None)
        if found is None:
            return None
        found.is_claimed = True
        if mapped is None and found.outcome.lane not in self._lanes.values():
            self._lanes[lane] = found.outcome.lane
        return found

    def place(self, identity: Identity, lane: int) -> tuple[int, int]:
        """Occurrence and lane for a claim that is new: none that is recorded or was given out already."""
        occurrence = self._asked[identity] - 1
        if records := self._by_identity.get(identity):
            # A gap among the records is the one that was under way at the crash: it keeps its number.
            taken = self._taken.setdefault(identity, {record.outcome.occurrence for record in records})
            if occurrence in taken:
                occurrence = max(taken) + 1
            taken.add(occurrence)
        if lane not in self._lanes:
            self._lanes[lane] = self._next_lane
            self._next_lane += 1
        return occurrence, self._lanes[lane]

    def changed_in_lane(self, identity: Identity, digest: bytes, lane: int) -> Record | None:
        """An effect that was done in this lane and not asked for, under this name or with these inputs."""
        mapped = self._lanes.get(lane)
        for record in self._records:
            outcome = record.outcome
            if (
                not record.is_claimed
                and record.is_effect
                and record.is_over
                and outcome.lane == mapped
                and (outcome.name == identity[0] or outcome.digest == digest)
            ):
                return record
        return None

    def unclaimed(self) -> list[Record]:
        return [record for record in self._records if not record.is_claimed and record.is_over]


class Recall:
    """All that a run has recorded, by scope. Empty for a new run."""

    def __init__(self, outcomes: Iterable[Outcome] = (), *, retry: frozenset[bytes] = frozenset()) -> None:
        """`retry` holds the keys of the failures that ended the run; they are tried again."""
        latest: dict[bytes, Record] = {}
        for outcome in outcomes:
            if outcome.kind in ("step", "call", "flow"):
                latest[outcome.key] = Record(outcome)
        self.retry = retry
        self._by_scope: defaultdict[ScopeKey, list[Record]] = defaultdict(list)
        self._by_identity: defaultdict[Identity, list[Record]] = defaultdict(list)
        for record in latest.values():
            outcome = record.outcome
            self._by_scope[outcome.path, outcome.parent_attempt].append(record)
            # What lies inside a step that is over is settled with it: it is never asked for by itself.
            enclosing = latest.get(outcome.parent)
            if enclosing is None or enclosing.outcome.attempt < outcome.parent_attempt:
                self._by_identity[record.identity].append(record)

    @property
    def is_empty(self) -> bool:
        return not self._by_scope

    def scope(self, key: ScopeKey) -> ScopeRecall:
        return ScopeRecall(self._by_scope.get(key, ()))

    def moved(self, identity: Identity, path: bytes) -> Record | None:
        """The same effect, done and not asked for, in a scope around or inside of the one at `path`."""
        for record in self._by_identity.get(identity, ()):
            there = record.outcome.path
            is_related = there != path and (path.startswith(there) or there.startswith(path))
            if is_related and not record.is_claimed and record.is_effect and record.is_over:
                return record
        return None
