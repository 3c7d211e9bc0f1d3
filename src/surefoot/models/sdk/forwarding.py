"""A model call that somebody else has written, sent on as an SDK client would send it: `forward`.

It goes out by an HTTP client of ours under the same hook as every SDK client's, so that it is claimed, guarded, held,
cached, tried again, settled and recorded as these are, by the same code.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args
from weakref import WeakKeyDictionary

from surefoot.errors import MissingExtra, ModelUnavailable, SurefootError, UnknownModel
from surefoot.models import fakes
from surefoot.models.chain.answers import ends_in_error, is_whole
from surefoot.models.chain.connections import Target, in_responses
from surefoot.models.chain.endpoints import Endpoint
from surefoot.models.chain.failures import (
    Failed,
    error_from,
    error_in_stream,
    error_of,
    malformation,
    malformed,
)
from surefoot.models.chain.sse import events_of
from surefoot.models.chain.vendors import LOCAL, Wire
from surefoot.models.generating.transport import CONNECT_SECONDS
from surefoot.models.sdk.addressed import ADDRESSED

if TYPE_CHECKING:
    import asyncio

    import httpx2

Spoken: TypeAlias = Literal[
    "openai.chat", "openai.completions", "openai.responses", "openai.embeddings", "anthropic.messages"
]
"""The operations that can be sent on, by the names that they have in the record."""

SPOKEN: tuple[Spoken, ...] = get_args(Spoken)

_PATHS: Mapping[Spoken, str] = {
    "openai.chat": "/chat/completions",
    "openai.completions": "/completions",
    "openai.responses": "/responses",
    "openai.embeddings": "/embeddings",
    "anthropic.messages": "/messages",
}
_OPENAI: frozenset[Wire] = frozenset({"openai.chat", "openai.responses", "azure.chat"})
_ANSWER_HEADERS = frozenset({"anthropic-version", "anthropic-beta", "openai-beta"})
"""Headers of whoever asks that an answer depends on, and that tell nothing of him."""
_SECONDS = 600.0
_NOWHERE = "http://embedded.invalid/v1"
"""Stands in the requests of the embedded model, which are routed to its server when that runs."""

_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, _Client] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Forwarded:
    """An answer as it comes: its status, headers with names in small letters, and its body, decompressed."""

    target: Target
    status: int
    headers: Mapping[str, str]
    _response: httpx2.Response = field(repr=False)
    _started: float = field(repr=False)

    @property
    def is_success(self) -> bool:
        """Whether the status is one of success (2xx)."""
        return self.status // 100 == 2

    @property
    def is_stream(self) -> bool:
        """Whether its body comes in server-sent events."""
        return self.is_success and self.headers.get("content-type", "").startswith("text/event-stream")

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes, as far as guards hand it on; it is recorded when this ends, however it does.

        Raises `GuardRefused`, and `ModelError` where it breaks off.
        """
        try:
            async for chunk in self._response.aiter_bytes():
                yield chunk
        except SurefootError:
            raise
        except Exception as error:
            raise _failure(self.target, error, self._started) from error
        finally:
            await self._response.aclose()

    async def body(self) -> bytes:
        """The whole body. Raises what `chunks` raises."""
        return b"".join([chunk async for chunk in self.chunks()])

    def refusal(self, body: bytes) -> SurefootError | None:
        """The error for a whole answer that is none; None where it is one."""
        if not self.is_success:
            return error_of(
                self._failed, status=self.status, headers=self.headers, body=body, now=time.time()
            )
        if not (reason := malformation(self.headers, body)):
            return None
        return malformed(self._failed, reason, status=self.status, headers=self.headers, body=body)

    def break_in(self, body: bytes, *, is_finished: bool) -> SurefootError | None:
        """The error for a stream that came to its end and is no whole answer.

        is_finished: whether it says why the model stopped, which is the end where no event of its own is sent.
        """
        events = events_of(body)
        if ends_in_error(body):
            return error_in_stream(self._failed, events[-1].data.encode() if events else body)
        if is_whole(events) or is_finished:
            return None
        said = "its stream ended before the answer did" if events else "its stream holds no event"
        return ModelUnavailable(
            f"{self._failed} broke off: {said}. Ask again.",
            provider=self.target.provider,
            model=self.target.model,
        )

    @property
    def _failed(self) -> Failed:
        return Failed(self.target.provider, self.target.model, seconds=time.monotonic() - self._started)


def is_over(body: bytes) -> bool:
    """Whether a stream has said its last word by now: the event that ends an answer, or an error."""
    return is_whole(events_of(body)) or ends_in_error(body)


