"""The ledger in one SQLite file."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from weakref import WeakSet

from surefoot.ledger import rows, schema
from surefoot.ledger.bodies import Undone
from surefoot.ledger.connection import (
    Held,
    connect_reader,
    connect_writer,
    explain,
    explained,
    prepare_writer,
)
from surefoot.ledger.entries import LedgerEntry, Note
from surefoot.ledger.events import Outcome
from surefoot.ledger.filelock import FileLock
from surefoot.ledger.listing import ID_LEAD_NS, Wanted, Way
from surefoot.ledger.payloads import Payloads
from surefoot.ledger.reading import Reading
from surefoot.ledger.sqlite_applying import REFUSALS, Batch, Heads, apply, apply_alone
from surefoot.ledger.writer import Pending, Settled, Writer
from surefoot.values import first_id, new_id

_CACHED_RUNS = 10_000
_FETCHED_ROWS = 500
# As many runs are looked up one by one in less time than it takes to go through all of a million.
_NARROW = 30_000


class SqliteLedger(Reading):
    """Writes through one group-committing writer per process; readers never wait for it.

    Opening a file that does not exist makes it at the first write. Raises `LedgerError` and its kin.
    """

    # Looked up in the order of the table: otherwise SQLite copies all of the rows, with their payloads, to sort them.
    _of_run = "seq IN (SELECT seq FROM outcomes WHERE run_id = ?)"
    # To the millisecond.
    _clock = "CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) * 1000000"
    # In this order: SQLite may else look at all runs first, and then at the row of every step.
    _to_run = "CROSS JOIN"

    def __init__(self, path: Path, payloads: Payloads, *, synchronous: str = "FULL") -> None:
        self.path = path
        self.payloads = payloads
        self._synchronous = synchronous
        self._lock = FileLock(path)
        self._connection: sqlite3.Connection | None = None
        self._known = Heads()
        self._foreign = set[str]()
        self._data_version: int | None = None
        self._local = threading.local()
        self._readers: WeakSet[Held] = WeakSet()
        self._writer: Writer[LedgerEntry] = Writer(
            self._commit, name="surefoot-ledger", on_fork=self._after_fork
        )
        # A connection that a forked child inherits must be neither used nor closed there: closing it would
        # drop the parent's locks on the file.
        self._inherited: list[object] = []

    @property
    def where(self) -> str:
        """The file."""
        return str(self.path)

    @property
    def synchronous(self) -> str:
        """How long a commit waits: `FULL` or `NORMAL`."""
        return self._synchronous

    # Writing

    def submit(self, entry: LedgerEntry) -> Pending:
        """Hand an entry to the writer; wait on what is returned, or await it, to know it durable."""
        return self._writer.submit(entry)

    def on_tick(self, tick: Callable[[], float | None]) -> None:
        """See `surefoot.ledger.Ledger.on_tick`."""
        self._writer.on_tick(tick)

    def nudge(self) -> None:
        """See `surefoot.ledger.Ledger.nudge`."""
        self._writer.nudge()

    def close(self) -> None:
        self._writer.close()
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._lock.close()
        # Those of other threads too, the writer's among them: the last one to close leaves a file without a log.
        for reader in list(self._readers):
            reader.close()
        self._readers.clear()
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
            batch, settled = self._apply_all(connection, entries)
            connection.execute("COMMIT")
        except BaseException:
            self._known.clear()
            if connection.in_transaction:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
            raise
        if len(self._known.standings) > _CACHED_RUNS:
            self._known.clear()
        self._known.update(batch.heads)
        return settled

    def _apply_all(
        self, connection: sqlite3.Connection, entries: Sequence[LedgerEntry]
    ) -> tuple[Batch, Sequence[Settled]]:
        """Begin, and do all that is to be committed; from the start again where one entry spoils it for the others."""
        apply_one = apply
        while True:
            connection.execute("BEGIN IMMEDIATE")
            self._drop_stale(connection)
            batch = Batch(connection, self._known, self.payloads.notary)
            try:
                settled = [apply_one(entry, batch) for entry in entries]
                batch.flush()
            except Undone:
                # Nothing is open any more. The body that did it will not be run again.
                continue
            except REFUSALS:
                if apply_one is apply_alone:
                    raise
                # One row that is there already, or is no row, poisons the batch: go again, each entry for itself.
                connection.execute("ROLLBACK")
                apply_one = apply_alone
                continue
            return batch, settled

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
                    payloads=self.payloads,
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
        self._readers = WeakSet()
        self._lock.after_fork()
        self.payloads.after_fork()
        self._known = Heads()
        self._data_version = None

    # Reading

    def _listed(self, wanted: Wanted) -> list[rows.Row]:
        """By the narrowest index; where all that fit are wide, by the one that holds every facet of a run.

        SQLite takes the first index that fits, and may look up each of a million runs that it leads to.
        """
        ways = wanted.ways()
        if len(ways) == 1:
            return self.ask(wanted.by_way(ways[0]))
        counts: dict[int, Way] = {}
        for way in ways:
            found = self.ask(way.count(_NARROW))
            if not found or found[0][0] == 0:
                return []
            counts.setdefault(found[0][0], way)
        if counts and (fewest := min(counts)) < _NARROW:
            return self.ask(wanted.by_way(counts[fewest]))
        return self.ask(wanted.by_facets() or wanted.query())

    def outcomes_of(self, flow: str, *, since_ns: int = 0) -> Iterator[Outcome]:
        """The outcomes of a flow's runs that began at `since_ns` or later (nanoseconds since the epoch).

        They come without payloads and one by one, however many there are: run after run, in a run the attempts
        of each step together and in order.
        """
        reader = self._reader()
        if reader is None:
            return
        with explained(self.path), reader.quiet:
            cursor = reader.execute(
                f"SELECT {rows.FACT_COLUMNS} FROM outcomes WHERE run_id IN "
                "(SELECT id FROM runs WHERE flow = ? AND id >= ? AND created_ns >= ?) "
                "AND (status <> 'running' OR kind = 'start') ORDER BY run_id, key, attempt",
                (flow, first_id(since_ns - ID_LEAD_NS), since_ns),
            )
        while found := self._next_rows(reader, cursor):
            for row in found:
                yield rows.link(0, row).outcome

    def _next_rows(self, reader: Held, cursor: sqlite3.Cursor) -> list[rows.Row]:
        with explained(self.path), reader.quiet:
            return cursor.fetchmany(_FETCHED_ROWS)

    def format(self) -> int:
        """The version of the tables in the file; 0 where nothing was recorded yet. Raises `LedgerTooNew`."""
        found = self._read("PRAGMA user_version")
        return int(found[0][0]) if found else 0

    def _is_plain_copy(self) -> bool:
        if not self._read("SELECT 1 FROM sqlite_schema WHERE name = 'export'"):
            return False
        return self._read("SELECT value FROM export WHERE name = 'is_sealed'") == [("0",)]

    def check(self) -> str:
        """What SQLite's own quick check says of the file: `ok`, or what is damaged."""
        found = self._read("PRAGMA quick_check(1)")
        return str(found[0][0]) if found else "ok"

    def engine(self) -> str:
        """SQLite, and its version."""
        return f"SQLite {sqlite3.sqlite_version}"

    def _read(self, statement: str, *parameters: object) -> list[rows.Row]:
        reader = self._reader()
        if reader is None:
            return []
        with explained(self.path), reader.quiet:
            return reader.execute(statement, parameters).fetchall()

    def _reader(self) -> Held | None:
        """This thread's connection for reading; None while nothing is recorded."""
        reader: Held | None = getattr(self._local, "reader", None)
        if reader is None:
            if not self.path.exists():
                return None
            reader = connect_reader(self.path)
            with explained(self.path), reader.quiet:
                found = schema.version_of(reader)
            if found == 0:
                reader.close()
                return None
            schema.refuse_unreadable(reader, where=str(self.path))
            if found < schema.VERSION:
                # Tables of an earlier version are brought forward by the writer, at its first commit.
                self.submit(Note([])).wait()
            self._local.reader = reader
            self._readers.add(reader)
        return reader
