"""What runs may use: the approved version of their flow, met with what those have for whom they are made."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from surefoot import access
from surefoot.access import LOCAL, Permission, Principal
from surefoot.errors import AccessDenied
from surefoot.rights import Rights, of_uses

if TYPE_CHECKING:
    from surefoot.accessing.access import Access
    from surefoot.flows import Confined
    from surefoot.ledger import Publication

_MOST_KNOWN = 10_000
_USING = (access.permission("connection:use"),)
_REACHING = (access.permission("connection:use"), access.permission("flow:run"))
"""By which of his grants somebody reaches connections through flows. Nobody reaches their secrets."""


@dataclass(frozen=True, slots=True)
class _Own:
    """What a flow of this program's own uses, and the connections of guards beside it."""

    uses: tuple[str, ...]
    besides: tuple[str, ...]


class Confining:
    """Says what a run may use. Safe to use from any thread.

    What other processes change is seen within `[access] refresh` seconds.
    """

    def __init__(self, office: Access) -> None:
        self._office = office
        self._own: dict[tuple[str, str], _Own] = {}
        self._known: dict[tuple[str, str, str], tuple[float, Publication | None]] = {}
        office.forgetting.append(self._known.clear)

    def vouch(self, flow: str, digest: str, uses: Iterable[str], *, besides: Iterable[str] = ()) -> None:
        """Say that a version of a flow is this program's own, and needs no approval.

        By it people use connections themselves: who runs it needs `connection:use` on what he asks for, and no more.
        besides: the connections that the guards of the project ask over, whoever it is for.
        """
        self._own[flow, digest] = _Own(tuple(uses), tuple(besides))

    def rights(self, confined: Confined, *, run_id: str = "") -> Rights | None:
        """What a version of a flow may use for whom it is run; None for one that was not published.

        Raises `AccessDenied`, and records that, where it was not approved, was withdrawn or is switched off, and where
        he for whom it is run may not run it.
        """
        if (own := self._own.get((confined.flow, confined.digest))) is not None and not confined.within:
            return self._of_own(confined, own, run_id)
        found = self._published(confined)
        # What is run within another run is run by that flow, and not by somebody.
        if not confined.within:
            self._refuse_caller(confined, run_id)
        self._refuse_switched_off(confined, f"flow:{confined.flow}", "it is switched off", run_id)
        if found is None:
            return None
        because = ""
        if found.withdrawn_ns is not None:
            because = "this version of it was withdrawn"
        elif found.approved_ns is None:
            because = f"this version of it awaits approval: `surefoot access approve {found.flow} {found.digest[:8]}`"
        if because:
            raise self.refused(confined, "flow", confined.flow, because, run_id=run_id)
        declared = f"uses= of flow {found.flow}, as it was published"
        rights = of_uses(found.uses, whose=declared)
        caller = confined.caller
        return rights if caller is None else rights.meet(self._of_caller(caller, confined.tenant, _REACHING))

    def _of_own(self, confined: Confined, own: _Own, run_id: str) -> Rights:
        """What a flow of this program's own may use for somebody: the connections that he may use himself."""
        caller = confined.caller
        self._refuse_switched_off(confined, f"flow:{confined.flow}", "it is switched off", run_id)
        rights = of_uses(own.uses, whose=f"the flow {confined.flow} of this program")
        if caller is None:
            return rights
        if off := self._office.switches.against(replace(caller, organisation=confined.tenant)):
            raise self.refused(confined, "flow", confined.flow, f"{off} is switched off", run_id=run_id)
        own_rights = self._of_caller(caller, confined.tenant, _USING)
        if own_rights.connections is not None:
            own_rights = replace(own_rights, connections=(*own_rights.connections, *own.besides))
        return rights.meet(own_rights)

    def _refuse_switched_off(self, confined: Confined, what: str, because: str, run_id: str) -> None:
        if self._office.switches.is_off(what, organisation=confined.tenant):
            raise self.refused(confined, "flow", confined.flow, because, run_id=run_id)

    def refused(
        self, confined: Confined, kind: str, name: str, because: str, *, run_id: str = ""
    ) -> AccessDenied:
        """The error of a run that may not use something, once the audit has it."""
        office = self._office
        verb = "run" if kind == "flow" else "use"
        return office.deny(
            Principal(confined.account, confined.tenant),
            # Of what runs use, not all is a thing that people have permissions on.
            Permission(f"{kind}:{verb}"),
            office.resource(kind, name, organisation=confined.tenant),
            because,
            run_id,
        )

    def _refuse_caller(self, confined: Confined, run_id: str) -> None:
        caller = confined.caller
        if caller is None:
            return
        office = self._office
        if off := office.switches.against(replace(caller, organisation=confined.tenant)):
            raise self.refused(confined, "flow", confined.flow, f"{off} is switched off", run_id=run_id)
        office.require(
            *(caller, access.permission("flow:run")),
            office.resource("flow", confined.flow, organisation=confined.tenant),
            request_id=run_id,
        )

    def _of_caller(self, caller: Principal, tenant: str, by: Sequence[Permission]) -> Rights:
        """The connections and databases that grants of somebody reach by these permissions.

        Of the rest he says nothing.
        """
        if caller is LOCAL:
            return Rights()
        office = self._office
        resource = office.resource("connection", organisation=tenant)
        names = office.roster().names(caller, by, resource)
        where = f"{tenant or access.UNNAMED}/{office.project}"
        how = f"`surefoot access grant {caller.who} runner --on {where}/connection:NAME`"
        return Rights(connections=names, databases=names, whose=f"a grant of {caller.who} ({how})")

    def _published(self, confined: Confined) -> Publication | None:
        if not confined.digest:
            return None
        key = confined.tenant, confined.flow, confined.digest
        known = self._known.get(key)
        if known is None or time.monotonic() >= known[0]:
            until = time.monotonic() + self._office.settings.refresh
            every = self._office.published.all(confined.flow, organisation=confined.tenant)
            found = next((one for one in every if one.digest == confined.digest), None)
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            known = self._known[key] = (until, found)
        return known[1]
