"""What somebody may be allowed to do: a verb on a kind of thing."""

from __future__ import annotations

from typing import Literal, NewType

from surefoot.errors import InvalidInput

Kind = Literal[
    "flow", "prompt", "connection", "dataset", "trace", "run", "token", "role", "principal", "audit", "server"
]

Permission = NewType("Permission", str)
"""A kind and a verb, as `flow:run`; made by `permission`, so that only known ones go about."""

VERBS: dict[Kind, tuple[str, ...]] = {
    "flow": ("read", "run", "edit", "publish", "approve", "delete"),
    "prompt": ("read", "edit", "publish"),
    "connection": ("list", "use", "edit"),
    "dataset": ("read", "write"),
    "trace": ("read", "read_raw", "export", "delete"),
    "run": ("read", "cancel", "resume", "fork", "approve", "send"),
    "token": ("list", "create", "revoke"),
    "role": ("list", "grant"),
    "principal": ("list", "edit"),
    "audit": ("read",),
    "server": ("read", "switch"),
}
"""All verbs, by kind. There is none that reads the secret of a connection: nobody can be given it."""

PERMISSIONS: frozenset[Permission] = frozenset(
    Permission(f"{kind}:{verb}") for kind, verbs in VERBS.items() for verb in verbs
)


def permission(text: str) -> Permission:
    """The permission of this name. Raises `InvalidInput` for one that does not exist, with those of its kind."""
    if text in PERMISSIONS:
        return Permission(text)
    kind = text.partition(":")[0]
    known: list[str] = sorted(one for one in PERMISSIONS if one.startswith(f"{kind}:")) or sorted(VERBS)
    raise InvalidInput(f"there is no permission {text!r}; there are: {', '.join(known)}")


def kind_of(permission: Permission) -> str:
    """The kind of thing that a permission is about."""
    return permission.partition(":")[0]
