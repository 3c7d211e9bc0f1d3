"""What is known of a call by its answer: who served it, its tokens, and what it cost."""

from __future__ import annotations

from surefoot.models.answers import events_of, read_buffered, read_events
from surefoot.models.prices import rates_of
from surefoot.models.record import Answer
from surefoot.values import CallFacts


def facts_of(provider: str, model: str, answer: Answer | None, *, routed: str = "") -> CallFacts:
    """The facts of a call to `model`; `routed` is the `provider:model` that answered in its place, if one did."""
    provider = routed.partition(":")[0] or provider
    if answer is None or not answer.is_success:
        return CallFacts(provider, model, routed or model)
    reading = read_events(events_of(answer.body)) if answer.is_event_stream else read_buffered(answer.body)
    served = routed or reading.model or model
    tier = reading.service_tier if provider == "openai" else ""
    rates = rates_of(provider, served, service_tier=tier) if reading.is_priced_as_text else None
    # Tokens that were not reported have an unknown price, unless every token is free.
    if rates is None or (reading.usage.total == 0 and provider != "local"):
        return CallFacts(provider, model, served, reading.usage)
    written = {"cache_write": reading.cache_write, "cache_write_1h": reading.cache_write_1h}
    return CallFacts(provider, model, served, reading.usage, rates.cost(reading.usage, **written))
