"""The routes of a server, each behind its rule, behind the perimeter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Lifespan, Receive, Scope, Send

from surefoot.errors import AccessDenied, UsageError
from surefoot.server.entry.address import Addresses
from surefoot.server.entry.checkpoint import Checkpoint, Checks
from surefoot.server.entry.hosts import Hosts
from surefoot.server.entry.identification import Identification
from surefoot.server.entry.knocking import Knocking
from surefoot.server.entry.manner import PROGRAMS, Manner
from surefoot.server.entry.perimeter import Perimeter
from surefoot.server.entry.rates import Bounding, Pace, Rates, Rating
from surefoot.server.entry.refusal import answer_denied, answer_refused
from surefoot.server.entry.rule import Method, Rule, Rules

if TYPE_CHECKING:
    from surefoot.app import App
    from surefoot.config.entry import EntrySettings

_AT_ONCE = 0.1
"""The part of a minute's requests that somebody may make at once."""


def entered(
    app: App,
    routes: Sequence[BaseRoute],
    *,
    rules: Rules,
    settings: EntrySettings,
    owner_is_anybody: bool = False,
    checks: Checks | None = None,
    handlers: Mapping[Any, Any] | None = None,
    lifespan: Lifespan[Starlette] | None = None,
    rating: Rating | None = None,
) -> ASGIApp:
    """The routes as an ASGI application that lets in whom the rules let in.

    owner_is_anybody: whoever shows no token is taken for the owner of this machine's account.
    checks: those of `checks_of`, where other routes share them.
    rating: makes the rates of those who ask, where several processes hold to them together.
    handlers: what errors of the routes are answered with, beside `AccessDenied` and those of HTTP.

    Raises `UsageError` for a route without a rule, and for a rule without a route.
    """
    if checks is None:
        checks = checks_of(app, settings, owner_is_anybody=owner_is_anybody, rating=rating)
    guarded = guarded_by(ruled(routes, rules), rules, checks)
    starlette = Starlette(
        routes=guarded,
        exception_handlers={AccessDenied: answer_denied, HTTPException: answer_refused, **(handlers or {})},
        lifespan=lifespan,
    )
    # It would answer `/runs/` with a way to `/runs`, under the name that the request was sent to.
    starlette.router.redirect_slashes = False
    unnamed = frozenset(path for (method, path), one in rules.items() if one.is_open and method == "GET")
    return Perimeter(starlette, settings, hosts=Hosts(settings.hosts), unnamed=unnamed)


def checks_of(
    app: App, settings: EntrySettings, *, owner_is_anybody: bool = False, rating: Rating | None = None
) -> Checks:
    """What the routes of an app are checked by."""
    rated = rating or _rated
    identification = Identification(
        app.access,
        addresses=Addresses(settings.trusted_proxies),
        knocking=Knocking(rated("bad-tokens", settings.bad_tokens_per_minute, 1.0)),
        owner_is_anybody=owner_is_anybody,
    )
    return Checks(app, settings, identification=identification, rates=_rates_of(app, settings, rated))


def _rates_of(app: App, settings: EntrySettings, rated: Rating) -> Pace | None:
    """How often somebody may ask: of this server, or of all that share a Redis."""
    per_minute = settings.requests_per_minute
    if not per_minute:
        return None
    if app.redis is None:
        return rated("requests", per_minute, _AT_ONCE)
    from surefoot.server.entry.redis_rates import RedisRates

    return RedisRates(per_minute, share=_AT_ONCE, redis=app.redis, processes=app.config.redis.processes)


def _rated(_name: str, per_minute: float, share: float) -> Bounding:
    """Rates of this process alone."""
    return Rates(per_minute, share=share)


def ruled(
    routes: Iterable[BaseRoute], rules: Rules, *, table: str = "surefoot.server.api.table"
) -> list[Route]:
    """The routes, of which each has a rule for each of its methods. Raises `UsageError`.

    table: where the rules stand, for whoever has forgotten one.
    """
    found = list(_plain(routes))
    served = {(method, route.path) for route in found for method in _methods(route)}
    if missing := sorted(served - rules.keys()):
        raise UsageError(
            f"the route {' '.join(missing[0])} has no rule, so nobody can say who may ask for it: give it one in "
            f"{table}"
        )
    if idle := sorted(rules.keys() - served):
        raise UsageError(
            f"there is a rule for {' '.join(idle[0])} and no such route: take it out of the table, or serve it"
        )
    return found


def _plain(routes: Iterable[BaseRoute]) -> Iterator[Route]:
    for route in routes:
        if not isinstance(route, Route) or route.methods is None:
            raise UsageError(
                f"{route!r} is no route with methods: what is behind it could not be held to a rule"
            )
        yield route


def _methods(route: Route) -> set[Method]:
    return cast("set[Method]", set(route.methods or ()) - {"HEAD"})


def guarded_by(
    routes: Iterable[Route], rules: Rules, checks: Checks, manner: Manner = PROGRAMS
) -> list[Route]:
    """The routes, each behind the rule of each of its methods."""
    return [_guarded(path, alike, rules, checks, manner) for path, alike in _by_path(routes).items()]


def _by_path(routes: Iterable[Route]) -> dict[str, list[Route]]:
    found: dict[str, list[Route]] = {}
    for route in routes:
        found.setdefault(route.path, []).append(route)
    return found


def _guarded(path: str, alike: Sequence[Route], rules: Rules, checks: Checks, manner: Manner) -> Route:
    """One route for all methods of a path, so that a method that it does not have is answered with those it has."""
    own: dict[str, Rule] = {method: rules[method, path] for route in alike for method in _methods(route)}
    behind = {method: route.app for route in alike for method in route.methods or ()}
    made = Route(path, alike[0].endpoint, methods=sorted(behind), name=alike[0].name)
    made.app = Checkpoint(_ByMethod(behind), own, checks, manner)
    return made


class _ByMethod:
    """The code of a path, by method."""

    def __init__(self, behind: Mapping[str, ASGIApp]) -> None:
        self._behind = behind

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._behind[scope["method"]](scope, receive, send)
