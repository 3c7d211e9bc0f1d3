"""What a route needs of whoever asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from surefoot.access import Permission, permission

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Thing = Literal["flow", "run", "dataset", "flows", "runs", "datasets", "connections", "server"]
"""What a permission is asked for: the flow, the run or the dataset that the path names, each flow, the runs or the
datasets that are listed, the connections of which one is meant by what the body says, or the server."""

_BEGINNING = frozenset(("flow:run", "run:resume", "run:fork"))


@dataclass(frozen=True, slots=True)
class Rule:
    """What a route needs. Without a permission it is open to everybody, and tells nothing of flows and runs.

    is_told: whether what the route does writes its own row of the audit, in one commit with the change.
    goes_along: whether the row of the audit goes along with what the route writes, in one commit; where nothing came of
        it, it is written by itself before the answer.
    key_header: a header that may carry the token instead of `Authorization`, as clients of some providers send it.
    """

    permission: Permission | None
    thing: Thing
    summary: str
    is_told: bool = False
    key_header: str = ""
    goes_along: bool = False

    @property
    def is_open(self) -> bool:
        return self.permission is None

    @property
    def is_listing(self) -> bool:
        """Whether it is about one or several of many things, and whoever may do it with some of them is let in.

        The code of the route shows him those alone, or asks for the one that is meant.
        """
        return self.thing in ("flows", "runs", "datasets", "connections")

    @property
    def begins(self) -> bool:
        """Whether a run goes on by it, which does not where no money is left."""
        return self.permission in _BEGINNING

    @property
    def is_switched(self) -> bool:
        """Whether it is nothing for what is switched off: runs, and models that are asked without one."""
        return self.begins or self.thing == "connections"


Rules: TypeAlias = Mapping[tuple[Method, str], Rule]
"""By method and path, as `("GET", "/runs/{run}")`."""


def rule(
    needed: str,
    thing: Thing,
    summary: str,
    *,
    is_told: bool = False,
    key_header: str = "",
    goes_along: bool = False,
) -> Rule:
    """A rule by the text of its permission; empty for a route that is open. Raises `InvalidInput`."""
    return Rule(permission(needed) if needed else None, thing, summary, is_told, key_header, goes_along)
