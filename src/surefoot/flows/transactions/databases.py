"""The databases that transaction steps can name, and what else `transaction=` may be."""

from __future__ import annotations

import inspect
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from surefoot.errors import ConfigError, UsageError
from surefoot.flows.transactions.alchemy import AlchemyEngine, engine_of
from surefoot.flows.transactions.postgres import PsycopgServer, PsycopgSession
from surefoot.flows.transactions.postgres import session_of as psycopg_session
from surefoot.flows.transactions.postgres_async import AsyncpgServer, AsyncpgSession, PoolSource
from surefoot.flows.transactions.postgres_async import session_of as asyncpg_session
from surefoot.flows.transactions.sessions import Source
from surefoot.flows.transactions.sqlite import SqliteFile, SqliteSession
from surefoot.flows.transactions.sqlite import session_of as sqlite_session
from surefoot.locks import in_forked_child
from surefoot.scope import Slot

LEDGER = "ledger"

Face = Literal["sync", "async", "sqlalchemy"]
"""What the body wants: the connection of a sync or an async driver, or one of SQLAlchemy."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a database is. `url` reads the secrets in it, so it is not asked for before it is needed."""

    url: Callable[[], str]
    pool_size: int = 10


class Databases:
    """The databases of one application by name, each opened at its first use: one pool per process and driver."""

    def __init__(self, addresses: Mapping[str, Address], *, root: Path, body_seconds: float = 5.0) -> None:
        """Relative paths of SQLite files start at `root`. `body_seconds` bounds bodies in the ledger's own file."""
        self.body_seconds = body_seconds
        self._addresses = addresses
        self._root = root
        self._lock = threading.Lock()
        self._open: dict[tuple[str, Face], Source] = {}
        # A connection that a forked child inherits must be neither used nor closed there: it is the parent's.
        self._inherited: list[object] = []
        in_forked_child(self.after_fork)

    def source(self, name: str, face: Face) -> Source:
        """The database of this name. Raises `ConfigError` for an unknown one."""
        with self._lock:
            source = self._open.get((name, face))
            if source is None:
                source = self._open[name, face] = self._make(name, face)
            return source

    def close(self) -> None:
        """Close what is open. What is used afterwards is opened anew."""
        with self._lock:
            sources, self._open = list(self._open.values()), {}
        for source in sources:
            source.close()

    def _make(self, name: str, face: Face) -> Source:
        address = self._addresses.get(name)
        if address is None:
            known = ", ".join(sorted({*self._addresses, LEDGER}))
            raise ConfigError(
                f"a step says transaction={name!r}, but there is no such database (there is: {known}): "
                f'add [databases.{name}] with url = "sqlite:///FILE" or "postgresql://..." to the settings'
            )
        if address.url().startswith("sqlite:"):
            path = self._path(address.url())
            if face == "async":
                raise UsageError(
                    f"the database {name!r} is a SQLite file, whose driver waits for nobody: "
                    "write its transaction steps as plain functions (def)"
                )
            if face == "sync":
                return SqliteFile(path)
            url = f"sqlite:///{path}"
            return AlchemyEngine(lambda: engine_of(url, pool_size=address.pool_size), is_ours=True)
        if face == "sqlalchemy":
            return AlchemyEngine(lambda: engine_of(address.url(), pool_size=address.pool_size), is_ours=True)
        make = PsycopgServer if face == "sync" else AsyncpgServer
        return make(address.url, pool_size=address.pool_size)

    def _path(self, url: str) -> Path:
        return self._root / url.removeprefix("sqlite:///")

    def after_fork(self) -> None:
        """In a forked child: what is open is the parent's."""
        self._lock = threading.Lock()
        self._inherited.append(self._open)
        self._open = {}


databases: Slot[Databases] = Slot("databases")


class Opener:
    """A function of the user's that opens a connection, for one transaction each."""

    def __init__(self, function: Callable[[], object]) -> None:
        self.is_prepared = False
        self._function = function

    def open(self) -> Any:
        opened = self._function()
        return self._await(opened) if inspect.isawaitable(opened) else _session(opened)

    async def _await(self, opened: Any) -> AsyncpgSession:
        return asyncpg_session(await opened)

    def close(self) -> None:
        """Each connection is closed after its transaction."""


def _session(connection: Any) -> SqliteSession | PsycopgSession:
    match _kind(connection):
        case "sqlite3":
            return sqlite_session(connection)
        case "psycopg":
            return psycopg_session(connection)
        case _:
            raise UsageError(
                f"transaction= got a function that opens a {type(connection).__qualname__}: return a connection of "
                "sqlite3 or psycopg 3, an awaitable of asyncpg's, or give a SQLAlchemy Engine"
            )


def source_of(given: object) -> Source:
    """The database that an object of the user's leads to. Raises `UsageError` for anything else."""
    if _is_a(given, "sqlalchemy", "Engine"):
        return AlchemyEngine(lambda: cast("Any", given), is_ours=False)
    if _is_a(given, "asyncpg", "Pool"):
        return PoolSource(cast("Any", given))
    if callable(given):
        return Opener(given)
    raise UsageError(
        f"transaction= got a {type(given).__qualname__}: give the name of a database in the settings, "
        f"{LEDGER!r}, a SQLAlchemy Engine, a pool of asyncpg, or a function that opens a connection"
    )


def _is_a(given: object, module: str, name: str) -> bool:
    """Whether it is an instance of that class, without importing the module of one that nobody has made."""
    return module in sys.modules and isinstance(given, getattr(sys.modules[module], name))


def _kind(connection: object) -> str:
    """The package that a connection comes from."""
    roots = [cls.__module__.partition(".")[0] for cls in type(connection).__mro__]
    return next((root for root in roots if root in ("sqlite3", "psycopg")), "")
