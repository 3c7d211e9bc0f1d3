"""The two languages of clients: how OpenAI's and Anthropic's say that there is no answer, whole or in a stream."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TypeAlias

import orjson
from starlette.responses import Response

from surefoot.server.gateway.refusals import Refused
from surefoot.values import Json

Said: TypeAlias = "dict[str, Json]"


class Dialect(ABC):
    """How a client wants to be told."""

    @abstractmethod
    def error(self, refused: Refused) -> Said:
        """The body of an error."""

    @abstractmethod
    def event(self, refused: Refused) -> bytes:
        """The event that ends a stream in an error, so that the client raises it."""

    def answer(self, refused: Refused, *, headers: Mapping[str, str] | None = None) -> Response:
        """The whole response."""
        told = {**refused.headers, **(headers or {})}
        return Response(
            orjson.dumps(self.error(refused)), refused.status, headers=told, media_type="application/json"
        )


class OpenAI(Dialect):
    """That of OpenAI, whose clients read `code`."""

    _types: Mapping[int, str] = {
        401: "authentication_error",
        402: "insufficient_quota",
        403: "permission_error",
        429: "rate_limit_error",
    }

    def error(self, refused: Refused) -> Said:
        """See `Dialect`."""
        kind = self._types.get(refused.status) or (
            "invalid_request_error" if refused.status < 500 else "server_error"
        )
        return {
            "error": {"message": refused.message, "type": kind, "param": None, "code": refused.code},
        }

    def event(self, refused: Refused) -> bytes:
        """See `Dialect`. Clients of chat and of responses both look for `error` in the data."""
        return b"data: " + orjson.dumps(self.error(refused)) + b"\n\n"


class Anthropic(Dialect):
    """That of Anthropic, whose clients read `type`; `code` stands beside it."""

    _types: Mapping[int, str] = {
        400: "invalid_request_error",
        401: "authentication_error",
        402: "billing_error",
        403: "permission_error",
        404: "not_found_error",
        409: "conflict_error",
        413: "request_too_large",
        429: "rate_limit_error",
        503: "overloaded_error",
        504: "timeout_error",
    }

    def error(self, refused: Refused) -> Said:
        """See `Dialect`."""
        kind = self._types.get(refused.status) or (
            "invalid_request_error" if refused.status < 500 else "api_error"
        )
        return {
            "type": "error",
            "error": {"type": kind, "message": refused.message, "code": refused.code},
        }

    def event(self, refused: Refused) -> bytes:
        """See `Dialect`."""
        return b"event: error\ndata: " + orjson.dumps(self.error(refused)) + b"\n\n"


OPENAI, ANTHROPIC = OpenAI(), Anthropic()


def dialect_of(path: str, headers: Mapping[str, str]) -> Dialect:
    """Whose client asks: Anthropic's has a path of its own, and elsewhere a header."""
    return ANTHROPIC if path.startswith("/v1/messages") or "anthropic-version" in headers else OPENAI
