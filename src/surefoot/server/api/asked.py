"""One request once it was let in: who sends it, and the flow or run that it is about."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from surefoot.access import permission
from surefoot.errors import UnknownRun
from surefoot.flows import FORKED_FROM
from surefoot.server.entry import guard

if TYPE_CHECKING:
    from starlette.requests import Request

    from surefoot.access import Principal, Resource
    from surefoot.app import App
    from surefoot.ledger import RunRecord
    from surefoot.server.entry.told import Told
    from surefoot.server.served import ServedFlow


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that was let in. `served` and `record` are what its path names, where it names such."""

    app: App
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
        """Whether he may read what the run of the path holds as it was. Blocks while the ledger is read."""
        return self.reads_exactly(self.run)

    def reads_exactly(self, run: RunRecord) -> bool:
        """Whether he may read what a run holds as it was: his own run, or any where he may read raw traces.

        Blocks while the ledger is read.
        """
        if self._is_his(run):
            return True
        traced = replace(self.resource, kind="trace", name=run.flow)
        return guard.may(self.request, permission("trace:read_raw"), traced)

    def _is_his(self, run: RunRecord) -> bool:
        """Whether he began a run, and that which it is a fork of: a fork holds what its origin was given."""
        while run.principal == self.principal.who:
            origin = run.tags.get(FORKED_FROM)
            if origin is None:
                return True
            try:
                run = self.app.ledger.run(origin)
            except UnknownRun:
                return False
        return False
