"""In front of everything: the shape of requests, the names of the server, and what every answer carries."""

from __future__ import annotations

import re
from collections.abc import Mapping

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from surefoot import scope as surefoot_scope
from surefoot.config.entry import EntrySettings
from surefoot.server.entry import shape
from surefoot.server.entry.answering import Answering
from surefoot.server.entry.caller import REQUEST_ID
from surefoot.server.entry.hosts import Hosts
from surefoot.server.entry.manner import PROGRAMS, Manner
from surefoot.server.entry.refusal import Refusal
from surefoot.values import new_id

log = surefoot_scope.logger("surefoot.server")

_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_ALLOWED_HEADERS = "authorization, content-type, idempotency-key, last-event-id, x-request-id"
_EXPOSED_HEADERS = "retry-after, ratelimit-limit, ratelimit-remaining, ratelimit-reset, x-request-id"


class Perimeter:
    """ASGI middleware that refuses before a route is looked up.

    unnamed: paths that are served under any name, as they tell nothing: whoever looks after containers asks for their
    health by an address.
    """

    def __init__(
        self,
        behind: ASGIApp,
        settings: EntrySettings,
        *,
        hosts: Hosts,
        unnamed: frozenset[str] = frozenset(),
        manner: Manner = PROGRAMS,
    ) -> None:
        self._behind = behind
        self._settings = settings
        self._hosts = hosts
        self._unnamed = unnamed
        self._manner = manner
        carried = dict(manner.carried)
        if settings.hsts:
            carried["strict-transport-security"] = f"max-age={settings.hsts}; includeSubDomains"
        self._carried = _raw(carried)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._behind(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"").decode("latin-1")
        request_id = scope[REQUEST_ID] = given if _REQUEST_ID.fullmatch(given) else new_id()
        scope.setdefault("state", {})["request_id"] = request_id
        cross = self._cross(headers.get(b"origin", b"").decode("latin-1"))
        answering = Answering(
            *(send, receive),
            carried=self._carried_by(request_id, cross),
            has_body=b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0",
        )
        try:
            answer = self._looked_at(scope, headers, is_cross=bool(cross))
        except Refusal as refused:
            answer = self._manner.answer(scope, refused)
        try:
            await (answer or self._behind)(scope, answering.receive, answering.send)
        except Exception:
            # Of ours are the logs that hold no secret; the server's own would hold the error as it is.
            log.exception("the request %s %s failed", scope["method"], scope["path"])
            if not answering.has_begun:
                await self._manner.answer(scope, _broken())(scope, receive, answering.send)
            elif not answering.has_ended:
                raise BrokenOff from None

    def _carried_by(self, request_id: str, cross: Mapping[str, str]) -> shape.RawHeaders:
        said = _raw({"x-request-id": request_id, **cross})
        return (
            [*said, *(one for one in self._carried if one[0].decode() not in cross)]
            if cross
            else [*said, *self._carried]
        )

    def _looked_at(self, scope: Scope, headers: dict[bytes, bytes], *, is_cross: bool) -> Response | None:
        """What to answer at once; None where the request goes on. Raises `Refusal`."""
        method, settings = scope["method"], self._settings
        shape.refuse_headers(scope["headers"], settings)
        if scope["path"] not in self._unnamed:
            shape.refuse_host(headers.get(b"host", b"").decode("latin-1"), self._hosts)
        shape.refuse_path(scope["path"])
        if method not in shape.METHODS:
            raise Refusal(
                405,
                "method-not-allowed",
                f"nothing is done by {method[:20]} here",
                headers={"allow": ", ".join(sorted(shape.METHODS))},
            )
        if method == "OPTIONS":
            return _preflight(is_cross=is_cross)
        self._manner.refuse_body(method, headers, settings)
        if method not in shape.READING and not is_cross:
            _refuse_foreign(headers)
        return None

    def _cross(self, origin: str) -> dict[str, str]:
        """What a page of another site needs to read the answer, where its origin is among those of the settings."""
        if not self._manner.has_origins or origin not in self._settings.origins:
            return {}
        return {
            "access-control-allow-origin": origin,
            "access-control-expose-headers": _EXPOSED_HEADERS,
            "cross-origin-resource-policy": "cross-origin",
            "vary": "origin",
        }


def _raw(headers: Mapping[str, str]) -> shape.RawHeaders:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


class BrokenOff(Exception):
    """An answer that had begun could not be ended: its connection is closed. What went wrong is in the log."""


def _broken() -> Refusal:
    return Refusal(
        500,
        "broken",
        "something went wrong in the server: its log says what, at the time of this request",
    )


def _preflight(*, is_cross: bool) -> Response:
    if not is_cross:
        raise Refusal(403, "foreign-origin", "pages of other sites may not ask here ([serve] origins)")
    return Response(
        status_code=204,
        headers={
            "access-control-allow-methods": "GET, POST, DELETE",
            "access-control-allow-headers": _ALLOWED_HEADERS,
            "access-control-max-age": "600",
        },
    )


def _refuse_foreign(headers: dict[bytes, bytes]) -> None:
    """Raise `Refusal` 403 for what a page of another site has a browser send."""
    origin = headers.get(b"origin")
    own = headers.get(b"host", b"").lower()
    is_own = origin is None or origin.lower() in (b"http://" + own, b"https://" + own)
    if not is_own or headers.get(b"sec-fetch-site", b"none") not in (b"none", b"same-origin"):
        raise Refusal(403, "foreign-origin", "pages of other sites may not ask here ([serve] origins)")
