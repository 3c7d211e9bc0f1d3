"""The steps of a run laid out over its time: where each lies, and whether it goes on, was cut off or is kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from surefoot.traces.axis import Axis, axis
from surefoot.traces.spans import Span, Trace


@dataclass(frozen=True, slots=True)
class Placed:
    """A span on the axis, from `left` to `right` in per cent; `depth` is 0 at the top of the run.

    `took_ns` is how long it has taken up to now, None where its process did not end it (`is_cut_off`). `is_kept`
    where it was completed in an earlier attempt at the run, whose outcome still holds.
    """

    span: Span
    depth: int
    left: float
    right: float
    took_ns: int | None
    is_cut_off: bool
    is_kept: bool


class Layout:
    """The time axis of a run, and its spans on it."""

    def __init__(self, trace: Trace, *, now_ns: int, is_open: bool) -> None:
        """`is_open` where the run's owner is at work, so that its last attempt goes on until `now_ns`."""
        self._spans = list(_flattened(trace.spans, 0))
        self._now_ns = now_ns
        self._is_open = is_open
        last = trace.attempts[-1] if trace.attempts else None
        self._newest = last.epoch if last is not None else 1
        self._newest_ns = last.started_ns if last is not None else trace.run.created_ns
        spans = [span for span, _ in self._spans]
        self.axis: Axis = axis(_at_work(trace, spans, now_ns if is_open else None))

    def __len__(self) -> int:
        return len(self._spans)

    def placed(self, begin: int = 0, end: int | None = None) -> Iterator[Placed]:
        """The spans, or a part of them: parents before children, in the order in which they began."""
        for span, depth in self._spans[begin:end]:
            yield self._placed(span, depth)

    def _placed(self, span: Span, depth: int) -> Placed:
        # What was at work before the last attempt began, and wrote no end, was cut off with its process.
        is_under_way = self._is_open and span.started_ns >= self._newest_ns
        is_cut_off = span.ended_ns is None and not is_under_way
        ended_ns = self._now_ns if span.ended_ns is None else span.ended_ns
        is_earlier = span.epoch is not None and span.epoch < self._newest
        return Placed(
            span=span,
            depth=depth,
            left=self.axis.left(span.started_ns),
            right=self.axis.end_around(span.started_ns) if is_cut_off else self.axis.left(ended_ns),
            took_ns=None if is_cut_off else ended_ns - span.started_ns,
            is_cut_off=is_cut_off,
            is_kept=span.status == "completed" and is_earlier,
        )


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
