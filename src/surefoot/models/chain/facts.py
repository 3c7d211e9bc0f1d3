"""What is known of a call by its answer: who served it, its tokens, and what it cost."""

from __future__ import annotations

from surefoot.models.chain.answers import read_buffered, read_events
from surefoot.models.chain.prices import PriceList
from surefoot.models.chain.record import Answer
from surefoot.models.chain.sse import events_of
from surefoot.values import CallFacts, Money


def facts_of(
    prices: PriceList,
    provider: str,
    model: str,
    answer: Answer | None,
    *,
    is_events: bool,
    routed: str = "",
    connection: str = "",
    address: str = "",
    priced_as: str = "",
) -> CallFacts:
    """The facts of a call to `model`.

    is_events: whether the body is a stream of server-sent events.
    routed: the `provider:model` that answered in its place, if one did.
    connection, address: the connection it went over by its name, or by host and port, as that may have prices.
    priced_as: the model whose price is that of the one that answered, where its name does not say it.
    """
    provider = routed.partition(":")[0] or provider
    if answer is None or not answer.is_success:
        # A provider bills no refusal; what a call costs that broke off nobody knows.
        is_refusal = answer is not None and answer.error is None
        return CallFacts(provider, model, routed or model, cost=Money(0) if is_refusal else None)
    reading = read_events(events_of(answer.body)) if is_events else read_buffered(answer.body)
    served = routed or reading.model or model
    if answer.is_free or answer.cached_from is not None:
        return CallFacts(provider, model, served, reading.usage, Money(0))
    tier = reading.service_tier if provider == "openai" else ""
    rates = None
    if reading.is_priced_as_text:
        rates = prices.rates(
            provider, priced_as or served, connection=connection, address=address, service_tier=tier
        )
    # Tokens that were not reported have an unknown price, unless every token is free.
    if rates is None or (reading.usage.total == 0 and provider != "local"):
        return CallFacts(provider, model, served, reading.usage)
    written = {"cache_write": reading.cache_write, "cache_write_1h": reading.cache_write_1h}
    return CallFacts(provider, model, served, reading.usage, rates.cost(reading.usage, **written))
