"""What the exchange under an SDK client asks of the client's own library, and who does it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from surefoot.effects import Effect

if TYPE_CHECKING:
    import httpx2


@dataclass(frozen=True, slots=True)
class Send(Effect):
    """Send a request, for the response as soon as its headers are there; a routed one by a client of ours."""

    request: httpx2.Request
    is_routed: bool = False


@dataclass(frozen=True, slots=True)
class Read(Effect):
    """Read the whole body of a response."""

    response: httpx2.Response


@dataclass(frozen=True, slots=True)
class Close(Effect):
    """Close a response that is of no further use."""

    response: httpx2.Response


def by(send: Callable[[Send], httpx2.Response]) -> Callable[[Effect], object]:
    """Who performs these effects in a thread."""

    def perform(effect: Effect) -> object:
        match effect:
            case Send():
                return send(effect)
            case Read(response):
                response.read()
            case Close(response):
                response.close()
            case _:
                raise TypeError(f"{effect!r} is no effect of a client")
        return None

    return perform


def by_async(send: Callable[[Send], Awaitable[httpx2.Response]]) -> Callable[[Effect], Awaitable[object]]:
    """Who performs these effects on an event loop."""

    async def perform(effect: Effect) -> object:
        match effect:
            case Send():
                return await send(effect)
            case Read(response):
                await response.aread()
            case Close(response):
                await response.aclose()
            case _:
                raise TypeError(f"{effect!r} is no effect of a client")
        return None

    return perform
