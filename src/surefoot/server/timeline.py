"""A run as rows over a time axis: the tree of its steps, flattened, with a bar for each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from surefoot.server.axis import Axis, axis
from surefoot.traces import Span, Trace

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
    found = list(_flattened(trace.spans, 0))
    scale = axis(_at_work(trace, [span for span, _ in found], now_ns if is_open else None))
    newest = trace.attempts[-1].epoch if trace.attempts else 1
    begin = begin if 0 <= begin < len(found) else 0
    rows = tuple(
        _row(span, depth, scale, newest, is_open=is_open, now_ns=now_ns)
        for span, depth in found[begin : begin + ROWS]
    )
    return Timeline(scale, rows, begin, len(found))


def _flattened(spans: Sequence[Span], depth: int) -> Iterator[tuple[Span, int]]:
    for span in spans:
        yield span, depth
        yield from _flattened(span.children, depth + 1)


def _at_work(trace: Trace, spans: Sequence[Span], now_ns: int | None) -> Iterator[tuple[int, int]]:
    """The times of the run's attempts. One that wrote no end lasted as long as there is a trace of it."""
    attempts = trace.attempts
    seen = [(span.started_ns, span.ended_ns or span.started_ns) for span in spans]
    for index, attempt in enumerate(attempts):
        following = attempts[index + 1].started_ns if index + 1 < len(attempts) else None
        if attempt.ended_ns is not None:
            end = attempt.ended_ns
        elif following is None and now_ns is not None:
            end = now_ns
        else:
            within = [
                end
                for start, end in seen
                if attempt.started_ns <= start and (following is None or start < following)
            ]
            end = max(within, default=attempt.started_ns)
        yield attempt.started_ns, end
    if not attempts:
        yield trace.run.created_ns, max((end for _, end in seen), default=trace.run.created_ns)


def _row(span: Span, depth: int, scale: Axis, newest: int, *, is_open: bool, now_ns: int) -> Row:
    is_cut_off = span.status == "running" and not _is_under_way(span, scale, is_open=is_open)
    left = scale.left(span.started_ns)
    if span.ended_ns is not None:
        right = scale.left(span.ended_ns)
    elif is_cut_off:
        right = next((s.right for s in scale.stretches if span.started_ns <= s.end_ns), 100.0)
    else:
        right = scale.left(now_ns)
    left = min(left, 100 - _NARROWEST)
    is_kept = span.status == "completed" and span.epoch is not None and span.epoch < newest
    return Row(
        span=span,
        depth=depth,
        bar=Bar(left, max(right - left, _NARROWEST)),
        look=_look(span, is_cut_off=is_cut_off),
        kept_from=span.epoch if is_kept else None,
        is_cut_off=is_cut_off,
    )


def _is_under_way(span: Span, scale: Axis, *, is_open: bool) -> bool:
    """Whether an unended span belongs to the attempt that is at work, and not to one that was cut off before."""
    return is_open and bool(scale.stretches) and span.started_ns >= scale.stretches[-1].start_ns


def _look(span: Span, *, is_cut_off: bool) -> str:
    if is_cut_off:
        return "cut"
    if span.status == "completed":
        return span.kind
    return span.status if span.status in ("failed", "running") else "other"
