"""Figures as words: durations, times, tokens and money."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from surefoot.ledger import RunRecord, Totals
from surefoot.values import Json, Money, Usage

_MS, _S = 1_000_000, 1_000_000_000


def duration(nanos: int) -> str:
    """`45 µs`, `8.1 ms`, `90 ms`, `0.90 s`, `12.3 s`, `3 min 05 s`, `2 h 03 min`."""
    if nanos < _MS:
        return f"{nanos / 1000:.0f} µs"
    if nanos < _S // 2:
        return f"{nanos / _MS:.0f} ms" if nanos >= 10 * _MS else f"{nanos / _MS:.1f} ms"
    seconds = nanos / _S
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


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


def counted(count: int, noun: str) -> str:
    """`1 step`, `2,000 steps`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def tokens(usage: Usage) -> str:
    """`147 in (12 cached), 29 out`; reasoning tokens where there are any."""
    cached = f" ({usage.cached:,} cached)" if usage.cached else ""
    reasoning = f" ({usage.reasoning:,} reasoning)" if usage.reasoning else ""
    return f"{usage.input:,} in{cached}, {usage.output:,} out{reasoning}"


def all_tokens(usage: Usage) -> str:
    """All four counts, zeros included."""
    return (
        f"{usage.input:,} in, of them {usage.cached:,} cached; "
        f"{usage.output:,} out, of them {usage.reasoning:,} reasoning"
    )


def cost(money: Money | None, *, is_complete: bool = True) -> str:
    """`$0.0012`; `unknown` without a price, and `$0.0012 or more` where some calls have none."""
    if money is None or (not is_complete and money.nanos == 0):
        return "unknown cost"
    return str(money) if is_complete else f"{money} or more"


def totals_line(totals: Totals) -> str:
    """`3 steps · 1 call · 147 in, 29 out · $0`."""
    return " · ".join(totals_terms(totals))


def totals_terms(totals: Totals) -> list[str]:
    """Steps, calls, tokens and cost, each in words."""
    terms = [counted(totals.steps, "step"), counted(totals.calls, "call")]
    if totals.calls:
        terms += [tokens(totals.usage), cost(totals.cost, is_complete=totals.is_cost_complete)]
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
        "tenant": run.tenant,
        "principal": run.principal,
        "session": run.session,
        "tags": _plain(run.tags),
        "failed_step": run.failed_step,
        "error": run.error,
        **totals_json(run.totals),
    }


def _plain(tags: Mapping[str, str]) -> dict[str, Json]:
    return dict(tags)
