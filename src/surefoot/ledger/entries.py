"""What can be handed to the ledger's writer, and how a batch of it becomes one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from surefoot.errors import AlreadyRecorded, Fenced, LedgerError, RunBusy, UnknownRun
from surefoot.ledger import rows
from surefoot.ledger.chain import GENESIS, payload_hash, row_hash
from surefoot.ledger.events import Blob, Detail, Outcome, Owner, RunRecord, Totals
from surefoot.ledger.owner import is_provably_gone
from surefoot.ledger.payloads import Freight
from surefoot.values import RunStatus


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

    def drop(self, run_id: str) -> None:
        self.epochs.pop(run_id, None)
        self.hashes.pop(run_id, None)


class Batch:
    """One open transaction. Its heads overlay the known ones, and count only once it has committed."""

    def __init__(self, connection: sqlite3.Connection, known: Heads) -> None:
        self.connection = connection
        self.heads = Heads()
        self._known = known
        self._outcomes: list[rows.Row] = []
        self._blobs: list[rows.Row] = []

    def check_fence(self, run_id: str, epoch: int) -> None:
        """Raise `Fenced` unless `epoch` is the run's current one."""
        current = self.heads.epochs.get(run_id) or self._known.epochs.get(run_id)
        if current is None:
            row = self.connection.execute("SELECT epoch FROM runs WHERE id = ?", (run_id,)).fetchone()
            if row is None:
                raise UnknownRun(f"run {run_id} is not in the ledger")
            current = self.heads.epochs[run_id] = row[0]
        if current != epoch:
            raise Fenced(
                f"run {run_id} was taken over by another process (epoch {current}, this one has {epoch})"
            )

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

    def flush(self) -> None:
        """Write what was collected; the order of outcomes is the order of appends."""
        if self._blobs:
            self.connection.executemany("INSERT OR IGNORE INTO blobs VALUES (?, ?, ?)", self._blobs)
            self._blobs.clear()
        if self._outcomes:
            self.connection.executemany(rows.INSERT_OUTCOME, self._outcomes)
            self._outcomes.clear()

    def forget_unwritten(self) -> None:
        """Drop what was collected, after the database has undone the rest of it."""
        self._outcomes.clear()
        self._blobs.clear()

    def _carry(self, freight: Freight) -> None:
        for item in freight:
            if isinstance(item, Blob):
                self._blobs.append((item.digest, item.size, item.data))
            else:
                self.connection.execute(
                    "INSERT OR IGNORE INTO data_keys VALUES (?, ?, ?)", (item.id, item.run_id, item.wrapped)
                )

    def _last_hash(self, run_id: str) -> bytes:
        row = self.connection.execute(
            "SELECT hash FROM outcomes WHERE run_id = ? ORDER BY seq DESC LIMIT 1", (run_id,)
        ).fetchone()
        return row[0] if row else GENESIS


class LedgerEntry(Protocol):
    """Something to be written; what `apply` returns goes to whoever handed it over, what it raises too."""

    def apply(self, batch: Batch) -> object: ...


@dataclass(frozen=True, slots=True)
class Append:
    """An outcome of a step."""

    outcome: Outcome
    freight: Freight

    def apply(self, batch: Batch) -> None:
        batch.check_fence(self.outcome.run_id, self.outcome.epoch)
        batch.append(self.outcome, self.freight)


@dataclass(frozen=True, slots=True)
class StartRun:
    """A new run, with the outcome that holds its inputs."""

    run: RunRecord
    outcome: Outcome
    freight: Freight

    def apply(self, batch: Batch) -> None:
        batch.connection.execute(rows.INSERT_RUN, rows.run_row(self.run))
        batch.heads.epochs[self.run.id] = self.run.epoch
        batch.heads.hashes[self.run.id] = GENESIS
        batch.append(self.outcome, self.freight)


@dataclass(frozen=True, slots=True)
class EndRun:
    """How a run, or one attempt at it, ended."""

    outcome: Outcome
    freight: Freight
    status: RunStatus
    totals: Totals
    failed_step: str | None = None
    error: str | None = None

    def apply(self, batch: Batch) -> None:
        outcome = self.outcome
        batch.check_fence(outcome.run_id, outcome.epoch)
        head = batch.append(outcome, self.freight)
        batch.connection.execute(
            "UPDATE runs SET status = ?, ended_ns = ?, lease_until_ns = 0, failed_step = ?, error = ?, head = ?, "
            "steps = ?, calls = ?, tokens_in = ?, tokens_cached = ?, tokens_out = ?, tokens_reasoning = ?, "
            "cost_nanos = ?, is_cost_complete = ?, is_degraded = ? WHERE id = ?",
            (
                *(self.status, outcome.ended_ns, self.failed_step, self.error, head),
                *rows.total_columns(self.totals),
                outcome.run_id,
            ),
        )


