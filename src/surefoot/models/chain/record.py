"""The form in which an answer is recorded, and the way back to a response of the client's own library."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from types import ModuleType
from typing import TYPE_CHECKING, cast

from surefoot.errors import ClosedEarly

if TYPE_CHECKING:
    import httpx2

_KEPT_HEADERS = re.compile(
    r"content-type|(x-|apim-|x-ms-)?request-id|retry-after(-ms)?|x-should-retry"
    r"|openai-(version|model|processing-ms)|(x|anthropic)-ratelimit-[a-z0-9-]+"
)


@dataclass(frozen=True, slots=True)
class Answer:
    """A response as it is recorded: the body decoded, of the headers only those that are safe and of use.

    `is_closed_early` says that the body is the part that was read before the client closed the stream, `error`
    that it is the part before a read raised it, or before the client left the stream because of it. `is_free`: a fake
    gave it, and its tokens cost nothing. `cached_from` is set where it comes from the cache: the run whose call brought
    it, or the empty text for one outside of runs. `output_cap` is the limit of tokens that a budget has put on it
    (`cap_output`), as the recorded request names none. `is_limited_alone`: the rate limits that it was admitted under
    were its process's part of them, as Redis was down. `given` is what guards have made of the body, and the code is
    given; None where that is the body.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_stream: bool = False
    is_closed_early: bool = False
    error: BaseException | None = None
    is_free: bool = False
    cached_from: str | None = None
    output_cap: int | None = None
    is_limited_alone: bool = False
    given: bytes | None = None

    @property
    def handed_on(self) -> bytes:
        """The body as the code is given it."""
        return self.body if self.given is None else self.given

    @property
    def is_success(self) -> bool:
        """Whether the status is one of success (2xx)."""
        return self.status // 100 == 2

    @property
    def is_event_stream(self) -> bool:
        """Whether the body is a stream of server-sent events."""
        return self.headers.get("content-type", "").startswith("text/event-stream")

    def to_record(self) -> dict[str, object]:
        """The answer as plain data; the body is text wherever it is UTF-8, so that people can read it."""
        record: dict[str, object] = {
            "status": self.status,
            "headers": dict(self.headers),
            "body": _readable(self.body),
            "is_stream": self.is_stream,
            "is_closed_early": self.is_closed_early,
        }
        if self.is_free:
            record["is_free"] = True
        if self.cached_from is not None:
            record["cached_from"] = self.cached_from
        if self.output_cap is not None:
            record["output_cap"] = self.output_cap
        if self.is_limited_alone:
            record["is_limited_alone"] = True
        if self.given is not None:
            record["given"] = _readable(self.given)
        return record if self.error is None else record | {"error": self.error}

    @classmethod
    def from_record(cls, record: object) -> Answer | None:
        """The answer in a record, or None if the record holds none."""
        if not isinstance(record, Mapping):
            return None
        fields = cast("Mapping[str, object]", record)
        status, headers, body = fields.get("status"), fields.get("headers"), fields.get("body")
        if not (isinstance(status, int) and isinstance(headers, Mapping) and isinstance(body, str | bytes)):
            return None
        error, origin = fields.get("error"), fields.get("cached_from")
        given = fields.get("given")
        return cls(
            status,
            cast("Mapping[str, str]", headers),
            _bytes(body),
            is_stream=bool(fields.get("is_stream")),
            is_closed_early=bool(fields.get("is_closed_early")),
            error=error if isinstance(error, BaseException) else None,
            is_free=bool(fields.get("is_free")),
            cached_from=origin if isinstance(origin, str) else None,
            output_cap=cap if isinstance(cap := fields.get("output_cap"), int) else None,
            is_limited_alone=bool(fields.get("is_limited_alone")),
            given=_bytes(given) if isinstance(given, str | bytes) else None,
        )


def _readable(body: bytes) -> str | bytes:
    """A body as text wherever it is UTF-8."""
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return body


def _bytes(body: str | bytes) -> bytes:
    return body.encode("utf-8") if isinstance(body, str) else body


def kept_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that are recorded: an allow-list, since an unknown one may be a secret."""
    return {name.lower(): value for name, value in headers.items() if _KEPT_HEADERS.fullmatch(name.lower())}


def replayed(
    answer: Answer,
    request: httpx2.Request,
    library: ModuleType,
    *,
    is_streaming: bool,
) -> httpx2.Response:
    """A response of `library` that reads as the recorded one did, byte by byte.

    The body of a stream that broke ends in its error again, and one that was closed early in `ClosedEarly`; where
    the client asks for the whole body, these are raised at once.
    """
    headers = dict(answer.headers)
    if not answer.is_success:
        headers["x-should-retry"] = "false"
    end = answer.error or (_closed_early(request) if answer.is_closed_early else None)
    if not is_streaming:
        if end is not None:
            raise end
        response = library.Response(answer.status, headers=headers, content=answer.handed_on, request=request)
    else:
        body = replay_body(library)(answer.handed_on, end)
        response = library.Response(answer.status, headers=headers, stream=body, request=request)
    response.elapsed = timedelta(0)
    return cast("httpx2.Response", response)


def _closed_early(request: httpx2.Request) -> ClosedEarly:
    return ClosedEarly(
        f"the recorded stream of {request.url.path} was closed before its end, and now more of it is read: "
        "read no further than the recorded run did, or fork the run before this call to make it again"
    )


class ReplayBody:
    """The body of a replayed stream: what was recorded, then its end or the error it ended in."""

    def __init__(self, body: bytes, error: BaseException | None) -> None:
        self._body = body
        self._error = error

    def __iter__(self) -> Iterator[bytes]:
        if self._body:
            body, self._body = self._body, b""
            yield body
        if self._error is not None:
            raise self._error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self:
            yield chunk

    def close(self) -> None:
        """Give up the rest."""
        self._body, self._error = b"", None

    async def aclose(self) -> None:
        """Give up the rest."""
        self.close()


@lru_cache(maxsize=4)
def replay_body(library: ModuleType) -> type[ReplayBody]:
    """`ReplayBody` as a stream of `library`, which accepts only its own classes."""
    return type("ReplayBody", (ReplayBody, library.SyncByteStream, library.AsyncByteStream), {})
