"""SQLite connections to a ledger file: how they are opened, and what their errors mean."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from surefoot.errors import LedgerCorrupt, LedgerError, LedgerFull, LedgerReadOnly
from surefoot.ledger.holders import write_holder
from surefoot.locks import QuietLock

_BUSY_SECONDS = 10.0
_NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "fuse.sshfs", "ceph", "lustre"}
)


_of_parents: list[Held] = []
_opening = QuietLock()


class Held(sqlite3.Connection):
    """A connection that closes when nobody holds it any more, as those of threads that have ended do.

    In a forked child it is left as it is: it is the parent's, and may have been in use by a thread that is not there.
    A fork waits for whoever holds `quiet`.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        self._pid = os.getpid()
        self.quiet = QuietLock()
        with _opening:
            super().__init__(*args, **options)

    def close(self) -> None:
        """Close it, as soon as no other thread reads by it."""
        with self.quiet:
            super().close()

    def __del__(self, _getpid: Callable[[], int] = os.getpid) -> None:
        # (bound here: at the very end of the interpreter this module has no names any more)
        if self._pid == _getpid():
            self.close()
        else:
            _of_parents.append(self)


def connect_writer(path: Path) -> Held:
    """The connection that writes: no implicit transactions, usable by whichever thread holds the writer."""
    refuse_network_file_system(path)
    with explained(path):
        return sqlite3.connect(
            path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False, factory=Held
        )


def prepare_writer(connection: sqlite3.Connection, *, synchronous: str) -> None:
    """WAL, and how long a commit waits. This changes the file: only one that is ours comes so far."""
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute("PRAGMA foreign_keys = OFF")


def connect_reader(path: Path) -> Held:
    """A connection that cannot write. It also opens a ledger on a medium that is read-only."""
    with explained(path):
        try:
            return _checked(
                sqlite3.connect(
                    path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False, factory=Held
                ),
                "PRAGMA query_only = ON",
            )
        except sqlite3.OperationalError as error:
            # Only then: a file that others write must never be read as one that does not change.
            if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
                raise
        # WAL wants to write an index file beside the ledger; where it cannot, the file does not change either.
        return _checked(
            sqlite3.connect(
                f"{path.absolute().as_uri()}?mode=ro&immutable=1",
                uri=True,
                check_same_thread=False,
                factory=Held,
            )
        )


def _checked(connection: Held, *settings: str) -> Held:
    with connection.quiet:
        for statement in (*settings, "SELECT 1 FROM sqlite_schema LIMIT 1"):
            connection.execute(statement)
    return connection


@contextmanager
def explained(path: Path) -> Generator[None]:
    """Turn SQLite's errors into the ledger's, with what to do about them."""
    try:
        yield
    except sqlite3.Error as error:
        raise explain(error, path) from error


def explain(error: sqlite3.Error, path: Path) -> LedgerError:
    """The ledger's error for one of SQLite's."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return LedgerFull(f"no space left for the ledger {path}: free some, then `surefoot resume` the run")
    if code == sqlite3.SQLITE_READONLY:
        return LedgerReadOnly(
            f"the ledger {path} is read-only: make file and folder writable, or set SUREFOOT_LEDGER_PATH"
        )
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return LedgerCorrupt(
            f"the ledger {path} is damaged ({error}): restore a backup, or move the file away to begin anew"
        )
    if code == sqlite3.SQLITE_BUSY:
        holder = write_holder(path)
        who = "another process" if holder is None else holder
        do = f"see who holds it with `lsof {path}`" if holder is None else holder.advice
        return LedgerError(
            f"the ledger {path} is locked by {who} for more than {_BUSY_SECONDS:.0f} s: {do}, then "
            "`surefoot resume` the run"
        )
    if code == sqlite3.SQLITE_CANTOPEN:
        return LedgerError(
            f"the ledger {path} cannot be opened: check that the folder exists and may be written"
        )
    if code == sqlite3.SQLITE_IOERR:
        return LedgerError(
            f"reading or writing the ledger {path} failed ({error}): check the disk, then `surefoot resume` the run"
        )
    return LedgerError(f"the ledger {path}: {error}")


def engine() -> tuple[str, bool]:
    """SQLite's version here, and whether it was built with full-text search (FTS5)."""
    connection = sqlite3.connect(":memory:")
    try:
        options = {row[0] for row in connection.execute("PRAGMA compile_options")}
    finally:
        connection.close()
    return sqlite3.sqlite_version, "ENABLE_FTS5" in options


def refuse_network_file_system(path: Path) -> None:
    """Raise `LedgerError` where SQLite's locks and WAL do not hold: on a file system of another machine."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return
    home = path.absolute().parent
    kind, depth = "", -1
    for line in mounts:
        left, _, right = line.partition(" - ")
        point = Path(left.split()[4].replace("\\040", " "))
        if home.is_relative_to(point) and len(point.parts) >= depth:
            kind, depth = right.split()[0], len(point.parts)
    if kind in _NETWORK_FILE_SYSTEMS:
        raise LedgerError(
            f"the ledger {path} lies on a network file system ({kind}), where SQLite can lose data: "
            "set SUREFOOT_LEDGER_PATH to a local disk"
        )
