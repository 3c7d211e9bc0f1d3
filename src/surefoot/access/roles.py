"""Roles: named sets of permissions. Those that come with Surefoot, and those of a project."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from surefoot.access.permissions import PERMISSIONS, Permission, permission
from surefoot.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Role:
    """What somebody with this role may do in the scope in which it is granted."""

    name: str
    permissions: frozenset[Permission]


def role(name: str, *permissions: str) -> Role:
    """A role of permissions, each `KIND:VERB` or with `*` for some (`trace:*`).

    Raises `InvalidInput` for a permission that does not exist.
    """
    return Role(name, frozenset(one for given in permissions for one in _meant(given)))


def _meant(given: str) -> Iterable[Permission]:
    if "*" not in given:
        return [permission(given)]
    found = [one for one in PERMISSIONS if fnmatchcase(one, given)]
    if not found:
        raise InvalidInput(f"{given!r} stands for no permission: write KIND:VERB, or KIND:*")
    return found


_VIEWER = (
    "flow:read",
    "prompt:read",
    "dataset:read",
    "run:read",
    "trace:read",
    "connection:list",
    "server:read",
)
_RUNNER = (*_VIEWER, "flow:run", "run:cancel", "run:resume", "run:send")
_EDITOR = (
    *_RUNNER,
    "flow:edit",
    "flow:publish",
    "prompt:edit",
    "prompt:publish",
    "dataset:write",
    "run:fork",
)

ROLES: Mapping[str, Role] = {
    one.name: one
    for one in (
        role("viewer", *_VIEWER),
        role("runner", *_RUNNER),
        role("editor", *_EDITOR),
        # Whoever lets a flow use connections does not write flows, and the other way round.
        role(
            "operator",
            *_RUNNER,
            *(
                "flow:approve",
                "flow:delete",
                "connection:use",
                "connection:edit",
                "run:approve",
                "server:switch",
            ),
        ),
        # Sees all that is recorded and changes nothing.
        role("auditor", *_VIEWER, "trace:read_raw", "trace:export", "audit:read", "role:list", "token:list"),
        role("admin", *PERMISSIONS),
    )
}
"""The roles that come with Surefoot."""


def with_own(own: Mapping[str, Iterable[str]]) -> Mapping[str, Role]:
    """The roles that come with Surefoot, and those of a project by their permissions.

    Raises `InvalidInput` for a permission that does not exist, and for a role that would take the place of one that
    comes with Surefoot, as people rely on what that means.
    """
    if taken := sorted(ROLES.keys() & own.keys()):
        raise InvalidInput(f"the role {taken[0]!r} comes with Surefoot: give yours another name")
    return {**ROLES, **{name: role(name, *permissions) for name, permissions in own.items()}}
