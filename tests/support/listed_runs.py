"""Runs in memory, as the ledger's query gives them."""

from __future__ import annotations

from dataclasses import dataclass, field

from surefoot.ledger import Entry, RunRecord
from surefoot.values import RunStatus

NOW = 10**18
STATUSES: list[RunStatus] = ["completed", "failed", "running", "waiting"]


@dataclass(frozen=True)
class Rows:
    """What the ledger's query gives, over a list in memory; `limits` are those that were asked for."""

    records: tuple[RunRecord, ...]
    limits: list[int] = field(default_factory=list)

    def runs(
        self,
        *,
        flow: str | None = None,
        status: RunStatus | None = None,
        tenant: str | None = None,
        before: str | None = None,
        limit: int = 20,
    ) -> list[RunRecord]:
        self.limits.append(limit)
        found = [
            run
            for run in sorted(self.records, key=lambda run: run.id, reverse=True)
            if (flow is None or run.flow == flow)
            and (status is None or run.status == status)
            and (tenant is None or run.tenant == tenant)
            and (before is None or run.id < before)
        ]
        return found[:limit]


def record(
    number: int,
    *,
    flow: str = "a",
    status: RunStatus = "completed",
    is_held: bool = True,
    tenant: str | None = None,
) -> RunRecord:
    return RunRecord(
        id=f"01{number:024}",
        flow=flow,
        entry=Entry("m", "f"),
        status=status,
        created_ns=number,
        lease_until_ns=NOW + 1 if is_held else NOW - 1,
        tenant=tenant,
    )
