"""SQL of the user's own in a transaction of ours: what it may do, on which connection, and for how long."""

from __future__ import annotations

import sqlite3
import threading
import time
import weakref
from collections.abc import Coroutine, Generator, Iterable
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn, TypeVar

from surefoot.errors import UsageError
from surefoot.ledger.entries import Transact
from surefoot.ledger.events import Outcome
from surefoot.ledger.payloads import Freight

T = TypeVar("T")

_MARK = "\n--"
"""Behind each statement of a body. The connection knows prepared statements by their text, and asks no authorizer
about those that it knows: one of the body's must never be one of ours."""

_INSTRUCTIONS = 20_000
"""How many instructions SQLite does between two looks at the clock."""

_HARMLESS_PRAGMAS = frozenset(
    {
        *("data_version", "foreign_key_list", "index_info", "index_list", "index_xinfo"),
        *("table_info", "table_list", "table_xinfo"),
    }
)
_OF_THE_FILE = frozenset(
    {
        *(sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT),
        *(sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_READONLY),
    }
)
_TEMPORARY = frozenset(
    {
        *(sqlite3.SQLITE_CREATE_TEMP_INDEX, sqlite3.SQLITE_CREATE_TEMP_TABLE),
        *(sqlite3.SQLITE_CREATE_TEMP_TRIGGER, sqlite3.SQLITE_CREATE_TEMP_VIEW),
    }
)
_NAMES_TABLE_FIRST = frozenset(
    {
        *(sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE),
        *(sqlite3.SQLITE_CREATE_TABLE, sqlite3.SQLITE_DROP_TABLE),
        *(sqlite3.SQLITE_CREATE_VTABLE, sqlite3.SQLITE_DROP_VTABLE),
    }
)
_NAMES_TABLE_SECOND = frozenset(
    {
        *(sqlite3.SQLITE_CREATE_INDEX, sqlite3.SQLITE_DROP_INDEX),
        *(sqlite3.SQLITE_CREATE_TRIGGER, sqlite3.SQLITE_DROP_TRIGGER),
        sqlite3.SQLITE_ALTER_TABLE,
    }
)


class Undone(Exception):
    """A body has undone the transaction that it shared with others; it remembers that, and is not run again."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What bodies may not do on a connection: end the transaction, and, where it is shared, anything that lasts.

    `own_tables` are those of the ledger, in lower case; empty in a database that is all the user's.
    """

    own_tables: frozenset[str] = frozenset()
    is_shared: bool = True

    def refusal(self, action: int, first: str | None, second: str | None) -> str | None:
        """Why this is refused, by the action and arguments that SQLite's authorizer is given; None if it is not."""
        if action == sqlite3.SQLITE_TRANSACTION:
            return f"{first}: Surefoot begins and ends the transaction; return to commit it, raise to undo it"
        if action in (sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH):
            return "ATTACH and DETACH: declare a database of its own under [databases]"
        if not self.is_shared:
            return None
        if action == sqlite3.SQLITE_SAVEPOINT:
            return f"{first} of a savepoint: the whole body is one; raise to undo it"
        if action == sqlite3.SQLITE_PRAGMA and (first not in _HARMLESS_PRAGMAS):
            return f"PRAGMA {first}: it would change the ledger's own connection"
        if action in _TEMPORARY:
            return f"temporary {first!r}: it would stay on the ledger's own connection"
        if action == sqlite3.SQLITE_ANALYZE:
            return "ANALYZE: it would change how the ledger is searched"
        table = first if action in _NAMES_TABLE_FIRST else second if action in _NAMES_TABLE_SECOND else None
        if table is not None and (table.lower() in self.own_tables or table.startswith("sqlite_stat")):
            return f"changing {table!r}: it is a table of the ledger; use tables of your own"
        return None


class Guard:
    """Watches one connection, as its authorizer for good: setting one anew costs every prepared statement."""

    def __init__(self, connection: sqlite3.Connection, rules: Rules) -> None:
        self._rules = rules
        self._is_lent = False
        self._refusal: str | None = None
        connection.set_authorizer(self._authorize)

    @contextmanager
    def lent(
        self, connection: sqlite3.Connection, what: str, seconds: float | None
    ) -> Generator[BodyConnection]:
        """The connection as a body gets it, for no longer than `seconds`; afterwards it is of no use.

        Raises `UsageError` for what the body must not do, where it let that pass.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        lent = BodyConnection(connection, what, deadline)
        if deadline is not None:
            connection.set_progress_handler(lambda: time.monotonic() > deadline, _INSTRUCTIONS)
        self._is_lent, self._refusal = True, None
        try:
            yield lent
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code == sqlite3.SQLITE_AUTH and self._refusal is not None:
                raise UsageError(f"{what} may not do this: {self._refusal}") from error
            if code == sqlite3.SQLITE_INTERRUPT and deadline is not None and time.monotonic() > deadline:
                raise _overrun(what) from error
            raise
        finally:
            self._is_lent = False
            lent.take_back()
            if deadline is not None:
                connection.set_progress_handler(None, 0)

    def _authorize(self, action: int, first: str | None, second: str | None, *_: str | None) -> int:
        if not self._is_lent:
            return sqlite3.SQLITE_OK
        refusal = self._rules.refusal(action, first, second)
        if refusal is None:
            return sqlite3.SQLITE_OK
        self._refusal = refusal
        return sqlite3.SQLITE_DENY


def _overrun(what: str) -> UsageError:
    return UsageError(
        f"{what} kept the ledger's writer for longer than it may, and everybody waits for that: do less in one body, "
        "raise ledger.body_seconds in the settings, or give it a database of its own under [databases]"
    )


class BodyCursor(sqlite3.Cursor):
    """A cursor whose statements are the body's."""

    def __init__(self, lent: BodyConnection, real: sqlite3.Connection) -> None:
        super().__init__(real)
        self._lent = lent
        if lent.row_factory is not None:
            self.row_factory = lent.row_factory

    @property
    def connection(self) -> sqlite3.Connection:
        return self._lent

    def execute(self, sql: str, parameters: Any = (), /) -> BodyCursor:
        self._lent.check()
        super().execute(sql + _MARK, parameters)
        return self

    def executemany(self, sql: str, seq_of_parameters: Iterable[Any], /) -> BodyCursor:
        self._lent.check()
        super().executemany(sql + _MARK, seq_of_parameters)
        return self

    def executescript(self, _: str, /) -> NoReturn:
        self._lent.refuse("executescript()", "it commits first; execute the statements one by one")


