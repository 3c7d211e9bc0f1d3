"""One request once it was let in: who sends it, and the flow or run that it is about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from surefoot.access import permission
from surefoot.server.entry import guard

if TYPE_CHECKING:
    from starlette.requests import Request

    from surefoot.access import Principal, Resource
    from surefoot.ledger import RunRecord
    from surefoot.server.entry.told import Told
    from surefoot.server.served import ServedFlow


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that was let in. `served` and `record` are what its path names, where it names such."""

    request: Request
    principal: Principal
    resource: Resource
    served: ServedFlow | None = None
    record: RunRecord | None = None
    told: Told | None = None
    """What the audit is told of it, where the endpoint has it written along with what it does."""

    @property
    def organisation(self) -> str:
        """The organisation of whoever asks: he sees runs of no other."""
        return self.principal.organisation

    @property
    def flow(self) -> ServedFlow:
        """The flow that the path names."""
        if self.served is None:
            raise LookupError("this route names no flow")
        return self.served

    @property
    def run(self) -> RunRecord:
        """The run that the path names."""
        if self.record is None:
            raise LookupError("this route names no run")
        return self.record

    def is_exact(self) -> bool:
        """Whether he may read what the run holds as it was: his own run, or any where he may read raw traces."""
        if self.record is not None and self.record.principal == self.principal.who:
            return True
        resource = self.resource
        traced = type(resource)(resource.organisation, resource.project, "trace", resource.name)
        return guard.may(self.request, permission("trace:read_raw"), traced)
