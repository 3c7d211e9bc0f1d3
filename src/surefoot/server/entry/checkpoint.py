"""A route behind its rules: who asks, how often, whether he may, and the row of the audit that says so."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import anyio
import anyio.to_thread
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from surefoot import values
from surefoot.access import LOCAL, Permission, Resource, kind_of
from surefoot.errors import AccessDenied, LedgerError, UnknownRun
from surefoot.server.entry import body as bodies
from surefoot.server.entry.caller import CALLER, RUN, Caller
from surefoot.server.entry.manner import PROGRAMS, Manner
from surefoot.server.entry.refusal import Refusal, of_denied
from surefoot.server.entry.rule import Rule
from surefoot.server.entry.told import TOLD, Told

if TYPE_CHECKING:
    from surefoot.app import App
    from surefoot.config.entry import EntrySettings
    from surefoot.ledger import AuditRow, RunRecord
    from surefoot.server.entry.identification import Identification
    from surefoot.server.entry.rates import Pace, Turn

T = TypeVar("T")

_ANY = re.compile(r"[^\x00-\x1f\x7f/\\]{1,256}")
"""Names of flows and events are those that people have given."""
_RUN = re.compile(r"[0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{26}")
_MODEL = re.compile(r"\w[\w.:@/+-]{0,199}")
_PATH = re.compile(r"[^\x00-\x1f\x7f\\]{1,512}")
"""Names of datasets and experiments hold slashes; they are looked up too."""
_NAMES: Mapping[str, re.Pattern[str]] = {
    "run": _RUN,
    "model": _MODEL,
    **dict.fromkeys(("dataset", "experiment", "candidate", "baseline"), _PATH),
}
_READING = frozenset(("GET", "HEAD"))
_THREADS = 16
"""So many requests are looked at side by side, whatever the threads of the endpoints are busy with."""


class Checks:
    """What all routes are checked by."""

    def __init__(
        self, app: App, settings: EntrySettings, *, identification: Identification, rates: Pace | None
    ) -> None:
        self.app = app
        self.settings = settings
        self.identification = identification
        self._rates = rates
        self._threads: anyio.CapacityLimiter | None = None

    @property
    def is_elsewhere(self) -> bool:
        """Whether rates are kept where asking takes time."""
        return self._rates is not None and self._rates.blocks

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Do what blocks; its threads are its own, so that requests that wait for runs keep nobody out."""
        if self._threads is None:
            self._threads = anyio.CapacityLimiter(_THREADS)
        return await anyio.to_thread.run_sync(work, limiter=self._threads)

    def identified(self, scope: Scope, rule: Rule, manner: Manner = PROGRAMS) -> tuple[Caller, Turn | None]:
        """Who asks, and his turn. Raises `Refusal`: 401, 429, 503."""
        caller = manner.caller(scope, rule, self.identification)
        if self._rates is None or caller.principal is LOCAL:
            return caller, None
        principal = caller.principal
        # Those of one name in two organisations are two.
        turn = self._rates.take(f"{principal.organisation}/{principal.who}")
        if turn.wait > 0:
            raise Refusal(
                429,
                "too-many-requests",
                f"{caller.principal.who} makes more than {turn.limit:g} requests a minute "
                "([serve] requests_per_minute): try again later",
                headers=turn.headers(),
            )
        return caller, turn

    def admitted(self, scope: Scope, rule: Rule, permission: Permission, caller: Caller) -> Resource:
        """What is asked for, once it is known that whoever asks may have it. Raises `Refusal` and `AccessDenied`."""
        path: Mapping[str, str] = scope.get("path_params", {})
        resource = self._resource(scope, permission, rule, caller)
        if rule.is_listing:
            self._require_some(caller, permission, resource)
        else:
            self._require(caller, permission, resource, named=path.get("run") or path.get("dataset"))
        if rule.is_switched:
            self._refuse_switched_off(caller, permission, resource)
        if rule.begins:
            self._refuse_spent(caller, resource)
        return resource

    def let_in(self, scope: Scope, rule: Rule, permission: Permission, caller: Caller) -> Resource | None:
        """What is asked for, where it is plain without the ledger that it may be had; None where `admitted` has to say.

        Nothing is refused here, as the audit would have to be told.
        """
        switches = caller.access.switches
        if rule.thing == "run" or rule.is_listing or not caller.access.is_at_hand():
            return None
        if (rule.begins and self.app.budgeting is not None) or (
            rule.is_switched and not switches.is_at_hand()
        ):
            return None
        resource = self._resource(scope, permission, rule, caller)
        if not caller.may(permission, resource):
            return None
        where = resource.organisation
        if rule.is_switched and switches.against(caller.principal, flow=resource.name, organisation=where):
            return None
        return resource

    def tell(self, scope: Scope, permission: Permission, caller: Caller, resource: Resource) -> None:
        """Have the audit say that this was allowed, before it is done. Raises `AccessDenied` and `LedgerError`."""
        caller.access.tell(_row_of(scope, permission, caller, resource))

    def _resource(self, scope: Scope, permission: Permission, rule: Rule, caller: Caller) -> Resource:
        kind, own = kind_of(permission), caller.principal.organisation
        path: Mapping[str, str] = scope.get("path_params", {})
        if rule.thing == "run":
            record = scope[RUN] = self._run(path["run"])
            return Resource(record.tenant, caller.access.project, kind, record.flow)
        if rule.thing == "dataset":
            return Resource(self.settings.datasets_of, caller.access.project, kind, path["dataset"])
        return Resource(
            own, caller.access.project, kind, path.get("flow", "") if rule.thing == "flow" else ""
        )

    def _run(self, run_id: str) -> RunRecord:
        try:
            record = self.app.ledger.run(run_id.upper())
        except UnknownRun:
            raise _no_run(run_id) from None
        if record.id != run_id.upper():
            raise _no_run(run_id)
        return record

    def _require(
        self, caller: Caller, permission: Permission, resource: Resource, *, named: str | None
    ) -> None:
        try:
            caller.require(permission, resource)
        except AccessDenied:
            if named is not None and resource.organisation != caller.principal.organisation:
                # That there is such a thing is nothing that another organisation is told.
                is_dataset = resource.kind == "dataset"
                raise (_no_dataset(named) if is_dataset else _no_run(named)) from None
            raise

    def _require_some(self, caller: Caller, permission: Permission, resource: Resource) -> None:
        """Whoever may see none of the things of a list is told so, rather than shown an empty one."""
        if not caller.may_with_some(permission):
            caller.require(permission, resource)

    def _refuse_switched_off(self, caller: Caller, permission: Permission, resource: Resource) -> None:
        principal, flow = caller.principal, resource.name
        if off := caller.access.switches.against(principal, flow=flow, organisation=resource.organisation):
            because = f"{off} is switched off"
            denied = caller.access.deny(principal, permission, resource, because, caller.request_id)
            raise Refusal(403, "switched-off", f"{because}: nothing of it is begun", more=_more(denied))

    def _refuse_spent(self, caller: Caller, resource: Resource) -> None:
        """A run whose budget is used up would fail at its first call: it is not begun."""
        budgeting = self.app.budgeting
        if budgeting is None:
            return
        whose = values.Caller((), (resource.name,), resource.organisation, caller.principal.who)
        for account in budgeting.accounts_of(whose):
            if account.left.nanos == 0 and account.of != "run":
                renews_in = None if account.renews_ns is None else (account.renews_ns - time.time_ns()) / 1e9
                raise Refusal(
                    402,
                    "budget-exceeded",
                    f"nothing is left of the budget {account.budget!r}: runs begin again once it has more, "
                    f"{'or in the next ' + account.per if renews_in is not None else 'and not before'}",
                    headers={} if renews_in is None else {"retry-after": str(max(1, math.ceil(renews_in)))},
                    more={"budget": account.budget},
                )


