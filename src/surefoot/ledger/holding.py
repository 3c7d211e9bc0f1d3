"""Who may hold a run, and write to it: pure decisions, the same on every engine."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from surefoot.errors import Fenced, RunBusy, RunPruned, UnknownRun
from surefoot.ledger.events import Owner, RunRecord
from surefoot.ledger.owner import is_provably_gone

FINAL = ("completed", "cancelled")
"""Statuses of runs with which nobody goes on."""

LONGEST_LEASE_NS = 3_600_000_000_000
"""No lease may be longer: one that reaches further was written while the clock was ahead."""


def is_takeable(run: RunRecord, taker: Owner, now_ns: int) -> bool:
    """Whether there is something to take over; False for a run that is over for good.

    Raises `RunBusy` while another process holds it, unless that one is provably gone or its lease has expired.
    """
    if run.status in FINAL:
        return False
    refuse_pruned(run)
    holder = run.owner
    # A run of this very process can only be one that it has let go of: its own runs it knows.
    is_others = holder is not None and holder != taker
    if run.lease_until_ns > now_ns and is_others and holder and not is_provably_gone(holder):
        seconds = (run.lease_until_ns - now_ns) / 1e9
        raise RunBusy(
            f"run {run.id} is held by process {holder.pid} on {holder.host}, whose lease lasts another "
            f"{seconds:.0f} s: stop that process, or wait for its lease to expire"
        )
    return True


def refuse_pruned(run: RunRecord) -> None:
    """Raise `RunPruned` for a run whose payloads are gone: there is nothing to go on from, or to return."""
    if run.pruned_ns is not None:
        raise RunPruned(
            f"run {run.id} was pruned on {datetime.fromtimestamp(run.pruned_ns / 1e9, UTC):%Y-%m-%d}: its inputs and "
            "outcomes are gone, so nobody can go on with it; start a new run"
        )


def check_epoch(run_id: str, current: int | None, epoch: int) -> None:
    """Raise `UnknownRun` where there is no such run, `Fenced` unless `epoch` is its current one."""
    if current is None:
        raise UnknownRun(f"run {run_id} is not in the ledger")
    if current != epoch:
        raise Fenced(
            f"run {run_id} was taken over by another process (epoch {current}, this one has {epoch})"
        )


def lease_until(seconds: float) -> int:
    """The end of a lease that begins now, in nanoseconds since the epoch."""
    return time.time_ns() + lease_of(seconds)


def lease_of(seconds: float) -> int:
    """The length of a lease, in nanoseconds."""
    return round(seconds * 1e9)


def longest_until(run: RunRecord, now_ns: int) -> int | None:
    """When the lease of a run ends at the latest, where its row says later; None where that may be true.

    The clock has been set back since. Whoever holds the run prolongs his lease in time; if nobody does, nobody has to
    wait until the clock is where it was.
    """
    latest = now_ns + LONGEST_LEASE_NS
    return latest if run.lease_until_ns > latest else None
