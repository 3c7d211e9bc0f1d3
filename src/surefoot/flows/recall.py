"""What a run has recorded, and which record a claim of the resumed run means. Pure: no I/O, no clock.

Identity is scope, name and digest of the inputs (or the user's key), and occurrence. A *lane* is a task or thread of
a scope, numbered within the one that began it; it tells apart equal claims of parallel chains (see `lanes`).
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

from surefoot.flows.lanes import beside, family, family_below
from surefoot.ledger import Outcome

UNDO_KEY = b"\xff" * 15 + b"\xfe"
"""The key of the step that undoes what a failed run had done; inside of it lies a step for each compensation."""

NO_FAILURES: Mapping[int, frozenset[bytes]] = {}

ScopeKey = tuple[bytes, int]
"""A step's path, its own key last, and its attempt: the address of everything that happens inside."""

Identity = tuple[str, bytes | str]
"""Name, and digest of the inputs or the user's key."""


@dataclass(slots=True)
class Record:
    """The latest attempt of a recorded step, and whether the resumed run has asked for it."""

    outcome: Outcome
    is_claimed: bool = False
    after: Record | None = None
    """The next of the same identity and lane, in a scope that is being recalled."""

    @property
    def identity(self) -> Identity:
        return identity_of(self.outcome)

    @property
    def is_effect(self) -> bool:
        """Whether doing it again may do harm: all but model calls and steps that are declared pure."""
        return self.outcome.kind in ("step", "flow") and not self.outcome.is_pure

    @property
    def is_over(self) -> bool:
        status = self.outcome.status
        return status in ("completed", "failed", "suppressed") and self.outcome.retry_at_ns is None

    @property
    def may_be_done(self) -> bool:
        """Whether it is over, or had begun in a way that nobody knows whether it was done."""
        return self.is_over or self.outcome.is_intent


_MARK = 2
"""Bytes of a step's key that say in which lane it stands, as a step under way has no record that says it."""


def key_in_lane(digest: bytes, lane: int) -> bytes:
    """A step's key of 16 bytes, marked with its lane."""
    return digest[: 16 - _MARK] + _mark(lane)


def is_of_lane(key: bytes, lane: int) -> bool:
    """Whether a step with this key can stand in that lane: always so if it does, else once in 65,536 times."""
    return key[-_MARK:] == _mark(lane)


def _mark(lane: int) -> bytes:
    return (lane % 65_521).to_bytes(_MARK)


def _occurrence(record: Record) -> int:
    return record.outcome.occurrence


def identity_of(outcome: Outcome) -> Identity:
    return (outcome.name, outcome.digest if outcome.user_key is None else outcome.user_key)


