"""A copy of the ledger's file as it is at one moment, made while runs go on."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from surefoot.errors import LedgerCorrupt, LedgerError, LedgerFull
from surefoot.ledger.connection import connect_reader, explain, explained
from surefoot.ledger.drafts import Draft
from surefoot.ledger.payloads import Payloads
from surefoot.ledger.tables import SqliteTables
from surefoot.ledger.verifying import Progress, Verified, verify

_PAGES = 256
"""Pages copied in one step; between two of them others get at the file."""


@dataclass(frozen=True, slots=True)
class BackedUp:
    """A finished backup; `verified` is what was checked in the copy itself."""

    file: Path
    bytes: int
    verified: Verified


def back_up(
    path: Path,
    file: Path,
    payloads: Payloads,
    *,
    is_forced: bool = False,
    on_copy: Callable[[int, int], None] | None = None,
    on_verify: Progress | None = None,
) -> BackedUp:
    """Copy the ledger at `path` to `file`, and verify the copy before it takes its place.

    The copy is of one moment: what is recorded meanwhile is not in it, and nobody waits for it. Raises `InvalidInput`
    for a file that is there already, `LedgerFull`, `LedgerCorrupt` where the ledger itself is damaged, `LedgerError`;
    then no file is left behind.
    """
    if not path.exists():
        raise LedgerError(f"there is no ledger {path}: the first run makes it")
    draft = Draft(file, is_forced=is_forced)
    try:
        _copy(path, draft, on_copy)
        copy = SqliteTables(draft.path)
        with closing(copy):
            verified = verify(copy, payloads, on_progress=on_verify)
        _check_whole(path, verified)
        size = draft.path.stat().st_size
        draft.publish()
    except BaseException:
        draft.drop()
        raise
    return BackedUp(file, size, verified)


def copy_unverified(path: Path, file: Path, *, is_forced: bool = False) -> None:
    """Copy a ledger of any format; only the file itself is checked. Raises as `back_up` does."""
    draft = Draft(file, is_forced=is_forced)
    try:
        _copy(path, draft, None)
        with closing(connect_reader(draft.path)) as copy, explained(path):
            said = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
        _check_sound(path, said)
        draft.publish()
    except BaseException:
        draft.drop()
        raise


def _check_whole(path: Path, copy: Verified) -> None:
    if not copy.is_whole:
        first = [*copy.damage, *(f"run {found.run_id}: {found.problem}" for found in copy.broken)][0]
        raise LedgerCorrupt(
            f"the ledger {path} is damaged ({first}), so this would be no backup: "
            "see all of it with `surefoot ledger verify`, and keep the last good backup"
        )


def _check_sound(path: Path, said: str) -> None:
    if said != "ok":
        raise LedgerCorrupt(f"the ledger {path} is damaged ({said}): restore a backup first")


def _copy(path: Path, draft: Draft, on_copy: Callable[[int, int], None] | None) -> None:
    def told(_status: int, remaining: int, total: int) -> None:
        if on_copy is not None:
            on_copy(total - remaining, total)

    with closing(connect_reader(path)) as source:
        source.isolation_level = None
        with explained(path):
            # One moment for all steps: without it a step that meets another process's commit begins anew, for ever.
            source.execute("BEGIN")
            source.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        try:
            with closing(sqlite3.connect(draft.path, isolation_level=None)) as target:
                target.execute("PRAGMA synchronous = OFF")
                source.backup(target, pages=_PAGES, progress=told, sleep=0.0)
                # One file, without a log beside it.
                target.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.Error as error:
            raise _explained(error, path, draft.file) from error


def _explained(error: sqlite3.Error, path: Path, file: Path) -> LedgerError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return LedgerFull(f"no space left for {file}: free some, or name a file on another disk")
    if code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
        return LedgerError(
            f"{file} cannot be written ({error}): check its disk, or name a file on another one"
        )
    return explain(error, path)
