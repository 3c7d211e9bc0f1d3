"""Published versions of flows, and what each may use."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from surefoot import access
from surefoot import ledger as records
from surefoot.access import LOCAL, Principal
from surefoot.errors import InvalidInput
from surefoot.ledger import access_rows as rows

if TYPE_CHECKING:
    from surefoot.accessing.office import Office
    from surefoot.ledger import Publication


class Published:
    """Versions of flows: published with what they declare to use, and approved by somebody else."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def publish(
        self,
        flow: str,
        digest: str,
        uses: Sequence[str],
        *,
        by: Principal,
        organisation: str = "",
        request_id: str = "",
    ) -> Publication:
        """Have a version of a flow await approval, with what it declares to use. The same version is published once."""
        wanted = records.Publication(organisation, flow, digest, tuple(uses), by.who, time.time_ns())
        self._office.record(
            *(
                by,
                access.permission("flow:publish"),
                self._office.resource("flow", flow, organisation=organisation),
            ),
            rows.publish(wanted),
            request_id=request_id,
            details={"digest": digest, "uses": sorted(uses)},
        )
        return self.find(flow, digest, organisation=organisation)

    def approve(
        self, flow: str, digest: str, *, by: Principal, organisation: str = "", request_id: str = ""
    ) -> Publication:
        """Let a published version use what it declares. Nobody approves what he has published himself."""
        found = self.find(flow, digest, organisation=organisation)
        resource = self._office.resource("flow", flow, organisation=organisation)
        permission = access.permission("flow:approve")
        if by is not LOCAL and by.who == found.published_by:
            because = "he has published this version himself: somebody else has to approve it"
            raise self._office.deny(by, permission, resource, because, request_id)
        self._office.record(
            *(by, permission, resource),
            rows.approve(found, by=by.who, now_ns=time.time_ns()),
            request_id=request_id,
            details={"digest": found.digest, "uses": list(found.uses)},
        )
        return self.find(flow, found.digest, organisation=organisation)

    def withdraw(
        self, flow: str, digest: str, *, by: Principal, organisation: str = "", request_id: str = ""
    ) -> Publication:
        """Let a version run no more."""
        found = self.find(flow, digest, organisation=organisation)
        self._office.record(
            *(
                by,
                access.permission("flow:approve"),
                self._office.resource("flow", flow, organisation=organisation),
            ),
            rows.withdraw(found, now_ns=time.time_ns()),
            request_id=request_id,
            details={"digest": found.digest, "withdrawn": True},
        )
        return self.find(flow, found.digest, organisation=organisation)

    def all(self, flow: str | None = None, *, organisation: str | None = None) -> list[Publication]:
        """Published versions, the newest first."""
        query = rows.publications_query(organisation=organisation, flow=flow)
        return [rows.publication_of(row) for row in self._office.ledger.ask(query)]

    def approved_before(self, one: Publication) -> Publication | None:
        """The version of the same flow that was approved last, beside this one; None where none was."""
        others = [
            other
            for other in self.all(one.flow, organisation=one.organisation)
            if other.approved_ns is not None and other.digest != one.digest
        ]
        return max(others, key=lambda other: other.approved_ns or 0, default=None)

    def find(self, flow: str, digest: str, *, organisation: str = "") -> Publication:
        """The published version whose digest begins so. Raises `InvalidInput`."""
        found = [one for one in self.all(flow, organisation=organisation) if one.digest.startswith(digest)]
        if len(found) != 1 or not digest:
            there = ", ".join(one.digest[:8] for one in self.all(flow, organisation=organisation))
            raise InvalidInput(
                f"{'no' if not found else 'more than one'} published version of {flow} has the digest {digest!r}; "
                f"there are: {there or 'none'}"
            )
        return found[0]
