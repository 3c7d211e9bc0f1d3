"""The time that a request of httpx may take: its own limits, and what is left of the deadline of the call."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import contextmanager
from functools import lru_cache
from types import ModuleType
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    import httpx2

_WAITS = ("connect", "read", "write", "pool")
_LEAST = 0.001
_KEY = "timeout"


def bounded(limits: object, seconds: float) -> dict[str, float]:
    """The limits of a request (seconds for each of its waits, or none), each cut to `seconds`."""
    given = cast("dict[str, object]", limits) if isinstance(limits, dict) else dict[str, object]()
    most = max(seconds, _LEAST)
    cut: dict[str, float] = {}
    for name in _WAITS:
        own = given.get(name)
        cut[name] = min(float(own), most) if isinstance(own, int | float) else most
    return cut


@contextmanager
def within(request: httpx2.Request, seconds: float) -> Generator[None]:
    """While the block lasts, no wait of a request is longer than that.

    A transport reads the limits where a wait begins, so those of the body behind the block are the client's own again.
    """
    own = request.extensions.get(_KEY)
    request.extensions[_KEY] = bounded(own, seconds)
    try:
        yield
    finally:
        if own is None:
            del request.extensions[_KEY]
        else:
            request.extensions[_KEY] = own


@contextmanager
def end_in_time(
    response: httpx2.Response, sent: httpx2.Request, library: ModuleType, seconds: float
) -> Generator[None]:
    """While the block lasts, the body of a response ends in that time, or the library's `ReadTimeout` is raised.

    `sent` is the request as the transport got it. Behind the block the stream is its own again, as it knows how long
    the answer took.
    """
    own = response.stream
    body = _timed_body(library)(response.stream, sent, library, time.monotonic() + max(seconds, _LEAST))
    response.stream = cast("httpx2.SyncByteStream", body)
    try:
        yield
    finally:
        response.stream = own


class TimedBody:
    """The body of a response that is given up after some moment."""

    def __init__(self, stream: object, request: httpx2.Request, library: ModuleType, until: float) -> None:
        self._stream = stream
        self._request = request
        self._library = library
        self._until = until

    def __iter__(self) -> Iterator[bytes]:
        with within(self._request, self._left()):
            for chunk in cast("httpx2.SyncByteStream", self._stream):
                self._check()
                yield chunk

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with within(self._request, self._left()):
            async for chunk in cast("httpx2.AsyncByteStream", self._stream):
                self._check()
                yield chunk

    def close(self) -> None:
        """Close the connection, or give it back."""
        cast("httpx2.SyncByteStream", self._stream).close()

    async def aclose(self) -> None:
        """Close the connection, or give it back."""
        await cast("httpx2.AsyncByteStream", self._stream).aclose()

    def _left(self) -> float:
        return self._until - time.monotonic()

    def _check(self) -> None:
        if self._left() <= 0:
            raise self._library.ReadTimeout(
                "the answer had begun, but did not end in time", request=self._request
            )


@lru_cache(maxsize=4)
def _timed_body(library: ModuleType) -> type[TimedBody]:
    """`TimedBody` as a stream of `library`, which accepts only its own classes."""
    return type("TimedBody", (TimedBody, library.SyncByteStream, library.AsyncByteStream), {})