def speaking(target: Target, operation: Spoken) -> Target:
    """The target as an operation is asked of it. Raises `UnknownModel` where it speaks another language."""
    if target.provider == LOCAL:
        if operation != "openai.embeddings":
            return target
    elif operation == "anthropic.messages":
        if target.wire == operation:
            return target
    elif target.wire in _OPENAI:
        return in_responses(target) if operation == "openai.responses" else target
    speaks = {"anthropic.messages": "/v1/messages", "google.generate": "Gemini's own paths"}
    of = "/v1/chat/completions" if target.provider == LOCAL else speaks.get(target.wire, "OpenAI's paths")
    raise UnknownModel(
        f"{target.provider} does not answer {operation} for {target.reference!r}: it is asked by {of}, and what is "
        "sent on is never translated; ask there, or name a model of another provider"
    )


async def forward(
    target: Target, operation: Spoken, body: Mapping[str, object], *, headers: Mapping[str, str]
) -> Forwarded:
    """Send a request on to a target inside a run, for its answer: as soon as that begins where it is a stream.

    body: as whoever asks wrote it; of it only `model` is made the name that the target goes by.
    headers: his, of which those alone go along that the form of an answer depends on. No credential of his does.

    Raises `UnknownModel` where the target speaks another language, `BudgetExceeded`, `Throttled`, `BreakerOpen`,
    `GuardRefused`, `UnboundedCall`, and `ModelError` where no answer came. A refusal of the provider is an answer.
    """
    target = speaking(target, operation)
    client = await _client()
    is_stream = body.get("stream") is True
    request = client.build_request(
        "POST",
        _url(target, _PATHS[operation]),
        content=json.dumps({**body, "model": _sent_model(target)}, ensure_ascii=False).encode(),
        headers={
            **{name.lower(): value for name, value in headers.items() if name.lower() in _ANSWER_HEADERS},
            **_endpoint(target).headers,
            "content-type": "application/json",
            "user-agent": "surefoot",
        },
        timeout=_timeout(target),
    )
    request.extensions[ADDRESSED] = target
    started = time.monotonic()
    try:
        response = await client.send(request, stream=is_stream)
    except SurefootError:
        raise
    except Exception as error:
        raise _failure(target, error, started) from error
    told = {name.lower(): value for name, value in response.headers.items()}
    return Forwarded(target, response.status_code, told, response, started)


def _failure(target: Target, error: Exception, started: float) -> SurefootError:
    """The error for a call that no whole answer came to."""
    note = next((one for one in getattr(error, "__notes__", ()) if one.startswith("no further attempt")), "")
    failed = Failed(target.provider, target.model, seconds=time.monotonic() - started, note=note)
    return error_from(failed, error)


def _sent_model(target: Target) -> str:
    return f"{LOCAL}:{target.model}" if target.provider == LOCAL else target.model


def _endpoint(target: Target) -> Endpoint:
    # The embedded model's server is asked for where its route is taken; of a fake there is none.
    if target.provider == LOCAL or fakes.current() is not None:
        return Endpoint(target.base_url)
    return target.connect()


def _url(target: Target, path: str) -> str:
    return _NOWHERE + path if not target.base_url else target.url(path)


def _timeout(target: Target) -> httpx2.Timeout:
    import httpx2

    seconds = target.timeout or _SECONDS
    return httpx2.Timeout(seconds, connect=min(CONNECT_SECONDS, seconds))


@dataclass(slots=True)
class _Client:
    """The connections of one loop."""

    client: httpx2.AsyncClient
    keeper: AsyncGenerator[None]
    process: int


async def _client() -> httpx2.AsyncClient:
    import asyncio

    loop = asyncio.get_running_loop()
    known = _clients.get(loop)
    if known is not None and known.process == os.getpid():
        return known.client
    try:
        import httpx2
    except ImportError as error:
        raise MissingExtra(
            "calls are sent on by httpx2, which is not installed: pip install 'surefoot[server]'"
        ) from error
    # A redirect would carry the credential to another host, and a cookie what one caller was given to the next.
    limits = httpx2.Limits(max_connections=1000, max_keepalive_connections=100)
    jar = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
    client = httpx2.AsyncClient(limits=limits, follow_redirects=False, cookies=jar)
    keeper = _closed_with_loop(client)
    # Begun, so that the loop knows of it, and ends it when it ends its generators.
    await anext(keeper)
    _clients[loop] = _Client(client, keeper, os.getpid())
    return client


async def _closed_with_loop(client: httpx2.AsyncClient) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        await client.aclose()
