"""How entries become rows of one SQLite transaction."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from surefoot.errors import Fenced, LedgerCorrupt, LedgerError, RunBusy, RunPruned, UnknownRun
from surefoot.ledger import (
    rows,
    schema,
    sqlite_access,
    sqlite_accounts,
    sqlite_answers,
    sqlite_deliveries,
    sqlite_prompts,
    sqlite_scored,
)
from surefoot.ledger.bodies import Transacted, run_body
from surefoot.ledger.chain import GENESIS, payload_hash, row_hash
from surefoot.ledger.entries import (
    Adopt,
    Amend,
    Append,
    BeginExperiment,
    DropAnswers,
    EndRun,
    KeepCases,
    KeepFlights,
    KeepHolds,
    KeepMetrics,
    KeepPrompts,
    KeepVerdict,
    LeaveFlight,
    LedgerEntry,
    MoveLabel,
    Note,
    Release,
    Renew,
    Reserve,
    Send,
    Settle,
    StartRun,
    SweepHolds,
    TakeDeliveries,
    TakeFlight,
    TakeOver,
    TellDeliveries,
    Transact,
    already_recorded,
    not_recordable,
)
from surefoot.ledger.events import Blob, Outcome, RunRecord
from surefoot.ledger.holding import check_epoch, is_takeable, longest_until
from surefoot.ledger.notary import NOT_OURS, STANDING_COLUMNS, Notary, Standing, not_gone_on_with
from surefoot.ledger.payloads import Freight
from surefoot.ledger.scored_rows import CaseRow
from surefoot.ledger.sealing import DataKey
from surefoot.ledger.writer import Settled

# What is wrong with one entry and not with the file: it must not take others along.
REFUSALS = (
    *(sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError, sqlite3.ProgrammingError),
    *(TypeError, ValueError, OverflowError),
)

_THERE_ALREADY = (sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)


@dataclass(slots=True)
class Heads:
    """What is known of runs without asking the tables: how they stand, and their last hash."""

    standings: dict[str, Standing] = field(default_factory=dict[str, Standing])
    hashes: dict[str, bytes] = field(default_factory=dict[str, bytes])

    def clear(self) -> None:
        self.standings.clear()
        self.hashes.clear()

    def update(self, other: Heads) -> None:
        self.standings.update(other.standings)
        self.hashes.update(other.hashes)

    def copy(self) -> Heads:
        return Heads(dict(self.standings), dict(self.hashes))


class Batch:
    """One open transaction. Its heads overlay the known ones, and count only once it has committed."""

    def __init__(self, connection: sqlite3.Connection, known: Heads, notary: Notary) -> None:
        self.connection = connection
        self.heads = Heads()
        self.notary = notary
        self._known = known
        self._moved = set[str]()
        self._outcomes: list[rows.Row] = []
        self._blobs: list[rows.Row] = []
        self._cases: list[CaseRow] = []

    def check_fence(self, run_id: str, epoch: int) -> None:
        """Raise `Fenced` unless `epoch` is the run's current one."""
        standing = self.standing(run_id)
        if standing is None:
            found = self._found(run_id)
            standing = None if found is None else found[0]
            if found is not None and standing is not None and standing.epoch == epoch:
                # What follows the head is under its MAC from here on: one that somebody else has made must not get it.
                if not self.notary.knows_head(*found):
                    raise LedgerCorrupt(f"run {run_id} cannot be written to: {NOT_OURS}")
                self.heads.standings[run_id], self.heads.hashes[run_id] = found[:2]
        current = None if standing is None else standing.epoch
        if current != epoch:
            check_epoch(run_id, current, epoch)

    def append(self, outcome: Outcome, freight: Freight) -> None:
        """Chain an outcome to its run, whose fence was checked."""
        self._carry(freight)
        run_id = outcome.run_id
        previous = self.heads.hashes.get(run_id) or self._known.hashes[run_id]
        payloads = payload_hash(outcome.inputs, outcome.output)
        chained = self.heads.hashes[run_id] = row_hash(previous, outcome, payloads)
        self._moved.add(run_id)
        self._outcomes.append(rows.outcome_row(outcome, payloads, chained))

    def standing(self, run_id: str) -> Standing | None:
        """How a run stands, where that is known."""
        return self.heads.standings.get(run_id) or self._known.standings.get(run_id)

    def stand(self, run_id: str, standing: Standing, head: bytes | None = None) -> None:
        """A run stands otherwise from here on, and on that hash where it is given."""
        self.heads.standings[run_id] = standing
        if head is not None:
            self.heads.hashes[run_id] = head
        self._moved.add(run_id)

    def taken(self, run_id: str, *, is_unverified: bool) -> tuple[Standing, bytes]:
        """How a run stands, and its head. Raises `UnknownRun`, and `LedgerCorrupt` for a run with another MAC."""
        self.flush()
        found = self._found(run_id)
        if found is None:
            raise UnknownRun(f"run {run_id} is not in the ledger")
        standing, head, _ = found
        if self.notary.knows_head(*found):
            return standing, head
        if not is_unverified:
            raise LedgerCorrupt(not_gone_on_with(run_id, NOT_OURS))
        return standing, self._last_hash(run_id)

    def judge(self, cases: Sequence[CaseRow]) -> None:
        """Keep judged cases."""
        self._cases += cases

    def flush(self) -> None:
        """Write what was collected; the order of outcomes is the order of appends."""
        if self._cases:
            sqlite_scored.keep(self._cases, self.connection)
            self._cases.clear()
        if self._blobs:
            self.connection.executemany(
                "INSERT OR IGNORE INTO blobs (digest, size, data) VALUES (?, ?, ?)", self._blobs
            )
            self._blobs.clear()
        if self._outcomes:
            self.connection.executemany(rows.INSERT_OUTCOME, self._outcomes)
            self._outcomes.clear()
        if self._moved:
            self.connection.executemany(
                "UPDATE runs SET head = ?, mac = ? WHERE id = ?",
                [self._head(run_id) for run_id in self._moved],
            )
            self._moved.clear()

    def forget_unwritten(self) -> None:
        """Drop what was collected, after the database has undone the rest of it."""
        self._outcomes.clear()
        self._blobs.clear()
        self._cases.clear()
        self._moved.clear()

    def run(self, where: str, *values: object) -> RunRecord | None:
        """The run that a condition finds."""
        row = self.connection.execute(f"SELECT {rows.RUN_COLUMNS} FROM runs WHERE {where}", values).fetchone()
        return None if row is None else rows.run_record(row)

    def _carry(self, freight: Freight) -> None:
        for item in freight:
            if isinstance(item, Blob):
                self._blobs.append((item.digest, item.size, item.data))
            elif isinstance(item, DataKey):
                self.connection.execute(
                    "INSERT OR IGNORE INTO data_keys (id, run_id, wrapped) VALUES (?, ?, ?)",
                    (item.id, item.run_id, item.wrapped),
                )
            else:
                sqlite_prompts.keep([item], self.connection, self.notary)

    def _head(self, run_id: str) -> rows.Row:
        """The head of a run with its MAC, for its row."""
        standing = self.heads.standings.get(run_id) or self._known.standings[run_id]
        head = self.heads.hashes[run_id]
        return head, self.notary.of_head(standing, head), run_id

    def _found(self, run_id: str) -> tuple[Standing, bytes, object] | None:
        """How a run stands in the tables, its head, and the MAC that is there."""
        row = self.connection.execute(
            f"SELECT {STANDING_COLUMNS}, head, mac FROM runs WHERE id = ?", (run_id,)
        ).fetchone()
        return None if row is None else (Standing.of(row[:-2]), row[-2] or GENESIS, row[-1])

    def _last_hash(self, run_id: str) -> bytes:
        row = self.connection.execute(
            "SELECT hash FROM outcomes WHERE run_id = ? ORDER BY seq DESC LIMIT 1", (run_id,)
        ).fetchone()
        return row[0] if row else GENESIS


