"""Who sends a request, as far as it is known."""

from __future__ import annotations

from dataclasses import dataclass

from surefoot.access import LOCAL, Permission, Principal, Resource, TokenRow
from surefoot.accessing.access import Access

CALLER = "surefoot.caller"
"""Where the scope of a request has it."""
REQUEST_ID = "surefoot.request_id"
RUN = "surefoot.run"
"""Where it has the record of the run that its path names."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, by which token (None where a provider vouches, or nobody is asked), and from which address."""

    access: Access
    principal: Principal
    token: TokenRow | None
    address: str
    request_id: str
    admitted: tuple[Permission, Resource] | None = None
    """What the rule of the route has let him do."""
    is_of_some: bool = False
    """Whether that is a list, of which he may see some: it says nothing of all of them."""

    def may(self, permission: Permission, resource: Resource) -> bool:
        """Whether he may do this with this token. Nothing is recorded of it. Raises `LedgerError`."""
        return self._is_admitted(permission, resource) or (
            not self._is_bounded(permission) and self._ruled(permission, resource)
        )

    def require(self, permission: Permission, resource: Resource) -> None:
        """Raise `AccessDenied`, and record that, unless he may. Blocks while the ledger is written."""
        if self._is_admitted(permission, resource):
            return
        if self._is_bounded(permission):
            raise self.access.deny(
                self.principal, permission, resource, f"his token is not for {permission}", self.request_id
            )
        self.access.require(self.principal, permission, resource, request_id=self.request_id)

    def may_with_some(self, permission: Permission) -> bool:
        """Whether he has a grant for this at all, in whatever scope of his organisation, and the token is for it."""
        if self._is_bounded(permission):
            return False
        if self.principal is LOCAL:
            return True
        roles = self.access.roles
        return any(
            permission in roles[grant.role].permissions
            for grant in self.access.roster().grants_of(self.principal)
            if grant.role in roles
        )

    def _is_admitted(self, permission: Permission, resource: Resource) -> bool:
        return self.admitted == (permission, resource) and not self.is_of_some

    def _is_bounded(self, permission: Permission) -> bool:
        return self.token is not None and self.token.bounds(permission)

    def _ruled(self, permission: Permission, resource: Resource) -> bool:
        return self.access.decide(self.principal, permission, resource).is_allowed
