"""Requests that were made for a model reference: over which connection they go is known, and not guessed by a host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypedDict

from surefoot.models.chain.passage import Way

if TYPE_CHECKING:
    import httpx2

    from surefoot.models.chain.connections import Target

ADDRESSED = "surefoot_target"
"""The extension of a request that holds its target."""


class Priced(TypedDict, total=False):
    """By what the price of a call is found, as `facts_of` takes it."""

    connection: str
    address: str
    priced_as: str


def target_of(request: httpx2.Request) -> Target | None:
    """The target that a request was made for; None for one of a client that has an address of its own."""
    extensions: Mapping[str, Any] = request.extensions
    return extensions.get(ADDRESSED)


def whom(request: httpx2.Request, provider: str) -> str:
    """Who fails as a whole: the provider at its connection, as with calls of ours, else at the host that is asked."""
    target = target_of(request)
    return f"{provider} at {request.url.host if target is None else target.connection}"


def way(request: httpx2.Request, breaker: str) -> Way:
    """Where a request goes, as limits know it."""
    target = target_of(request)
    if target is None:
        return Way(breaker, address=request.url.netloc.decode())
    return Way(breaker, target.connection)


def priced(request: httpx2.Request) -> Priced:
    """By what the price of the answer is found."""
    target = target_of(request)
    if target is None:
        return {"address": request.url.netloc.decode()}
    return {"connection": target.connection, "priced_as": priced_as(request)}


def priced_as(request: httpx2.Request) -> str:
    """The model whose price it is, where the name that is sent does not say it."""
    target = target_of(request)
    return "" if target is None or target.priced_as == target.model else target.priced_as
