"""People, groups and services, and the roles that they have."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from surefoot import access
from surefoot import ledger as records
from surefoot.access import Grant, Member, Principal, Resource
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
        organisation: str = "",
        groups: Iterable[str] = (),
        is_disabled: bool = False,
        request_id: str = "",
    ) -> Member:
        """Add somebody, or change his organisation, that he is disabled, and the groups that he is in beyond others.

        Raises `InvalidInput` for who is nobody, and what `record` raises.
        """
        access.principal_id(who)
        joined = sorted({access.principal_id(group) for group in groups})
        if other := [group for group in joined if not group.startswith("group:")]:
            raise InvalidInput(f"{other[0]} is no group: write group:NAME")
        resource = self._office.resource("principal", who, organisation=organisation)
        known = self._office.roster(is_fresh=True).member(who)
        if known is not None and known.organisation != organisation:
            # Whoever takes somebody out of an organisation needs to be allowed there, too.
            self._office.require(
                by,
                access.permission("principal:edit"),
                self._office.resource("principal", who, organisation=known.organisation),
                request_id=request_id,
            )
        self._office.record(
            *(by, access.permission("principal:edit"), resource),
            rows.add_member(records.MemberRow(who, organisation, is_disabled, time.time_ns())),
            *(rows.join_group(who, group) for group in joined),
            request_id=request_id,
            details={"organisation": organisation, "groups": joined, "is_disabled": is_disabled},
        )
        found = self._office.roster().member(who)
        return found if found is not None else Member(who, organisation, frozenset(joined), is_disabled)

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
        roster = self._office.roster()
        for one in sorted(self._office.roles[role].permissions):
            if not roster.covers(by, one, given.scope):
                because = f"{by.who} has no {one} in all of {given.scope} himself"
                raise self._office.deny(by, permission, resource, because, request_id)
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
