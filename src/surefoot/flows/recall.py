"""What a run has recorded, and which record a claim of the resumed run means. Pure: no I/O, no clock.

Identity is scope, name and digest of the inputs (or the user's key), and occurrence. A *lane* is a task or thread of
a scope, numbered within the one that began it; it tells apart equal claims of parallel chains (see `lanes`).
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

from surefoot.flows.lanes import around
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


@dataclass(frozen=True, slots=True)
class Place:
    """Where new work stands in its scope.

    `occurrence` counts equal work in the scope, `index` in the lane. The index goes into the step's key, as it is the
    same in every process; which of two parallel chains asks first is not.
    """

    occurrence: int
    lane: int
    index: int


class ScopeRecall:
    """The records of one scope, and the lanes of the resumed run matched with the recorded ones."""

    def __init__(self, records: Sequence[Record] = (), *, is_same_code: bool = False) -> None:
        self._records = records
        # Whether the lanes are begun as they were, for all that is known.
        self._is_same = is_same_code
        self._lanes = frozenset(record.outcome.lane for record in records)
        self._recorded: defaultdict[Identity, dict[int, Record]] = defaultdict(dict)
        self._in_lane: defaultdict[tuple[Identity, int], deque[Record]] = defaultdict(deque)
        # Effects that are done, under what a changed call of them has in common with the recorded one.
        self._done: defaultdict[tuple[int, str | bytes], list[Record]] = defaultdict(list)
        for record in sorted(records, key=lambda record: record.outcome.occurrence):
            outcome, identity = record.outcome, record.identity
            self._recorded[identity][outcome.occurrence] = record
            self._in_lane[identity, outcome.lane].append(record)
            if record.is_effect and record.is_over:
                self._done[outcome.lane, outcome.name].append(record)
                self._done[outcome.lane, outcome.digest].append(record)
        # Lanes of this process that have turned out to be recorded ones, and under which number the others record.
        self._settled: dict[int, int] = {0: 0}
        self._fresh: dict[int, int] = {}
        self._taken: set[int] = {0}
        # A lane that is known to have begun others is the same again, though it may have no records of its own yet.
        self._with_branches = {around(record.outcome.lane) for record in records} - {0}
        self._next_number = 1 + max((record.outcome.lane for record in records), default=0)
        self._asked: defaultdict[tuple[Identity, int], int] = defaultdict(int)
        self._given: defaultdict[Identity, set[int]] = defaultdict(set)

    def match(self, identity: Identity, lane: int) -> Record | None:
        """The record that a claim means, now taken; None if there is none.

        A lane is known by its number, and keeps to its own records: what another lane got for equal inputs is that
        lane's. Where the code has changed, a lane that is not known yet is looked for among its siblings, in the order
        of asking. The scope's own lane may take what was done beside it, as code that was parallel may now be in line.
        """
        self._asked[identity, lane] += 1
        if lane in self._with_branches:
            self._settle(lane, lane)
        settled = self._settled.get(lane)
        found = None
        if settled is not None or lane not in self._taken:
            found = self._first_free(identity, lane if settled is None else settled)
        if found is None and settled is None and lane in self._lanes:
            # What it asks for first is not what it asked for then: the lanes have shifted.
            self._is_same = False
        if found is None and (settled == 0 or (settled is None and not self._is_same)):
            found = self._next_in_line(identity, around(lane))
        if found is None:
            return None
        found.is_claimed = True
        self._settle(lane, found.outcome.lane)
        return found

    def place(self, identity: Identity, lane: int) -> Place:
        """The place of a claim that `match` has found to be new; its key may still be one that is recorded."""
        recorded, given = self._recorded.get(identity, {}), self._given[identity]
        index = self._asked[identity, lane] - 1
        occurrence = len(given) + len(recorded)
        if recorded and index == 0 and lane not in self._settled:
            # A gap among the records is what was under way at the crash.
            occurrence = 0
        while occurrence in recorded or occurrence in given:
            occurrence += 1
        given.add(occurrence)
        return Place(occurrence, self._number(lane), index)

    def changed_in_lane(self, identity: Identity, digest: bytes, lane: int) -> Record | None:
        """An effect that was done in this lane and not asked for, under this name or with these inputs."""
        settled = self._settled.get(lane)
        if settled is None:
            return None
        for shared in (identity[0], digest):
            done = self._done.get((settled, shared), [])
            while done and done[-1].is_claimed:
                done.pop()
            if done:
                return done[-1]
        return None

    def unclaimed(self) -> list[Record]:
        return [record for record in self._records if not record.is_claimed and record.is_over]

    def _settle(self, lane: int, number: int) -> None:
        if lane not in self._settled and number not in self._taken:
            self._settled[lane] = number
            self._taken.add(number)

    def _first_free(self, identity: Identity, lane: int) -> Record | None:
        queue = self._in_lane.get((identity, lane))
        while queue and queue[0].is_claimed:
            queue.popleft()
        return queue[0] if queue else None

    def _next_in_line(self, identity: Identity, begun_by: int) -> Record | None:
        """The first record that no lane has laid claim to, unless work that was under way stands before it.

        Only of the scope's own lane and of lanes that `begun_by` has begun.
        """
        recorded = self._recorded.get(identity, {})
        for occurrence in range(len(recorded)):
            record = recorded.get(occurrence)
            if record is None:
                return None
            number = record.outcome.lane
            if record.is_claimed or (number and number in self._taken):
                continue
            if around(number) == begun_by or number == 0:
                return record
        return None

    def _number(self, lane: int) -> int:
        """Under which lane new work is recorded: never one that is somebody else's."""
        number = self._settled.get(lane, self._fresh.get(lane))
        if number is None:
            number = lane
            while number in self._taken or number in self._fresh.values():
                number, self._next_number = self._next_number, self._next_number + 1
            self._fresh[lane] = number
        return number


