"""Who may ask, and what every answer carries: the Host allow-list, the methods, the security headers."""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SECURITY_HEADERS = {
    "content-security-policy": (
        "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
READING = frozenset({"GET", "HEAD"})


class Gate:
    """ASGI middleware in front of everything: it refuses before a route is looked up.

    A page on another site can make a browser ask this server under a name that resolves to it (DNS rebinding), and
    would then read the answers as its own. Such a request carries the other name in `Host`; `hosts` are the names,
    with port, that this server goes by. `written` is what the paths begin with under which something may be posted;
    empty where nothing may. Who posts is asked there.
    """

    def __init__(self, app: ASGIApp, *, hosts: frozenset[str], written: str = "") -> None:
        self._app = app
        self._hosts = hosts
        self._written = written

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return

        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
        elif (refusal := self._refusal(scope)) is not None:
            await refusal(scope, receive, send_secured)
        else:
            await self._app(scope, receive, send_secured)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        named = Headers(scope=scope).getlist("host")
        if len(named) != 1 or named[0].lower() not in self._hosts:
            known = ", ".join(sorted(self._hosts))
            return PlainTextResponse(f"This server goes by {known} only.\n", status_code=421)
        is_written = bool(self._written) and scope["path"].startswith(self._written)
        methods = READING | {"POST"} if is_written else READING
        if scope["method"] not in methods:
            allowed = {"allow": ", ".join(sorted(methods))}
            return PlainTextResponse(
                "These pages can be read, not changed.\n", status_code=405, headers=allowed
            )
        return None


def loopback_hosts(port: int) -> frozenset[str]:
    """The names of this machine as a `Host` header spells them for a server on this port."""
    names = ("127.0.0.1", "localhost", "[::1]")
    ports = [f":{port}"] if port != 80 else [":80", ""]
    return frozenset(name + ending for name in names for ending in ports)
