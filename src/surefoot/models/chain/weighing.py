"""The most that a call may cost: its request, its window and the prices it may be charged by, put together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from surefoot.models.chain.bounds import Load, Most, most_of, refuse, worst_of
from surefoot.models.chain.prices import PriceList, Rates
from surefoot.models.chain.published import window_of
from surefoot.values import Money


@dataclass(frozen=True, slots=True)
class Weight:
    """The most that a call may take and cost, and the rates that it may be charged by; all nothing where it is free."""

    most: Most = Most(0, 0)
    worst: Money = Money()
    rates: tuple[Rates, ...] = ()


def weigh(
    load: Load,
    prices: PriceList,
    *,
    connections: Iterable[str] = ("",),
    address: str = "",
    local_context: int | None = None,
) -> Weight:
    """What a call may cost at most. Raises `UnboundedCall`, which names what would bound it.

    connections: names of those that it may go over, the first with a price counts; or the `address` of its server.
    local_context: the window of the embedded model, in tokens.
    """
    tier = load.body.get("service_tier")
    rates: tuple[Rates, ...] = ()
    for connection in connections:
        rates = prices.dearest(
            load.provider,
            load.name,
            connection=connection,
            address=address,
            service_tier=tier if isinstance(tier, str) else "",
        )
        if rates:
            break
    if not rates:
        refuse(
            load,
            "no price is known for it",
            f'set one: [prices."{load.provider}:{load.name}"] with input and output in dollars for a million tokens',
        )
    if all(one.is_free for one in rates):
        return Weight(rates=rates)
    most = most_of(load, window_of(load.provider, load.name, local_context=local_context))
    return Weight(most, worst_of(most, rates, load), rates)
