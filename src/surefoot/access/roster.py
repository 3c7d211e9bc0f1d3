"""Who may do what: the one place that decides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from surefoot.access.grants import Grant, Member
from surefoot.access.permissions import Permission, kind_of
from surefoot.access.principals import LOCAL, Principal
from surefoot.access.roles import ROLES, Role
from surefoot.access.scopes import UNNAMED, Resource, Scope

_ADMINISTRATIVE = frozenset(("principal", "role", "token", "audit", "server"))
"""What those who look after the installation manage in every organisation."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """Whether somebody may do something. `because` says by what, or what would be needed."""

    is_allowed: bool
    because: str


class Roster:
    """The members, their grants and the roles, as they stood when this was made. It does not change.

    What no grant allows is denied, and nobody reaches into another organisation. But for those who look after the
    installation, members of the organisation without a name whose grant holds everywhere: they manage who is where,
    and do not see what another organisation's flows, runs and datasets hold.
    """

    def __init__(
        self, members: Iterable[Member], grants: Iterable[Grant], *, roles: Mapping[str, Role] = ROLES
    ) -> None:
        self._members = {member.who: member for member in members}
        self._roles = roles
        self._grants: dict[str, list[Grant]] = {}
        self._by_permission: dict[tuple[str, Permission], list[Grant]] = {}
        for grant in grants:
            self._grants.setdefault(grant.who, []).append(grant)
            role = roles.get(grant.role)
            # A role that was taken out of the settings allows nothing any more.
            for one in role.permissions if role is not None else ():
                self._by_permission.setdefault((grant.who, one), []).append(grant)

    def decide(self, principal: Principal, permission: Permission, resource: Resource) -> Ruling:
        """Whether a principal may do this with a thing."""
        if principal is LOCAL:
            return Ruling(
                is_allowed=True, because="the owner of this machine's account may do everything here"
            )
        member = self._members.get(principal.who)
        if member is not None and member.is_disabled:
            return Ruling(is_allowed=False, because=f"{principal.who} is disabled")
        if kind_of(permission) != resource.kind:
            return Ruling(
                is_allowed=False, because=f"{permission} is nothing that is done with a {resource.kind}"
            )
        own = self._organisation(principal, member)
        crosses = own != resource.organisation
        if crosses and (own or resource.kind not in _ADMINISTRATIVE):
            return Ruling(
                is_allowed=False, because=f"it is not of {principal.who}'s organisation, {own or UNNAMED}"
            )
        for who in self._vouching(principal, member):
            for grant in self._by_permission.get((who, permission), ()):
                if grant.scope.holds(resource) and not (crosses and grant.scope.organisation is not None):
                    through = "" if who == principal.who else f", by the group {who}"
                    return Ruling(is_allowed=True, because=f"{grant.role} in {grant.scope}{through}")
        return Ruling(is_allowed=False, because=self._lacking(permission, resource))

    def covers(self, principal: Principal, permission: Permission, scope: Scope) -> bool:
        """Whether a principal has a permission in all of a scope, so that he may give it to others there."""
        if principal is LOCAL:
            return True
        member = self._members.get(principal.who)
        if member is not None and member.is_disabled:
            return False
        return any(
            scope.within(grant.scope)
            for who in self._vouching(principal, member)
            for grant in self._by_permission.get((who, permission), ())
        )

    def names(
        self, principal: Principal, permissions: Iterable[Permission], resource: Resource
    ) -> tuple[str, ...]:
        """The patterns of the names, of the kind and in the project of a resource, that grants of these permissions
        reach; which of them is named does not matter.
        """
        member = self._members.get(principal.who)
        if principal is LOCAL:
            return ("*",)
        is_other = self._organisation(principal, member) != resource.organisation
        if is_other or (member is not None and member.is_disabled):
            return ()
        found: dict[str, None] = {}
        for who in self._vouching(principal, member):
            for permission in permissions:
                for grant in self._by_permission.get((who, permission), ()):
                    if (name := grant.scope.name_of(resource)) is not None:
                        found[name] = None
        return tuple(found)

    def grants_of(self, principal: Principal) -> list[Grant]:
        """The grants that a principal has, his own and those of his groups."""
        return self.grants_to(self._vouching(principal, self._members.get(principal.who)))

    def grants_to(self, whom: Iterable[str]) -> list[Grant]:
        """The grants to each of these itself, principals or groups."""
        return [grant for who in whom for grant in self._grants.get(who, ())]

    def member(self, who: str) -> Member | None:
        """Somebody as he is recorded."""
        return self._members.get(who)

    def _organisation(self, principal: Principal, member: Member | None) -> str:
        # What is recorded goes before what is claimed.
        return member.organisation if member is not None else principal.organisation

    def _vouching(self, principal: Principal, member: Member | None) -> Iterable[str]:
        """The principal and his groups; a group that is disabled vouches for nobody."""
        yield principal.who
        for group in sorted({*principal.groups, *(member.groups if member is not None else ())}):
            its = self._members.get(group)
            if its is None or not its.is_disabled:
                yield group

    def _lacking(self, permission: Permission, resource: Resource) -> str:
        able = sorted(role.name for role in self._roles.values() if permission in role.permissions)
        return f"no grant allows {permission} on {resource}; the roles {', '.join(able)} would"
