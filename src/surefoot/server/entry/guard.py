"""Who sends a request, and whether he may do what it asks, for the code behind a route."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import Request

from surefoot.access import Permission, Principal, Resource
from surefoot.server.entry.caller import CALLER, Caller
from surefoot.server.entry.checkpoint import told_of
from surefoot.server.entry.refusal import Refusal

if TYPE_CHECKING:
    from surefoot.ledger import AuditRow


def caller_of(request: Request) -> Caller:
    """Who sends a request. Raises `Refusal` 401 on a route that is open to everybody."""
    found = request.scope.get(CALLER)
    if not isinstance(found, Caller):
        raise Refusal(401, "unauthenticated", "this needs a token", headers={"www-authenticate": "Bearer"})
    return found


def principal_of(request: Request) -> Principal:
    """Who sends a request. Raises `Refusal` 401 on a route that is open to everybody."""
    return caller_of(request).principal


def question_of(request: Request) -> tuple[Principal, Permission, Resource]:
    """What the rule of the route has asked: who, what and of which thing. Raises `Refusal` 401."""
    caller = caller_of(request)
    if caller.admitted is None:
        raise LookupError("this request was let in by no rule")
    return (caller.principal, *caller.admitted)


def row_of(request: Request) -> AuditRow:
    """The row of the audit on a request, for routes that write it themselves. Blocks while a refusal is recorded.

    Raises `AccessDenied`, `LedgerError` and `Refusal` 401.
    """
    _, permission, resource = question_of(request)
    return told_of(request.scope, permission, caller_of(request), resource)


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
