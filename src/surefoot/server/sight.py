"""What whoever asks for a page may see: all of it on his own machine, and behind a login what his grants reach."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request

from surefoot.access import LOCAL, Permission, Resource, kind_of, permission
from surefoot.server.entry.caller import Caller
from surefoot.server.entry.guard import caller_of

RUN = permission("run:read")
TRACE = permission("trace:read")
DATASET = permission("dataset:read")
VERDICT = permission("dataset:write")


@dataclass(frozen=True, slots=True)
class Sight:
    """What one request may see. Without a `caller` nobody is asked, and all is seen.

    datasets_of: the organisation that the dataset files of the project belong to.
    """

    caller: Caller | None = None
    datasets_of: str = ""

    @property
    def tenant(self) -> str | None:
        """The organisation whose rows are looked for; None for those of all."""
        if self.caller is None or self.caller.principal is LOCAL:
            return None
        return self.caller.principal.organisation

    def may(self, needed: Permission, name: str = "") -> bool:
        """Whether he may do this with the thing of this name: the flow for runs and traces. Nothing is recorded."""
        return self.caller is None or self.caller.may(needed, self._resource(self.caller, needed, name))

    def require(self, needed: Permission, name: str = "") -> None:
        """Raise `AccessDenied`, and record that, unless he may. Blocks while the ledger is written."""
        if self.caller is not None:
            self.caller.require(needed, self._resource(self.caller, needed, name))

    def may_with_some(self, needed: Permission) -> bool:
        """Whether there are things of his organisation with which he may do this."""
        if self.caller is None:
            return True
        is_foreign = kind_of(needed) == "dataset" and self.tenant not in (None, self.datasets_of)
        return not is_foreign and self.caller.may_with_some(needed)

    def _resource(self, caller: Caller, needed: Permission, name: str) -> Resource:
        kind = kind_of(needed)
        organisation = self.datasets_of if kind == "dataset" else caller.principal.organisation
        return Resource(organisation, caller.access.project, kind, name)


def everything(request: Request) -> Sight:  # noqa: ARG001
    """For `surefoot ui`: who reaches it is the owner of this machine's account."""
    return Sight()


def of_caller(request: Request, *, datasets_of: str) -> Sight:
    """For whoever was let in. Raises `Refusal` 401 where nobody was."""
    return Sight(caller_of(request), datasets_of)
