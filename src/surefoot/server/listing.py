"""Which runs a page of the list holds: filters, the derived status, the search in ids, the cursor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

from surefoot.ledger import RunRecord
from surefoot.traces import standing
from surefoot.values import RunStatus

State = RunStatus | Literal["abandoned"]
STATES: tuple[State, ...] = (*get_args(RunStatus), "abandoned")

PAGE = 50
_BATCH = 200
SCANNED = 2_000
"""Rows that one page looks at where no index finds them; the next page goes on from there."""
_ABOVE = "~"
"""Sorts after every character of an id."""


class Runs(Protocol):
    """The ledger as the list needs it."""

    def runs(
        self, *, flow: str | None, status: RunStatus | None, before: str | None, limit: int
    ) -> list[RunRecord]: ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for; empty means any. `text` is the beginning of an id, or else a part of one."""

    flow: str = ""
    status: State | Literal[""] = ""
    text: str = ""
    before: str = ""

    @property
    def is_filtered(self) -> bool:
        return bool(self.flow or self.status or self.text)


@dataclass(frozen=True, slots=True)
class Listed:
    """A run with how it stands now."""

    run: RunRecord
    state: State


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
    for number, run in enumerate(_rows(ledger, wanted, start, size=size)):
        if is_prefix and not run.id.startswith(text):
            return Page(tuple(found), None)
        if len(found) == size or number == SCANNED:
            return Page(tuple(found), last, is_cut_short=len(found) < size)
        state = standing(run, now_ns)
        if text in run.id and wanted.status in ("", state):
            found.append(Listed(run, state))
        last = run.id
    return Page(tuple(found), None)


def _begins(ledger: Runs, wanted: Wanted, text: str) -> bool:
    """Whether any id begins with the text: an index finds that, and most ids are copied from their beginning."""
    first = ledger.runs(flow=wanted.flow or None, status=_recorded(wanted), before=text + _ABOVE, limit=1)
    return bool(first) and first[0].id.startswith(text)


def _rows(ledger: Runs, wanted: Wanted, before: str, *, size: int) -> Iterator[RunRecord]:
    is_indexed = not wanted.text and wanted.status not in ("running", "abandoned")
    batch = size + 1 if is_indexed else _BATCH
    cursor = before or None
    while True:
        rows = ledger.runs(flow=wanted.flow or None, status=_recorded(wanted), before=cursor, limit=batch)
        yield from rows
        if len(rows) < batch:
            return
        cursor = rows[-1].id


def _recorded(wanted: Wanted) -> RunStatus | None:
    """The status as the row has it: an abandoned run still claims to run."""
    return "running" if wanted.status == "abandoned" else wanted.status or None
