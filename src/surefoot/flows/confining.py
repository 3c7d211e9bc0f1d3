"""Runs that may use no more than the published version of their flow, those for whom they are made, and who began them.

That a run is confined stands in its first row, which the chain covers: whoever goes on with it is bound by it too. What
it may use is looked up anew each time, as it stands then.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from surefoot import ledger as records
from surefoot.access import LOCAL, Principal, account_of
from surefoot.errors import AccessDenied, UnknownRun
from surefoot.flows.loaded import is_as_loaded
from surefoot.flows.running import open_scope
from surefoot.flows.sources import fingerprint_of
from surefoot.rights import NOTHING, Rights

if TYPE_CHECKING:
    from surefoot.flows.flow import FlowSpec
    from surefoot.flows.host import Host
    from surefoot.flows.options import Options
    from surefoot.ledger import Ledger, Outcome, RunRecord
    from surefoot.values import Json

MARK = "confined"

_acting: ContextVar[Principal | None] = ContextVar("surefoot_acting", default=None)


@contextmanager
def acting(principal: Principal) -> Generator[None]:
    """While the block lasts, runs are begun for somebody who asks from outside: they are confined, and he is recorded.

    The owner of this machine's account is asked for nothing, and what he begins is not confined by it.
    """
    token = _acting.set(None if principal is LOCAL else principal)
    try:
        yield
    finally:
        # A coroutine that is thrown away unfinished is closed in a context that is not its own.
        with suppress(ValueError):
            _acting.reset(token)


@dataclass(frozen=True, slots=True)
class Confined:
    """Under what a run is made: a version of its flow, by the digest of its code, and for whom.

    `within` is the run that began it, which bounds it too.
    """

    flow: str
    digest: str
    tenant: str = ""
    caller: Principal | None = None
    within: str = ""

    @property
    def account(self) -> str:
        """The service account that the run acts as."""
        return account_of(self.flow, self.digest[:8] or "typed-in")

    def to_record(self) -> dict[str, Json]:
        """As its first row says it."""
        caller = self.caller
        said: dict[str, Json] = {"flow": self.flow, "digest": self.digest, "tenant": self.tenant}
        if caller is not None:
            said["for"] = {
                "who": caller.who,
                "organisation": caller.organisation,
                "groups": [*caller.groups],
            }
        return {**said, **({"within": self.within} if self.within else {})}

    @classmethod
    def from_record(cls, said: Mapping[str, Any]) -> Confined:
        """What `to_record` gave."""
        given = cast("Mapping[str, Any] | None", said.get("for"))
        caller = None
        if given is not None:
            caller = Principal(given["who"], given["organisation"], tuple(given["groups"]))
        return cls(said["flow"], said["digest"], said["tenant"], caller, said.get("within", ""))


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a confined run may use, and who makes an error of what it may not."""

    confined: Confined
    rights: Rights
    refused: Callable[[str, str, str], AccessDenied]
    """Of a kind and a name, and why: the error, once the audit has it."""


def bounds_of_new(app: Host, spec: FlowSpec, options: Options) -> Bounds | None:
    """Those of a run that begins now; None for one that may use anything. Raises `AccessDenied`."""
    here, caller = open_scope(), _acting.get()
    tenant = options.tags.tenant
    around = None if here is None else here.run.bounds
    if here is not None and around is not None:
        here.require_use("flow", spec.name)
        outer = around.confined
        rights = here.rights or NOTHING
        own = replace(outer, flow=spec.name, digest=fingerprint_of(spec.entry), within=here.run.id)
        return _bounds(app, own, spec, within=rights)
    if caller is None and (here is not None or not app.config.access.confine):
        return None
    if caller is not None:
        tenant = caller.organisation
        if options.origin is not None:
            refuse_other_tenant(app, options.origin.run)
    return _bounds(app, Confined(spec.name, fingerprint_of(spec.entry), tenant, caller), spec, within=None)


def bounds_of_known(app: Host, record: RunRecord, spec: FlowSpec | None) -> Bounds | None:
    """Those of a run that is gone on with, as they stand now. `spec` is its flow, None where that is not run.

    Raises `AccessDenied`.
    """
    here = open_scope()
    around = None if here is None else here.run.bounds
    if here is not None and spec is not None:
        here.require_use("flow", record.flow)
    confined = recorded(app.ledger, app.ledger.start(record.id))
    if confined is None and around is not None:
        # It was begun before, by somebody who is not bound, under the key that a confined run gives its child.
        confined = replace(around.confined, flow=record.flow)
    if confined is None:
        caller = _acting.get()
        if caller is None and not app.config.access.confine:
            return None
        confined = Confined(record.flow, "", record.tenant, caller, record.parent_run or "")
    if spec is not None:
        confined = replace(confined, digest=fingerprint_of(spec.entry))
    within = None if here is None else here.rights
    if confined.within:
        try:
            outer = bounds_of_known(app, app.ledger.run(confined.within), None)
        except UnknownRun:
            because = f"run {confined.within}, which began it, is no longer in the ledger"
            raise app.refused(confined, "flow", record.flow, because, run_id=record.id) from None
        if outer is not None:
            within = outer.rights if within is None else within.meet(outer.rights)
    return _bounds(app, confined, spec, within=within, run_id=record.id)


def recorded(ledger: Ledger, start: Outcome) -> Confined | None:
    """What the first row of a run says of this; None where it is not confined."""
    made_of = records.decode(ledger.exact(start.run_id, start.output))
    said = cast("Mapping[str, Any]", made_of).get(MARK) if isinstance(made_of, dict) else None
    return None if said is None else Confined.from_record(said)


def refuse_other_tenant(app: Host, record: RunRecord) -> None:
    """Raise `AccessDenied` where somebody acts, or a confined run does, that is not of the tenant of another run.

    What that has recorded is not for him.
    """
    caller, here = _acting.get(), open_scope()
    bounds = None if here is None else here.run.bounds
    if bounds is not None:
        asked = bounds.confined
    elif caller is not None:
        asked = Confined(record.flow, record.code_digest, caller.organisation, caller)
    else:
        return
    if asked.tenant != record.tenant:
        whose = asked.account if asked.caller is None else asked.caller.who
        because = f"run {record.id} is not of the organisation of {whose}"
        raise app.refused(asked, "flow", record.flow, because, run_id=record.id)


def _bounds(
    app: Host, confined: Confined, spec: FlowSpec | None, *, within: Rights | None, run_id: str = ""
) -> Bounds:
    if spec is not None and not is_as_loaded(spec):
        because = (
            "its files have changed since this process loaded them, so that what was approved is not what would run: "
            "start the process again"
        )
        raise app.refused(confined, "flow", confined.flow, because, run_id=run_id)
    rights = app.rights(confined, run_id=run_id)
    if rights is None and within is not None:
        # What was not published by itself is a part of the flow that calls it.
        own = None if spec is None else spec.rights
        rights = Rights() if own is None else own
    if rights is None:
        because = (
            "this version of the flow was not published: `surefoot access publish FILE.py:NAME`, and let somebody "
            "else approve it"
        )
        if not confined.digest:
            because = "its code is in no file, so that no version of it can be published: put it into one"
        raise app.refused(confined, "flow", confined.flow, because, run_id=run_id)
    rights = rights if within is None else within.meet(rights)
    return Bounds(
        confined,
        rights,
        lambda kind, name, because: app.refused(confined, kind, name, because, run_id=run_id),
    )
