"""What hands the answer of a model from the run that asks for it to the client that waits, as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

_AHEAD = 8
"""Chunks that wait for a slow client before nothing more is read of its model."""

_relay: ContextVar[Relay | None] = ContextVar("surefoot_gateway_relay", default=None)


@dataclass(frozen=True, slots=True)
class Head:
    """What an answer begins with."""

    status: int
    headers: Mapping[str, str]
    is_stream: bool


class Relay:
    """One answer on its way from a run to a client, both on one event loop."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[Head | bytes] = asyncio.Queue(_AHEAD)
        self._is_left = False
        self.begun = asyncio.Event()
        """Set once the run is in the ledger."""
        self.run_id = ""
        self.received = bytearray()
        """What has come of a stream."""
        self.is_told = False
        """Whether what the client was given says itself that the answer failed."""

    def begin(self, run_id: str) -> None:
        """The run has begun."""
        self.run_id = run_id
        self.begun.set()

    async def hand(self, piece: Head | bytes) -> None:
        """Give a piece to the client, once it has room for it; nothing is waited for where it has left."""
        if not self._is_left:
            await self._waiting.put(piece)

    def leave(self) -> None:
        """The client wants nothing more."""
        self._is_left = True
        while not self._waiting.empty():
            self._waiting.get_nowait()

    async def next(self, *until: asyncio.Future[Any]) -> Head | bytes | None:
        """The next piece; None where one of these is done and nothing is left."""
        while self._waiting.empty() and not any(one.done() for one in until):
            piece = asyncio.ensure_future(self._waiting.get())
            awaited: set[asyncio.Future[Any]] = {piece, *until}
            try:
                await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
            finally:
                if not piece.done():
                    piece.cancel()
            if piece.done() and not piece.cancelled():
                return piece.result()
        return None if self._waiting.empty() else self._waiting.get_nowait()


@contextmanager
def relaying(relay: Relay) -> Generator[None]:
    """Let the run that is begun inside hand its answer to a client."""
    token = _relay.set(relay)
    try:
        yield
    finally:
        _relay.reset(token)


def current() -> Relay | None:
    """Who waits for the answer of the run that is open here; None where it is gone on with later."""
    return _relay.get()