@dataclass(slots=True)
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
        self._lanes = frozenset([record.outcome.lane for record in records])
        # The first of those that may be free; the others hang on it.
        self._in_lane: dict[tuple[Identity, int], Record] = {}
        in_order = sorted(records, key=_occurrence)
        for record in reversed(in_order):
            line = (identity_of(record.outcome), record.outcome.lane)
            record.after = self._in_lane.get(line)
            self._in_lane[line] = record
        self._recorded: dict[Identity, dict[int, Record]] | None = None
        self._done: dict[tuple[int, str | bytes], list[Record]] | None = None
        self._named: defaultdict[tuple[str, int], deque[Record]] | None = None
        # Lanes of this process that have turned out to be recorded ones, and under which number the others record.
        self._settled: dict[int, int] = {0: 0}
        self._fresh: dict[int, int] = {}
        self._taken: set[int] = {0}
        # A lane that is known to have begun others is the same again, though it may have no records of its own yet.
        self._families = {family(lane) for lane in self._lanes} - {0}
        self._asked: defaultdict[tuple[Identity, int], int] = defaultdict(int)
        self._given: defaultdict[Identity, set[int]] = defaultdict(set)

    def match(self, identity: Identity, lane: int) -> Record | None:
        """The record that a claim means, now taken; None if there is none.

        A lane is known by its number, and keeps to its own records: what another lane got for equal inputs is that
        lane's. Where the code has changed, a lane that is not known yet is looked for among its siblings, in the order
        of asking. The scope's own lane may take what was done beside it, as code that was parallel may now be in line.
        """
        self._asked[identity, lane] += 1
        if not self._records:
            return None
        if self._families and family_below(lane) in self._families:
            self._settle(lane, lane)
        settled = self._settled.get(lane)
        found = None
        if settled is not None or lane not in self._taken:
            found = self._first_free(identity, lane if settled is None else settled)
        if found is None and settled is None and lane in self._lanes:
            # What it asks for first is not what it asked for then: the lanes have shifted.
            self._is_same = False
        if found is None and (settled == 0 or (settled is None and not self._is_same)):
            found = self._next_in_line(identity, family(lane))
        if found is None:
            return None
        found.is_claimed = True
        self._settle(lane, found.outcome.lane)
        return found

    def namesake(self, name: str, lane: int) -> Record | None:
        """The next record of a name in a lane that no claim has meant, each once; it is not taken."""
        if self._named is None:
            self._named = defaultdict(deque)
            for record in self._records:
                self._named[record.outcome.name, record.outcome.lane].append(record)
        waiting = self._named.get((name, self._settled.get(lane, lane)))
        while waiting:
            record = waiting.popleft()
            if not record.is_claimed:
                return record
        return None

    def place(self, identity: Identity, lane: int) -> Place:
        """The place of a claim that `match` has found to be new; its key may still be one that is recorded."""
        recorded, given = self._occurrences(identity), self._given[identity]
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
        if self._done is None:
            self._done = self._done_effects()
        for shared in (identity[0], digest):
            done = self._done.get((settled, shared), [])
            while done and done[-1].is_claimed:
                done.pop()
            if done:
                return done[-1]
        return None

    def _done_effects(self) -> dict[tuple[int, str | bytes], list[Record]]:
        """Effects that are done, by lane and what a changed call of them has in common with the recorded one."""
        found: defaultdict[tuple[int, str | bytes], list[Record]] = defaultdict(list)
        for record in sorted(self._records, key=lambda record: record.outcome.occurrence):
            outcome = record.outcome
            if record.is_effect and record.may_be_done:
                found[outcome.lane, outcome.name].append(record)
                found[outcome.lane, outcome.digest].append(record)
        return found

    def unclaimed(self) -> list[Record]:
        return [record for record in self._records if not record.is_claimed and record.is_over]

    def _settle(self, lane: int, number: int) -> None:
        if lane not in self._settled and number not in self._taken:
            self._settled[lane] = number
            self._taken.add(number)

    def _first_free(self, identity: Identity, lane: int) -> Record | None:
        record = first = self._in_lane.get((identity, lane))
        while record is not None and record.is_claimed:
            record = record.after
        if record is not None and record is not first:
            self._in_lane[identity, lane] = record
        return record

    def _occurrences(self, identity: Identity) -> Mapping[int, Record]:
        """The records of an identity. All are sorted at the first question: a resume that is all replay asks none."""
        if self._recorded is None:
            self._recorded = {}
            for record in self._records:
                self._recorded.setdefault(record.identity, {})[record.outcome.occurrence] = record
        return self._recorded.get(identity, {})

    def _next_in_line(self, identity: Identity, siblings: int) -> Record | None:
        """The first record that no lane has laid claim to, unless work that was under way stands before it.

        Only of the scope's own lane and of lanes of the family `siblings`.
        """
        recorded = self._occurrences(identity)
        for occurrence in range(len(recorded)):
            record = recorded.get(occurrence)
            if record is None:
                return None
            number = record.outcome.lane
            if record.is_claimed or (number and number in self._taken):
                continue
            if family(number) == siblings or number == 0:
                return record
        return None

    def _number(self, lane: int) -> int:
        """Under which lane new work is recorded: never one that is somebody else's."""
        number = self._settled.get(lane, self._fresh.get(lane))
        if number is None:
            number = lane
            while number in self._taken or number in self._fresh.values():
                number = beside(number)
            self._fresh[lane] = number
        return number


