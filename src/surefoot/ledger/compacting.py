"""What a file holds beside its rows: free space, and what was overwritten."""

from __future__ import annotations

from contextlib import suppress

from surefoot.ledger.tables import SqliteTables, one


def compact(tables: SqliteTables) -> int:
    """Give the file's free space back to the disk; the bytes given back. Writers wait meanwhile.

    It needs as much free disk as the ledger will be large, twice. Raises `LedgerError`.
    """
    with tables.alone() as connection:
        before = _pages(tables)
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return max(before - _pages(tables), 0)


def free_bytes(tables: SqliteTables) -> int:
    """Space inside the file that new rows will use; `compact` gives it back."""
    with tables.reading() as session:
        number, size = one(
            session, "SELECT freelist_count, page_size FROM pragma_freelist_count, pragma_page_size"
        )
    return int(number * size)


def _pages(tables: SqliteTables) -> int:
    return sum(
        place.stat().st_size
        for ending in ("", "-wal")
        if (place := tables.path.with_name(tables.path.name + ending)).exists()
    )


def empty_log(tables: SqliteTables) -> None:
    """What was overwritten in the file still stands in the write-ahead log."""
    with suppress(Exception), tables.alone() as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
