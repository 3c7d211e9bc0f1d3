"""The ledger in one SQLite file."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from surefoot.errors import Fenced, LedgerCorrupt, LedgerError, RunBusy, UnknownRun
from surefoot.ledger import rows, schema
from surefoot.ledger.chain import Link, first_break
from surefoot.ledger.connection import (
    FileLock,
    connect_reader,
    connect_writer,
    explain,
    explained,
    prepare_writer,
)
from surefoot.ledger.entries import Batch, Heads, LedgerEntry, refused
from surefoot.ledger.events import START_KEY, Detail, Outcome, Payload, RunRecord
from surefoot.ledger.payloads import Payloads
from surefoot.ledger.sealing import DataKey
from surefoot.ledger.writer import Pending, Settled, Writer
from surefoot.values import RunStatus, first_id, new_id

_CACHED_RUNS = 10_000

# What is wrong with one entry and not with the file: it must not take others along.
_REFUSALS = (
    *(sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError, sqlite3.ProgrammingError),
    *(TypeError, ValueError, OverflowError),
)
_FETCHED_ROWS = 500
_ID_LEAD_NS = 60_000_000_000


class SqliteLedger:
    """Writes through one group-committing writer per process; readers never wait for it.

    Opening a file that does not exist makes it at the first write. Raises `LedgerError` and its kin.
    """

    def __init__(self, path: Path, payloads: Payloads, *, synchronous: str = "FULL") -> None:
        self.path = path
        self.payloads = payloads
        self._synchronous = synchronous
        self._lock = FileLock(path)
        self._connection: sqlite3.Connection | None = None
        self._known = Heads()
        self._data_version: int | None = None
        self._local = threading.local()
        self._writer: Writer[LedgerEntry] = Writer(
            self._commit, name="surefoot-ledger", on_fork=self._after_fork
        )
        # A connection that a forked child inherits must be neither used nor closed there: closing it would
        # drop the parent's locks on the file.
        self._inherited: list[object] = []

    # Writing

    def submit(self, entry: LedgerEntry) -> Pending:
        """Hand an entry to the writer; wait on what is returned, or await it, to know it durable."""
        return self._writer.submit(entry)

    @property
    def writer(self) -> Writer[LedgerEntry]:
        return self._writer

    def close(self) -> None:
        self._writer.close()
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._lock.close()
        reader: sqlite3.Connection | None = getattr(self._local, "reader", None)
        if reader is not None:
            reader.close()
            self._local = threading.local()

    def _commit(self, entries: Sequence[LedgerEntry]) -> Sequence[Settled]:
        try:
            # Held while opening too: SQLite does not wait where several processes switch a new file to WAL.
            self._lock.acquire()
            try:
                return self._transact(self._open(), entries)
            finally:
                self._lock.release()
        except sqlite3.Error as error:
            raise explain(error, self.path) from error

    def _transact(self, connection: sqlite3.Connection, entries: Sequence[LedgerEntry]) -> Sequence[Settled]:
        try:
            connection.execute("BEGIN IMMEDIATE")
            self._drop_stale(connection)
            batch = Batch(connection, self._known)
            try:
                settled = [_apply(entry, batch) for entry in entries]
                batch.flush()
            except _REFUSALS:
                # One row that is there already, or is no row, poisons the batch: go again, each entry for itself.
                connection.execute("ROLLBACK")
                connection.execute("BEGIN IMMEDIATE")
                batch = Batch(connection, self._known)
                settled = [_apply_alone(entry, batch) for entry in entries]
            connection.execute("COMMIT")
        except BaseException:
            self._known.clear()
            if connection.in_transaction:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
            raise
        if len(self._known.epochs) > _CACHED_RUNS:
            self._known.clear()
        self._known.update(batch.heads)
        return settled

    def _drop_stale(self, connection: sqlite3.Connection) -> None:
        """What is known of runs holds only while no other connection has written."""
        data_version = connection.execute("PRAGMA data_version").fetchone()[0]
        if data_version != self._data_version:
            self._known.clear()
            self._data_version = data_version

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            connection = connect_writer(self.path)
            try:
                schema.refuse_foreign(connection, where=str(self.path))
                prepare_writer(connection, synchronous=self._synchronous)
                schema.migrate(
                    connection,
                    ledger_id=new_id(),
                    created_by=f"surefoot {version('surefoot')}",
                    where=str(self.path),
                )
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _after_fork(self) -> None:
        self._inherited += [self._connection, self._local]
        self._connection = None
        self._local = threading.local()
        # This handle is the parent's lock too: kept open, it would outlive a parent that is killed while it writes.
        self._lock.close()
        self._lock = FileLock(self.path)
        self.payloads.after_fork()
        self._known = Heads()
        self._data_version = None

    # Reading

    def run(self, run_id: str) -> RunRecord:
        """The run with this id, with an id that begins so, or the newest one for `last`. Raises `UnknownRun`."""
        select = f"SELECT {rows.RUN_COLUMNS} FROM runs"
        if run_id == "last":
            found = self._read(f"{select} ORDER BY id DESC LIMIT 1")
            if not found:
                raise UnknownRun(f"the ledger {self.path} holds no runs yet")
            return rows.run_record(found[0])
        wanted = run_id.strip().upper()
        found = (
            self._read(f"{select} WHERE id >= ? AND id < ? LIMIT 5", wanted, wanted + "~") if wanted else []
        )
        if len(found) == 1 or (found and found[0][0] == wanted):
            return rows.run_record(found[0])
        if found:
            raise UnknownRun(
                f"{run_id!r} is the beginning of several runs: {', '.join(row[0] for row in found)}"
            )
        raise UnknownRun(f"no run {run_id!r} in the ledger {self.path}: `surefoot runs` lists what is there")

    def runs(
        self,
        *,
        flow: str | None = None,
        status: RunStatus | None = None,
        tenant: str | None = None,
        tags: Mapping[str, str] | None = None,
        before: str | None = None,
        limit: int | None = 50,
    ) -> list[RunRecord]:
        """The newest runs first, all of them without a limit; `before` is the id that a former page ended with.

        `tags` are those that a run must have, among others. They are looked up run by run: say the flow too.
        """
        wanted = {"flow = ?": flow, "status = ?": status, "tenant = ?": tenant, "id < ?": before}
        terms = [term for term, value in wanted.items() if value is not None]
        terms += ["EXISTS (SELECT 1 FROM json_each(runs.tags) WHERE key = ? AND value = ?)"] * len(tags or {})
        found = self._read(
            f"SELECT {rows.RUN_COLUMNS} FROM runs WHERE {' AND '.join(terms) or '1'} ORDER BY id DESC LIMIT ?",
            *(value for value in wanted.values() if value is not None),
            *(part for pair in (tags or {}).items() for part in pair),
            -1 if limit is None else limit,
        )
        return [rows.run_record(row) for row in found]

    def start(self, run_id: str) -> Outcome:
        """The outcome with which a run began; its inputs are what the flow was called with."""
        found = self._read(
            f"SELECT {rows.OUTCOME_COLUMNS} FROM outcomes WHERE run_id = ? AND key = ? ORDER BY attempt LIMIT 1",
            run_id,
            START_KEY,
        )
        if not found:
            raise LedgerCorrupt(f"run {run_id} has no beginning in the ledger {self.path}: restore a backup")
        return rows.link(0, found[0]).outcome

    def history(self, run_id: str) -> list[Link]:
        """All outcomes of a run in the order in which they were recorded."""
        found = self._read(
            f"SELECT seq, {rows.OUTCOME_COLUMNS} FROM outcomes WHERE run_id = ? ORDER BY seq", run_id
        )
        return [rows.link(row[0], row[1:]) for row in found]

    def outcomes_of(self, flow: str, *, since_ns: int = 0) -> Iterator[Outcome]:
        """The outcomes of a flow's runs that began at `since_ns` or later (nanoseconds since the epoch).

        They come without payloads and one by one, however many there are: run after run, in a run the attempts
        of each step together and in order.
        """
        reader = self._reader()
        if reader is None:
            return
        with explained(self.path):
            cursor = reader.execute(
                f"SELECT {rows.FACT_COLUMNS} FROM outcomes WHERE run_id IN "
                "(SELECT id FROM runs WHERE flow = ? AND id >= ? AND created_ns >= ?) ORDER BY run_id, key, attempt",
                # An id is made a little before its run begins.
                (flow, first_id(since_ns - _ID_LEAD_NS), since_ns),
            )
            while found := cursor.fetchmany(_FETCHED_ROWS):
                for row in found:
                    yield rows.link(0, row).outcome

    def details(self, run_id: str) -> list[Detail]:
        """What rode along: steps that had begun, in order."""
        found = self._read(
            "SELECT run_id, key, attempt, kind, at_ns, body FROM details WHERE run_id = ? ORDER BY seq",
            run_id,
        )
        return [Detail(*row) for row in found]

    def view(self, payload: Payload) -> str:
        """The recorded text that people may read."""
        return self.payloads.view(payload, self)

    def exact(self, run_id: str, payload: Payload) -> str:
        """The recorded text as it was, for going on with the run."""
        return self.payloads.exact(run_id, payload, self)

    def first_break(self, run_id: str) -> str | None:
        """Where the hash chain of a run breaks, in words; None where it holds. Blobs are read and compared too."""
        found = self._read("SELECT head, tenant FROM runs WHERE id = ?", run_id)
        head, tenant = found[0] if found else (None, "")
        links = self.history(run_id)
        if (broken := first_break(links, head)) is not None:
            return broken
        for link in links:
            for payload in (link.outcome.inputs, link.outcome.output):
                if not link.is_pruned and not self.payloads.is_intact(payload, self, tenant=tenant):
                    return f"row {link.seq} ({link.outcome.kind} {link.outcome.name!r}): its blob is missing or changed"
        return None

    def open_keys(self, run_id: str) -> None:
        """Make a run's keys ready for going on with it. Raises `LedgerError` under another application key."""
        found = self._read("SELECT id, run_id, wrapped FROM data_keys WHERE run_id = ? ORDER BY id", run_id)
        self.payloads.open_run(run_id, [DataKey(*row) for row in found])

    def blob(self, digest: str) -> bytes | None:
        found = self._read("SELECT data FROM blobs WHERE digest = ?", digest)
        return found[0][0] if found else None

    def data_key(self, key_id: str) -> DataKey | None:
        found = self._read("SELECT id, run_id, wrapped FROM data_keys WHERE id = ?", key_id)
        return DataKey(*found[0]) if found else None

    def format(self) -> int:
        """The version of the tables in the file; 0 where nothing was recorded yet. Raises `LedgerTooNew`."""
        found = self._read("PRAGMA user_version")
        return int(found[0][0]) if found else 0

    def check(self) -> str:
        """What SQLite's own quick check says of the file: `ok`, or what is damaged."""
        found = self._read("PRAGMA quick_check(1)")
        return str(found[0][0]) if found else "ok"

    def _read(self, statement: str, *parameters: object) -> list[rows.Row]:
        reader = self._reader()
        if reader is None:
            return []
        with explained(self.path):
            return reader.execute(statement, parameters).fetchall()

    def _reader(self) -> sqlite3.Connection | None:
        """This thread's connection for reading; None while nothing is recorded."""
        reader: sqlite3.Connection | None = getattr(self._local, "reader", None)
        if reader is None:
            if not self.path.exists():
                return None
            reader = connect_reader(self.path)
            with explained(self.path):
                found = schema.version_of(reader)
            if found == 0:
                reader.close()
                return None
            schema.refuse_newer(found, where=str(self.path))
            self._local.reader = reader
        return reader


def _apply(entry: LedgerEntry, batch: Batch) -> Settled:
    try:
        return entry.apply(batch), None
    except (Fenced, RunBusy, UnknownRun, LedgerError) as refused:
        return None, refused


def _apply_alone(entry: LedgerEntry, batch: Batch) -> Settled:
    connection, heads = batch.connection, batch.heads
    before = Heads(dict(heads.epochs), dict(heads.hashes))
    connection.execute("SAVEPOINT alone")
    try:
        settled = _apply(entry, batch)
        batch.flush()
    except _REFUSALS as error:
        connection.execute("ROLLBACK TO alone")
        batch.forget_unwritten()
        heads.clear()
        heads.update(before)
        settled = (None, refused(entry, error))
    connection.execute("RELEASE alone")
    return settled


def lease_until(seconds: float) -> int:
    """The end of a lease that begins now, in nanoseconds since the epoch."""
    return time.time_ns() + round(seconds * 1e9)
