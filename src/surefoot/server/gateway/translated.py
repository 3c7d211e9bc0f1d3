"""Refusals of the server in front of the gateway, in the language of the client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import orjson
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from surefoot.server.entry.refusal import MEDIA_TYPE
from surefoot.server.gateway.dialect import Dialect, dialect_of
from surefoot.server.gateway.refusals import Refused

_PREFIX = "/v1/"


class Translated:
    """ASGI middleware: under the gateway's paths problem details become errors that its clients know.

    So a bad token, a body that is too large and a rate that is exceeded are told as the provider itself would tell them.
    """

    def __init__(self, behind: ASGIApp) -> None:
        self._behind = behind

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(_PREFIX):
            await self._behind(scope, receive, send)
            return
        dialect = dialect_of(scope["path"], Headers(scope=scope))
        await self._behind(scope, receive, _Translating(dialect, send))


class _Translating:
    """The end of one response, which holds back what is a problem until it is whole."""

    def __init__(self, dialect: Dialect, send: Send) -> None:
        self._dialect = dialect
        self._send = send
        self._start: Message | None = None
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            kind = Headers(raw=message["headers"]).get("content-type", "")
            if kind.startswith(MEDIA_TYPE):
                self._start = message
                return
        elif self._start is not None and message["type"] == "http.response.body":
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._told(self._start)
            return
        await self._send(message)

    async def _told(self, start: Message) -> None:
        problem = _mapping(self._body)
        code = str(problem.get("type", "refused")).rpartition(":")[2].replace("-", "_")
        said = Refused(start["status"], code, str(problem.get("detail", "")))
        body = orjson.dumps(self._dialect.error(said))
        headers = MutableHeaders(raw=list(start["headers"]))
        headers.update({"content-type": "application/json", "content-length": str(len(body))})
        if said.status != 429:
            headers.update(said.headers)
        await self._send({**start, "headers": headers.raw})
        await self._send({"type": "http.response.body", "body": body})


def _mapping(body: bytes) -> Mapping[str, Any]:
    try:
        value: object = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}
