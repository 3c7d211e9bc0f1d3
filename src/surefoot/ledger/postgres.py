"""The ledger in a Postgres database, shared by processes on many machines."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, TypeVar

from surefoot.errors import LedgerError, SurefootError
from surefoot.ledger import postgres_schema, rows
from surefoot.ledger.entries import LedgerEntry, Note
from surefoot.ledger.events import Outcome
from surefoot.ledger.listing import ID_LEAD_NS, Query
from surefoot.ledger.payloads import Payloads
from surefoot.ledger.postgres_applying import Applier
from surefoot.ledger.postgres_batch import Batch
from surefoot.ledger.postgres_connection import SCHEMA, Address, explain, is_lost, numbered
from surefoot.ledger.postgres_loop import LoopWriter
from surefoot.ledger.reading import Reading
from surefoot.ledger.writer import Pending, Settled
from surefoot.values import first_id

T = TypeVar("T")

OUTAGE_SECONDS = 30.0
"""For how long a lost server is waited for, unless the settings say otherwise."""

_SILENT_SECONDS = 30.0
"""How long a batch may take until its connection counts as lost: a cut that nobody is told of looks like this."""

_READERS = 4
_FETCHED_ROWS = 500
_FETCHED_RUNS = 200
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0
# A column or table that is not there: a newer version has taken it away.
_GONE = ("42703", "42P01")

Connection = Any


class PostgresLedger(Reading):
    """Writes through one connection per process, a batch of outcomes with each statement; reads through a few more.

    All of them live on a loop in a thread of their own. A connection that is cut is opened again for `outage_seconds`;
    what was under way is looked up then, and nothing is lost or written twice. The tables are made at the first write.
    Raises `LedgerError` and its kin.
    """

    def __init__(
        self,
        url: str,
        payloads: Payloads,
        *,
        password: str | None = None,
        outage_seconds: float = OUTAGE_SECONDS,
    ) -> None:
        """Raises `ConfigError` for what is no URL of a Postgres database. Nothing is opened yet."""
        self.address = Address(url, password=password)
        self.payloads = payloads
        self._outage_seconds = outage_seconds
        self._foreign = set[str]()
        self._writer: LoopWriter[LedgerEntry] = LoopWriter(
            self._commit, leave=self._leave, name="surefoot-ledger", on_fork=self._after_fork
        )
        self._inherited: list[object] = []
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._applier = Applier(self.payloads.notary)
        self._connection: Connection | None = None
        self._idle: list[Connection] = []
        self._turns: asyncio.Semaphore | None = None
        self._has_tables = False
        self._was_reached = False

    @property
    def where(self) -> str:
        """The URL of the database, without its password."""
        return self.address.shown

    # Writing

    def submit(self, entry: LedgerEntry) -> Pending:
        """See `surefoot.ledger.Ledger.submit`."""
        return self._writer.submit(entry)

    def on_tick(self, tick: Callable[[], float | None]) -> None:
        """See `surefoot.ledger.Ledger.on_tick`."""
        self._writer.on_tick(tick)

    def nudge(self) -> None:
        """See `surefoot.ledger.Ledger.nudge`."""
        self._writer.call_tick()
        self._writer.nudge()

    def close(self) -> None:
        """Write what is queued and close the connections."""
        self._writer.close()

    async def _commit(self, entries: Sequence[LedgerEntry]) -> Sequence[Settled]:
        batch = Batch(entries)

        async def apply() -> None:
            # To bring tables forward may take as long as it takes.
            connection = await self._for_writing()
            async with asyncio.timeout(_SILENT_SECONDS):
                await self._applier.apply(batch, connection)

        try:
            await self._patiently(apply, self._drop_writer)
        except Exception as error:  # noqa: BLE001  (whatever it is, each waiter has to hear of it)
            self._drop_writer()
            batch.fail(error)
        return batch.results()

    async def _patiently(
        self,
        work: Callable[[], Awaitable[T]],
        give_up_connection: Callable[[], None],
        *,
        patience: float | None = None,
    ) -> T:
        """Do the work, again and again while the server is away. Raises the ledger's errors.

        A server that was never reached is not waited for: more likely than not its address is wrong.
        """
        # From when it is noticed: a connection that fell silent has taken its time already.
        end_at: float | None = None
        pause = _FIRST_PAUSE
        while True:
            try:
                return await work()
            except Exception as error:
                if not is_lost(error):
                    raise await self._explained(error) from error
                give_up_connection()
                is_hopeless = not self._was_reached and isinstance(error, OSError | asyncio.TimeoutError)
                now = time.monotonic()
                end_at = end_at or now + (self._outage_seconds if patience is None else patience)
                if is_hopeless or now + pause > end_at:
                    raise explain(error, self.where) from error
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _explained(self, error: Exception) -> Exception:
        """The ledger's error for one that the server or the driver raised; others stay what they are."""
        if getattr(error, "sqlstate", None) in _GONE:
            connection = await self.address.connect(is_writer=False)
            try:
                version, readable_by = await postgres_schema.version_of(connection)
                postgres_schema.refuse_newer(version, readable_by, where=self.where)
            except LedgerError as newer:
                return newer
            finally:
                connection.terminate()
        return error if isinstance(error, SurefootError) else explain(error, self.where)

    async def _for_writing(self) -> Connection:
        if self._connection is None or self._connection.is_closed():
            self._drop_writer()
            connection = await self.address.connect(is_writer=True)
            try:
                await postgres_schema.migrate(connection, where=self.where, payloads=self.payloads)
            except BaseException:
                connection.terminate()
                raise
            self._connection = connection
            self._has_tables = self._was_reached = True
        return self._connection

    def _drop_writer(self) -> None:
        self._applier.forget()
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def _leave(self) -> None:
        for connection in (*self._idle, self._connection):
            if connection is not None and not connection.is_closed():
                try:
                    await connection.close(timeout=1.0)
                except Exception:  # noqa: BLE001  (it is left either way)
                    connection.terminate()
        self._begin_anew()

    def _after_fork(self) -> None:
        # The sockets are the parent's: neither used nor closed here, as closing them would speak to the server.
        self._inherited += [self._connection, self._idle, self._turns]
        self._begin_anew()
        self.payloads.after_fork()

    # Reading

    def _read(self, statement: str, *parameters: object) -> list[rows.Row]:
        return self._writer.call(self._fetch(numbered(statement), parameters))

    def ask(self, query: Query, *, patience: float | None = None) -> list[rows.Row]:
        """See `surefoot.ledger.Ledger.ask`."""
        statement, values = query
        return self._writer.call(self._fetch(numbered(statement), values, patience=patience))

    async def _fetch(
        self, statement: str, parameters: Sequence[object], *, patience: float | None = None
    ) -> list[rows.Row]:
        if self._turns is None:
            self._turns = asyncio.Semaphore(_READERS)
        # What somebody looks for may hold what no text of Postgres does: that is found nowhere, and no outage.
        parameters = [rows.clean(each) if isinstance(each, str) else each for each in parameters]
        used: list[Connection] = []

        async def fetch() -> list[rows.Row]:
            connection = await self._for_reading()
            used.append(connection)
            if not await self._is_there(connection):
                return []
            return [tuple(row) for row in await connection.fetch(statement, *parameters)]

        def give_up() -> None:
            # Where one connection was cut, the others were too.
            for connection in (*used, *self._idle):
                connection.terminate()
            used.clear()
            self._idle.clear()

        async with self._turns:
            try:
                found = await self._patiently(fetch, give_up, patience=patience)
            except BaseException:
                for connection in used:
                    connection.terminate()
                raise
            self._idle += used
            return found

    async def _for_reading(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        connection = await self.address.connect(is_writer=False)
        self._was_reached = True
        return connection

    async def _is_there(self, connection: Connection) -> bool:
        """Whether anything was recorded yet. Tables of an earlier version are brought forward first."""
        if not self._has_tables:
            version, readable_by = await postgres_schema.version_of(connection)
            postgres_schema.refuse_newer(version, readable_by, where=self.where)
            if 0 < version < postgres_schema.VERSION:
                self._writer.nudge()
                await self._writer.submit(Note([]))
            self._has_tables = version > 0
        return self._has_tables

    def outcomes_of(self, flow: str, *, since_ns: int = 0) -> Iterator[Outcome]:
        """See `surefoot.ledger.Ledger.outcomes_of`."""
        run_id = first_id(since_ns - ID_LEAD_NS)
        while page := self._read(
            "SELECT id FROM runs WHERE flow = ? AND id > ? AND created_ns >= ? ORDER BY id LIMIT ?",
            *(flow, run_id, since_ns, _FETCHED_RUNS),
        ):
            ids = [row[0] for row in page]
            run_id = ids[-1]
            after: tuple[object, ...] = ("", b"", 0)
            while found := self._read(
                f"SELECT {rows.FACT_COLUMNS} FROM outcomes WHERE run_id = ANY(?::text[]) "
                "AND (status <> 'running' OR kind = 'start') AND (run_id, key, attempt) > (?, ?, ?) "
                "ORDER BY run_id, key, attempt LIMIT ?",
                *(ids, *after, _FETCHED_ROWS),
            ):
                for row in found:
                    yield rows.link(0, row).outcome
                after = found[-1][:3]

    # Its state

    def format(self) -> int:
        """The version of the tables; 0 where nothing was recorded yet. Raises `LedgerTooNew`."""
        found = self._read(f"SELECT version FROM {SCHEMA}.ledger")
        return int(found[0][0]) if found else 0

    def check(self) -> str:
        """`ok`, or which index is invalid, or how many pages had a wrong checksum."""
        broken = self._read(
            "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
            "WHERE c.relnamespace = to_regnamespace(?) AND NOT i.indisvalid LIMIT 1",
            SCHEMA,
        )
        if broken:
            return f"the index {broken[0][0]} is invalid: REINDEX INDEX CONCURRENTLY {SCHEMA}.{broken[0][0]}"
        damaged = self._read(
            "SELECT coalesce(checksum_failures, 0) FROM pg_stat_database WHERE datname = current_database()"
        )
        if damaged and damaged[0][0]:
            return f"{damaged[0][0]} pages had a wrong checksum"
        return "ok"

    def engine(self) -> str:
        """PostgreSQL, and the server's version. Raises `LedgerError` where it cannot be reached."""

        async def ask() -> str:
            connection = await self.address.connect(is_writer=False)
            try:
                found: str = await connection.fetchval("SHOW server_version")
            finally:
                connection.terminate()
            return found

        async def version() -> str:
            return await self._patiently(ask, lambda: None)

        return f"PostgreSQL {self._writer.call(version()).partition(' ')[0]}"
