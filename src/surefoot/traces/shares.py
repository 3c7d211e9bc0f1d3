"""What of the cost of a call is for what was read, and what for what was written; the record has the sum alone."""

from __future__ import annotations

from dataclasses import replace

from surefoot.models.chain.prices import rates_of
from surefoot.values import CallFacts, Money


def shares(facts: CallFacts) -> tuple[Money, Money] | None:
    """The cost of input and of output, which come to that of the call: what was read is at list prices.

    None where nobody knows, as where the prices are of the settings.
    """
    cost, usage = facts.cost, facts.usage
    if cost is None:
        return None
    if not usage.output:
        return cost, Money(0)
    rates = rates_of(facts.provider, facts.served_model or facts.requested_model)
    read = None if rates is None else rates.cost(replace(usage, output=0, reasoning=0))
    if read is None or read.nanos > cost.nanos:
        return None
    return read, Money(cost.nanos - read.nanos)
