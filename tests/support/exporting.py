"""Runs that have ended in a ledger, and those who send their traces to a receiver, for tests of the two."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ledgers import end, outcome, start
from receiver import Receiver
from surefoot.config import load
from surefoot.ledger import Append, DeliveryRow, Ledger, TellDeliveries
from surefoot.ledger import deliveries as kept
from surefoot.traces.exporter import Exporter
from surefoot.traces.sampling import delivery_name
from surefoot.values import RunStatus, new_id

SECOND = 1_000_000_000


def ended(ledger: Ledger, status: RunStatus = "completed", *, steps: int = 0, **rest: Any) -> str:
    run_id = new_id()
    ledger.submit(start(run_id, **rest)).wait()
    for pending in [ledger.submit(Append(outcome(run_id, n), [])) for n in range(1, steps + 1)]:
        pending.wait()
    finish(ledger, run_id, status)
    return run_id


def finish(ledger: Ledger, run_id: str, status: RunStatus = "completed", *, epoch: int = 1) -> None:
    entry, now = end(run_id, epoch=epoch), time.time_ns()
    row = replace(entry.outcome, status=status, started_ns=now, ended_ns=now)
    ledger.submit(replace(entry, outcome=row, status=status)).wait()


def exporter(
    ledger: Ledger,
    folder: Path,
    receiver: Receiver | str,
    settings: str = "",
    environ: dict[str, str] | None = None,
) -> Exporter:
    """One that sends there, or to this address, and has not begun."""
    url = receiver if isinstance(receiver, str) else receiver.url
    (folder / "surefoot.toml").write_text(f'[traces.there]\nurl = "{url}"\n{settings}')
    return Exporter(ledger, load(folder, environ=environ or {}).config, every=0.01)


def arrived(receiver: Receiver) -> list[bytes]:
    return [span.trace_id for span in receiver.spans()]


def rows(ledger: Ledger, run_id: str) -> list[DeliveryRow]:
    found = ledger.ask(kept.told_query(delivery_name("there"), run_id))
    return [kept.delivery_of(row) for row in found]


def due_now(ledger: Ledger, run_id: str) -> None:
    """As if the pause after a failure were over."""
    [row] = rows(ledger, run_id)
    ledger.submit(TellDeliveries([kept.settle(row, now_ns=0, again_ns=0, error=row.error)])).result()


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


SENDER = """
from surefoot.config import load
from surefoot.traces.exporter import Exporter
ledger = place.open()
sending = Exporter(ledger, load(place.folder, environ={}).config, every=0.01)
sending.start()
print("begun", flush=True)
sys.stdin.read()
"""
