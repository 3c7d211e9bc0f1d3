"""A run as rows over a time axis: the tree of its steps, flattened, with a bar for each."""

from __future__ import annotations

from dataclasses import dataclass

from surefoot.traces import Span, Trace
from surefoot.traces.axis import Axis
from surefoot.traces.layout import Layout, Placed

ROWS = 300
"""Rows of one page; a run of more steps is paged through."""
_DEEPEST = 12
_NARROWEST = 0.4
"""Per cent; a bar is never too narrow to be seen."""


@dataclass(frozen=True, slots=True)
class Bar:
    """Where a span lies on the axis, in per cent."""

    left: float
    width: float


@dataclass(frozen=True, slots=True)
class Row:
    """A span in the list. `look` names how its bar is drawn; `kept_from` the attempt whose outcome still holds."""

    span: Span
    depth: int
    bar: Bar
    look: str
    kept_from: int | None
    is_cut_off: bool

    @property
    def indent(self) -> int:
        return min(self.depth, _DEEPEST)


@dataclass(frozen=True, slots=True)
class Timeline:
    """A page of rows, where it begins, and how many there are in all."""

    axis: Axis
    rows: tuple[Row, ...]
    begin: int
    total: int

    @property
    def next(self) -> int | None:
        end = self.begin + len(self.rows)
        return end if end < self.total else None

    @property
    def previous(self) -> int | None:
        return max(self.begin - ROWS, 0) if self.begin else None


def timeline(trace: Trace, *, now_ns: int, is_open: bool, begin: int = 0) -> Timeline:
    """Rows from the `begin`-th on. `is_open` where the run's owner is at work, so that its last attempt grows."""
    layout = Layout(trace, now_ns=now_ns, is_open=is_open)
    begin = begin if 0 <= begin < len(layout) else 0
    rows = tuple(_row(placed) for placed in layout.placed(begin, begin + ROWS))
    return Timeline(layout.axis, rows, begin, len(layout))


def _row(placed: Placed) -> Row:
    left = min(placed.left, 100 - _NARROWEST)
    return Row(
        span=placed.span,
        depth=placed.depth,
        bar=Bar(left, max(placed.right - left, _NARROWEST)),
        look=_look(placed.span, is_cut_off=placed.is_cut_off),
        kept_from=placed.span.epoch if placed.is_kept else None,
        is_cut_off=placed.is_cut_off,
    )


def _look(span: Span, *, is_cut_off: bool) -> str:
    if is_cut_off:
        return "cut"
    if span.status == "completed":
        return span.kind
    return span.status if span.status in ("failed", "running") else "other"
