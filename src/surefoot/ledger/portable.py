"""The portable form of a ledger: one SQLite file with the ledger's own tables, and beside them what it is.

Runs stand in it as they stood, so that their chains hold. Without sealed parts it has no data keys either, and each
part that is left out leaves its digest, which the chain covers. With them, the data keys are wrapped by a key of the
export's own, and so are the MACs: under that key as `SUREFOOT_KEY` the file is a ledger in which runs can be gone on
with. A plain export has no MACs: whoever imports it vouches for the file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from surefoot.ledger import rows

MANIFEST = "CREATE TABLE export (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT"

RUN_COLUMNS = f"{rows.RUN_COLUMNS}, head, pruned, mac"
DETAIL_COLUMNS = "run_id, key, attempt, kind, at_ns, body"
MESSAGE_COLUMNS = "id, run_id, kind, sent_ns, body, adopted_ns, mac"


def insert(table: str, columns: str, *, is_once: bool = False) -> str:
    """The statement that inserts a row; `is_once` leaves one that is there as it is."""
    rest = " ON CONFLICT DO NOTHING" if is_once else ""
    return f"INSERT INTO {table} ({columns}) VALUES ({', '.join('?' * (columns.count(',') + 1))}){rest}"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an export is. `key_check` tells whether a key is the one under which its data keys are wrapped."""

    ledger: str
    made_ns: int
    made_by: str
    is_sealed: bool
    key_check: str

    def entries(self) -> Mapping[str, str]:
        return {
            "kind": "surefoot export",
            "version": "1",
            "ledger": self.ledger,
            "made_ns": str(self.made_ns),
            "made_by": self.made_by,
            "is_sealed": str(int(self.is_sealed)),
            "key_check": self.key_check,
        }


def manifest_in(connection: sqlite3.Connection) -> Manifest | None:
    """What an export says of itself; None for a ledger that is none."""
    if connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'export'").fetchone() is None:
        return None
    said = dict(connection.execute("SELECT name, value FROM export"))
    return Manifest(
        said.get("ledger", ""),
        int(said.get("made_ns", "0")),
        said.get("made_by", ""),
        said.get("is_sealed") == "1",
        said.get("key_check", ""),
    )