class Recall:
    """All that a run has recorded, by scope. Empty for a new run."""

    def __init__(
        self,
        outcomes: Iterable[Outcome] = (),
        *,
        failed: Mapping[int, frozenset[bytes]] = NO_FAILURES,
        begun: frozenset[bytes] = frozenset(),
        is_same_code: bool = False,
    ) -> None:
        """`failed` holds the keys of the failures that ended the run, by the attempt of that end; what has no newer
        outcome is tried again.

        `begun` holds the keys of steps that are known to have begun: one of them without an outcome was cancelled, or
        was under way at the crash. `is_same_code`: the flow's file is what it was when the run began.
        """
        self._is_same_code = is_same_code
        latest: dict[bytes, Record] = {}
        self.retry: set[bytes] = set()
        self.begun = begun
        # A step that failed because of a failure inside goes on in the same scope: what was finished there stands.
        self.continued: dict[bytes, int] = {}
        for outcome in outcomes:
            if outcome.key == UNDO_KEY:
                continue
            if outcome.kind in ("step", "call", "flow"):
                latest[outcome.key] = Record(outcome)
                if self.retry:
                    self.retry.discard(outcome.key)
                    self.continued.pop(outcome.key, None)
            elif outcome.kind == "end":
                ended_by = failed.get(outcome.attempt, frozenset())
                self.retry |= ended_by
                for key in ended_by & latest.keys():
                    inner = latest[key].outcome
                    if inner.parent in ended_by:
                        self.continued[inner.parent] = inner.parent_attempt
        self._by_scope: defaultdict[ScopeKey, list[Record]] = defaultdict(list)
        for record in latest.values():
            outcome = record.outcome
            self._by_scope[outcome.path, outcome.parent_attempt].append(record)
        self._by_identity: defaultdict[Identity, list[Record]] | None = None
        self._attempts: dict[bytes, int] | None = None
        self._latest = latest
        self._keys = set(latest)
        self.in_doubt = [
            record.outcome
            for record in latest.values()
            if record.outcome.status == "running" and not _is_inside_of_done(record.outcome, latest)
        ]
        """Effects that were begun and have no outcome, except inside of steps that are over and done with."""

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

    def afresh(self, key: ScopeKey) -> ScopeRecall:
        """A scope of which no claim has meant anything, whatever was claimed of it elsewhere."""
        untaken = [Record(record.outcome) for record in self._by_scope.get(key, ())]
        return ScopeRecall(untaken, is_same_code=self._is_same_code)

    def newest_attempt(self, path: bytes) -> int | None:
        """The newest attempt of the step at the end of a path in which anything was recorded."""
        if self._attempts is None:
            self._attempts = {}
            for there, attempt in self._by_scope:
                self._attempts[there] = max(attempt, self._attempts.get(there, 0))
        return self._attempts.get(path)

    def moved(
        self,
        identity: Identity,
        path: bytes,
        *,
        lane: int,
        lanes: Mapping[bytes, int],
        open_keys: Container[bytes],
    ) -> Record | None:
        """The same effect, done and not asked for, in a scope around or inside of the one at `path`.

        `lane` is where this code runs, and `lanes` says it of each scope around: what another lane did there has not
        moved here. `open_keys` are the steps under way, which may still ask for what lies inside them.
        """
        if self._by_identity is None:
            self._by_identity = defaultdict(list)
            for record in self._latest.values():
                self._by_identity[record.identity].append(record)
        for record in self._by_identity.get(identity, ()):
            there = record.outcome.path
            if record.is_claimed or there == path or not (record.is_effect and record.may_be_done):
                continue
            if path.startswith(there):
                if lanes.get(there) == record.outcome.lane and self._goes_on(record):
                    return record
            elif there.startswith(path):
                inside = [there[start : start + 16] for start in range(len(path), len(there), 16)]
                if inside[0] not in open_keys and self._is_given_up(record, inside, lane):
                    return record
        return None

    def _goes_on(self, record: Record) -> bool:
        """Whether the attempt that the record lies in has not ended: what an ended one did is done anew."""
        outcome = record.outcome
        above = self._latest.get(outcome.parent)
        is_continued = self.continued.get(outcome.parent) == outcome.parent_attempt
        if above is None or above.outcome.is_intent:
            return True
        return is_continued or above.outcome.attempt < outcome.parent_attempt

    def _is_given_up(self, record: Record, inside: Sequence[bytes], lane: int) -> bool:
        """Whether the code of this lane no longer asks for the steps `inside` of which the record lies.

        What lies inside a step that is over is settled with it, and never asked for by itself.
        """
        above = [step for key in inside if (step := self._latest.get(key)) is not None]
        outermost = self._latest.get(inside[0])
        lies_here = is_of_lane(inside[0], lane) if outermost is None else outermost.outcome.lane == lane
        return (
            lies_here
            and not any(step.is_claimed for step in above)
            and all(
                self._goes_on(step) or self._is_settled(step)
                for step in (record, *above)
                if step is not outermost
            )
        )

    def _is_settled(self, record: Record) -> bool:
        """Whether the attempt that the record lies in is the one by which the step around it ended."""
        outcome = record.outcome
        above = self._latest.get(outcome.parent)
        return above is not None and above.is_over and above.outcome.attempt == outcome.parent_attempt


def _is_inside_of_done(outcome: Outcome, latest: Mapping[bytes, Record]) -> bool:
    """Whether a step around it is over: what lies inside is never asked for again."""
    path = outcome.path
    around = (latest.get(path[start : start + 16]) for start in range(0, len(path), 16))
    return any(record is not None and record.is_over for record in around)
