"""Which traces a receiver gets: of which flows and tenants, and which share of their runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

from surefoot.errors import UnknownRun
from surefoot.ledger import EndRow, deliveries, is_one

if TYPE_CHECKING:
    from surefoot.config import TraceSettings
    from surefoot.ledger import Ledger


_UNIT = 2.0**64
_MOST_PARENTS = 64


@dataclass(frozen=True, slots=True)
class Following:
    """The ends of runs whose traces are owed to a receiver (`surefoot.ledger.Follower`).

    `sample` is the share of runs, `slow` the seconds from which on one is always taken, as one is that did not
    complete. Which runs are taken is told by the digest of their ids, so every process takes the same ones and a larger
    share holds a smaller one; a child goes with the run that began it.
    """

    name: str
    parent_of: Callable[[str], str]
    """The run that began a run, empty where none did."""
    flows: tuple[str, ...] = ("*",)
    tenants: tuple[str, ...] = ("*",)
    sample: float = 1.0
    slow: float | None = None

    @classmethod
    def of(cls, ledger: Ledger, receiver: str, settings: TraceSettings) -> Following:
        """The one of a receiver of the settings."""

        def parent_of(run_id: str) -> str:
            try:
                return ledger.run(run_id).parent_run or ""
            except UnknownRun:
                return ""

        given = settings
        return cls(delivery_name(receiver), parent_of, given.flows, given.tenants, given.sample, given.slow)

    @property
    def waits(self) -> bool:
        """A trace is sent once its run has ended."""
        return False

    def event(self, end: EndRow) -> str | None:
        """`TRACE` where the trace is owed."""
        if end.status == "waiting":
            return None
        if not (is_one(end.flow, self.flows) and is_one(end.tenant, self.tenants)):
            return None
        is_slow = self.slow is not None and (end.ended_ns - end.began_ns) / 1e9 >= self.slow
        if end.status != "completed" or is_slow or self.sample >= 1:
            return deliveries.TRACE
        return deliveries.TRACE if drawn(self._first(end)) < self.sample else None

    def _first(self, end: EndRow) -> str:
        """The run that all of it began with."""
        run, parent = end.run_id, end.parent
        for _ in range(_MOST_PARENTS):
            if not parent:
                break
            run, parent = parent, self.parent_of(parent)
        return run


def delivery_name(receiver: str) -> str:
    """What deliveries to a receiver are called in the ledger: no webhook is, as their names have no slash."""
    return f"traces/{receiver}"


def drawn(run_id: str) -> float:
    """Where a run lies between 0 and 1: always there, and evenly spread over many runs."""
    return int.from_bytes(blake2b(run_id.encode(), digest_size=8, person=b"traces").digest(), "big") / _UNIT