class Checkpoint:
    """The code of a route behind the rule of each of its methods."""

    def __init__(
        self, behind: ASGIApp, rules: Mapping[str, Rule], checks: Checks, manner: Manner = PROGRAMS
    ) -> None:
        self._behind = behind
        self._rules = rules
        self._checks = checks
        self._manner = manner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        rule = self._rules["GET" if scope["method"] == "HEAD" else scope["method"]]
        if rule.permission is None:
            await self._behind(scope, receive, send)
            return
        said: dict[str, str] = {}
        is_lost = False

        async def send_counted(message: Message) -> None:
            nonlocal is_lost
            if is_lost:
                # It was answered otherwise: what cannot be told was not done.
                return
            if message["type"] == "http.response.start":
                try:
                    await self._settled(scope)
                except LedgerError:
                    is_lost = True
                    await self._manner.answer(scope, _unavailable())(scope, receive, send)
                    return
                MutableHeaders(scope=message).update(said)
            await send(message)

        try:
            receive = await self._let_in(scope, receive, rule, rule.permission, said)
        except bodies.Gone:
            return
        except Refusal as refused:
            await self._manner.answer(scope, refused)(scope, receive, send_counted)
        except AccessDenied as denied:
            await self._manner.answer(scope, of_denied(denied))(scope, receive, send_counted)
        except LedgerError:
            await self._manner.answer(scope, _unavailable())(scope, receive, send_counted)
        else:
            try:
                await self._behind(scope, receive, send_counted)
            finally:
                # Where nothing was answered, as the code of the route has failed.
                if not is_lost:
                    await self._settled(scope)

    async def _settled(self, scope: Scope) -> None:
        """Have the audit told of a request before it is answered. Raises `LedgerError`."""
        told: Told | None = scope.get(TOLD)
        if told is not None and not told.is_settled:
            await self._checks.in_thread(told.settle)

    async def _let_in(
        self, scope: Scope, receive: Receive, rule: Rule, permission: Permission, said: dict[str, str]
    ) -> Receive:
        checks = self._checks
        # A turn of a thread costs as much as all that is looked at, which is mostly known.
        is_known = not checks.is_elsewhere and self._manner.is_known(scope, rule, checks.identification)
        caller, turn = (
            checks.identified(scope, rule, self._manner)
            if is_known
            else await checks.in_thread(lambda: checks.identified(scope, rule, self._manner))
        )
        if turn is not None:
            said.update(turn.headers())
        _refuse_odd_names(scope)
        resource = checks.let_in(scope, rule, permission, caller) if is_known else None
        if resource is None:
            resource = await checks.in_thread(lambda: checks.admitted(scope, rule, permission, caller))
        scope[CALLER] = replace(caller, admitted=(permission, resource), is_of_some=rule.is_listing)
        if scope["method"] in _READING:
            return receive
        receive = await self._manner.take(scope, receive, checks.settings)
        if rule.goes_along:
            scope[TOLD] = await self._told(scope, permission, caller, resource)
        elif not rule.is_told:
            await checks.in_thread(lambda: checks.tell(scope, permission, caller, resource))
        return receive

    async def _told(self, scope: Scope, permission: Permission, caller: Caller, resource: Resource) -> Told:
        """What is to be told. Raises `AccessDenied`, recorded, for what may not be done any more, and `LedgerError`."""

        def row() -> AuditRow:
            return _row_of(scope, permission, caller, resource)

        access = caller.access
        if access.is_at_hand() and access.decide(caller.principal, permission, resource).is_allowed:
            return Told(caller, row())
        # While the body was read his grant may have gone, or what is known of it grown old.
        return Told(caller, await self._checks.in_thread(row))


