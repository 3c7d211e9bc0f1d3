"""The ledger's tables for work on the store as a whole: verifying, pruning, moving.

Everything here is written in the SQL that both engines understand, with `?` for parameters.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Protocol

from surefoot.errors import LedgerError
from surefoot.ledger import schema
from surefoot.ledger.connection import connect_reader, connect_writer, explained, prepare_writer
from surefoot.ledger.filelock import FileLock
from surefoot.ledger.notary import Notary
from surefoot.ledger.rows import Row

_FETCHED_ROWS = 500


class Session(Protocol):
    """One transaction."""

    def rows(self, statement: str, *parameters: object) -> Iterator[Row]:
        """What a query finds, fetched as it is read."""
        ...

    def change(self, statement: str, *parameters: object) -> int:
        """Change rows; how many."""
        ...

    def insert(self, statement: str, rows: Sequence[Row]) -> None:
        """Insert many rows."""
        ...


class Tables(Protocol):
    """The tables of one ledger."""

    notary: Notary | None
    """What knows the runs of the application that works on them; None where they are only looked at."""

    @property
    def where(self) -> str:
        """The ledger, as messages name it."""
        ...

    def format(self) -> int:
        """The version of the tables; 0 where nothing was recorded yet. Raises `LedgerError` for any but the latest."""
        ...

    def is_export(self) -> bool:
        """Whether it is no ledger that runs are recorded in, but a portable copy."""
        ...

    def reading(self) -> AbstractContextManager[Session]:
        """One moment of the ledger, however much is written meanwhile."""
        ...

    def writing(self, *, is_alone: bool = False) -> AbstractContextManager[Session]:
        """A transaction, in the queue with all other writers; it counts when the block has ended without an error.

        `is_alone`: no row of `outcomes` that it does not see is on its way meanwhile.
        """
        ...

    def check(self, *, is_thorough: bool) -> list[str]:
        """What the engine itself finds damaged."""
        ...

    def close(self) -> None: ...


class SqliteTables:
    """The tables of a ledger in a SQLite file, through connections of its own."""

    def __init__(self, path: Path, *, synchronous: str = "FULL", notary: Notary | None = None) -> None:
        self.path = path
        self.notary = notary
        self._synchronous = synchronous
        self._lock = FileLock(path)
        self._reader: sqlite3.Connection | None = None
        self._writer: sqlite3.Connection | None = None

    @property
    def where(self) -> str:
        return str(self.path)

    def format(self) -> int:
        if not self.path.exists():
            return 0
        with explained(self.path):
            found = schema.version_of(self._for_reading())
        schema.refuse_newer(found, where=self.where)
        if 0 < found < schema.VERSION:
            raise LedgerError(
                f"the ledger {self.where} has format {found}, this Surefoot works on {schema.VERSION}: "
                "`surefoot ledger migrate` brings it forward"
            )
        return found

    def is_export(self) -> bool:
        with explained(self.path):
            found = (
                self._for_reading().execute("SELECT 1 FROM sqlite_schema WHERE name = 'export'").fetchone()
            )
        return found is not None

    @contextmanager
    def reading(self) -> Generator[Session]:
        connection = self._for_reading()
        with explained(self.path):
            connection.execute("BEGIN")
            try:
                yield SqliteSession(connection)
            finally:
                with suppress(sqlite3.Error):
                    connection.execute("COMMIT")

    @contextmanager
    def writing(self, *, is_alone: bool = False) -> Generator[Session]:  # noqa: ARG002  (here it always is)
        with explained(self.path):
            self._lock.acquire()
            try:
                connection = self._for_writing()
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield SqliteSession(connection)
                    connection.execute("COMMIT")
                except BaseException:
                    if connection.in_transaction:
                        with suppress(sqlite3.Error):
                            connection.execute("ROLLBACK")
                    raise
            finally:
                self._lock.release()

    @contextmanager
    def alone(self) -> Generator[sqlite3.Connection]:
        """The writing connection outside of a transaction, in the queue with all other writers."""
        with explained(self.path):
            self._lock.acquire()
            try:
                yield self._for_writing()
            finally:
                self._lock.release()

    def check(self, *, is_thorough: bool) -> list[str]:
        pragma = "integrity_check" if is_thorough else "quick_check"
        with explained(self.path):
            found = self._for_reading().execute(f"PRAGMA {pragma}(20)").fetchall()
        return [str(row[0]) for row in found if row[0] != "ok"]

    def close(self) -> None:
        for connection in (self._reader, self._writer):
            if connection is not None:
                connection.close()
        self._reader = self._writer = None
        self._lock.close()

    def _for_reading(self) -> sqlite3.Connection:
        if self._reader is None:
            if not self.path.exists():
                raise LedgerError(f"there is no ledger {self.path}: the first run makes it")
            self._reader = connect_reader(self.path)
            self._reader.isolation_level = None
        return self._reader

    def _for_writing(self) -> sqlite3.Connection:
        if self._writer is None:
            if not self.path.exists():
                raise LedgerError(f"there is no ledger {self.path}: the first run makes it")
            connection = connect_writer(self.path)
            try:
                schema.refuse_foreign(connection, where=self.where)
                prepare_writer(connection, synchronous=self._synchronous)
                # What is deleted here is meant to be gone, not to lie about in free pages.
                connection.execute("PRAGMA secure_delete = ON")
            except BaseException:
                connection.close()
                raise
            self._writer = connection
        return self._writer


class SqliteSession:
    """One transaction on SQLite."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def rows(self, statement: str, *parameters: object) -> Iterator[Row]:
        cursor = self._connection.execute(statement, parameters)
        while found := cursor.fetchmany(_FETCHED_ROWS):
            yield from found

    def change(self, statement: str, *parameters: object) -> int:
        return self._connection.execute(statement, parameters).rowcount

    def insert(self, statement: str, rows: Sequence[Row]) -> None:
        self._connection.executemany(statement, rows)


def one(session: Session, statement: str, *parameters: object) -> Row:
    """The first row of what a query finds, which finds at least one."""
    return next(iter(session.rows(statement, *parameters)))