class Recall:
    """All that a run has recorded, by scope. Empty for a new run."""

    def __init__(
        self,
        outcomes: Iterable[Outcome] = (),
        *,
        failed: frozenset[bytes] = frozenset(),
        begun: frozenset[bytes] = frozenset(),
        is_same_code: bool = False,
    ) -> None:
        """`failed` holds the keys of the failures that ended the run; what has no newer outcome is tried again.

        `begun` holds the keys of steps that are known to have begun: one of them without an outcome was cancelled, or
        was under way at the crash. `is_same_code`: the flow's file is what it was when the run began.
        """
        self._is_same_code = is_same_code
        latest: dict[bytes, Record] = {}
        tried: set[bytes] = set()
        for outcome in outcomes:
            if outcome.kind in ("step", "call", "flow"):
                latest[outcome.key] = Record(outcome)
                tried.add(outcome.key)
            elif outcome.kind == "end":
                tried.clear()
        self.retry = failed - tried
        self.begun = begun
        # A step that failed because of a failure inside goes on in the same scope: what was finished there stands.
        self.continued: dict[bytes, int] = {}
        for key in failed & latest.keys():
            inner = latest[key].outcome
            if inner.parent in self.retry:
                self.continued[inner.parent] = inner.parent_attempt
        self._by_scope: defaultdict[ScopeKey, list[Record]] = defaultdict(list)
        self._by_identity: defaultdict[Identity, list[Record]] = defaultdict(list)
        for record in latest.values():
            outcome = record.outcome
            self._by_scope[outcome.path, outcome.parent_attempt].append(record)
            # What lies inside a step that is over is settled with it: it is never asked for by itself.
            enclosing = latest.get(outcome.parent)
            is_continued = self.continued.get(outcome.parent) == outcome.parent_attempt
            if enclosing is None or is_continued or enclosing.outcome.attempt < outcome.parent_attempt:
                self._by_identity[record.identity].append(record)

        self._keys = set(latest)

    @property
    def is_empty(self) -> bool:
        return not self._keys

    def is_new(self, key: bytes) -> bool:
        """Whether this is the first time that a key is met; in a run that has no record all of them are."""
        if not self._keys:
            return True
        if key in self._keys:
            return False
        self._keys.add(key)
        return True

    def scope(self, key: ScopeKey) -> ScopeRecall:
        return ScopeRecall(self._by_scope.get(key, ()), is_same_code=self._is_same_code)

    def moved(
        self, identity: Identity, path: bytes, lanes: Mapping[bytes, int], open_keys: Container[bytes]
    ) -> Record | None:
        """The same effect, done and not asked for, in a scope around or inside of the one at `path`.

        `lanes` says for each scope around in which of its lanes this code is: what another lane did there has not
        moved here. `open_keys` are the steps under way, which may still ask for what lies inside them.
        """
        for record in self._by_identity.get(identity, ()):
            there = record.outcome.path
            if record.is_claimed or there == path or not (record.is_effect and record.is_over):
                continue
            if path.startswith(there):
                if lanes.get(there) == record.outcome.lane:
                    return record
            elif there.startswith(path) and there[len(path) : len(path) + 16] not in open_keys:
                return record
        return None
