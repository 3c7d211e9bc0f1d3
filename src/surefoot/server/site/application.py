"""The pages behind a login as an ASGI application, beside the one that programs ask."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from surefoot.server.entry.entered import guarded_by, ruled
from surefoot.server.entry.hosts import Hosts
from surefoot.server.entry.perimeter import Perimeter
from surefoot.server.sight import of_caller
from surefoot.server.site.browsing import Browsing
from surefoot.server.site.desk import Desk
from surefoot.server.site.forms import SiteForms
from surefoot.server.site.sessions import Sessions
from surefoot.server.site.table import BASE, RULES
from surefoot.server.site.threads import Threads
from surefoot.server.surroundings import Surroundings, Visitor
from surefoot.server.web import Pages

if TYPE_CHECKING:
    from surefoot.app import App
    from surefoot.server.entry.checkpoint import Checks
    from surefoot.server.entry.rule import Rules


class Beside:
    """An application, and the pages under their own addresses."""

    def __init__(self, programs: ASGIApp, pages: ASGIApp) -> None:
        self._programs = programs
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope.get("path", "")
        is_page = scope["type"] == "http" and (path in ("/", BASE) or path.startswith(f"{BASE}/"))
        await (self._pages if is_page else self._programs)(scope, receive, send)


def site_of(app: App, checks: Checks, *, rules: Rules = RULES) -> ASGIApp:
    """The pages of an app for whoever is let in by the checks that programs are let in by, too.

    Raises `UsageError` for a page without a rule, and for a rule without a page.
    """
    settings = checks.settings
    sessions = Sessions(idle=settings.session_idle, longest=settings.session_longest)
    forms = SiteForms(BASE)
    browsing = Browsing(BASE, sessions=sessions, forms=forms, datasets_of=settings.datasets_of)

    def visitor(request: Request) -> Visitor | None:
        return browsing.visitor(request.scope, checks.identification)

    around = Surroundings(
        base=BASE,
        sight=partial(of_caller, datasets_of=settings.datasets_of),
        visitor=visitor,
        posting=forms,
        has_login=True,
        in_thread=Threads(),
    )
    pages = browsing.pages = Pages(app, surroundings=around)
    desk = Desk(pages, checks, browsing, sessions=sessions, forms=forms)
    own = [_below(each, around) for each in pages.routes() if each.path != "/"]
    routes = [*desk.routes(), Route(f"{BASE}/", desk.home, methods=["GET"]), *own]
    guarded = guarded_by(ruled(routes, rules, table="surefoot.server.site.table"), rules, checks, browsing)
    starlette = Starlette(routes=guarded, exception_handlers=pages.errors())
    starlette.router.redirect_slashes = False
    return Perimeter(starlette, settings, hosts=Hosts(settings.hosts), manner=browsing)


def _below(route: Route, around: Surroundings) -> Route:
    """A page at its address behind the login, made in a thread of the pages where it blocks."""
    endpoint = route.endpoint
    if not iscoroutinefunction(endpoint):

        async def threaded(request: Request, make: Callable[[Request], Response] = endpoint) -> Response:
            return await around.in_thread(partial(make, request))

        endpoint = threaded
    return Route(around.base + route.path, endpoint, methods=sorted(route.methods or ()))
