"""Transaction steps on a SQLite file of the user's."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from surefoot.errors import ConfigError
from surefoot.flows.transactions.marks import SQLITE_DDL, TABLE, Found, Mark
from surefoot.flows.transactions.sessions import Trouble
from surefoot.ledger import Guard, Rules

_BUSY_SECONDS = 1.0
_RULES = Rules(is_shared=False)


class SqliteSession:
    """One transaction on a connection that nobody else uses meanwhile."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        guard: Guard,
        give_back: Callable[[sqlite3.Connection | None], None],
    ) -> None:
        self._connection = connection
        self._guard = guard
        self._give_back = give_back

    # The blank before each statement keeps it apart from all that a body can write: see `surefoot.ledger.bodies`.

    def prepare(self) -> None:
        found = self._connection.execute(
            " SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?", (TABLE,)
        ).fetchone()
        if found is None:
            self._connection.execute(SQLITE_DDL)

    def begin(self) -> None:
        self._connection.execute(" BEGIN IMMEDIATE")

    def find(self, mark: Mark) -> Found | None:
        row = self._connection.execute(
            " SELECT inputs, result FROM surefoot_markers WHERE run_id = ? AND step = ?",
            (mark.run_id, mark.step),
        ).fetchone()
        return None if row is None else Found(*row)

    def forget(self, mark: Mark) -> None:
        self._connection.execute(
            " DELETE FROM surefoot_markers WHERE run_id = ? AND step = ?", (mark.run_id, mark.step)
        )

    def insert(self, mark: Mark, result: bytes) -> None:
        self._connection.execute(
            " INSERT INTO surefoot_markers (run_id, step, epoch, inputs, result) VALUES (?, ?, ?, ?, ?)",
            (mark.run_id, mark.step, mark.epoch, mark.inputs, result),
        )

    def commit(self) -> None:
        self._connection.execute(" COMMIT")

    def rollback(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute(" ROLLBACK")

    def lent(self, what: str, /) -> AbstractContextManager[sqlite3.Connection]:
        return self._guard.lent(self._connection, what, None)

    @property
    def is_open(self) -> bool:
        return self._connection.in_transaction

    def release(self, *, is_good: bool) -> None:
        if is_good:
            self._give_back(self._connection)
        else:
            self.discard()

    def discard(self) -> None:
        with suppress(sqlite3.Error):
            self._connection.close()
        self._give_back(None)

    def trouble(self, error: BaseException) -> Trouble | None:
        if not isinstance(error, sqlite3.Error):
            return None
        code = getattr(error, "sqlite_errorcode", 0)
        if code in (sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_UNIQUE):
            return "taken"
        return "busy" if code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) else None


class SqliteFile:
    """A file by its path: one connection for the process, as SQLite lets only one write at a time anyway."""

    def __init__(self, path: Path) -> None:
        self.is_prepared = False
        self._path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._guard: Guard | None = None

    def open(self) -> SqliteSession:
        self._lock.acquire()
        try:
            if self._connection is None or self._guard is None:
                self._connection = self._connect()
                self._guard = Guard(self._connection, _RULES)
            return SqliteSession(self._connection, self._guard, self._give_back)
        except BaseException:
            self._lock.release()
            raise

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _connect(self) -> sqlite3.Connection:
        try:
            return sqlite3.connect(
                self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
        except sqlite3.OperationalError as error:
            raise ConfigError(
                f"the database {self._path} cannot be opened ({error}): check that the folder exists and may be written"
            ) from error

    def _give_back(self, connection: sqlite3.Connection | None) -> None:
        self._connection = connection
        self._lock.release()


def session_of(connection: sqlite3.Connection) -> SqliteSession:
    """A session on a connection that the user's own code has opened for it; it is closed at the end."""
    connection.isolation_level = None
    return SqliteSession(connection, Guard(connection, _RULES), lambda _: connection.close())
