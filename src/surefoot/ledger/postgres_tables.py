"""The tables of a ledger on Postgres, for work on the store as a whole."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from surefoot.errors import LedgerError
from surefoot.ledger import postgres_schema
from surefoot.ledger.notary import Notary
from surefoot.ledger.postgres_connection import Address, explain
from surefoot.ledger.rows import Row
from surefoot.ledger.tables import Session

if TYPE_CHECKING:
    import asyncpg

T = TypeVar("T")

_FETCHED_ROWS = 500


class PostgresTables:
    """The tables of a ledger on a server, through one connection of its own, from sync code."""

    def __init__(self, address: Address, *, notary: Notary | None = None) -> None:
        self.address = address
        self.notary = notary
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="surefoot-tables", daemon=True)
        self._thread.start()
        self._connection: asyncpg.Connection[Any] | None = None

    @property
    def where(self) -> str:
        return self.address.shown

    def format(self) -> int:
        version, readable_by = self._call(postgres_schema.version_of(self._connected()))
        postgres_schema.refuse_newer(version, readable_by, where=self.where)
        return version

    def is_export(self) -> bool:
        return False

    @contextmanager
    def reading(self) -> Generator[Session]:
        with self._transaction(isolation="repeatable_read", readonly=True) as session:
            yield session

    @contextmanager
    def writing(self, *, is_alone: bool = False) -> Generator[Session]:
        with self._transaction() as session:
            if is_alone:
                # It waits for rows that are on their way, and lets no others begin; readers go on.
                session.change("LOCK TABLE outcomes IN SHARE MODE")
            yield session

    def check(self, *, is_thorough: bool) -> list[str]:  # noqa: ARG002  (the server keeps checksums of its own)
        return []

    def close(self) -> None:
        if self._thread.is_alive():
            if self._connection is not None:
                with suppress(LedgerError):
                    self._call(self._connection.close())
                self._connection = None
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    @contextmanager
    def _transaction(self, **options: Any) -> Generator[Session]:
        transaction: Any = self._connected().transaction(**options)
        self._call(transaction.start())
        try:
            yield _PostgresSession(self, self._connected())
        except BaseException:
            with suppress(LedgerError):
                self._call(transaction.rollback())
            raise
        self._call(transaction.commit())

    def _connected(self) -> asyncpg.Connection[Any]:
        if self._connection is None or self._connection.is_closed():
            self._connection = self._call(self.address.connect(is_writer=False))
        return self._connection

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the connection's loop. Raises `LedgerError`."""
        return self._call(work)

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop).result()
        except (TypeError, ValueError):
            # A row that the tables do not take is told apart by its kind.
            raise
        except Exception as error:
            raise explain(error, self.where) from error


class _PostgresSession:
    """One transaction on Postgres."""

    def __init__(self, tables: PostgresTables, connection: asyncpg.Connection[Any]) -> None:
        self._tables = tables
        self._connection = connection

    def rows(self, statement: str, *parameters: object) -> Iterator[Row]:
        cursor: Any = self._tables.call(self._cursor(statement, parameters))
        while found := self._tables.call(cursor.fetch(_FETCHED_ROWS)):
            for row in found:
                yield tuple(row)

    def change(self, statement: str, *parameters: object) -> int:
        said = self._tables.call(self._connection.execute(numbered(statement), *parameters))
        number = said.rpartition(" ")[2]
        return int(number) if number.isdecimal() else 0

    def insert(self, statement: str, rows: Sequence[Row]) -> None:
        if rows:
            self._tables.call(self._connection.executemany(numbered(statement), rows))

    async def _cursor(self, statement: str, parameters: Sequence[object]) -> Any:
        return await self._connection.cursor(numbered(statement), *parameters)


def numbered(statement: str) -> str:
    """A statement with `$1`, `$2` for its parameters; no `?` may stand in a literal."""
    first, *rest = statement.split("?")
    return first + "".join(f"${number}{part}" for number, part in enumerate(rest, start=1))
