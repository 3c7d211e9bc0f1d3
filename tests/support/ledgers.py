"""Rows for a ledger, for tests that use it without a runner."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from surefoot.ledger import (
    END_KEY,
    START_KEY,
    Append,
    EndRun,
    Entry,
    Keyring,
    Outcome,
    Owner,
    Payload,
    Payloads,
    RunRecord,
    SqliteLedger,
    StartRun,
    TakeOver,
    Totals,
    lease_of,
    lease_until,
    this_process,
)
from surefoot.values import new_id


def open_ledger(folder: Path, **options: Any) -> SqliteLedger:
    """A ledger in a folder; `privacy`, `key` and `inline_bytes` go to its payloads."""
    keyring = Keyring(folder / "key", key=options.pop("key", None))
    return SqliteLedger(folder / "ledger.db", Payloads(keyring, **options), synchronous="normal")


def outcome(run_id: str, n: int, **rest: Any) -> Outcome:
    """The n-th step of a run."""
    given: dict[str, Any] = {
        "key": n.to_bytes(16, "big"),
        "path": b"",
        "parent_attempt": 1,
        "kind": "step",
        "name": f"step-{n}",
        "digest": bytes(16),
        "occurrence": 0,
        "lane": 0,
        "attempt": 1,
        "epoch": 1,
        "status": "completed",
        "started_ns": 1_000 + n,
        "ended_ns": 2_000 + n,
        "inputs": Payload(f'{{"n":{n}}}'),
        "output": Payload(str(n)),
    }
    return Outcome(run_id=run_id, **(given | rest))


def start(run_id: str, *, lease: float = 30.0, owner: Owner | None = None, **rest: Any) -> StartRun:
    run = RunRecord(
        id=run_id,
        flow="flow",
        entry=Entry("module", "flow"),
        status="running",
        created_ns=time.time_ns(),
        owner=owner or this_process(),
        lease_until_ns=lease_until(lease),
        **rest,
    )
    return StartRun(run, outcome(run_id, 0, key=START_KEY, kind="start", name="flow", status="running"), [])


def end(run_id: str, *, epoch: int = 1) -> EndRun:
    row = outcome(run_id, 0, key=END_KEY, kind="end", name="flow", epoch=epoch, attempt=epoch)
    return EndRun(row, [], "completed", Totals())


def started(ledger: SqliteLedger, steps: int = 0, **rest: Any) -> str:
    """A run with some steps, durable when this returns."""
    run_id = new_id()
    ledger.submit(start(run_id, **rest)).wait()
    for n in range(1, steps + 1):
        ledger.submit(Append(outcome(run_id, n), [])).wait()
    return run_id


def take_over(ledger: SqliteLedger, run_id: str, **rest: Any) -> RunRecord:
    given: dict[str, Any] = {
        "owner": this_process(),
        "lease_ns": lease_of(30.0),
    }
    taken = ledger.submit(TakeOver(run_id, **(given | rest))).result()
    assert isinstance(taken, RunRecord)
    return taken
