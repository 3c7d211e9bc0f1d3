"""The cookies and forms of pages behind a login."""

from __future__ import annotations

import re
from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request

from surefoot.server.posting import Cookie, Posting, Session

_HERE = re.compile(r"(?:localhost|127\.0\.0\.1|\[::1\])(?::(?P<port>[0-9]+))?")


class SiteForms(Posting):
    """Forms whose token is bound to the login of the browser, and cookies that go by https alone.

    On this machine's own names they go without: nothing of them is on a wire there.
    """

    stale = "This page is from before the server was started, or from before somebody logged in or out here"

    def __init__(self, base: str) -> None:
        super().__init__(base)
        self._base = base

    def login(self, request: Request) -> Cookie:
        """The cookie that holds the login of a browser."""
        return self._named(request, "session")

    def cookie(self, request: Request) -> Cookie:
        """The cookie by which forms are known to be from a page of this browser."""
        return self._named(request, "form")

    def origins(self, request: Request) -> frozenset[str]:
        host = _host(request)
        secure = f"https://{host}"
        # A proxy with TLS may stand in front on this machine too.
        return frozenset((secure, f"http://{host}")) if _HERE.fullmatch(host) else frozenset((secure,))

    async def form(self, request: Request) -> Mapping[str, str]:
        host = _host(request)
        is_plain = request.headers.get("origin", "").lower() == f"http://{host}"
        if is_plain and not _HERE.fullmatch(host):
            raise HTTPException(
                403,
                "These pages are for https, or for this machine's own address: what is sent here could be read on its "
                "way. Put a proxy with TLS in front, or come by `ssh -L`.",
            )
        return await super().form(request)

    def _session(self, request: Request) -> Session:
        found = super()._session(request)
        return Session(found.id, found.is_new, request.cookies.get(self.login(request).name, ""))

    def _named(self, request: Request, name: str) -> Cookie:
        here = _HERE.fullmatch(_host(request))
        if here is None:
            # Browsers keep it for this very host alone: no other below its domain can put one in its place.
            return Cookie(f"__Host-surefoot-{name}", "/", is_secure=True)
        return Cookie(f"surefoot-{name}-{here['port'] or 80}", self._base, is_secure=False)


def _host(request: Request) -> str:
    return request.headers.get("host", "").lower()
