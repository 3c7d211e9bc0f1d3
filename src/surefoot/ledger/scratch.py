"""Sets that may be too large for memory, in a temporary file."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Self

_FETCHED = 1000


class Scratch:
    """Names with a mark each. It lies in the folder for temporary files and is gone when it is closed."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="surefoot-")
        self._connection = sqlite3.connect(
            Path(self._folder.name) / "scratch.db", isolation_level=None, check_same_thread=False
        )
        for setting in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -8000"):
            self._connection.execute(f"PRAGMA {setting}")
        self._connection.execute("CREATE TABLE names (name TEXT PRIMARY KEY, mark INTEGER) WITHOUT ROWID")
        self._connection.execute("BEGIN")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, names: Iterable[str]) -> None:
        """Names without a mark; those that are there keep theirs."""
        self._connection.executemany("INSERT OR IGNORE INTO names VALUES (?, NULL)", ((n,) for n in names))

    def mark(self, name: str, mark: int) -> None:
        self._connection.execute("INSERT OR REPLACE INTO names VALUES (?, ?)", (name, mark))

    def mark_of(self, name: str) -> int | None:
        found = self._connection.execute("SELECT mark FROM names WHERE name = ?", (name,)).fetchone()
        return None if found is None else found[0]

    def drop(self, names: Iterable[str]) -> None:
        self._connection.executemany("DELETE FROM names WHERE name = ?", ((n,) for n in names))

    def unmarked(self, *, size: int = _FETCHED) -> Iterator[list[str]]:
        """The names without a mark, sorted, so many at a time; they may be dropped meanwhile."""
        last = ""
        while found := self._connection.execute(
            "SELECT name FROM names WHERE mark IS NULL AND name > ? ORDER BY name LIMIT ?", (last, size)
        ).fetchall():
            yield [row[0] for row in found]
            last = found[-1][0]

    def close(self) -> None:
        self._connection.close()
        self._folder.cleanup()