def apply(entry: LedgerEntry, batch: Batch) -> Settled:
    """What the entry returns, or the error that refuses it. Raises one of `REFUSALS` if the tables do not take it."""
    try:
        return _APPLY[type(entry)](entry, batch), None
    except (Fenced, RunBusy, RunPruned, UnknownRun, LedgerError) as refused:
        _settle_all_the_same(entry, batch)
        return None, refused


def apply_alone(entry: LedgerEntry, batch: Batch) -> Settled:
    """`apply` in a savepoint of its own: whatever the tables do not take is undone and refused, and no other entry."""
    connection, heads = batch.connection, batch.heads
    before = heads.copy()
    connection.execute("SAVEPOINT alone")
    try:
        settled = apply(entry, batch)
        batch.flush()
    except REFUSALS as error:
        connection.execute("ROLLBACK TO alone")
        batch.forget_unwritten()
        heads.clear()
        heads.update(before)
        _settle_all_the_same(entry, batch)
        is_there = getattr(error, "sqlite_errorcode", 0) in _THERE_ALREADY
        settled = (None, already_recorded(entry) if is_there else not_recordable(entry, error))
    connection.execute("RELEASE alone")
    return settled


def _settle_all_the_same(entry: LedgerEntry, batch: Batch) -> None:
    """An outcome was refused; what it has cost is spent."""
    if isinstance(entry, Append) and entry.settlement is not None:
        sqlite_accounts.settle(entry.settlement, batch.connection)


