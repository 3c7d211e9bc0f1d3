"""Bringing a ledger to the format of this library, on demand; a file with a copy of what was."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from surefoot.errors import LedgerError
from surefoot.ledger import schema
from surefoot.ledger.backup import copy_unverified
from surefoot.ledger.connection import connect_reader, explained
from surefoot.ledger.entries import Note
from surefoot.ledger.postgres import PostgresLedger
from surefoot.ledger.postgres_tables import PostgresTables
from surefoot.ledger.sqlite import SqliteLedger
from surefoot.ledger.store import Ledger


@dataclass(frozen=True, slots=True)
class Format:
    """The format of a ledger, 0 where there is none yet, and the one that this library works on."""

    found: int
    known: int

    @property
    def is_current(self) -> bool:
        return self.found in (0, self.known)


def format_of(ledger: Ledger) -> Format:
    """The format of a ledger, which is left as it is. Raises `LedgerError` for what is none."""
    if isinstance(ledger, PostgresLedger):
        with closing(PostgresTables(ledger.address)) as tables:
            return Format(tables.format(), schema.VERSION)
    if isinstance(ledger, SqliteLedger):
        return _format_of_file(ledger.path)
    raise LedgerError(f"the ledger {ledger.where} has no format that this Surefoot knows")


def _format_of_file(path: Path) -> Format:
    if not path.exists():
        return Format(0, schema.VERSION)
    with closing(connect_reader(path)) as connection, explained(path):
        found = schema.version_of(connection)
        if found <= schema.VERSION:
            schema.refuse_foreign(connection, where=str(path))
    return Format(found, schema.VERSION)


def copy_place(path: Path, found: int) -> Path:
    """Where the copy goes that is made before a migration."""
    return path.with_name(f"{path.stem}.format-{found}{path.suffix}")


def migrate(ledger: Ledger, *, is_copied: bool) -> Path | None:
    """Bring the tables forward; where the copy of the file is, None if none was made or nothing was to be done.

    On Postgres it is one transaction, and a copy is the server's business. Of processes that do so at once, one does.
    Raises `LedgerTooNew`, and `LedgerError`.
    """
    found = format_of(ledger)
    schema.refuse_newer(found.found, where=ledger.where)
    if found.is_current:
        return None
    copy: Path | None = None
    if is_copied and isinstance(ledger, SqliteLedger):
        copy = copy_place(ledger.path, found.found)
        copy_unverified(ledger.path, copy, is_forced=True)
    ledger.submit(Note([])).wait()
    if not format_of(ledger).is_current:
        raise LedgerError(
            f"the ledger {ledger.where} was not brought forward: stop other processes and try again"
        )
    return copy