class BodyConnection(sqlite3.Connection):
    """What a body gets for a connection: statements and cursors of the real one, until the body is over.

    It is a `sqlite3.Connection` for whoever asks, but never opened: what is not lent here does not work.
    """

    def __init__(self, real: sqlite3.Connection, what: str, deadline: float | None) -> None:
        self._real: sqlite3.Connection | None = real
        self._what = what
        self._deadline = deadline
        self._cursors: weakref.WeakSet[BodyCursor] = weakref.WeakSet()

    def check(self) -> sqlite3.Connection:
        """The real connection. Raises `UsageError` where its transaction is over, or the body's time."""
        real = self._real
        if real is None:
            raise UsageError(
                f"{self._what} has ended, and its connection is used: do all of its work in its body"
            )
        if not real.in_transaction:
            raise UsageError(_undone(self._what))
        if self._deadline is not None and time.monotonic() > self._deadline:
            raise _overrun(self._what)
        return real

    def refuse(self, name: str, instead: str) -> NoReturn:
        raise UsageError(f"{self._what} may not call {name}: {instead}")

    def take_back(self) -> None:
        """The body is over. A cursor that was not read to its end would keep the file's old state."""
        for cursor in list(self._cursors):
            with suppress(sqlite3.Error):
                cursor.close()
        self._real = None

    def cursor(self, factory: Any = None) -> Any:
        if factory not in (None, sqlite3.Cursor):
            self.refuse("cursor() with a class of its own", "leave it out")
        made = BodyCursor(self, self.check())
        self._cursors.add(made)
        return made

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        cursor: BodyCursor = self.cursor()
        return cursor.execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        cursor: BodyCursor = self.cursor()
        return cursor.executemany(sql, parameters)

    def executescript(self, _: str, /) -> NoReturn:
        self.refuse("executescript()", "it commits first; execute the statements one by one")

    @property
    def in_transaction(self) -> bool:
        return self._real is not None and self._real.in_transaction

    @property
    def total_changes(self) -> int:
        return self.check().total_changes

    def commit(self) -> NoReturn:
        self.refuse("commit()", "it is committed with the step's outcome; return to commit it")

    def rollback(self) -> NoReturn:
        self.refuse("rollback()", "raise an exception to undo it")

    def close(self) -> NoReturn:
        self.refuse("close()", "the connection is lent")

    def __enter__(self) -> NoReturn:
        self.refuse("`with connection:`", "it would commit at its end; the whole body is one transaction")

    def __exit__(self, *exception: object) -> Literal[False]:
        return False


def _undone(what: str) -> str:
    return (
        f"{what} was undone by SQLite as a whole (INSERT OR ROLLBACK, RAISE(ROLLBACK), or an interruption): "
        "use OR ABORT, or let the exception pass"
    )


# By connection, which holds its guard as authorizer; the guard does not hold the connection.
_guards: weakref.WeakKeyDictionary[sqlite3.Connection, Guard] = weakref.WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Transacted:
    """What became of a body: its value, with the outcome that goes into the same commit, or its exception."""

    value: object = None
    error: BaseException | None = None
    outcome: Outcome | None = None
    freight: Freight = field(default_factory=Freight)


def run_body(connection: sqlite3.Connection, entry: Transact, own_tables: frozenset[str]) -> Transacted:
    """Run a body in a savepoint of the open transaction, then make its outcome; what raises is undone.

    Raises `Undone` where the whole transaction is gone, and SQLite's error where the file is at fault.
    """
    if entry.spoiled is not None:
        return Transacted(error=entry.spoiled)
    guard = _guards.get(connection)
    if guard is None:
        guard = _guards[connection] = Guard(connection, Rules(own_tables))
    connection.execute("SAVEPOINT body")
    try:
        with guard.lent(connection, entry.what, entry.seconds) as lent:
            value = entry.body(lent)
            lent.check()
        outcome, freight = entry.record(value) if entry.record is not None else (None, [])
    except BaseException as error:  # noqa: BLE001  (it is handed to whoever waits)
        _undo(connection, entry, error)
        return Transacted(error=error)
    connection.execute("RELEASE body")
    return Transacted(value, None, outcome, freight)


def _undo(connection: sqlite3.Connection, entry: Transact, error: BaseException) -> None:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if isinstance(error, sqlite3.Error) and code in _OF_THE_FILE:
        raise error
    if isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
        raise error
    if not connection.in_transaction:
        entry.spoiled = error
        raise Undone from error
    connection.execute("ROLLBACK TO body")
    connection.execute("RELEASE body")


def finished(coroutine: Coroutine[Any, Any, T], what: str) -> T:
    """The result of a coroutine that awaits nothing, as a body in the writer must be; else raises `UsageError`."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    coroutine.close()
    raise UsageError(
        f"{what} awaits something, and the ledger's writer waits for nobody: await it before, "
        "or give the step a database of its own under [databases]"
    )
