"""Transaction steps on Postgres by psycopg 3, for sync code."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import TYPE_CHECKING, Any

from surefoot.errors import ConfigError, MissingExtra
from surefoot.flows.transactions.marks import POSTGRES_DDL, TABLE, Found, Mark
from surefoot.flows.transactions.sessions import Trouble, trouble_of_state

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[Any]


class PsycopgSession:
    """One transaction on one connection in autocommit mode: only the block of `transaction()` holds it together."""

    def __init__(self, connection: Connection, give_back: Callable[[Connection | None], None]) -> None:
        self._connection = connection
        self._give_back = give_back
        self._transaction: psycopg.Transaction | None = None
        self._block: AbstractContextManager[psycopg.Transaction] | None = None

    def prepare(self) -> None:
        import psycopg

        if self._has_table():
            return
        try:
            self._connection.execute(POSTGRES_DDL)
        except psycopg.Error as error:
            # Two that create it at the same time collide in the catalogue.
            if not self._has_table():
                raise table_missing(error) from error

    def begin(self) -> None:
        self._block = self._connection.transaction()
        self._transaction = self._block.__enter__()

    def find(self, mark: Mark) -> Found | None:
        row = self._connection.execute(
            "SELECT inputs, result FROM surefoot_markers WHERE run_id = %s AND step = %s",
            (mark.run_id, mark.step),
        ).fetchone()
        return None if row is None else Found(bytes(row[0]), bytes(row[1]))

    def forget(self, mark: Mark) -> None:
        self._connection.execute(
            "DELETE FROM surefoot_markers WHERE run_id = %s AND step = %s", (mark.run_id, mark.step)
        )

    def insert(self, mark: Mark, result: bytes) -> None:
        self._connection.execute(
            "INSERT INTO surefoot_markers (run_id, step, epoch, inputs, result) VALUES (%s, %s, %s, %s, %s)",
            (mark.run_id, mark.step, mark.epoch, mark.inputs, result),
        )

    def commit(self) -> None:
        if (block := self._block) is not None:
            self._block = None
            block.__exit__(None, None, None)

    def rollback(self) -> None:
        import psycopg

        if (block := self._block) is not None:
            self._block = None
            # By this exception psycopg knows that the block is to be undone, and that this is no failure of it.
            undo = psycopg.Rollback()
            block.__exit__(psycopg.Rollback, undo, None)

    def lent(self, _: str, /) -> AbstractContextManager[Connection]:
        return nullcontext(self._connection)

    @property
    def is_open(self) -> bool:
        from psycopg.pq import TransactionStatus

        # A statement that failed, and whose exception the body kept, leaves a transaction that cannot be committed.
        status = self._connection.info.transaction_status
        return status in (TransactionStatus.INTRANS, TransactionStatus.INERROR)

    def release(self, *, is_good: bool) -> None:
        if is_good and not self._connection.closed:
            self._give_back(self._connection)
        else:
            self.discard()

    def discard(self) -> None:
        with suppress(Exception):
            self._connection.close()
        self._give_back(None)

    def trouble(self, error: BaseException) -> Trouble | None:
        import psycopg

        if not isinstance(error, psycopg.Error):
            return None
        if error.sqlstate is None and isinstance(error, psycopg.OperationalError):
            return "lost"
        return trouble_of_state(error.sqlstate)

    def _has_table(self) -> bool:
        row = self._connection.execute("SELECT to_regclass(%s)", (TABLE,)).fetchone()
        return row is not None and row[0] is not None


class PsycopgServer:
    """A database by its address: connections are kept open, and at most `pool_size` are used at a time."""

    def __init__(self, address: Callable[[], str], *, pool_size: int) -> None:
        self.is_prepared = False
        self._address = address
        self._places = threading.BoundedSemaphore(pool_size)
        self._idle: list[Connection] = []
        self._is_closed = False

    def open(self) -> PsycopgSession:
        self._places.acquire()
        try:
            try:
                connection = self._idle.pop()
            except IndexError:
                connection = self._connect()
            return PsycopgSession(connection, self._give_back)
        except BaseException:
            self._places.release()
            raise

    def close(self) -> None:
        self._is_closed = True
        while self._idle:
            with suppress(Exception):
                self._idle.pop().close()

    def _connect(self) -> Connection:
        try:
            import psycopg
        except ImportError as error:
            raise MissingExtra(
                "a sync transaction step on Postgres needs psycopg 3: pip install 'psycopg[binary]>=3.2'"
            ) from error
        return psycopg.connect(self._address(), autocommit=True)

    def _give_back(self, connection: Connection | None) -> None:
        if connection is not None and self._is_closed:
            connection.close()
        elif connection is not None:
            self._idle.append(connection)
        self._places.release()


def session_of(connection: Connection) -> PsycopgSession:
    """A session on a connection that the user's own code has opened for it; it is closed at the end."""
    connection.autocommit = True
    return PsycopgSession(connection, lambda _: connection.close())


def table_missing(error: Exception) -> ConfigError:
    """What to say where the table of markers is not there and cannot be made."""
    return ConfigError(
        f"the table {TABLE} is not in the database of a transaction step and cannot be created there "
        f"({str(error).partition(chr(10))[0]}); "
        f"somebody who may has to do it:\n{POSTGRES_DDL};"
    )
