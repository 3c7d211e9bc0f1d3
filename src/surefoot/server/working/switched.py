"""What the kill switch has switched off, for runs that are about to begin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from surefoot.errors import AccessDenied

if TYPE_CHECKING:
    from surefoot.accessing.access import Access


def switched_off(access: Access, flow: str, organisation: str, principal: str) -> str:
    """What of a run is switched off, its flow or whose it is; empty for nothing. Raises `LedgerError`."""
    for what in (f"flow:{flow}", principal):
        if what and access.switches.is_off(what, organisation=organisation):
            return what
    return ""


def refuse_switched_off(access: Access, flow: str, organisation: str, principal: str) -> None:
    """Raise `AccessDenied` for a run of what is switched off: it may have been switched off while the run waited."""
    if off := switched_off(access, flow, organisation, principal):
        resource = str(access.resource("flow", flow, organisation=organisation))
        raise AccessDenied(principal or "whoever asks", "flow:run", resource, f"{off} is switched off")
