"""What may be given as `using=`, and what is known of it before it is asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from surefoot.models.generating.checks import name_of
from surefoot.models.generating.choices import Call, Single, calls_of, settings_in
from surefoot.models.generating.router import Router
from surefoot.models.generating.tiers import Tiered, settings_of_tier

Using: TypeAlias = "Single | Tiered | Router | None"
"""What may be given as `using=`."""


def all_calls(using: Using) -> Iterator[Call]:
    """Every call that may be made for an answer."""
    match using:
        case Router():
            for route in using.routes.values():
                yield from all_calls(route)
        case Tiered():
            for tier in using.tiers:
                yield from calls_of(tier.using)
        case _:
            yield from calls_of(using)


def plain_using(using: Tiered | Router) -> dict[str, object]:
    """What makes a difference to the answer, as plain data."""
    if isinstance(using, Tiered):
        return {"tiers": [settings_of_tier(tier) for tier in using.tiers]}
    routes = {
        name: plain_using(route)
        if isinstance(route, Tiered)
        else [settings_in(one) for one in calls_of(route)]
        for name, route in using.routes.items()
    }
    classify = using.classify
    who = classify if isinstance(classify, str) else getattr(classify, "model", None) or name_of(classify)
    return {"classify": str(who), "routes": routes, "default": using.default}
