"""Figures as words: durations, counts, tokens, money, model calls."""

from __future__ import annotations

from surefoot.ledger import Totals
from surefoot.values import CallFacts, Money, Usage

_US, _MS, _S = 1_000, 1_000_000, 1_000_000_000


def duration(nanos: int) -> str:
    """`45 µs`, `8.1 ms`, `90 ms`, `0.90 s`, `12.3 s`, `3 min 05 s`, `2 h 03 min`, `3 d 4 h`."""
    if nanos < _MS:
        return f"{nanos // _US} µs"
    if nanos < _S // 2:
        return f"{nanos / _MS:.1f} ms" if nanos < 10 * _MS else f"{nanos / _MS:.0f} ms"
    if nanos < 60 * _S:
        return f"{nanos / _S:.2f} s" if nanos < 10 * _S else f"{nanos / _S:.1f} s"
    minutes, seconds = divmod(nanos // _S, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {seconds:02} s"


def round_duration(nanos: int) -> str:
    """A round duration, in one unit: `0`, `200 ms`, `1.5 s`, `3 min`."""
    for unit, name in ((3600 * _S, "h"), (60 * _S, "min"), (_S, "s"), (_MS, "ms")):
        if nanos >= unit:
            return f"{nanos / unit:g} {name}"
    return f"{nanos // _US} µs" if nanos else "0"


def counted(count: int, noun: str) -> str:
    """`1 step`, `2,000 steps`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def tokens(usage: Usage) -> str:
    """`147 in (12 cached), 29 out`; reasoning tokens where there are any."""
    cached = f" ({usage.cached:,} cached)" if usage.cached else ""
    reasoning = f" ({usage.reasoning:,} reasoning)" if usage.reasoning else ""
    return f"{usage.input:,} in{cached}, {usage.output:,} out{reasoning}"


def cost(money: Money | None, *, is_complete: bool = True, unknown: str = "unknown cost") -> str:
    """`$0.0012`; `unknown` without a price, and `$0.0012 or more` where some calls have none."""
    if money is None or (not is_complete and money.nanos == 0):
        return unknown
    return str(money) if is_complete else f"{money} or more"


def total_cost(used: Totals, *, unknown: str = "unknown cost") -> str:
    """The cost of all calls, as `cost` puts it."""
    return cost(used.cost, is_complete=used.is_cost_complete, unknown=unknown)


def model(facts: CallFacts) -> str:
    """`gpt-4o`; `gpt-4o → local:smollm2` where another one served than was asked for."""
    asked, served = facts.requested_model, facts.served_model
    return f"{asked} → {served}" if served and served != asked else asked


def call(facts: CallFacts) -> str:
    """`gpt-4o → local:smollm2 · 147 in, 29 out · $0`."""
    terms = [model(facts)]
    if facts.usage.total:
        terms += [tokens(facts.usage), cost(facts.cost)]
    return " · ".join(term for term in terms if term)


def totals(used: Totals) -> str:
    """`3 steps · 1 model call · 147 in, 29 out tokens · $0`."""
    terms = [counted(used.steps, "step")]
    if used.calls:
        terms += [counted(used.calls, "model call"), f"{tokens(used.usage)} tokens", total_cost(used)]
    return " · ".join(terms)
