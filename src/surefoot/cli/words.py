"""Figures as the commands word them: the shared words, times past, sums, and the same for programs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from surefoot import flows
from surefoot.errors import UsageError
from surefoot.ledger import RunRecord, Totals
from surefoot.traces.figures import cost, counted, duration, model, tokens, total_cost
from surefoot.values import Json, Usage

__all__ = [
    "age",
    "ago",
    "all_tokens",
    "cancelled",
    "change",
    "clock",
    "cost",
    "counted",
    "duration",
    "fork_of",
    "model",
    "run_json",
    "tokens",
    "total_cost",
    "totals_json",
    "totals_line",
    "totals_terms",
    "usage_json",
]

_S = 1_000_000_000


def ago(nanos: int, now_ns: int) -> str:
    """`just now`, `40 s ago`, `5 min ago`."""
    seconds = (now_ns - nanos) / _S
    if seconds < 5:
        return "just now"
    return f"{age(nanos, now_ns)} ago"


def age(nanos: int, now_ns: int) -> str:
    """`40 s`, `5 min`, `3 h`, `12 d`."""
    seconds = max((now_ns - nanos) / _S, 0)
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def clock(nanos: int) -> str:
    """Local time, `2026-11-24 02:31:11`."""
    return datetime.fromtimestamp(nanos / _S).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def all_tokens(usage: Usage) -> str:
    """All four counts, zeros included."""
    return (
        f"{usage.input:,} in, of them {usage.cached:,} cached; "
        f"{usage.output:,} out, of them {usage.reasoning:,} reasoning"
    )


def totals_line(totals: Totals) -> str:
    """`3 steps · 1 call · 147 in, 29 out · $0`."""
    return " · ".join(totals_terms(totals))


def totals_terms(totals: Totals) -> list[str]:
    """Steps, calls, tokens and cost, each in words."""
    terms = [counted(totals.steps, "step"), counted(totals.calls, "call")]
    if totals.calls:
        terms += [tokens(totals.usage), total_cost(totals)]
    return terms


def usage_json(usage: Usage) -> dict[str, Json]:
    """The four counts for programs."""
    return {
        "input": usage.input,
        "cached": usage.cached,
        "output": usage.output,
        "reasoning": usage.reasoning,
    }


def totals_json(totals: Totals) -> dict[str, Json]:
    """Totals for programs; the cost in US dollars and as an exact count of nano-dollars."""
    return {
        "steps": totals.steps,
        "calls": totals.calls,
        "tokens": usage_json(totals.usage),
        "cost_usd": totals.cost.nanos / _S,
        "cost_nanos": totals.cost.nanos,
        "is_cost_complete": totals.is_cost_complete,
        "is_degraded": totals.is_degraded,
    }


def run_json(run: RunRecord, status: str, now_ns: int) -> dict[str, Json]:
    """A run for programs; times in seconds since the Unix epoch."""
    ended_ns = run.ended_ns
    return {
        "run": run.id,
        "flow": run.flow,
        "version": run.flow_version,
        "entry": str(run.entry),
        "status": status,
        "started": run.created_ns / _S,
        "ended": None if ended_ns is None else ended_ns / _S,
        "seconds": ((ended_ns or now_ns) - run.created_ns) / _S,
        "epoch": run.epoch,
        "key": run.run_key,
        "parent": run.parent_run,
        "deadline": None if run.deadline_ns is None else run.deadline_ns / _S,
        "tenant": run.tenant,
        "principal": run.principal,
        "session": run.session,
        "tags": _plain(run.tags),
        "failed_step": run.failed_step,
        "error": run.error,
        **totals_json(run.totals),
    }


def fork_of(run: RunRecord) -> str:
    """What a fork was made of, from which step on, and with which changes; empty for other runs."""
    origin, step = run.tags.get(flows.FORKED_FROM), run.tags.get(flows.FORK_STEP)
    if origin is None:
        return ""
    parts = [f"fork of {origin}", *([f"from step {step[:8]}"] if step and step != flows.ALL else [])]
    return ", ".join([*parts, *(change.shown for change in flows.recorded_changes(run.tags))])


def change(text: str) -> str:
    """A change as people read it, out of how it is recorded."""
    try:
        return flows.parse_change(text).shown
    except UsageError:
        return text


def cancelled(run: RunRecord) -> str:
    """What stands behind `was cancelled` in the record of a run: why, and what was undone. `: too late (undone: x)`."""
    return (run.error or "").partition(" was cancelled")[2]


def _plain(tags: Mapping[str, str]) -> dict[str, Json]:
    return dict(tags)
