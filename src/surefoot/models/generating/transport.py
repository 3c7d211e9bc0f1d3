"""Requests of our own over aiohttp: one session for each event loop."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    import asyncio

    import aiohttp

CONNECT_SECONDS = 15.0
"""How long a connection may take, within the time of its attempt."""

_COMPLAINT_BYTES = 1_048_576
"""Bytes of an answer that is an error."""

_sessions: WeakKeyDictionary[asyncio.AbstractEventLoop, _Session] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A POST as it leaves; `seconds` is how long it may take until its last byte."""

    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    seconds: float


class Oversized(Exception):
    """A body has more bytes than were to be read."""


class Reply:
    """What came back: status, headers with names in small letters, and a body that is read once, decompressed."""

    __slots__ = ("_loop", "_response", "body", "headers", "status")

    def __init__(self, response: aiohttp.ClientResponse, loop: asyncio.AbstractEventLoop) -> None:
        self._response = response
        self._loop = loop
        self.status = response.status
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}
        self.body = b""

    @property
    def is_success(self) -> bool:
        """Whether the status is one of success (2xx)."""
        return self.status // 100 == 2

    @property
    def is_free(self) -> bool:
        """Whether its tokens cost nothing whatever they are, as those of a fake."""
        return False

    async def read(self, most: int | None = None) -> None:
        """Read the whole body. Raises what aiohttp raises, and `Oversized` where it has more than `most` bytes."""
        if most is None:
            self.body = await self._response.read()
        elif await self._read_up_to(most):
            raise Oversized

    async def read_complaint(self) -> None:
        """Read the body of a refusal, and no more of it than anybody looks at. Raises what aiohttp raises."""
        await self._read_up_to(_COMPLAINT_BYTES)

    async def _read_up_to(self, most: int) -> bool:
        """Read so many bytes of the body: whether there are more, which are not waited for."""
        body = bytearray()
        while len(body) <= most and (part := await self.chunk()):
            body += part
        self.body = bytes(body[:most])
        if len(body) > most:
            self._response.close()
        return len(body) > most

    async def chunk(self) -> bytes:
        """The next part of the body, empty at its end. Raises what aiohttp raises, and gives the connection up then."""
        try:
            return await self._response.content.readany()
        except BaseException:
            # Whoever reads by parts is left with the connection: else it would be the collector's to find.
            self._response.close()
            raise

    def close(self) -> None:
        """Give up what was not read, and its connection with it; from any thread."""
        # The loop may have been closed, and its connections with it.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._response.close)


async def send(outgoing: Outgoing) -> Reply:
    """Post, for the reply as soon as its headers are there. Raises `TimeoutError` and `aiohttp.ClientError`."""
    import asyncio

    import aiohttp

    session = await _session()
    # A redirect would turn the POST into a GET, and carry the credential to another host.
    response = await session.client.post(
        outgoing.url,
        data=outgoing.body,
        headers=outgoing.headers,
        proxy=session.proxy_for(outgoing.url),
        allow_redirects=False,
        timeout=aiohttp.ClientTimeout(total=outgoing.seconds, connect=CONNECT_SECONDS),
    )
    return Reply(response, asyncio.get_running_loop())


@dataclass(slots=True)
class _Session:
    """The connections of one loop. Proxies are those of the environment as it was when they were first needed.

    aiohttp can look for them itself, but does so in two threads for each request, which costs more than the request.
    """

    client: aiohttp.ClientSession
    keeper: AsyncGenerator[None]
    process: int
    proxies: Mapping[str, str]
    _by_origin: dict[str, str | None] = field(default_factory=dict[str, "str | None"])

    def proxy_for(self, url: str) -> str | None:
        """The proxy for a URL, by `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`; None if there is none."""
        if not self.proxies:
            return None
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        if origin not in self._by_origin:
            from urllib.request import proxy_bypass

            proxy = self.proxies.get(parts.scheme) or self.proxies.get("all")
            self._by_origin[origin] = None if proxy_bypass(parts.netloc) else proxy
        return self._by_origin[origin]


async def _session() -> _Session:
    import asyncio

    loop = asyncio.get_running_loop()
    known = _sessions.get(loop)
    if known is not None and known.process == os.getpid():
        return known
    from urllib.request import getproxies

    import aiohttp

    client = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60, ttl_dns_cache=300),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=True,
    )
    keeper = _closed_with_loop(client)
    # Begun, so that the loop knows of it, and ends it when it ends its generators: `asyncio.run` does, at its end.
    await anext(keeper)
    session = _sessions[loop] = _Session(client, keeper, os.getpid(), getproxies())
    return session


async def _closed_with_loop(client: aiohttp.ClientSession) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        await client.close()
