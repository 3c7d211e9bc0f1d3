"""How entries become rows of one SQLite transaction."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from surefoot.errors import Fenced, LedgerError, RunBusy, RunPruned, UnknownRun
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
    """What is known of runs without asking the tables: current epoch and last hash."""

    epochs: dict[str, int] = field(default_factory=dict[str, int])
    hashes: dict[str, bytes] = field(default_factory=dict[str, bytes])

    def clear(self) -> None:
        self.epochs.clear()
        self.hashes.clear()

    def update(self, other: Heads) -> None:
        self.epochs.update(other.epochs)
        self.hashes.update(other.hashes)


class Batch:
    """One open transaction. Its heads overlay the known ones, and count only once it has committed."""

    def __init__(self, connection: sqlite3.Connection, known: Heads) -> None:
        self.connection = connection
        self.heads = Heads()
        self._known = known
        self._outcomes: list[rows.Row] = []
        self._blobs: list[rows.Row] = []
        self._cases: list[CaseRow] = []

    def check_fence(self, run_id: str, epoch: int) -> None:
        """Raise `Fenced` unless `epoch` is the run's current one."""
        current = self.heads.epochs.get(run_id) or self._known.epochs.get(run_id)
        if current is None:
            row = self.connection.execute("SELECT epoch FROM runs WHERE id = ?", (run_id,)).fetchone()
            current = row[0] if row else None
            if current is not None:
                self.heads.epochs[run_id] = current
        if current != epoch:
            check_epoch(run_id, current, epoch)

    def append(self, outcome: Outcome, freight: Freight) -> bytes:
        """Chain an outcome to its run; its hash."""
        self._carry(freight)
        previous = self.heads.hashes.get(outcome.run_id) or self._known.hashes.get(outcome.run_id)
        if previous is None:
            self.flush()
            previous = self._last_hash(outcome.run_id)
        payloads = payload_hash(outcome.inputs, outcome.output)
        chained = self.heads.hashes[outcome.run_id] = row_hash(previous, outcome, payloads)
        self._outcomes.append(rows.outcome_row(outcome, payloads, chained))
        return chained

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

    def forget_unwritten(self) -> None:
        """Drop what was collected, after the database has undone the rest of it."""
        self._outcomes.clear()
        self._blobs.clear()
        self._cases.clear()

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
                sqlite_prompts.keep([item], self.connection)

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
    before = Heads(dict(heads.epochs), dict(heads.hashes))
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
    if run.run_key is not None:
        taken = batch.run("tenant = ? AND flow = ? AND run_key = ?", run.tenant, run.flow, run.run_key)
        if taken is not None:
            return taken
    batch.connection.execute(rows.INSERT_RUN, rows.run_row(run))
    if run.tags:
        batch.connection.executemany(
            "INSERT INTO run_tags (name, value, run_id) VALUES (?, ?, ?)",
            [(name, value, run.id) for name, value in run.tags.items()],
        )
    batch.heads.epochs[run.id] = run.epoch
    batch.heads.hashes[run.id] = GENESIS
    batch.append(entry.outcome, entry.freight)
    return None


def _end(entry: EndRun, batch: Batch) -> None:
    outcome = entry.outcome
    batch.check_fence(outcome.run_id, outcome.epoch)
    head = batch.append(outcome, entry.freight)
    batch.connection.execute(
        "UPDATE runs SET status = ?, ended_ns = ?, lease_until_ns = 0, failed_step = ?, error = ?, head = ?, "
        "steps = ?, calls = ?, tokens_in = ?, tokens_cached = ?, tokens_out = ?, tokens_reasoning = ?, "
        "cost_nanos = ?, is_cost_complete = ?, is_degraded = ? WHERE id = ?",
        (
            *(entry.status, None if entry.status == "waiting" else outcome.ended_ns),
            *(entry.failed_step, entry.error, head),
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
    epoch, lease_until_ns = run.epoch + 1, now + entry.lease_ns
    batch.connection.execute(
        "UPDATE runs SET epoch = ?, owner = ?, lease_until_ns = ?, status = 'running', ended_ns = NULL, "
        "head = NULL, deadline_ns = coalesce(?, deadline_ns) WHERE id = ?",
        (epoch, rows.owner_text(entry.owner), lease_until_ns, entry.deadline_ns, run.id),
    )
    batch.heads.epochs[run.id] = epoch
    return replace(
        run,
        epoch=epoch,
        owner=entry.owner,
        lease_until_ns=lease_until_ns,
        status="running",
        ended_ns=None,
        deadline_ns=run.deadline_ns if entry.deadline_ns is None else entry.deadline_ns,
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
    waits = ", status = 'waiting', owner = NULL" if entry.is_waiting else ""
    batch.connection.execute(
        f"UPDATE runs SET lease_until_ns = ?{waits} WHERE id = ? AND epoch = ?",
        (entry.until_ns, entry.run_id, entry.epoch),
    )


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
        "INSERT INTO inbox (id, run_id, kind, sent_ns, body) VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
        (message.id, message.run_id, message.kind, message.sent_ns, message.body),
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
        "UPDATE inbox SET adopted_ns = ? WHERE id = ?", [(outcome.ended_ns, message_id) for message_id in ids]
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
    KeepPrompts: lambda entry, batch: sqlite_prompts.keep(entry.rows, batch.connection),
    MoveLabel: lambda entry, batch: sqlite_prompts.move(entry, batch.connection),
    BeginExperiment: lambda entry, batch: sqlite_scored.begin(entry, batch.connection),
    KeepCases: lambda entry, batch: batch.judge(entry.cases),
    KeepMetrics: lambda entry, batch: sqlite_scored.note(entry, batch.connection),
    KeepVerdict: lambda entry, batch: sqlite_scored.judge(entry, batch.connection),
    SweepHolds: lambda entry, batch: sqlite_accounts.sweep(entry, batch.connection),
    Amend: lambda entry, batch: sqlite_access.amend(entry, batch.connection),
    TellDeliveries: lambda entry, batch: sqlite_deliveries.tell(entry, batch.connection),
    TakeDeliveries: lambda entry, batch: sqlite_deliveries.take(entry, batch.connection),
}
