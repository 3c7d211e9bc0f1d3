"""Whether the record is whole: chains, heads, blobs, keys, and the store's own health, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, cast

from surefoot.errors import LedgerCorrupt
from surefoot.ledger import prompt_rows, rows
from surefoot.ledger.anchoring import Anchor, AnchorWriter, Mark
from surefoot.ledger.audit import AUDIT_COLUMNS, AuditRow, audit_of, first_audit_break
from surefoot.ledger.bookkeeping import wrong_accounts
from surefoot.ledger.chain import (
    GENESIS,
    Link,
    broken_end,
    broken_link,
    is_first_form,
    is_withheld,
    named,
    removed,
)
from surefoot.ledger.events import Message
from surefoot.ledger.notary import NOT_OURS, STANDING_COLUMNS, Notary, Standing, changed_pin, not_sent
from surefoot.ledger.payloads import Payloads, blob_digests
from surefoot.ledger.prompt_upkeep import wrong_texts
from surefoot.ledger.rows import Row
from surefoot.ledger.scored_upkeep import count_scored, wrong_scores
from surefoot.ledger.scratch import Scratch
from surefoot.ledger.sealing import DataKey
from surefoot.ledger.selecting import BEGUN, EVERY_RUN, Selection, count, page_of
from surefoot.ledger.tables import Session, Tables, one

Progress = Callable[[int, int], None]
"""Told how many runs are done, and of how many."""

MOST_NAMED = 1000
"""Broken runs that are named; further ones are counted."""

_PAGE = 200
_RUN_COLUMNS = f"tenant AS whose, head, pruned, mac, {STANDING_COLUMNS}"
_INTACT, _DAMAGED = 1, 0


@dataclass(frozen=True, slots=True)
class Broken:
    """A run whose record is not what it was, and the first row that shows it."""

    run_id: str
    problem: str


@dataclass(slots=True)
class Verified:
    """What was looked at, and what was found.

    `broken` names the first `MOST_NAMED` of `broken_runs`. `damage` is what the engine says of its own file, and
    accounts of budgets that do not agree with their holds, texts of prompts that were changed, scores of nothing, and
    where the chain of the audit breaks;
    `strays` are rows that belong to no run. Pruned, forgotten and withheld things are no faults; unreferenced blobs and
    details or keys of no run are left over, and `surefoot ledger prune` drops them. `moved_on` are anchored runs that
    went on after the anchor and were pruned since, so that nothing can be compared; `half_pruned` are those that a
    prune was killed at, and that the next one finishes.
    """

    runs: int = 0
    rows: int = 0
    blobs: int = 0
    pruned_runs: int = 0
    pruned_rows: int = 0
    half_pruned: int = 0
    withheld: int = 0
    broken_runs: int = 0
    broken: list[Broken] = field(default_factory=list[Broken])
    damage: list[str] = field(default_factory=list[str])
    strays: int = 0
    left_over_blobs: int = 0
    left_over_bytes: int = 0
    left_over_keys: int = 0
    left_over_details: int = 0
    anchored_runs: int = 0
    moved_on: int = 0
    experiments: int = 0
    scores: int = 0
    audit_rows: int = 0

    @property
    def is_whole(self) -> bool:
        return not (self.broken_runs or self.damage or self.strays)

    def add(self, run_id: str, problem: str) -> None:
        self.broken_runs += 1
        if len(self.broken) < MOST_NAMED:
            self.broken.append(Broken(run_id, problem))


@dataclass(frozen=True, slots=True)
class _Run:
    id: str
    tenant: str
    head: bytes | None
    pruned: str | None
    mac: object
    standing: Standing

    @classmethod
    def of(cls, row: Row) -> _Run:
        """From a row of `_RUN_COLUMNS`."""
        tenant, head, pruned, mac, *columns = cast("Any", row)
        return cls(columns[0], tenant, head, pruned, mac, Standing.of(tuple(columns)))

    @property
    def pruned_ns(self) -> int | None:
        return self.standing.pruned_ns


def verify(
    tables: Tables,
    payloads: Payloads,
    *,
    selection: Selection = EVERY_RUN,
    is_thorough: bool = False,
    anchor: AnchorWriter | None = None,
    against: Anchor | None = None,
    notary: Notary | None = None,
    on_progress: Progress | None = None,
) -> Verified:
    """Check the record of the selected runs; of all runs, the store as a whole too.

    Readers and writers go on meanwhile. `is_thorough` makes the engine compare its indexes as well. `anchor` takes
    the heads of all runs, `against` holds those of a former time; both need all runs. `notary` knows the runs of an
    export; those of a ledger are to be of the key of `payloads`. Raises `LedgerError` where nothing can be read at all.
    """
    verified = Verified()
    if tables.format() == 0:
        _compare_rest(against, "~", verified)
        return verified
    with Scratch() as blobs:
        try:
            if selection.is_all:
                verified.damage += tables.check(is_thorough=is_thorough)
                _list_blobs(tables, blobs)
            if notary is None and not tables.is_export():
                notary = payloads.notary
            checker = _Checker(payloads, blobs, verified, anchor, against, notary)
            _walk(tables, selection, checker, on_progress)
            _compare_rest(against, "~", verified)
            if selection.is_all:
                _look_for_left_overs(tables, blobs, verified)
                if notary is not None:
                    _look_for_foreign_rows(tables, notary, verified)
                verified.damage += wrong_accounts(tables)
                verified.damage += wrong_texts(tables)
                verified.experiments, verified.scores = count_scored(tables)
                verified.damage += wrong_scores(tables)
                _look_at_audit(tables, verified)
        except LedgerCorrupt as error:
            # What is behind a damaged page cannot be looked at.
            verified.damage.append(str(error))
    return verified


def _look_at_audit(tables: Tables, verified: Verified) -> None:
    """Count the rows of the audit, and say where its chain breaks."""

    def read() -> Iterator[AuditRow]:
        for row in session.rows(f"SELECT {AUDIT_COLUMNS} FROM audit ORDER BY seq"):
            verified.audit_rows += 1
            yield audit_of(row)

    with tables.reading() as session:
        if (broken := first_audit_break(read())) is not None:
            verified.damage.append(broken)


def _walk(tables: Tables, selection: Selection, checker: _Checker, on_progress: Progress | None) -> None:
    condition, after, done = selection.condition(), "", 0
    with tables.reading() as session:
        total = count(session, condition)
    while True:
        # Each page at one moment: a head and the rows below it have to be of the same time.
        with tables.reading() as session:
            page = page_of(session, _RUN_COLUMNS, condition, after=after, size=_PAGE)
            if not page:
                return
            runs = [_Run.of(row) for row in page]
            after = runs[-1].id
            checker.check(session, runs, is_every=selection.is_all)
        done += len(runs)
        if on_progress is not None:
            on_progress(done, max(total, done))


class _Checker:
    """Checks runs one after the other."""

    def __init__(  # noqa: PLR0917
        self,
        payloads: Payloads,
        blobs: Scratch,
        verified: Verified,
        anchor: AnchorWriter | None,
        against: Anchor | None,
        notary: Notary | None,
    ) -> None:
        self._notary = notary
        self._payloads = payloads
        self._blobs = blobs
        self._verified = verified
        self._anchor = anchor
        self._against = against

    def check(self, session: Session, runs: list[_Run], *, is_every: bool) -> None:
        """Check a page of runs, which are in the order of their ids; `is_every` says that none lie between."""
        keys = set(
            session.rows(
                "SELECT run_id, id FROM data_keys WHERE run_id >= ? AND run_id <= ?", runs[0].id, runs[-1].id
            )
        )
        links = _links(session, runs, is_every=is_every)
        waiting = next(links, None)
        for run in runs:
            own: Iterator[Link] = iter(())
            if waiting is not None and waiting[0] == run.id:
                own = waiting[1]
            problem = self._problem(session, run, own, keys)
            self._verified.runs += 1
            if problem is not None:
                self._verified.add(run.id, problem)
            # What was not read of a broken run is skipped by asking for the next group.
            if waiting is not None and waiting[0] == run.id:
                waiting = next(links, None)

    def _problem(
        self, session: Session, run: _Run, links: Iterator[Link], keys: set[tuple[str, str]]
    ) -> str | None:
        """The first thing that is wrong with a run; None if nothing is."""
        source, mark = Source(session), self._mark_of(run.id)
        problem = self._chain_problem(run, source, links, keys, mark)
        if problem is None and self._notary is not None:
            is_ours = self._notary.knows_head(run.standing, run.head, run.mac)
            return None if is_ours else NOT_OURS
        return problem

    def _chain_problem(
        self, run: _Run, source: Source, links: Iterator[Link], keys: set[tuple[str, str]], mark: Mark | None
    ) -> str | None:
        verified = self._verified
        if run.pruned is not None and run.pruned.endswith(BEGUN):
            verified.half_pruned += 1
            return None
        walked = _Walked(mark)
        for link in links:
            verified.rows += 1
            problem = (
                broken_link(walked.last, link)
                or self._payload_problem(source, run, link, keys)
                or walked.problem_after(link)
            )
            if problem is not None:
                return problem
        if walked.rows == 0 and run.pruned_ns is not None:
            verified.pruned_runs += 1
            head = run.head or GENESIS
            verified.moved_on += mark is not None and mark.head != head
            self._note(Mark(run.id, 0, head))
            return None
        self._note(Mark(run.id, walked.rows, walked.last))
        return walked.problem_at_end() or broken_end(walked.last, run.head, is_pruned=False)

    def _note(self, mark: Mark) -> None:
        if self._anchor is not None:
            self._anchor.add(mark)

    def _payload_problem(
        self, source: Source, run: _Run, link: Link, keys: set[tuple[str, str]]
    ) -> str | None:
        if link.is_pruned:
            self._verified.pruned_rows += 1
            return None if run.pruned_ns is not None else removed(link)
        for payload in (link.outcome.inputs, link.outcome.output):
            if payload.sealed is not None:
                is_keyless = run.pruned_ns is None and (run.id, payload.key_id) not in keys
                if is_withheld(payload.sealed) or (is_keyless and is_first_form(link)):
                    self._verified.withheld += 1
                elif is_keyless:
                    return f"{named(link)}: the data key of its sealed part is missing"
            digests = list(blob_digests(payload))
            if not digests or all(self._blobs.mark_of(digest) == _INTACT for digest in digests):
                continue
            is_intact = self._payloads.is_intact(
                payload, source, tenant=run.tenant, takes_plain=self._notary is None
            )
            for digest in digests:
                self._verified.blobs += 1
                self._blobs.mark(digest, _INTACT if is_intact else _DAMAGED)
            if not is_intact:
                return f"{named(link)}: its blob is missing, changed, or of another application key"
        return None

    def _mark_of(self, run_id: str) -> Mark | None:
        """What the anchor says of a run; anchored runs before it are gone from the ledger."""
        if self._against is None:
            return None
        _compare_rest(self._against, run_id, self._verified)
        mark = self._against.take(run_id)
        self._verified.anchored_runs += mark is not None
        return mark


class _Walked:
    """How far a run was walked, and whether it passed where it was when it was anchored."""

    def __init__(self, mark: Mark | None) -> None:
        self._mark = mark
        self.last = GENESIS
        self.rows = 0

    def problem_after(self, link: Link) -> str | None:
        """Take a row that the chain holds; what is wrong with it against the anchor."""
        self.last = link.hash
        self.rows += 1
        if self._mark is not None and self.rows == self._mark.rows and self.last != self._mark.head:
            return f"{named(link)}: it is not the one that was anchored"
        return None

    def problem_at_end(self) -> str | None:
        if self._mark is None or self.rows >= self._mark.rows:
            return None
        return f"rows at its end are missing: {self.rows} are there, {self._mark.rows} were anchored"


def _links(session: Session, runs: list[_Run], *, is_every: bool) -> Iterator[tuple[str, Iterator[Link]]]:
    """The rows of a page of runs by run, each in order and read as they are asked for."""
    which = "run_id >= ? AND run_id <= ?"
    parameters: tuple[str, ...] = (runs[0].id, runs[-1].id)
    if not is_every:
        which = f"run_id IN ({', '.join('?' * len(runs))})"
        parameters = tuple(run.id for run in runs)
    known = {run.id for run in runs}
    found = session.rows(
        f"SELECT seq, {rows.OUTCOME_COLUMNS} FROM outcomes WHERE {which} ORDER BY run_id, seq", *parameters
    )
    for run_id, group in groupby(found, key=lambda row: cast("str", row[1])):
        if run_id in known:
            yield run_id, (rows.link(row[0], row[1:]) for row in group)


class Source:
    """Blobs and keys of one session, for checking payloads."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def blob(self, digest: str) -> bytes | None:
        found = list(self._session.rows("SELECT data FROM blobs WHERE digest = ?", digest))
        return found[0][0] if found else None

    def data_key(self, key_id: str) -> DataKey | None:
        found = list(self._session.rows("SELECT id, run_id, wrapped FROM data_keys WHERE id = ?", key_id))
        return DataKey(*found[0]) if found else None

    def local_digest(self, digest: str) -> str | None:
        found = list(self._session.rows("SELECT local_digest FROM imported_blobs WHERE digest = ?", digest))
        return found[0][0] if found else None


