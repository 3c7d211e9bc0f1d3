"""How people with a browser are met: by their session, by forms, and refused by a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import Receive, Scope

from surefoot import scope as surefoot_scope
from surefoot.access import LOCAL
from surefoot.errors import LedgerError
from surefoot.server import gate
from surefoot.server.entry import body as bodies
from surefoot.server.entry.body import too_large
from surefoot.server.entry.manner import Manner
from surefoot.server.entry.refusal import Refusal
from surefoot.server.sight import DATASET, RUN, TRACE, Sight
from surefoot.server.surroundings import Visitor

if TYPE_CHECKING:
    from surefoot.config.entry import EntrySettings
    from surefoot.server.entry.caller import Caller
    from surefoot.server.entry.identification import Identification
    from surefoot.server.entry.rule import Rule
    from surefoot.server.site.forms import SiteForms
    from surefoot.server.site.sessions import Sessions
    from surefoot.server.web import Pages

log = surefoot_scope.logger("surefoot.server")

VISITOR = "surefoot.visitor"
"""Where the scope of a request has who is logged in, once that is known."""
_READING = frozenset(("GET", "HEAD", "OPTIONS"))
_FORM = b"application/x-www-form-urlencoded"
_TITLES = {
    401: "Not logged in",
    403: "Not allowed",
    404: "Not found",
    413: "Too large",
    415: "Not possible",
    429: "Too many requests",
    500: "Something went wrong",
    503: "Not now",
}
"""What is told by a page. What is not even a request of a browser is answered as programs are."""
_PAGES = {"runs": RUN, "experiments": TRACE, "trends": TRACE, "datasets": DATASET}


class Browsing(Manner):
    """That of the pages behind a login. `pages` is set once they are made, as they show who is logged in."""

    carried: Mapping[str, str] = {**gate.SECURITY_HEADERS, "cache-control": "no-store"}
    has_origins = False
    pages: Pages

    def __init__(self, base: str, *, sessions: Sessions, forms: SiteForms, datasets_of: str) -> None:
        self._base = base
        self._sessions = sessions
        self._forms = forms
        self._datasets_of = datasets_of

    def refuse_body(self, method: str, headers: dict[bytes, bytes], settings: EntrySettings) -> None:
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length[:20]) > settings.max_body:
            raise too_large(settings)
        kind = headers.get(b"content-type", b"").lower().partition(b";")[0].strip()
        is_encoded = headers.get(b"content-encoding", b"identity").strip().lower() != b"identity"
        if is_encoded or (method not in _READING and kind != _FORM):
            raise Refusal(415, "no-form", "The pages take forms, as browsers send them.")

    def caller(self, scope: Scope, rule: Rule, identification: Identification) -> Caller:
        """By the session of the browser, or by a bearer token that a proxy in front adds; that goes first."""
        found = self.recognised(scope, identification)
        if found is None:
            found = super().caller(scope, rule, identification)
            scope[VISITOR] = self._visitor(scope, found, has_session=False)
        return found

    def is_known(self, scope: Scope, rule: Rule, identification: Identification) -> bool:
        """The login of a page is looked up in a thread."""
        del scope, rule, identification
        return False

    def recognised(self, scope: Scope, identification: Identification) -> Caller | None:
        """Who is logged in in this browser; None where nobody is, or no more. Blocks. Raises `Refusal` 503."""
        request = Request(scope)
        session = request.cookies.get(self._forms.login(request).name, "")
        if not session or _has_bearer(request):
            return None
        token = self._sessions.token_of(session)
        found = None if token is None else identification.remembered(scope, token)
        if found is None:
            self._sessions.end(session)
            return None
        scope[VISITOR] = self._visitor(scope, found, has_session=True)
        return found

    def visitor(self, scope: Scope, identification: Identification) -> Visitor | None:
        """Who is logged in, on an address that asks nobody who he is, too; None where that cannot be told. Blocks."""
        if VISITOR not in scope:
            try:
                self.recognised(scope, identification)
            except (Refusal, LedgerError):
                log.warning("who is logged in cannot be told, as the ledger does not answer")
        found: Visitor | None = scope.setdefault(VISITOR, None)
        return found

    async def take(self, scope: Scope, receive: Receive, settings: EntrySettings) -> Receive:
        body = await bodies.whole(receive, settings)
        try:
            await self._forms.form(Request(scope, bodies.again(body, receive)))
        except HTTPException as error:
            raise Refusal(error.status_code, "foreign-form", error.detail) from None
        return bodies.again(body, receive)

    def answer(self, scope: Scope, refused: Refusal) -> Response:
        status = refused.status_code
        if status not in _TITLES:
            return super().answer(scope, refused)
        # Nobody is looked for here: this is not done in a thread.
        scope.setdefault(VISITOR, None)
        request = Request(scope)
        if status == 401 and not _has_bearer(request):
            return self._unknown(request)
        said, title = refused.detail, _TITLES[status]
        if refused.kind == "denied":
            said = "You are {principal}, and this needs {permission}: {because}.".format_map(refused.more)
        elif refused.kind == "foreign-form":
            title = "Not possible"
        response = self.pages.message(request, status, title, _sentence(said))
        response.headers.update(dict(refused.headers or {}))
        return response

    def _unknown(self, request: Request) -> Response:
        """Nobody is logged in: the way to where one does that, and from there back here."""
        login = f"{self._base}/login"
        if "part" in request.query_params:
            return PlainTextResponse("Nobody is logged in.\n", 401)
        if request.method in _READING:
            return RedirectResponse(f"{login}?{urlencode({'next': _asked(request)})}", 303)
        return self.pages.message(
            request,
            401,
            "Not logged in",
            "Your session is over, and nothing was written. Log in, then send it again.",
            links={login: "Log in"},
        )

    def _visitor(self, scope: Scope, caller: Caller, *, has_session: bool) -> Visitor:
        sight, request = Sight(caller, self._datasets_of), Request(scope)
        return Visitor(
            who=caller.principal.who,
            organisation=caller.principal.organisation,
            pages=tuple(
                name
                for name, needed in _PAGES.items()
                if caller.principal is LOCAL or sight.may_with_some(needed)
            ),
            token=self._forms.token(self._forms.session(request)) if has_session else "",
        )


def _has_bearer(request: Request) -> bool:
    """Whether it shows a token. What a proxy in front has asked for, a name and a password, says nothing here."""
    return request.headers.get("authorization", "").partition(" ")[0].lower() == "bearer"


def _asked(request: Request) -> str:
    """The address that was asked for, as it was spelled."""
    raw: bytes = request.scope.get("raw_path") or quote(request.url.path).encode()
    query = f"?{request.url.query}" if request.url.query else ""
    return raw.decode("latin-1") + query


def _sentence(text: str) -> str:
    """A text as a page says it."""
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"
