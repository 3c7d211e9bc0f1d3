"""People, groups and services, and the roles that they have."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from surefoot import access
from surefoot import ledger as records
from surefoot.access import LOCAL, Grant, Member, Principal, Resource
from surefoot.errors import InvalidInput
from surefoot.ledger import access_rows as rows

if TYPE_CHECKING:
    from surefoot.accessing.office import Office


class People:
    """Those who are known, and their grants. `by` is who changes something, for which he needs a permission."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def add(
        self,
        who: str,
        *,
        by: Principal,
        organisation: str | None = None,
        groups: Iterable[str] = (),
        is_disabled: bool | None = None,
        request_id: str = "",
    ) -> Member:
        """Add somebody, or change what is given: his organisation, whether he is disabled, further groups.

        None leaves what is known of him; who is new is of the organisation without a name, and not disabled. Nobody
        puts others into groups, moves them to an organisation, or lets them in again, where they may then do what he
        may not himself.

        Raises `InvalidInput` for who is nobody, and what `record` raises.
        """
        office = self._office
        joined = _groups(groups)
        if access.principal_id(who) == LOCAL.who or access.is_account(who):
            raise InvalidInput(
                f"{who} is nobody who can be added: by this name the audit knows who needs no grant"
            )
        if organisation:
            access.organisation_name(organisation)
        known = office.roster(is_fresh=True).member(who)
        now = known or Member(who)
        within = now.organisation if organisation is None else organisation
        member = Member(
            who, within, now.groups | joined, now.is_disabled if is_disabled is None else is_disabled
        )
        permission = access.permission("principal:edit")
        resource = office.resource("principal", who, organisation=within)
        is_moved = known is not None and known.organisation != within
        if is_moved:
            # Whoever takes somebody out of an organisation needs to be allowed there, too.
            there = office.resource("principal", who, organisation=now.organisation)
            office.require(by, permission, there, request_id=request_id)
        is_given_all = is_moved or (now.is_disabled and not member.is_disabled)
        gains = [who, *member.groups] if is_given_all else sorted(joined - now.groups)
        for grant in office.roster().grants_to(gains):
            office.require_cover(by, permission, resource, grant, request_id=request_id)
        office.record(
            *(by, permission, resource),
            rows.add_member(records.MemberRow(who, within, member.is_disabled, time.time_ns())),
            *(rows.join_group(who, group) for group in sorted(joined)),
            request_id=request_id,
            details={"organisation": within, "groups": sorted(joined), "is_disabled": member.is_disabled},
        )
        return office.roster().member(who) or member

    def remove(self, who: str, *, by: Principal, request_id: str = "") -> None:
        """Forget somebody, with his groups and grants, and revoke his tokens. Raises `InvalidInput`."""
        member = self._office.known(who)
        self._office.record(
            *(by, access.permission("principal:edit")),
            self._office.resource("principal", who, organisation=member.organisation),
            *rows.remove_member(who, now_ns=time.time_ns()),
            request_id=request_id,
            details={"removed": True},
        )

    def leave(self, who: str, group: str, *, by: Principal, request_id: str = "") -> None:
        """Take somebody out of a group. Raises `InvalidInput`."""
        member = self._office.known(who)
        self._office.record(
            *(by, access.permission("principal:edit")),
            self._office.resource("principal", who, organisation=member.organisation),
            rows.leave_group(who, group),
            request_id=request_id,
            details={"left": group},
        )

    def grant(self, who: str, role: str, where: str, *, by: Principal, request_id: str = "") -> Grant:
        """Give somebody a role in a scope. Nobody gives what he does not have himself.

        Raises `InvalidInput` for a role, a scope or somebody that is not known, and what `record` raises.
        """
        given = Grant(access.principal_id(who), self._role(role), access.scope(where))
        member = self._office.known(who)
        within = given.scope.organisation
        if within is not None and within != member.organisation:
            raise InvalidInput(
                f"{who} is of the organisation {member.organisation or access.UNNAMED}: a grant in {given.scope} would "
                "never hold"
            )
        permission, resource = access.permission("role:grant"), self._resource_of(given, member)
        # What he does not have himself, he would have by whom he gives it to.
        self._office.require_cover(by, permission, resource, given, request_id=request_id)
        self._office.record(
            *(by, permission, resource),
            rows.add_grant(records.GrantRow(who, role, str(given.scope), by.who, time.time_ns())),
            request_id=request_id,
            details={"who": who, "role": role, "scope": str(given.scope)},
        )
        return given

    def revoke(self, who: str, role: str, where: str, *, by: Principal, request_id: str = "") -> None:
        """Take a role from somebody. Raises `InvalidInput` where he does not have it there."""
        taken = Grant(who, role, access.scope(where))
        member = self._office.known(who)
        held = [grant for grant in self._office.grants() if (grant.who, grant.role) == (who, role)]
        if all(grant.scope != taken.scope for grant in held):
            there = ", ".join(str(grant.scope) for grant in held) or "nowhere"
            raise InvalidInput(f"{who} is not {role} in {taken.scope}; he is {role} in: {there}")
        self._office.record(
            *(by, access.permission("role:grant"), self._resource_of(taken, member)),
            rows.remove_grant(who, role, str(taken.scope)),
            request_id=request_id,
            details={"who": who, "role": role, "scope": str(taken.scope), "revoked": True},
        )

    def _role(self, role: str) -> str:
        if role not in self._office.roles:
            raise InvalidInput(
                f"there is no role {role!r}; there are: {', '.join(sorted(self._office.roles))}"
            )
        return role

    def _resource_of(self, grant: Grant, member: Member) -> Resource:
        """What a grant is about, as a thing that somebody may grant: everywhere is the installation's own."""
        organisation = (
            grant.scope.organisation if grant.scope.organisation is not None else member.organisation
        )
        return Resource(organisation, grant.scope.project or "", "role", grant.role)


def _groups(names: Iterable[str]) -> frozenset[str]:
    groups = frozenset(access.principal_id(name) for name in names)
    if other := sorted(group for group in groups if not group.startswith("group:")):
        raise InvalidInput(f"{other[0]} is no group: write group:NAME")
    return groups
