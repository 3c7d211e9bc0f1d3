"""Runs by how they stand, the newest first: what the ledger's index finds, and the status that is worked out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, get_args

from surefoot.ledger import RunRecord
from surefoot.traces.spans import Standing, standing
from surefoot.values import RunStatus

STANDINGS: tuple[Standing, ...] = (*get_args(RunStatus), "abandoned")

BATCH = 200
"""Rows that are read at a time where it is not known how many of them fit."""


class Runs(Protocol):
    """The ledger as a list of runs needs it."""

    def runs(
        self,
        *,
        flow: str | None = None,
        status: RunStatus | None = None,
        tenant: str | None = None,
        before: str | None = None,
        limit: int = 20,
    ) -> list[RunRecord]: ...


def recorded(wanted: Standing | None) -> RunStatus | None:
    """The status as the row has it: an abandoned run still claims to run."""
    return "running" if wanted == "abandoned" else wanted


def scan(
    ledger: Runs,
    now_ns: int,
    *,
    flow: str | None = None,
    wanted: Standing | None = None,
    tenant: str | None = None,
    before: str | None = None,
    size: int = BATCH,
) -> Iterator[tuple[RunRecord, Standing]]:
    """Every run that may fit, with how it stands; the caller leaves out those that do not stand as wanted.

    Only what is taken is read, `size` rows at a time. Among running runs there are two kinds to tell apart, so
    there it is `BATCH` rows; other statuses are what the index finds.
    """
    limit = BATCH if wanted in ("running", "abandoned") else size
    while True:
        rows = ledger.runs(flow=flow, status=recorded(wanted), tenant=tenant, before=before, limit=limit)
        for run in rows:
            yield run, standing(run, now_ns)
        if len(rows) < limit:
            return
        before = rows[-1].id
