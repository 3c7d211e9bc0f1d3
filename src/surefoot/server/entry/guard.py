"""Who sends a request, and whether he may do what it asks, for the code behind a route."""

from __future__ import annotations

from starlette.requests import Request

from surefoot.access import Permission, Principal, Resource
from surefoot.server.entry.caller import CALLER, Caller
from surefoot.server.entry.refusal import Refusal


def caller_of(request: Request) -> Caller:
    """Who sends a request. Raises `Refusal` 401 on a route that is open to everybody."""
    found = request.scope.get(CALLER)
    if not isinstance(found, Caller):
        raise Refusal(401, "unauthenticated", "this needs a token", headers={"www-authenticate": "Bearer"})
    return found


def principal_of(request: Request) -> Principal:
    """Who sends a request. Raises `Refusal` 401 on a route that is open to everybody."""
    return caller_of(request).principal


def may(request: Request, permission: Permission, resource: Resource) -> bool:
    """Whether whoever sends a request may do this; for lists, of which he sees what he may. Nothing is recorded."""
    return caller_of(request).may(permission, resource)


def allowed(request: Request, permission: Permission, resource: Resource) -> Principal:
    """Who sends a request, once it is known that he may do this. Blocks while a refusal is recorded.

    The rule of the route is held already; this is for what a route does beyond it. Raises `AccessDenied`.
    """
    caller = caller_of(request)
    caller.require(permission, resource)
    return caller.principal
