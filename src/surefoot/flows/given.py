"""What the world gives a run once, and the record from then on: the time, chance, and time that has passed."""

from __future__ import annotations

import asyncio
import random as chance
import time
import uuid
from collections.abc import Awaitable, Callable, Generator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar, cast

from surefoot import ledger as records
from surefoot.errors import UsageError
from surefoot.flows import opened
from surefoot.flows.drive import Durable, Logic, Pause, drive, drive_async
from surefoot.flows.performing import Plan, outcome_of, perform
from surefoot.flows.running import open_scope
from surefoot.flows.suspending import Patience
from surefoot.flows.threads import refuse_lost_context
from surefoot.scope import Ending, Ticket, Work

if TYPE_CHECKING:
    from surefoot.flows.claims import StepClaim

T = TypeVar("T")

_LONGEST_S = 366 * 100 * 86_400.0


def now() -> datetime:
    """The time, in UTC. In a run it is recorded, so that a resumed run gets the same; outside it is just the time."""
    return _given("now", lambda: datetime.now(UTC))[0]


def uuid4() -> uuid.UUID:
    """A random UUID. In a run it is recorded, so that a resumed run gets the same."""
    return _given("uuid4", uuid.uuid4)[0]


def random() -> float:
    """A random number from 0 up to, and without, 1. In a run it is recorded, so that a resumed run gets the same."""
    return _given("random", chance.random)[0]


def _given(name: str, make: Callable[[], T]) -> tuple[T, Ticket | None]:
    """A value, from the record if it is there, and the ticket of its outcome if it is new.

    Nobody has to wait for it: what is recorded later is written later, so that a value that was of any consequence is
    durable no later than that consequence.
    """
    here = open_scope()
    if here is None:
        refuse_lost_context(name, opened.count())
        return make(), None
    claim = here.claim_step(
        Work("step", name, {}, is_pure=True),
        "{}",
        digest=records.identity({}, name=name),
        is_given=True,
    )
    if claim.recorded is not None:
        return cast("T", outcome_of(claim.recorded)), None
    value = make()
    return value, claim.finish(Ending("completed", value))


def sleep(seconds: float) -> Awaitable[None]:
    """Let time pass: `await sleep(60)` in async code, `sleep(60)` in sync code.

    In a run the time at which it began is recorded, so that a run that was killed meanwhile sleeps only for what is
    left. A run that is cancelled or passes its deadline sleeps no longer. Raises `UsageError` for a number that is no
    time.
    """
    if not 0 <= seconds <= _LONGEST_S:
        raise UsageError(f"sleep({seconds!r}): give seconds from 0 to {_LONGEST_S:,.0f}")
    here = open_scope()
    if here is None:
        refuse_lost_context("sleep", opened.count())
        return asyncio.sleep(seconds) if _is_looping() else _passed(time.sleep, seconds)
    inputs = {"seconds": seconds}
    claim = here.claim_step(
        Work("step", "sleep", inputs, is_pure=True),
        records.encode(inputs, name="sleep"),
        digest=records.identity(inputs, name="sleep"),
        is_given=True,
    )
    if here.is_async and _is_looping():
        return drive_async(perform(claim, Plan(lambda: drive_async(_rest(claim, seconds)), is_async=True)))
    return _passed(lambda: drive(perform(claim, Plan(lambda: drive(_rest(claim, seconds))))))


def _rest(claim: StepClaim, seconds: float) -> Logic[None]:
    left = yield from left_of(seconds)
    until = time.monotonic() + left
    patience = Patience.of(claim, left)
    while left > 0:
        yield Pause(patience.most(left), claim.brake)
        claim.brake.check()
        left = until - time.monotonic()
        if left > 0:
            patience.check()
    claim.brake.check()


def left_of(seconds: float) -> Logic[float]:
    """What is left of so many seconds, which began when this was first asked in this place of the run."""
    began, ticket = _given("now", lambda: datetime.now(UTC))
    if ticket is not None:
        yield Durable(ticket)
    # Not more than the whole, where the clock was set back meanwhile.
    return min(seconds, max(0.0, began.timestamp() + seconds - time.time()))


def _is_looping() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class _Passed:
    """What sync code is handed after the time has passed; awaiting it takes none."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, None, None]:
        yield from ()


def _passed(work: Callable[..., object], *args: object) -> _Passed:
    work(*args)
    return _Passed()


__all__ = ["left_of", "now", "random", "sleep", "uuid4"]
