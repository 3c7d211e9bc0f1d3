"""Bringing a ledger's file to the format of this library, on demand and with a copy of what was."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from surefoot.errors import LedgerError
from surefoot.ledger import schema
from surefoot.ledger.backup import copy_unverified
from surefoot.ledger.connection import connect_reader, explained
from surefoot.ledger.entries import Note
from surefoot.ledger.sqlite import SqliteLedger


@dataclass(frozen=True, slots=True)
class Format:
    """The format of a ledger, 0 where there is none yet, and the one that this library works on."""

    found: int
    known: int

    @property
    def is_current(self) -> bool:
        return self.found in (0, self.known)


def format_of(path: Path) -> Format:
    """The format of the file at `path`, which is left as it is. Raises `LedgerError` for what is no ledger."""
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


def migrate(ledger: SqliteLedger, *, is_copied: bool) -> Path | None:
    """Bring the file forward; where its copy is, None if none was made or nothing was to be done.

    Of processes that do so at once, one does. Raises `LedgerTooNew`, and `LedgerError`.
    """
    found = format_of(ledger.path)
    schema.refuse_newer(found.found, where=ledger.where)
    if found.is_current:
        return None
    copy = copy_place(ledger.path, found.found) if is_copied else None
    if copy is not None:
        copy_unverified(ledger.path, copy, is_forced=True)
    ledger.submit(Note([])).wait()
    if not format_of(ledger.path).is_current:
        raise LedgerError(
            f"the ledger {ledger.where} was not brought forward: stop other processes and try again"
        )
    return copy
