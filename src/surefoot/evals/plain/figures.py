"""Scorers of what a run took: time, money, tokens, calls, steps. Less is better."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from surefoot.errors import InvalidInput
from surefoot.evals.scales import scaled
from surefoot.evals.scores import Score
from surefoot.ledger import Totals
from surefoot.traces import Trace

Tokens = Literal["all", "input", "output", "cached", "reasoning"]


def latency(trace: Trace) -> Score | None:
    """Seconds from the start of the run to its end. It does not apply to a run that was interrupted in between."""
    run = _of(trace).run
    if run.ended_ns is None or run.epoch > 1:
        return None
    return Score((run.ended_ns - run.created_ns) / 1e9, _slowest(trace))


def cost(trace: Trace) -> Score:
    """US dollars that the run's calls cost. Raises `InvalidInput` where the price of one is not known."""
    totals = _totals(trace)
    if not totals.is_cost_complete:
        calls = [span.call.facts for span in trace.walk() if span.call is not None]
        unpriced = [f"{each.provider}:{each.requested_model}" for each in calls if each.cost is None]
        of = f" of {unpriced[0]}" if unpriced else " of a call"
        raise InvalidInput(f"the price{of} is not known: set it under [prices] in surefoot.toml")
    return Score(totals.cost.nanos / 1e9, f"{totals.calls} calls")


def tokens(which: Tokens = "all") -> Callable[[Trace], Score]:
    """A scorer: the tokens of the run's calls, those of one kind or `all` (input and output).

    `cached` tokens are a part of the input, `reasoning` tokens one of the output.

    Raises `InvalidInput` for a kind that there is not.
    """
    if which not in ("all", "input", "output", "cached", "reasoning"):
        raise InvalidInput(f"tokens are all, input, output, cached or reasoning, and not {which!r}")

    def tokens(trace: Trace) -> Score:
        usage = _totals(trace).usage
        count: int = usage.total if which == "all" else getattr(usage, which)
        return Score(float(count), f"{usage.input:,} input, {usage.output:,} output")

    name = "tokens" if which == "all" else f"tokens:{which}"
    return scaled(tokens, name=name, direction="lower", within=(0.0, None))


def calls(trace: Trace) -> Score:
    """How many model calls the run made, answers from the cache among them."""
    return Score(float(_totals(trace).calls))


def steps(trace: Trace) -> Score:
    """How many steps the run has completed, nested flows among them."""
    return Score(float(_totals(trace).steps))


def _of(trace: Trace | None) -> Trace:
    if trace is not None:
        return trace
    raise InvalidInput("there is no run to be measured: this scorer is for cases that were run")


def _totals(trace: Trace) -> Totals:
    return _of(trace).totals


def _slowest(trace: Trace) -> str:
    timed = [(span.latency_ns, span.name) for span in trace.spans if span.latency_ns is not None]
    if not timed:
        return ""
    longest, name = max(timed)
    return f"longest: {name}, {longest / 1e9:.3f} s"


for _scorer in (latency, cost, calls, steps):
    scaled(_scorer, direction="lower", within=(0.0, None))