def _list_blobs(tables: Tables, blobs: Scratch) -> None:
    """Before runs are read: what comes later belongs to rows that come later."""
    with tables.reading() as session:
        blobs.add(row[0] for row in session.rows("SELECT digest FROM blobs"))


def _compare_rest(against: Anchor | None, before: str, verified: Verified) -> None:
    """Anchored runs before this id that nobody has asked for are not in the ledger any more."""
    if against is None:
        return
    for mark in against.up_to(before):
        verified.anchored_runs += 1
        verified.add(mark.run_id, f"the run is gone: {mark.rows} rows were anchored")


def _look_for_foreign_rows(tables: Tables, notary: Notary, verified: Verified) -> None:
    """What runs go on with beside their chains, and this application has not written."""
    with tables.reading() as session:
        for row in session.rows(
            "SELECT id, run_id, kind, sent_ns, body, mac FROM inbox WHERE adopted_ns IS NULL"
        ):
            if not notary.knows_message(Message(*row[:-1]), row[-1]):
                verified.add(str(row[1]), not_sent(row[0], row[2]))
        for pin in session.rows(f"SELECT {prompt_rows.PIN_COLUMNS} FROM prompt_pins"):
            if not prompt_rows.is_ours(pin, notary):
                verified.add(str(pin[0]), changed_pin(pin[1]))


def _look_for_left_overs(tables: Tables, blobs: Scratch, verified: Verified) -> None:
    with tables.reading() as session:
        no_run = "NOT EXISTS (SELECT 1 FROM runs WHERE runs.id = {}.run_id)"
        for (run_id,) in session.rows(
            f"SELECT DISTINCT run_id FROM outcomes WHERE {no_run.format('outcomes')} LIMIT {MOST_NAMED}"
        ):
            verified.strays += 1
            verified.add(run_id, "its rows are there, the run itself is gone")
        verified.left_over_keys = one(
            session, f"SELECT count(*) FROM data_keys WHERE {no_run.format('data_keys')}"
        )[0]
        verified.left_over_details = one(
            session, f"SELECT count(*) FROM details WHERE {no_run.format('details')}"
        )[0]
        for page in blobs.unmarked():
            held = f"({', '.join('?' * len(page))})"
            number, size = one(
                session,
                f"SELECT count(*), coalesce(sum(length(data)), 0) FROM blobs WHERE digest IN {held}",
                *page,
            )
            verified.left_over_blobs += number
            verified.left_over_bytes += size
