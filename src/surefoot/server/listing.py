"""Which runs a page of the list holds: filters, the derived status, the search in ids, the cursor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from surefoot.ledger import RunRecord
from surefoot.traces import Standing
from surefoot.traces.listing import BATCH, Runs, recorded, scan

PAGE = 50
SCANNED = 2_000
"""Rows that one page looks at where no index finds them; the next page goes on from there."""
_ABOVE = "~"
"""Sorts after every character of an id."""


def any_flow(flow: str) -> bool:  # noqa: ARG001
    return True


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for; empty means any. `text` is the beginning of an id, or else a part of one.

    tenant: the organisation whose runs are looked for; None for those of all.
    """

    flow: str = ""
    status: Standing | Literal[""] = ""
    text: str = ""
    before: str = ""
    tenant: str | None = None
    sees: Callable[[str], bool] = any_flow
    """Whether runs of a flow are shown at all."""

    @property
    def is_filtered(self) -> bool:
        return bool(self.flow or self.status or self.text)


@dataclass(frozen=True, slots=True)
class Listed:
    """A run with how it stands now."""

    run: RunRecord
    state: Standing


@dataclass(frozen=True, slots=True)
class Page:
    """Runs, the newest first. `older` is the cursor of the next page, None at the end.

    `is_cut_short` where the search stopped before the page was full.
    """

    runs: tuple[Listed, ...]
    older: str | None
    is_cut_short: bool = False


def page(ledger: Runs, wanted: Wanted, now_ns: int, *, size: int = PAGE) -> Page:
    """One page of the list."""
    text = wanted.text.strip().upper()
    is_prefix = bool(text) and _begins(ledger, wanted, text)
    start = min(wanted.before or _ABOVE, text + _ABOVE) if is_prefix else wanted.before
    found: list[Listed] = []
    last = ""
    rows = scan(
        *(ledger, now_ns),
        flow=wanted.flow or None,
        wanted=wanted.status or None,
        tenant=wanted.tenant,
        before=start or None,
        size=BATCH if text else size + 1,
    )
    for number, (run, state) in enumerate(rows):
        if is_prefix and not run.id.startswith(text):
            return Page(tuple(found), None)
        if len(found) == size or number == SCANNED:
            return Page(tuple(found), last, is_cut_short=len(found) < size)
        if text in run.id and wanted.status in ("", state) and wanted.sees(run.flow):
            found.append(Listed(run, state))
        last = run.id
    return Page(tuple(found), None)


def _begins(ledger: Runs, wanted: Wanted, text: str) -> bool:
    """Whether any id begins with the text: an index finds that, and most ids are copied from their beginning."""
    status = recorded(wanted.status or None)
    first = ledger.runs(
        flow=wanted.flow or None, status=status, tenant=wanted.tenant, before=text + _ABOVE, limit=1
    )
    return bool(first) and first[0].id.startswith(text)