@dataclass(frozen=True, slots=True)
class TakeOver:
    """This process wants to go on with a run. Raises the epoch, so that a former owner can write no more."""

    run_id: str
    owner: Owner
    now_ns: int
    lease_until_ns: int

    def apply(self, batch: Batch) -> RunRecord:
        row = batch.connection.execute(
            f"SELECT {rows.RUN_COLUMNS} FROM runs WHERE id = ?", (self.run_id,)
        ).fetchone()
        if row is None:
            raise UnknownRun(f"run {self.run_id} is not in the ledger")
        run = rows.run_record(row)
        if run.status == "completed":
            return run
        holder = run.owner
        # A run of this very process can only be one that it has let go of: its own runs it knows.
        is_others = holder is not None and holder != self.owner
        if run.lease_until_ns > self.now_ns and is_others and holder and not is_provably_gone(holder):
            seconds = (run.lease_until_ns - self.now_ns) / 1e9
            raise RunBusy(
                f"run {run.id} is held by process {holder.pid} on {holder.host}, whose lease lasts another "
                f"{seconds:.0f} s: stop that process, or wait for its lease to expire"
            )
        epoch = run.epoch + 1
        batch.connection.execute(
            "UPDATE runs SET epoch = ?, owner = ?, lease_until_ns = ?, status = 'running', ended_ns = NULL, "
            "head = NULL WHERE id = ?",
            (epoch, rows.owner_text(self.owner), self.lease_until_ns, run.id),
        )
        batch.heads.epochs[run.id] = epoch
        row = batch.connection.execute(
            f"SELECT {rows.RUN_COLUMNS} FROM runs WHERE id = ?", (run.id,)
        ).fetchone()
        return rows.run_record(row)


@dataclass(frozen=True, slots=True)
class Renew:
    """A heartbeat: the runs that this process holds, by id and epoch. Returns those that it has lost."""

    held: Sequence[tuple[str, int]]
    lease_until_ns: int

    def apply(self, batch: Batch) -> list[str]:
        lost: list[str] = []
        for run_id, epoch in self.held:
            changed = batch.connection.execute(
                "UPDATE runs SET lease_until_ns = ? WHERE id = ? AND epoch = ? AND status = 'running'",
                (self.lease_until_ns, run_id, epoch),
            )
            if changed.rowcount == 0 and self._is_lost(batch, run_id, epoch):
                lost.append(run_id)
        return lost

    @staticmethod
    def _is_lost(batch: Batch, run_id: str, epoch: int) -> bool:
        """Whether somebody else holds the run, or nobody can, which an ended run of this process is not."""
        row = batch.connection.execute("SELECT epoch FROM runs WHERE id = ?", (run_id,)).fetchone()
        return row is None or row[0] != epoch


@dataclass(frozen=True, slots=True)
class Release:
    """Give a run up without an end, so that anybody may go on with it at once."""

    run_id: str
    epoch: int

    def apply(self, batch: Batch) -> None:
        batch.connection.execute(
            "UPDATE runs SET lease_until_ns = 0 WHERE id = ? AND epoch = ?", (self.run_id, self.epoch)
        )


@dataclass(frozen=True, slots=True)
class Note:
    """Details, which ride along."""

    details: Sequence[Detail]

    def apply(self, batch: Batch) -> None:
        batch.connection.executemany(
            "INSERT INTO details (run_id, key, attempt, kind, at_ns, body) VALUES (?, ?, ?, ?, ?, ?)",
            [(d.run_id, d.key, d.attempt, d.kind, d.at_ns, d.body) for d in self.details],
        )


def refused(entry: LedgerEntry, error: Exception) -> LedgerError:
    """The error for an entry whose row is there already, or that the tables do not take."""
    what = type(entry).__name__
    if isinstance(entry, Append | StartRun | EndRun):
        outcome = entry.outcome
        what = f"run {outcome.run_id}: attempt {outcome.attempt} of {outcome.kind} {outcome.name!r}"
    if isinstance(error, sqlite3.IntegrityError):
        return AlreadyRecorded(f"{what} is recorded already; the outcome that is there stands")
    failure = LedgerError(
        f"{what} cannot be recorded ({type(error).__name__}: {error}): change what it holds"
    )
    failure.__cause__ = error
    return failure
