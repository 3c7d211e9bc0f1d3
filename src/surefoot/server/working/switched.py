"""What the kill switch has switched off, for runs that are about to begin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from surefoot.access import Principal, permission

if TYPE_CHECKING:
    from surefoot.accessing.access import Access


def switched_off(access: Access, flow: str, organisation: str, principal: str) -> str:
    """What of a run is switched off, its flow or whose it is; empty for nothing. Raises `LedgerError`."""
    return access.switches.against(Principal(principal, organisation), flow=flow)


def refuse_switched_off(access: Access, flow: str, organisation: str, principal: str) -> None:
    """Raise `AccessDenied`, and record that, for a run of what is switched off, perhaps while the run waited."""
    if off := switched_off(access, flow, organisation, principal):
        raise access.deny(
            *(Principal(principal or "whoever asks", organisation), permission("flow:run")),
            access.resource("flow", flow, organisation=organisation),
            f"{off} is switched off",
        )
