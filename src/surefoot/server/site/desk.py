"""Where one logs in and out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from surefoot import scope as surefoot_scope
from surefoot.access import is_token
from surefoot.server.entry import body as bodies
from surefoot.server.entry.refusal import Refusal
from surefoot.server.site.browsing import VISITOR
from surefoot.server.site.table import BASE

if TYPE_CHECKING:
    from surefoot.server.entry.caller import Caller
    from surefoot.server.entry.checkpoint import Checks
    from surefoot.server.site.browsing import Browsing
    from surefoot.server.site.forms import SiteForms
    from surefoot.server.site.sessions import Sessions
    from surefoot.server.surroundings import Visitor
    from surefoot.server.web import Pages

log = surefoot_scope.logger("surefoot.server")

_LARGEST = 20_000
"""Bytes of a form that nobody has shown anything for."""
_NEXT = re.compile(rf"{BASE}/(?!login|logout)[A-Za-z0-9._~!$&'()*+,;=:@%/?-]{{0,2000}}")
_NO_TOKEN = "This is no token of this server: those begin with sft_."  # noqa: S105
_BAD_TOKEN = "This token opens nothing here: it is unknown, expired or revoked."  # noqa: S105


class Desk:
    """The pages by which sessions begin and end. A token is taken from a form alone, and never from an address."""

    def __init__(
        self, pages: Pages, checks: Checks, browsing: Browsing, *, sessions: Sessions, forms: SiteForms
    ) -> None:
        self._pages = pages
        self._checks = checks
        self._browsing = browsing
        self._sessions = sessions
        self._forms = forms

    def routes(self) -> list[Route]:
        return [
            Route("/", self.home, methods=["GET"]),
            Route(BASE, self.home, methods=["GET"]),
            Route(f"{BASE}/login", self.show, methods=["GET"]),
            Route(f"{BASE}/login", self.log_in, methods=["POST"]),
            Route(f"{BASE}/logout", self.log_out, methods=["POST"]),
        ]

    def home(self, request: Request) -> Response:
        """The first page that he may see, for whoever is logged in."""
        return RedirectResponse(self._first(request), 303)

    def show(self, request: Request) -> Response:
        """The form; the page that was asked for where somebody is logged in already."""
        wanted = _wanted(request.query_params.get("next", ""))
        # A browser that comes by a link of another site keeps the cookie back. A page of this one leads on with it.
        is_from_elsewhere = request.headers.get("sec-fetch-site") in ("cross-site", "same-site")
        if not is_from_elsewhere and self._visitor(request) is not None:
            return RedirectResponse(wanted or self._first(request), 303)
        return self._form(request, wanted, onward=wanted or f"{BASE}/runs" if is_from_elsewhere else "")

    async def log_in(self, request: Request) -> Response:
        """Begin a session by a token, and go on to the page that was asked for."""
        fields = await self._fields(request)
        return await self._checks.in_thread(lambda: self._let_in(request, fields))

    async def log_out(self, request: Request) -> Response:
        """End the session, on the server and in the browser."""
        await self._fields(request)
        cookie = self._forms.login(request)
        self._sessions.end(request.cookies.get(cookie.name, ""))
        response = RedirectResponse(f"{BASE}/login", 303)
        cookie.take(response)
        return response

    def _let_in(self, request: Request, fields: Mapping[str, str]) -> Response:
        given, wanted = fields.get("key", "").strip(), _wanted(fields.get("next", ""))
        if not is_token(given):
            return self._form(request, wanted, problem=_NO_TOKEN, status=401)
        try:
            caller = self._checks.identification.shown(request.scope, given)
        except Refusal as refused:
            problem = _BAD_TOKEN if refused.status_code == 401 else f"{refused.detail.capitalize()}."
            response = self._form(request, wanted, problem=problem, status=refused.status_code)
            if (wait := (refused.headers or {}).get("retry-after")) is not None:
                response.headers["retry-after"] = wait
            return response
        return self._begun(request, caller, wanted)

    def _begun(self, request: Request, caller: Caller, wanted: str) -> Response:
        cookie, token = self._forms.login(request), caller.token
        if token is None:
            return self._form(request, wanted, problem=_NO_TOKEN, status=401)
        # A session that this browser had is over: no login goes on under an id that was known before it.
        self._sessions.end(request.cookies.get(cookie.name, ""))
        log.info(
            "%s has logged in on the pages from %s, by the token %s",
            *(caller.principal.who, caller.address or "a socket file", token.shown),
        )
        response = RedirectResponse(wanted or f"{BASE}/", 303)
        cookie.give(response, self._sessions.begin(token.digest))
        return response

    def _form(
        self, request: Request, wanted: str, *, problem: str = "", onward: str = "", status: int = 200
    ) -> Response:
        session = self._forms.session(request)
        request.scope.setdefault(VISITOR, None)
        return self._pages.page(
            request,
            "login.html",
            status=status,
            token=self._forms.token(session),
            wanted=wanted,
            problem=problem,
            onward=onward,
        )

    async def _fields(self, request: Request) -> Mapping[str, str]:
        """The fields of a form of this browser. Raises `HTTPException`."""
        try:
            body = await bodies.whole(request.receive, self._checks.settings, most=_LARGEST)
        except bodies.Gone:
            # Nobody hears this any more.
            raise HTTPException(400, "The form broke off.") from None
        return await self._forms.form(Request(request.scope, bodies.again(body, request.receive)))

    def _first(self, request: Request) -> str:
        visitor = self._visitor(request)
        return f"{BASE}/{visitor.pages[0]}" if visitor is not None and visitor.pages else f"{BASE}/runs"

    def _visitor(self, request: Request) -> Visitor | None:
        return self._browsing.visitor(request.scope, self._checks.identification)


def _wanted(address: str) -> str:
    """Where to go on: a page of this server, and nothing else."""
    return address if _NEXT.fullmatch(address) and "//" not in address.partition("?")[0] else ""
