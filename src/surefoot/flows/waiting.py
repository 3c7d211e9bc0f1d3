"""Events: what a run waits for, and what somebody else sends into its inbox, perhaps while no process has the run."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast, overload

import orjson

from surefoot import ledger as records
from surefoot import scope
from surefoot.errors import AlreadyRecorded, InvalidInput, NotRestored, RunEnded, StepTimeout, UsageError
from surefoot.flows import opened
from surefoot.flows.claims import StepClaim
from surefoot.flows.concluding import Conclusion
from surefoot.flows.confining import refuse_other_tenant
from surefoot.flows.drive import Durable, Logic, Pause, drive, drive_async
from surefoot.flows.given import left_of
from surefoot.flows.host import host
from surefoot.flows.intake import event_taken_in
from surefoot.flows.performing import Plan, perform
from surefoot.flows.running import Here, open_scope
from surefoot.flows.suspending import Patience
from surefoot.flows.threads import refuse_lost_context
from surefoot.ledger import FINAL, Message, Send
from surefoot.scope import Work
from surefoot.values import PromptRef, new_id

T = TypeVar("T")

log = scope.logger("surefoot.flows")

_LOOK_AGAIN_S = 0.1
_LONGEST_S = 366 * 100 * 86_400.0


class Waiting(Generic[T]):
    """An event that a run waits for: `await` it in async code, or call `result()` in sync code."""

    def __init__(self, claim: StepClaim, event: str, kind: type[T], timeout: float | None) -> None:
        self._claim = claim
        self._event = event
        self._kind = kind
        self._timeout = timeout

    def result(self) -> T:
        """Block until the event is there, and give what was sent with it. Raises `StepTimeout`."""
        return cast("T", drive(self._logic(drive)))

    def __await__(self) -> Generator[Any, None, T]:
        value: T = yield from drive_async(self._logic(drive_async, is_async=True)).__await__()
        return value

    def _logic(self, conduct: Callable[[Logic[Any]], Any], *, is_async: bool = False) -> Logic[Any]:
        plan = Plan(
            lambda: conduct(_begun(self._event, _fitting(self._kind), self._timeout)), is_async=is_async
        )
        return perform(self._claim, plan)


@overload
def wait_for(event: str, *, timeout: float | None = None) -> Waiting[object]: ...


@overload
def wait_for(event: str, type: type[T], *, timeout: float | None = None) -> Waiting[T]: ...


def wait_for(event: str, type: type[Any] = object, *, timeout: float | None = None) -> Waiting[Any]:
    """Wait until somebody sends an event of that name to this run: `await wait_for(...)`, or `.result()` in sync code.

    Gives what was sent with it, as a `type` (checked as pydantic does; what does not fit is put aside with a warning).
    Each event is taken once, the oldest first, in one commit with the outcome of the wait. It may be sent before the
    run waits, and while no process has the run: `surefoot resume` goes on waiting. `timeout` is in seconds from when
    the wait began, whichever process it began in; then it raises `StepTimeout`.

    Raises `UsageError` outside of a run, where nothing can be sent to.
    """
    here = open_scope()
    if here is None:
        refuse_lost_context(f"wait_for {event}", opened.count())
        raise UsageError(
            f"wait_for({event!r}) outside of a run: an event is sent to a run, so call it in a flow"
        )
    if timeout is not None and not 0 < timeout <= _LONGEST_S:
        raise UsageError(
            f"wait_for({event!r}, timeout={timeout!r}): give seconds from 0 to {_LONGEST_S:,.0f}"
        )
    # The timeout is no part of what it waits for: it may be changed while the run waits.
    return Waiting(_claimed(here, f"wait_for {event}", {"event": event}, is_pure=True), event, type, timeout)


def _claimed(here: Here, name: str, inputs: dict[str, object], *, is_pure: bool) -> StepClaim:
    return here.claim_step(
        Work("step", name, inputs, is_pure=is_pure),
        records.encode(inputs, name=name),
        digest=records.identity(inputs, name=name),
        # An event that was sent is what the world gave; sending one is not.
        is_given=is_pure,
    )


def _fitting(kind: type[Any]) -> Callable[[object], object]:
    """Turns what was sent into a `kind`. Raises `ValueError`."""
    if kind is object:
        return lambda value: value
    from pydantic import TypeAdapter

    adapter: TypeAdapter[object] = TypeAdapter(kind)
    return adapter.validate_python


def _begun(event: str, fit: Callable[[object], object], timeout: float | None) -> Logic[_Arrival]:
    left = None if timeout is None else (yield from left_of(timeout))
    return _Arrival(event, fit, timeout, None if left is None else time.monotonic() + left)


@dataclass(frozen=True, slots=True)
class _Arrival(Conclusion):
    """The wait for an event, from here on in this process."""

    event: str
    fit: Callable[[object], object]
    timeout: float | None
    until: float | None

    def perform(self, claim: StepClaim, prompt: PromptRef | None) -> Logic[Any]:
        """What was sent, once it is taken; `StepTimeout` where nobody sends it in time."""
        run = claim.run
        patience = Patience.of(claim, None if self.until is None else self.until - time.monotonic())
        while True:
            claim.brake.check()
            for message in run.mail:
                if message.kind != "event" or message.id in run.taken or _event_of(message) != self.event:
                    continue
                run.taken.add(message.id)
                try:
                    value = self.fit(_value_of(message, run.ledger.payloads))
                except (ValueError, NotRestored) as error:
                    log.warning(
                        "run %s: event %r is put aside, as it does not fit: %s",
                        run.id,
                        self.event,
                        _why(error),
                    )
                    continue
                ticket, outcome = claim.take([message.id], value, prompt=prompt)
                try:
                    yield Durable(ticket)
                except AlreadyRecorded:
                    # Somebody else has taken it, as a former owner of the run may have.
                    continue
                claim.transacted(outcome)
                return value
            left = None if self.until is None else self.until - time.monotonic()
            if left is not None and left <= 0:
                raise StepTimeout(
                    f"run {run.id}: nobody sent {self.event!r} within {self.timeout:g} s: "
                    f"`surefoot send {run.id} {self.event}` sends it, and `surefoot resume {run.id}` waits once more"
                )
            patience.check()
            yield Pause(_LOOK_AGAIN_S if left is None else min(_LOOK_AGAIN_S, left), claim.brake)


def _why(error: Exception) -> str:
    """The first mistake that pydantic found, on one line; else what the error says."""
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))
    return f"{place}: {first['msg']}" if place else first["msg"]


def send(run_id: str, event: str, value: object = None) -> None:
    """Send an event to a run, which takes it where it calls `wait_for`; it waits in the run's inbox until then.

    Inside of a run this is a step: a resumed run does not send twice. The value must be data, and no secret: send a
    reference in its place. Raises `UnknownRun`, `RunEnded` for a run that is over, `InvalidInput` and `NotData`.
    """
    here = open_scope()
    if here is None:
        drive(deliver(run_id, event, value, message_id=new_id()))
        return
    claim = _claimed(here, "send", {"run": run_id, "event": event, "value": value}, is_pure=False)
    message_id = claim.idempotency_key
    # To another run it does something: like an effect it does not happen in runs that suppress these.
    send_it = Plan(lambda: drive(deliver(run_id, event, value, message_id=message_id)), is_transaction=True)
    drive(perform(claim, send_it))


def deliver(run_id: str, event: str, value: object, *, message_id: str) -> Logic[None]:
    """`send` as logic; of several messages of one id the first counts."""
    app = host()
    record = app.ledger.run(run_id)
    refuse_other_tenant(app, record)
    if not event.strip():
        raise InvalidInput("an event needs a name, the one that the run waits for")
    if record.status in FINAL:
        raise RunEnded(f"run {record.id} is {record.status}: it takes no events any more")
    text = event_taken_in(app.config.runs, event, value)
    payloads = app.ledger.payloads
    if payloads.readable(text, capture="full") != text:
        raise InvalidInput(
            f"the value of event {event!r} holds what looks like a secret, and an inbox is not sealed: "
            "send a reference to it"
        )
    said: dict[str, object] = {"event": event}
    if payloads.readable(text) == text:
        said["value"] = orjson.loads(text)
    else:
        # Personal data waits for the run where nobody reads it.
        said["sealed"] = payloads.set_apart(text, bound_to=f"message {message_id}").hex()
    body = orjson.dumps(said).decode()
    yield Durable(app.ledger.submit(Send(Message(message_id, record.id, "event", time.time_ns(), body))))
    app.keeper.look()


def _event_of(message: Message) -> str:
    return str(orjson.loads(message.body).get("event", ""))


def _value_of(message: Message, payloads: records.Payloads) -> object:
    said = orjson.loads(message.body)
    if "sealed" in said:
        return records.decode(
            payloads.read_apart(bytes.fromhex(said["sealed"]), bound_to=f"message {message.id}")
        )
    return records.decode(orjson.dumps(said["value"]).decode())