def _append(entry: Append, batch: Batch) -> None:
    outcome = entry.outcome
    batch.check_fence(outcome.run_id, outcome.epoch)
    batch.append(outcome, entry.freight)
    if entry.cache is not None:
        sqlite_answers.keep(outcome, entry.cache, batch.connection)
    if entry.settlement is not None:
        sqlite_accounts.settle(entry.settlement, batch.connection)


def _start(entry: StartRun, batch: Batch) -> RunRecord | None:
    run = entry.run
    if entry.audit is not None:
        sqlite_access.tell(entry.audit, batch.connection)
    if run.run_key is not None:
        taken = batch.run("tenant = ? AND flow = ? AND run_key = ?", run.tenant, run.flow, run.run_key)
        if taken is not None:
            return taken
    row = rows.run_row(run)
    batch.connection.execute(rows.INSERT_RUN, row)
    if run.tags:
        batch.connection.executemany(
            "INSERT INTO run_tags (name, value, run_id) VALUES (?, ?, ?)",
            [(name, value, run.id) for name, value in run.tags.items()],
        )
    batch.stand(run.id, Standing.of_run(row), GENESIS)
    batch.append(entry.outcome, entry.freight)
    return None


def _end(entry: EndRun, batch: Batch) -> None:
    outcome = entry.outcome
    batch.check_fence(outcome.run_id, outcome.epoch)
    batch.append(outcome, entry.freight)
    if (standing := batch.standing(outcome.run_id)) is not None:
        batch.stand(outcome.run_id, replace(standing, status=entry.status))
    batch.connection.execute(
        "UPDATE runs SET status = ?, ended_ns = ?, lease_until_ns = 0, failed_step = ?, error = ?, "
        "steps = ?, calls = ?, tokens_in = ?, tokens_cached = ?, tokens_out = ?, tokens_reasoning = ?, "
        "cost_nanos = ?, is_cost_complete = ?, is_degraded = ? WHERE id = ?",
        (
            *(entry.status, None if entry.status == "waiting" else outcome.ended_ns),
            *(entry.failed_step, entry.error),
            *rows.total_columns(entry.totals),
            outcome.run_id,
        ),
    )


def _take_over(entry: TakeOver, batch: Batch) -> RunRecord:
    run = batch.run("id = ?", entry.run_id)
    if run is None:
        raise UnknownRun(f"run {entry.run_id} is not in the ledger")
    now = time.time_ns()
    if (latest := longest_until(run, now)) is not None:
        batch.connection.execute("UPDATE runs SET lease_until_ns = ? WHERE id = ?", (latest, run.id))
        run = replace(run, lease_until_ns=latest)
    if not is_takeable(run, entry.owner, now):
        return run
    standing, head = batch.taken(run.id, is_unverified=entry.is_unverified)
    epoch, lease_until_ns = run.epoch + 1, now + entry.lease_ns
    deadline_ns = run.deadline_ns if entry.deadline_ns is None else entry.deadline_ns
    batch.connection.execute(
        "UPDATE runs SET epoch = ?, owner = ?, lease_until_ns = ?, status = 'running', ended_ns = NULL, "
        "deadline_ns = ? WHERE id = ?",
        (epoch, rows.owner_text(entry.owner), lease_until_ns, deadline_ns, run.id),
    )
    batch.stand(run.id, replace(standing, epoch=epoch, status="running", deadline_ns=deadline_ns), head)
    return replace(
        run,
        epoch=epoch,
        owner=entry.owner,
        lease_until_ns=lease_until_ns,
        status="running",
        ended_ns=None,
        deadline_ns=deadline_ns,
    )


def _renew(entry: Renew, batch: Batch) -> list[str]:
    lost: list[str] = []
    lease_until_ns = time.time_ns() + entry.lease_ns
    for run_id, epoch in entry.held:
        changed = batch.connection.execute(
            "UPDATE runs SET lease_until_ns = ? WHERE id = ? AND epoch = ? AND status = 'running'",
            (lease_until_ns, run_id, epoch),
        )
        if changed.rowcount == 0 and _is_lost(batch, run_id, epoch):
            lost.append(run_id)
    return lost


def _is_lost(batch: Batch, run_id: str, epoch: int) -> bool:
    """Whether somebody else holds the run, or nobody can, which an ended run of this process is not."""
    row = batch.connection.execute("SELECT epoch FROM runs WHERE id = ?", (run_id,)).fetchone()
    return row is None or row[0] != epoch


