"""What the kill switch has switched off, for runs that are about to begin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from surefoot.access import Principal
from surefoot.errors import AccessDenied

if TYPE_CHECKING:
    from surefoot.accessing.access import Access


def switched_off(access: Access, flow: str, organisation: str, principal: str) -> str:
    """What of a run is switched off, its flow or whose it is; empty for nothing. Raises `LedgerError`."""
    return access.switches.against(Principal(principal, organisation), flow=flow)


def refuse_switched_off(access: Access, flow: str, organisation: str, principal: str) -> None:
    """Raise `AccessDenied` for a run of what is switched off: it may have been switched off while the run waited."""
    if off := switched_off(access, flow, organisation, principal):
        resource = str(access.resource("flow", flow, organisation=organisation))
        raise AccessDenied(principal or "whoever asks", "flow:run", resource, f"{off} is switched off")
