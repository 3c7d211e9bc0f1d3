"""A trace as a card."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from surefoot.traces import figures
from surefoot.traces.card import Card, Line, LineState, fitting
from surefoot.traces.spans import Span, Trace, standing

_LONGEST_PROBLEM = 2_000
_LONGEST_DETAIL = 200


def card(trace: Trace, *, now_ns: int | None = None) -> Card:
    """The card of a run. `now_ns` (since the Unix epoch) is where a run that goes on has come to."""
    now_ns = time.time_ns() if now_ns is None else now_ns
    run, state = trace.run, standing(trace.run, now_ns)
    work = _Work(tuple(_stretches(trace, now_ns if state == "running" else None)))
    newest = trace.attempts[-1].epoch if trace.attempts else 1
    lines = [
        _line(span, depth, work, newest=newest, is_open=state == "running", now_ns=now_ns)
        for span, depth in _flattened(trace.spans, 0)
    ]
    hidden, shown = fitting(lines)
    attempts = len(trace.attempts)
    notes = [f"version {run.flow_version}"] if run.flow_version else []
    notes += [f"in {attempts} attempts"] if attempts > 1 else []
    notes += ["degraded"] if trace.totals.is_degraded else []
    notes += [f"the record is broken at {trace.chain_break}"] if trace.chain_break else []
    problem, advice = "", ""
    if state in ("failed", "abandoned", "cancelled", "in_doubt"):
        problem = _WITHOUT_END
        if state == "failed":
            problem = str(trace.failure or run.error or "it failed")
            problem = f"in step {run.failed_step}: {problem}" if run.failed_step else problem
        advice = run.entry.resuming(run.id)
    return Card(
        run_id=run.id,
        flow=run.flow,
        state=state,
        took_ns=work.total_ns,
        lines=shown,
        hidden=hidden,
        totals=figures.totals(trace.totals),
        notes=tuple(notes),
        problem=problem[:_LONGEST_PROBLEM],
        advice=advice,
    )


_WITHOUT_END = "it was interrupted: no end is recorded"


@dataclass(frozen=True, slots=True)
class _Work:
    """The stretches of time in which processes were at work on a run; what lies between them is no time of it."""

    stretches: tuple[tuple[int, int], ...]

    @property
    def total_ns(self) -> int:
        return sum(end - begin for begin, end in self.stretches)

    def share(self, at_ns: int) -> float:
        """How much of the work had been done at that time, in per cent."""
        before = sum(min(max(at_ns - begin, 0), end - begin) for begin, end in self.stretches)
        return min(100 * before / max(self.total_ns, 1), 100.0)

    def end_of(self, at_ns: int) -> int:
        """The end of the stretch that a time lies in."""
        return next((end for _, end in self.stretches if at_ns <= end), at_ns)


def _stretches(trace: Trace, now_ns: int | None) -> Iterator[tuple[int, int]]:
    """From start to end of each attempt; one that wrote no end lasted as long as anything is known of it."""
    times = [(span.started_ns, span.ended_ns or span.started_ns) for span in trace.walk()]
    attempts = trace.attempts
    for index, attempt in enumerate(attempts):
        following = attempts[index + 1].started_ns if index + 1 < len(attempts) else None
        end = attempt.ended_ns
        if end is None and following is None:
            end = now_ns
        if end is None:
            within = [
                ended
                for begun, ended in times
                if begun >= attempt.started_ns and (following is None or begun < following)
            ]
            end = max(within, default=attempt.started_ns)
        yield attempt.started_ns, max(end, attempt.started_ns)


def _flattened(spans: Sequence[Span], depth: int) -> Iterator[tuple[Span, int]]:
    for span in spans:
        yield span, depth
        yield from _flattened(span.children, depth + 1)


def _line(span: Span, depth: int, work: _Work, *, newest: int, is_open: bool, now_ns: int) -> Line:
    is_current = bool(work.stretches) and span.started_ns >= work.stretches[-1][0]
    state: LineState = "completed"
    if span.status == "failed":
        state = "failed"
    elif span.status == "running":
        state = "running" if is_open and is_current else "cut off"
    elif span.epoch is not None and span.epoch < newest:
        state = "kept"
    ended = span.ended_ns
    if ended is None:
        ended = now_ns if state == "running" else work.end_of(span.started_ns)
    return Line(
        name=span.name or "(only the inside of it is recorded)",
        depth=depth,
        state=state,
        took_ns=None if state == "cut off" else ended - span.started_ns,
        bar=(work.share(span.started_ns), work.share(ended)),
        detail=" · ".join(_details(span, state))[:_LONGEST_DETAIL],
    )


def _details(span: Span, state: LineState) -> Iterator[str]:
    if span.attempt > 1 or span.is_tried_again:
        yield f"attempt {span.attempt}"
    if span.failure is not None:
        yield str(span.failure).partition("\n")[0]
    if span.call is not None:
        yield span.call.problem.partition("\n")[0] or figures.call(span.call.facts)
    if span.is_degraded:
        yield "degraded"
    if span.is_cached:
        yield "cached"
    if state == "cut off":
        yield "did not end"
