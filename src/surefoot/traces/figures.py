"""Figures as words: durations, counts, tokens, money, model calls."""

from __future__ import annotations

from surefoot.ledger import Totals
from surefoot.values import CallFacts, Money, Usage

_US, _MS, _S = 1_000, 1_000_000, 1_000_000_000


def duration(nanos: int) -> str:
    """`45 µs`, `8.1 ms`, `90 ms`, `0.90 s`, `12.3 s`, `3 min 05 s`, `2 h 03 min`."""
    if nanos < _MS:
        return f"{nanos // _US} µs"
    if nanos < _S // 2:
        return f"{nanos / _MS:.1f} ms" if nanos < 10 * _MS else f"{nanos / _MS:.0f} ms"
    if nanos < 60 * _S:
        return f"{nanos / _S:.2f} s" if nanos < 10 * _S else f"{nanos / _S:.1f} s"
    minutes, seconds = divmod(nanos // _S, 60)
    if minutes < 60:
        return f"{minutes} min {seconds:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


def counted(count: int, noun: str) -> str:
    """`1 step`, `2,000 steps`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def tokens(usage: Usage) -> str:
    """`147 in (12 cached), 29 out`; reasoning tokens where there are any."""
    cached = f" ({usage.cached:,} cached)" if usage.cached else ""
    reasoning = f" ({usage.reasoning:,} reasoning)" if usage.reasoning else ""
    return f"{usage.input:,} in{cached}, {usage.output:,} out{reasoning}"


def cost(money: Money | None, *, is_complete: bool = True) -> str:
    """`$0.0012`; `unknown cost` without a price, and `$0.0012 or more` where some calls have none."""
    if money is None or (not is_complete and money.nanos == 0):
        return "unknown cost"
    return str(money) if is_complete else f"{money} or more"


def call(facts: CallFacts) -> str:
    """`gpt-4o → local:smollm2 · 147 in, 29 out · $0`."""
    model = facts.requested_model
    if facts.served_model and facts.served_model != model:
        model = f"{model} → {facts.served_model}"
    terms = [model, tokens(facts.usage), cost(facts.cost)] if facts.usage.total else [model]
    return " · ".join(term for term in terms if term)


def totals(used: Totals) -> str:
    """`3 steps · 1 model call · 147 in, 29 out · $0`."""
    terms = [counted(used.steps, "step")]
    if used.calls:
        terms += [
            counted(used.calls, "model call"),
            f"{tokens(used.usage)} tokens",
            cost(used.cost, is_complete=used.is_cost_complete),
        ]
    return " · ".join(terms)
