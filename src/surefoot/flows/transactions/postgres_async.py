"""Transaction steps on Postgres by asyncpg, for async code."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from surefoot.errors import MissingExtra
from surefoot.flows.transactions.marks import POSTGRES_DDL, TABLE, Found, Mark
from surefoot.flows.transactions.postgres import table_missing
from surefoot.flows.transactions.sessions import Trouble, trouble_of_state

if TYPE_CHECKING:
    import asyncpg
    from asyncpg.transaction import Transaction

    Connection = Any  # a connection, or what a pool lends for one


class AsyncpgSession:
    """One transaction on one connection of a loop."""

    def __init__(self, connection: Connection, give_back: Callable[[Connection], Awaitable[None]]) -> None:
        self._connection = connection
        self._give_back = give_back
        self._transaction: Transaction | None = None

    async def prepare(self) -> None:
        import asyncpg

        if await self._has_table():
            return
        try:
            await self._connection.execute(POSTGRES_DDL)
        except asyncpg.PostgresError as error:
            # Two that create it at the same time collide in the catalogue.
            if not await self._has_table():
                raise table_missing(error) from error

    async def begin(self) -> None:
        transaction = self._connection.transaction()
        await transaction.start()
        self._transaction = transaction

    async def find(self, mark: Mark) -> Found | None:
        row = await self._connection.fetchrow(
            "SELECT inputs, result FROM surefoot_markers WHERE run_id = $1 AND step = $2",
            mark.run_id,
            mark.step,
        )
        return None if row is None else Found(row["inputs"], row["result"])

    async def forget(self, mark: Mark) -> None:
        await self._connection.execute(
            "DELETE FROM surefoot_markers WHERE run_id = $1 AND step = $2", mark.run_id, mark.step
        )

    async def insert(self, mark: Mark, result: bytes) -> None:
        await self._connection.execute(
            "INSERT INTO surefoot_markers (run_id, step, epoch, inputs, result) VALUES ($1, $2, $3, $4, $5)",
            *(mark.run_id, mark.step, mark.epoch, mark.inputs, result),
        )

    async def commit(self) -> None:
        if (transaction := self._transaction) is not None:
            self._transaction = None
            await transaction.commit()

    async def rollback(self) -> None:
        if (transaction := self._transaction) is not None:
            self._transaction = None
            if self._connection.is_in_transaction():
                await transaction.rollback()

    def lent(self, _: str, /) -> AbstractContextManager[Connection]:
        return nullcontext(self._connection)

    @property
    def is_open(self) -> bool:
        return bool(self._connection.is_in_transaction())

    async def release(self, *, is_good: bool) -> None:
        if not is_good:
            self._connection.terminate()
        await self._give_back(self._connection)

    def discard(self) -> None:
        self._connection.terminate()

    def trouble(self, error: BaseException) -> Trouble | None:
        import asyncpg

        # The driver loses its way where the server ends the connection just when it is used.
        if isinstance(error, OSError | asyncpg.ConnectionDoesNotExistError | asyncpg.InternalClientError):
            return "lost"
        if isinstance(error, asyncpg.InterfaceError):
            return "lost" if self._connection.is_closed() else None
        return trouble_of_state(error.sqlstate) if isinstance(error, asyncpg.PostgresError) else None

    async def _has_table(self) -> bool:
        return await self._connection.fetchval("SELECT to_regclass($1)", TABLE) is not None


class AsyncpgServer:
    """A database by its address: one pool for each loop, as connections belong to theirs."""

    def __init__(self, address: Callable[[], str], *, pool_size: int) -> None:
        self.is_prepared = False
        self._address = address
        self._pool_size = pool_size
        self._lock = threading.Lock()
        self._pools: dict[asyncio.AbstractEventLoop, asyncpg.Pool[Any]] = {}
        self._closings: dict[asyncio.AbstractEventLoop, AsyncGenerator[None]] = {}

    async def open(self) -> AsyncpgSession:
        return await PoolSource(await self._pool()).open()

    def close(self) -> None:
        """Drop the connections: where their loops do not run any more nobody could wait for a farewell."""
        with self._lock:
            pools, self._pools = self._pools, {}
        for loop, pool in pools.items():
            if loop.is_running():
                loop.call_soon_threadsafe(pool.terminate)
            elif not loop.is_closed():
                pool.terminate()

    async def _pool(self) -> asyncpg.Pool[Any]:
        try:
            import asyncpg
        except ImportError as error:
            raise MissingExtra(
                'an async transaction step on Postgres needs asyncpg: pip install "surefoot[postgres]"'
            ) from error
        loop = asyncio.get_running_loop()
        closing: AsyncGenerator[None] | None = None
        with self._lock:
            pool = self._pools.get(loop)
            if pool is None:
                for other in [other for other in self._pools if other.is_closed()]:
                    self._forget(other)
                pool = asyncpg.create_pool(self._address(), min_size=0, max_size=self._pool_size)
                closing = self._closing(loop, pool)
                self._pools[loop], self._closings[loop] = pool, closing
        # To await it a second time opens nothing anew.
        await pool
        if closing is not None:
            await anext(closing)
        return pool

    async def _closing(
        self, loop: asyncio.AbstractEventLoop, pool: asyncpg.Pool[Any]
    ) -> AsyncGenerator[None]:
        """An open generator is what `asyncio.run` closes before its loop, and so the connections with it."""
        try:
            yield
        finally:
            with self._lock:
                self._forget(loop)
            await pool.close()

    def _forget(self, loop: asyncio.AbstractEventLoop) -> None:
        self._pools.pop(loop, None)
        self._closings.pop(loop, None)


class PoolSource:
    """A pool, the user's own or ours."""

    def __init__(self, pool: asyncpg.Pool[Any]) -> None:
        self.is_prepared = False
        self._pool = pool

    async def open(self) -> AsyncpgSession:
        return AsyncpgSession(await self._pool.acquire(), self._pool.release)

    def close(self) -> None:
        """The user's pool is the user's to close."""


def session_of(connection: Connection) -> AsyncpgSession:
    """A session on a connection that the user's own code has opened for it; it is closed at the end."""

    async def close(used: Connection) -> None:
        await used.close()

    return AsyncpgSession(connection, close)
