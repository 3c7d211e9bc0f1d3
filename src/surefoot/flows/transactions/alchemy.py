"""Transaction steps on a SQLAlchemy connection, whatever database it leads to."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from surefoot.errors import ConfigError, MissingExtra, UsageError
from surefoot.flows.transactions.marks import TABLE, Found, Mark
from surefoot.flows.transactions.sessions import Trouble, trouble_of_state

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, RootTransaction

_SQLITE_BUSY = (5, 6)


class AlchemySession:
    """One transaction on one connection of an engine."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._transaction: RootTransaction | None = None

    def prepare(self) -> None:
        import sqlalchemy as sa
        from sqlalchemy import exc, schema

        table = sa.Table(
            TABLE,
            sa.MetaData(),
            sa.Column("run_id", sa.String(26), primary_key=True),
            sa.Column("step", sa.String(32), primary_key=True),
            sa.Column("epoch", sa.BigInteger, nullable=False),
            sa.Column("inputs", sa.LargeBinary, nullable=False),
            sa.Column("result", sa.LargeBinary, nullable=False),
            sa.Column("made_at", sa.DateTime, nullable=False, server_default=sa.func.current_timestamp()),
        )
        if not sa.inspect(self._connection).has_table(TABLE):
            # The look has begun a transaction.
            self._connection.rollback()
            try:
                with self._connection.begin():
                    table.create(self._connection)
            except exc.DBAPIError as error:
                if not sa.inspect(self._connection).has_table(TABLE):
                    ddl = str(schema.CreateTable(table).compile(self._connection.engine)).strip()
                    raise ConfigError(
                        f"the table {TABLE} is not in the database of a transaction step and cannot be created there "
                        f"({str(error.orig).partition(chr(10))[0]}); somebody who may has to do it:\n{ddl};"
                    ) from error
        self._connection.rollback()

    def begin(self) -> None:
        self._transaction = self._connection.begin()

    def find(self, mark: Mark) -> Found | None:
        row = self._execute(
            "SELECT inputs, result FROM surefoot_markers WHERE run_id = :run_id AND step = :step", mark
        )
        found = row.fetchone()
        return None if found is None else Found(bytes(found[0]), bytes(found[1]))

    def forget(self, mark: Mark) -> None:
        self._execute("DELETE FROM surefoot_markers WHERE run_id = :run_id AND step = :step", mark)

    def insert(self, mark: Mark, result: bytes) -> None:
        self._execute(
            "INSERT INTO surefoot_markers (run_id, step, epoch, inputs, result) "
            "VALUES (:run_id, :step, :epoch, :inputs, :result)",
            mark,
            epoch=mark.epoch,
            inputs=mark.inputs,
            result=result,
        )

    def commit(self) -> None:
        if (transaction := self._transaction) is not None:
            self._transaction = None
            transaction.commit()

    def rollback(self) -> None:
        if (transaction := self._transaction) is not None:
            self._transaction = None
            transaction.rollback()

    @contextmanager
    def lent(self, what: str, /) -> Generator[Connection]:
        from sqlalchemy import event

        def refuse(_: Connection) -> None:
            raise UsageError(
                f"{what} may not end its transaction: return to have it committed, raise to have it undone"
            )

        for name in ("commit", "rollback"):
            event.listen(self._connection, name, refuse)
        try:
            yield self._connection
        finally:
            for name in ("commit", "rollback"):
                event.remove(self._connection, name, refuse)

    @property
    def is_open(self) -> bool:
        return self._transaction is not None and self._transaction.is_active and not self._connection.closed

    def release(self, *, is_good: bool) -> None:
        if not is_good and not self._connection.closed:
            self._connection.invalidate()
        self._connection.close()

    def discard(self) -> None:
        self.release(is_good=False)

    def trouble(self, error: BaseException) -> Trouble | None:
        from sqlalchemy import exc

        if not isinstance(error, exc.DBAPIError):
            return None
        if error.connection_invalidated:
            return "lost"
        state: str | None = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None)
        if (known := trouble_of_state(state)) is not None:
            return known
        if getattr(error.orig, "sqlite_errorcode", 0) & 0xFF in _SQLITE_BUSY:
            return "busy"
        return "taken" if isinstance(error, exc.IntegrityError) else None

    def _execute(self, statement: str, mark: Mark, **values: object) -> Any:
        import sqlalchemy as sa

        return self._connection.execute(
            sa.text(statement), {"run_id": mark.run_id, "step": mark.step, **values}
        )


class AlchemyEngine:
    """An engine, the user's own or one that is made of an address."""

    def __init__(self, engine: Callable[[], Engine], *, is_ours: bool) -> None:
        self.is_prepared = False
        self._make = engine
        self._engine: Engine | None = None
        self._is_ours = is_ours

    def open(self) -> AlchemySession:
        if self._engine is None:
            self._engine = self._make()
        return AlchemySession(self._engine.connect())

    def close(self) -> None:
        if self._is_ours and self._engine is not None:
            self._engine.dispose()
            self._engine = None


def engine_of(address: str, *, pool_size: int) -> Engine:
    """An engine for `postgresql://` (by psycopg 3) or `sqlite:///`. Raises `MissingExtra`."""
    try:
        import sqlalchemy as sa
    except ImportError as error:
        raise MissingExtra(
            "a transaction step asks for a SQLAlchemy connection: pip install 'sqlalchemy>=2.0'"
        ) from error
    if address.startswith("sqlite:"):
        return sa.create_engine(address)
    url = sa.make_url(address)
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    # A connection that broke while it was idle shows here, and not in the body.
    return sa.create_engine(url, pool_size=pool_size, pool_pre_ping=True)
