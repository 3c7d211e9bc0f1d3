"""Somebody who writes to the tables of a ledger: without the application's key, and, to compare, with it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING

from surefoot.ledger import Keyring
from surefoot.ledger.chain import GENESIS, payload_hash, row_hash
from surefoot.ledger.notary import STANDING_COLUMNS, Notary, Standing

if TYPE_CHECKING:
    from pathlib import Path

    from surefoot.ledger import Ledger


Execute = Callable[..., object]
"""A statement behind the ledger's back, with `?` for parameters."""


def rehashed(ledger: Ledger, execute: Execute, run_id: str) -> None:
    """Compute all hashes of a run anew, as an editor does who has read this library."""
    previous = GENESIS
    for link in ledger.history(run_id):
        payloads = payload_hash(link.outcome.inputs, link.outcome.output)
        previous = row_hash(previous, link.outcome, payloads)
        execute("UPDATE outcomes SET payload_hash = ?, hash = ? WHERE seq = ?", payloads, previous, link.seq)
    execute("UPDATE runs SET head = ? WHERE id = ?", previous, run_id)


def as_ours(file: Path) -> None:
    """Make the MACs of all runs for what stands in the file, as only somebody with the key beside it can."""
    notary = Notary(Keyring(file.parent / "key", key=os.environ.get("SUREFOOT_KEY")))
    with closing(sqlite3.connect(file)) as connection:
        rows = connection.execute(
            "SELECT coalesce((SELECT hash FROM outcomes WHERE run_id = runs.id ORDER BY seq DESC LIMIT 1), head), "
            f"{STANDING_COLUMNS} FROM runs"
        ).fetchall()
        for head, *columns in rows:
            mac = notary.of_head(Standing.of(tuple(columns)), head or GENESIS)
            connection.execute("UPDATE runs SET head = ?, mac = ? WHERE id = ?", (head, mac, columns[0]))
        connection.commit()
