"""The most that a call may cost: its request, its window and the prices it may be charged by, put together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from surefoot.models.chain.bounds import PICTURES, Load, Most, most_of, refuse, worst_of
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
    if load.operation == PICTURES:
        return _of_pictures(load, rates)
    most = most_of(load, window_of(load.provider, load.name, local_context=local_context))
    return Weight(most, worst_of(most, rates, load), rates)


def _of_pictures(load: Load, rates: tuple[Rates, ...]) -> Weight:
    """Pictures that a model makes are bounded by a price for each request alone: how many tokens one has, no rule says.

    Raises `UnboundedCall`.
    """
    count = load.body.get("n")
    if any(not one.request or one.input is not None or one.output is not None for one in rates) or (
        type(count) is int and count > 1
    ):
        refuse(
            load,
            "what a picture costs at most is in no table",
            f'set what a request for one costs: [prices."{load.provider}:{load.name}"] with request in dollars and '
            "without input and output, and leave n out",
        )
    return Weight(Most(0, 0), Money(max(one.request for one in rates)), rates)