def _release(entry: Release, batch: Batch) -> None:
    if not entry.is_waiting:
        batch.connection.execute(
            "UPDATE runs SET lease_until_ns = 0 WHERE id = ? AND epoch = ?", (entry.run_id, entry.epoch)
        )
        return
    standing, head = batch.taken(entry.run_id, is_unverified=False)
    if standing.epoch == entry.epoch:
        batch.connection.execute(
            "UPDATE runs SET lease_until_ns = ?, status = 'waiting', owner = NULL WHERE id = ?",
            (entry.until_ns, entry.run_id),
        )
        batch.stand(entry.run_id, replace(standing, status="waiting"), head)


def _note(entry: Note, batch: Batch) -> None:
    batch.connection.executemany(
        "INSERT INTO details (run_id, key, attempt, kind, at_ns, body) VALUES (?, ?, ?, ?, ?, ?)",
        [(d.run_id, d.key, d.attempt, d.kind, d.at_ns, d.body) for d in entry.details],
    )


def _send(entry: Send, batch: Batch) -> None:
    message = entry.message
    if batch.connection.execute("SELECT 1 FROM runs WHERE id = ?", (message.run_id,)).fetchone() is None:
        raise UnknownRun(f"run {message.run_id} is not in the ledger")
    batch.connection.execute(
        "INSERT INTO inbox (id, run_id, kind, sent_ns, body, mac) VALUES (?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (id) DO NOTHING",
        (
            *(message.id, message.run_id, message.kind, message.sent_ns, message.body),
            batch.notary.of_message(message),
        ),
    )


def _adopt(entry: Adopt, batch: Batch) -> None:
    outcome, ids = entry.outcome, set(entry.message_ids)
    batch.check_fence(outcome.run_id, outcome.epoch)
    found = batch.connection.execute(
        f"SELECT count(*) FROM inbox WHERE run_id = ? AND adopted_ns IS NULL AND id IN ({', '.join('?' * len(ids))})",
        (outcome.run_id, *ids),
    ).fetchone()
    if found[0] != len(ids):
        raise already_recorded(entry)
    batch.append(outcome, entry.freight)
    batch.connection.executemany(
        # Without its MAC it is no message any more, whoever puts it back.
        "UPDATE inbox SET adopted_ns = ?, mac = NULL WHERE id = ?",
        [(outcome.ended_ns, message_id) for message_id in ids],
    )


def _transact(entry: Transact, batch: Batch) -> Transacted:
    if entry.run_id:
        batch.check_fence(entry.run_id, entry.epoch)
    done = run_body(batch.connection, entry, schema.TABLES)
    if done.outcome is not None:
        batch.append(done.outcome, done.freight)
    return done


_APPLY: dict[type, Callable[[Any, Batch], object]] = {
    Append: _append,
    StartRun: _start,
    EndRun: _end,
    TakeOver: _take_over,
    Renew: _renew,
    Release: _release,
    Note: _note,
    Send: _send,
    Adopt: _adopt,
    Transact: _transact,
    TakeFlight: lambda entry, batch: sqlite_answers.take(entry, batch.connection),
    KeepFlights: lambda entry, batch: sqlite_answers.renew(entry, batch.connection),
    LeaveFlight: lambda entry, batch: sqlite_answers.leave(entry, batch.connection),
    DropAnswers: lambda entry, batch: sqlite_answers.drop(entry, batch.connection),
    Reserve: lambda entry, batch: sqlite_accounts.reserve(entry, batch.connection),
    Settle: lambda entry, batch: sqlite_accounts.settle(entry.settlement, batch.connection),
    KeepHolds: lambda entry, batch: sqlite_accounts.keep(entry, batch.connection),
    KeepPrompts: lambda entry, batch: sqlite_prompts.keep(entry.rows, batch.connection, batch.notary),
    MoveLabel: lambda entry, batch: sqlite_prompts.move(entry, batch.connection, batch.notary),
    BeginExperiment: lambda entry, batch: sqlite_scored.begin(entry, batch.connection),
    KeepCases: lambda entry, batch: batch.judge(entry.cases),
    KeepMetrics: lambda entry, batch: sqlite_scored.note(entry, batch.connection),
    KeepVerdict: lambda entry, batch: sqlite_scored.judge(entry, batch.connection),
    SweepHolds: lambda entry, batch: sqlite_accounts.sweep(entry, batch.connection),
    Amend: lambda entry, batch: sqlite_access.amend(entry, batch.connection),
    TellDeliveries: lambda entry, batch: sqlite_deliveries.tell(entry, batch.connection),
    TakeDeliveries: lambda entry, batch: sqlite_deliveries.take(entry, batch.connection),
}
