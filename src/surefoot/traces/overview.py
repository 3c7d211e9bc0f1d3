"""A trace as a card."""

from __future__ import annotations

import time
from collections.abc import Iterator

from surefoot.traces import figures
from surefoot.traces.card import Card, Line, LineState, fitting
from surefoot.traces.layout import Layout, Placed
from surefoot.traces.spans import Span, Trace, standing

_LONGEST_PROBLEM = 2_000
_LONGEST_DETAIL = 200


def card(trace: Trace, *, now_ns: int | None = None) -> Card:
    """The card of a run. `now_ns` (since the Unix epoch) is where a run that goes on has come to."""
    now_ns = time.time_ns() if now_ns is None else now_ns
    run, state = trace.run, standing(trace.run, now_ns)
    layout = Layout(trace, now_ns=now_ns, is_open=state == "running")
    hidden, shown = fitting([_line(placed) for placed in layout.placed()])
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
        elif trace.failure is not None:
            problem = trace.failure.message
        is_over = trace.is_compensated or state == "cancelled"
        advice = "" if is_over else run.entry.resuming(run.id)
    return Card(
        run_id=run.id,
        flow=run.flow,
        state=state,
        took_ns=layout.axis.at_work_ns,
        lines=shown,
        hidden=hidden,
        totals=figures.totals(trace.totals),
        notes=tuple(notes),
        problem=problem[:_LONGEST_PROBLEM],
        advice=advice,
    )


_WITHOUT_END = "it was interrupted: no end is recorded"


def _line(placed: Placed) -> Line:
    span = placed.span
    state: LineState = "completed"
    if placed.is_cut_off:
        state = "cut off"
    elif span.status in ("failed", "running"):
        state = "failed" if span.status == "failed" else "running"
    elif placed.is_kept:
        state = "kept"
    return Line(
        name=span.name or "(only the inside of it is recorded)",
        depth=placed.depth,
        state=state,
        took_ns=placed.took_ns,
        bar=(placed.left, placed.right),
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
    if span.taken_from:
        yield f"taken from run {span.taken_from}"
    elif span.is_cached:
        yield f"cached from run {span.cached_from}" if span.cached_from else "cached"
    if span.status == "suppressed":
        yield "suppressed"
    yield from (str(decision) for decision in span.decisions if decision.action != "allow")
    if state == "cut off":
        yield "in doubt" if span.status == "in_doubt" else "did not end"
