"""The kill switch: flows and people that begin nothing any more."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from surefoot import access
from surefoot import ledger as records
from surefoot.access import Principal
from surefoot.errors import InvalidInput
from surefoot.ledger import access_rows as rows

if TYPE_CHECKING:
    from surefoot.accessing.office import Office
    from surefoot.ledger import SwitchRow


class Switches:
    """What is switched off, in each organisation."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._known: tuple[float, frozenset[tuple[str, str]]] | None = None
        office.forgetting.append(self._forget)

    def off(
        self, what: str, *, by: Principal, organisation: str = "", reason: str = "", request_id: str = ""
    ) -> None:
        """Let a flow (`flow:NAME`), somebody (`user:NAME`, ...) or all of a group begin no run from now on.

        It holds in the organisation. Raises `InvalidInput` for what begins none, and what `record` raises.
        """
        if not _begins_runs(what):
            raise InvalidInput(
                f"{what[:80]!r} begins no run: switch flow:NAME off, or user:NAME, group:NAME or service:NAME"
            )
        self._office.record(
            *(
                by,
                access.permission("server:switch"),
                self._office.resource("server", what, organisation=organisation),
            ),
            rows.switch_off(records.SwitchRow(organisation, what, reason, by.who, time.time_ns())),
            reason=reason,
            request_id=request_id,
            details={"off": what},
        )

    def on(self, what: str, *, by: Principal, organisation: str = "", request_id: str = "") -> None:
        """Undo `off`."""
        self._office.record(
            *(
                by,
                access.permission("server:switch"),
                self._office.resource("server", what, organisation=organisation),
            ),
            rows.switch_on(organisation, what),
            request_id=request_id,
            details={"on": what},
        )

    def all(self) -> list[SwitchRow]:
        """What is switched off."""
        return [rows.switch_of(row) for row in self._office.ledger.ask(rows.SWITCHES)]

    def is_off(self, what: str, *, organisation: str = "") -> bool:
        """Whether something was switched off, at most `[access] refresh` seconds ago."""
        known = self._known
        if known is None or time.monotonic() >= known[0]:
            until = time.monotonic() + self._office.settings.refresh
            known = self._known = (until, frozenset((one.organisation, one.what) for one in self.all()))
        return (organisation, what) in known[1]

    def is_at_hand(self, seconds: float = 0.05) -> bool:
        """Whether `is_off` answers without looking, and will for so many seconds."""
        known = self._known
        return known is not None and time.monotonic() + seconds < known[0]

    def against(self, principal: Principal, *, flow: str = "", organisation: str | None = None) -> str:
        """What keeps somebody from running a flow: it, he himself or a group of his is off; empty for nothing.

        organisation: of the flow, where it is not his. Raises `LedgerError`.
        """
        if flow:
            where = principal.organisation if organisation is None else organisation
            if self.is_off(f"flow:{flow}", organisation=where):
                return f"flow:{flow}"
        member = self._office.roster().member(principal.who)
        groups = {*principal.groups, *(member.groups if member is not None else ())}
        every = (principal.who, *sorted(groups))
        return next((who for who in every if self.is_off(who, organisation=principal.organisation)), "")

    def _forget(self) -> None:
        self._known = None


def _begins_runs(what: str) -> bool:
    if what.startswith("flow:"):
        return what != "flow:"
    try:
        return not access.is_account(access.principal_id(what))
    except InvalidInput:
        return False
