"""A grant: who has which role, and where."""

from __future__ import annotations

from dataclasses import dataclass

from surefoot.access.scopes import Scope


@dataclass(frozen=True, slots=True)
class Grant:
    """A role of a principal or of a group, in a scope. There are none that forbid: what no grant allows is denied."""

    who: str
    role: str
    scope: Scope

    def __str__(self) -> str:
        return f"{self.who} is {self.role} in {self.scope}"


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody who is recorded: his organisation, his groups, and whether he may do anything at all."""

    who: str
    organisation: str = ""
    groups: frozenset[str] = frozenset()
    is_disabled: bool = False