def _row_of(scope: Scope, permission: Permission, caller: Caller, resource: Resource) -> AuditRow:
    """The row of the audit on what a request is about to do. Raises `AccessDenied`, recorded, and `LedgerError`."""
    named: Mapping[str, str] = scope.get("path_params", {})
    return caller.access.telling(
        *(caller.principal, permission, resource),
        request_id=caller.request_id,
        details={"method": scope["method"], "path": scope["path"], **named},
    )


def _refuse_odd_names(scope: Scope) -> None:
    """Names in a path are looked up and never joined to one; what can be none of anything ends here."""
    for name, text in scope.get("path_params", {}).items():
        if _NAMES.get(name, _ANY).fullmatch(str(text)) is None:
            raise Refusal(404, "not-found", f"there is no {name} of that name")


def _no_run(run_id: str) -> Refusal:
    return Refusal(404, "not-found", f"there is no run {run_id}")


def _no_dataset(name: str) -> Refusal:
    return Refusal(404, "not-found", f"there is no dataset {name[:200]!r}")


def _unavailable() -> Refusal:
    return Refusal(
        503,
        "ledger-unavailable",
        "the ledger cannot be asked now: try again",
        headers={"retry-after": "5"},
    )


def _more(denied: AccessDenied) -> Mapping[str, str]:
    return {
        "principal": denied.who,
        "permission": denied.permission,
        "resource": denied.resource,
        "because": denied.because,
    }
