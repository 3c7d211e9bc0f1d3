"""The newest hash of a run, by which another run says what it was made of."""

from __future__ import annotations

from surefoot.ledger.store import Ledger


def head_of(ledger: Ledger, run_id: str) -> bytes:
    """The hash of the newest outcome of a run, which binds all before it; empty where there is none."""
    found = ledger.ask(("SELECT hash FROM outcomes WHERE run_id = ? ORDER BY seq DESC LIMIT 1", (run_id,)))
    return bytes(found[0][0]) if found else b""
