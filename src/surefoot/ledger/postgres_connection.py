"""Connections to the server that holds a ledger: how they are opened, and what their errors mean."""

from __future__ import annotations

import asyncio
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from surefoot.errors import ConfigError, LedgerCorrupt, LedgerError, LedgerFull, LedgerReadOnly, MissingExtra

if TYPE_CHECKING:
    import asyncpg

SCHEMA = "surefoot"
"""The schema of the database that the ledger's tables are in."""

_CONNECT_SECONDS = 10.0
_LOCK_SECONDS = 20.0
_SECRET_OPTIONS = ("password", "sslpassword", "passfile")
_LOST = ("08", "57P01", "57P02", "57P03", "57P05", "53300", "40001", "40P01")
"""SQLSTATEs, or their beginnings, after which the same statement may succeed on another connection."""


class Address:
    """Where a ledger is: the URL of a database. It prints without its password."""

    def __init__(self, url: str, *, password: str | None = None) -> None:
        """Raises `ConfigError` for what is no URL of a Postgres database; it does not repeat the URL."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise ConfigError(f"the ledger's URL is malformed ({error}): {_EXAMPLE}") from None
        if parts.scheme not in ("postgresql", "postgres"):
            raise ConfigError(f"the ledger's URL begins with {parts.scheme!r}: {_EXAMPLE}")
        self._url = url
        self.password = password or (unquote(parts.password) if parts.password else None)
        user = f"{parts.username}@" if parts.username else ""
        host = parts.hostname or ""
        host = f"[{host}]" if ":" in host else host
        options = [(name, value) for name, value in parse_qsl(parts.query) if name not in _SECRET_OPTIONS]
        self.shown = urlunsplit(
            ("postgresql", f"{user}{host}{f':{port}' if port else ''}", parts.path, urlencode(options), "")
        )
        self.database = unquote(parts.path.lstrip("/"))

    def __repr__(self) -> str:
        return self.shown

    async def connect(self, *, is_writer: bool) -> asyncpg.Connection[Any]:
        """A new connection. Raises the driver's errors; `explain` has the words for them."""
        driver = load_driver()
        settings = {"search_path": SCHEMA, "application_name": "surefoot", "jit": "off", "timezone": "UTC"}
        # Writers take turns by locks, and have to see what was committed while they waited for one.
        settings["default_transaction_isolation"] = "read committed"
        if is_writer:
            # Statements are prepared once, perhaps while the tables are empty, and must not scan when they are not.
            settings |= {"enable_seqscan": "off", "plan_cache_mode": "force_generic_plan"}
            settings |= {"synchronous_commit": "on", "lock_timeout": f"{_LOCK_SECONDS * 1000:.0f}"}
        connection: asyncpg.Connection[Any] = await driver.connect(
            self._url, password=self.password, timeout=_CONNECT_SECONDS, server_settings=settings
        )
        return connection


_EXAMPLE = 'write [ledger] url = "postgresql://user@host:5432/database", best as "${env:NAME}"'


def load_driver() -> Any:
    """The module `asyncpg`. Raises `MissingExtra`."""
    try:
        import asyncpg
    except ImportError:
        raise MissingExtra(
            'a ledger in Postgres needs its driver: pip install "surefoot[postgres]"'
        ) from None
    return asyncpg


def state_of(error: BaseException) -> str:
    """The SQLSTATE that came with an error; nothing where the server did not say one."""
    return str(getattr(error, "sqlstate", None) or "")


def is_lost(error: BaseException) -> bool:
    """Whether the connection, and not the statement, is what is wrong: then nobody knows what became of it."""
    if isinstance(error, OSError | asyncio.TimeoutError | EOFError):
        return True
    driver = load_driver()
    if isinstance(error, driver.InternalClientError):
        # Raised where a connection breaks in the middle of a statement.
        return True
    if isinstance(error, driver.InterfaceError):
        # A closed connection is told apart from a wrong argument only by the words.
        return not isinstance(error, driver.DataError) and "clos" in str(error)
    return isinstance(error, driver.PostgresError) and state_of(error).startswith(_LOST)


def is_refusal(error: BaseException) -> bool:
    """Whether a row is there already, or is none that the tables take: it must not take others along."""
    if isinstance(error, TypeError | ValueError | OverflowError):
        return True
    driver = load_driver()
    if isinstance(error, driver.PostgresError):
        return state_of(error).startswith(("22", "23", "54"))
    return isinstance(error, driver.DataError)


def is_duplicate(error: BaseException) -> bool:
    """Whether a row of that key is there already."""
    return state_of(error) == "23505"


def explain(error: BaseException, where: str) -> LedgerError:
    """The ledger's error for one of the driver's, with what to do about it."""
    if isinstance(error, LedgerError):
        return error
    failure = _explained(error, state_of(error), where)
    failure.__cause__ = error
    return failure


def _explained(error: BaseException, state: str, where: str) -> LedgerError:
    if isinstance(error, OSError | asyncio.TimeoutError | EOFError):
        why = str(error).partition("\n")[0] or type(error).__name__
        return LedgerError(
            f"the server of the ledger {where} cannot be reached ({why}): see that it runs and that host and port "
            "are right, then `surefoot resume` the run"
        )
    if state.startswith("28"):
        return LedgerError(
            f"the ledger {where}: the server refuses this user or password: correct the URL in [ledger] or "
            "SUREFOOT_LEDGER_URL"
        )
    if state == "3D000":
        return LedgerError(
            f"the ledger {where}: there is no such database: create it (createdb), or correct the URL in [ledger]"
        )
    if state == "42501":
        return LedgerError(
            f"the ledger {where}: the user may not do this ({_line(error)}): grant it the schema {SCHEMA!r} "
            "and CREATE on the database"
        )
    if state == "25006":
        return LedgerReadOnly(
            f"the ledger {where} is read-only, as a standby is: point the URL at the primary server"
        )
    if state in ("53100", "53200"):
        return LedgerFull(
            f"the server of the ledger {where} has no space left ({_line(error)}): free some, then "
            "`surefoot resume` the run"
        )
    if state == "53300":
        return LedgerError(
            f"the server of the ledger {where} has no connection left ({_line(error)}): raise max_connections, "
            "or run fewer processes"
        )
    if state == "55P03":
        return LedgerError(
            f"the ledger {where} is locked by another session for more than {_LOCK_SECONDS:.0f} s: see which with "
            "`SELECT pid, query FROM pg_stat_activity WHERE xact_start IS NOT NULL`, let it come to its end or end it "
            "(pg_terminate_backend), then `surefoot resume` the run"
        )
    if state.startswith(("XX", "58")):
        return LedgerCorrupt(f"the ledger {where} is damaged ({_line(error)}): restore a backup")
    if state.startswith("57P"):
        return LedgerError(
            f"the server of the ledger {where} is stopping or starting ({_line(error)}): wait for it, then "
            "`surefoot resume` the run"
        )
    return LedgerError(f"the ledger {where}: {type(error).__name__}: {_line(error)}")


def _line(error: BaseException) -> str:
    return str(error).partition("\n")[0]


@lru_cache(maxsize=256)
def numbered(statement: str) -> str:
    """`?` for parameters as the driver wants them."""
    first, *rest = statement.split("?")
    return first + "".join(f"${n}{part}" for n, part in enumerate(rest, 1))
