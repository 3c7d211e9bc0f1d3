"""Rate limits: a call waits in line until there is room under all of them, or is refused if there will be none."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from surefoot.effects import Await, Program, Sleep
from surefoot.errors import Throttled
from surefoot.limits.rates.account import Refusal
from surefoot.limits.rates.in_process import InProcess
from surefoot.limits.rates.limit import RateLimit
from surefoot.limits.rates.line import Turn
from surefoot.limits.rates.permit import AdmittedPermit, Ask
from surefoot.values import Demand

if TYPE_CHECKING:
    from surefoot.limits.rates.shared import Shared
    from surefoot.limits.redis import SharedRedis


class Rates:
    """Limits of requests and tokens a minute, and of calls at a time, kept in this process or shared over Redis.

    A demand is admitted under all limits that are about it in one step, or under none. Who finds no room waits in the
    line of the limit that has none for it: first come, first served within a process. `clock` and `wall` give seconds,
    the one never running backwards, the other since the epoch.
    """

    def __init__(
        self,
        limits: Sequence[RateLimit],
        *,
        shared: Shared | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._accounts = InProcess(limits, clock=clock, wall=wall) if shared is None else shared.accounts
        self._shared = shared
        self._tickets = 0
        self._process = os.getpid()

    def bound(self, demand: Demand, /) -> bool:
        """Whether any limit is about this demand, or its endpoint asks to be left alone."""
        with self._accounts.lock:
            ask = self._accounts.ask(demand)
        return bool(ask.accounts) or ask.endpoint.hold_until > 0.0

    def admit(
        self, demand: Demand, /, *, patience: float, pause: Callable[[float], None] = time.sleep
    ) -> Program[AdmittedPermit]:
        """Wait until there is room under all limits, for `patience` seconds at most.

        Raises `Throttled` at once where there will be none until then, and after that time where nobody could tell.
        Blocking code waits for a fraction of a second at a time, and calls `pause(0)` in between, which raises where
        it is to wait no more.
        """
        if self._process != os.getpid():
            self._begin_in_child()
        accounts, shared = self._accounts, self._shared
        if shared is None:
            with accounts.lock:
                ask = accounts.ask(demand)
                outcome = accounts.take(ask, None)
        else:
            with accounts.lock:
                ask = accounts.ask(demand)
            outcome = yield from shared.take(ask, None)
        if isinstance(outcome, AdmittedPermit):
            return outcome
        return (yield from self._wait(ask, outcome, patience, pause))

    def _wait(
        self, ask: Ask, refusal: Refusal, patience: float, pause: Callable[[float], None]
    ) -> Program[AdmittedPermit]:
        accounts = self._accounts
        with accounts.lock:
            self._tickets += 1
            turn = Turn(self._tickets, ask.tokens)
            account = refusal.account
            self._check_patience(ask, refusal, patience)
            account.line.join(turn)
            end_at = accounts.now() + patience
        try:
            while True:
                if account.line.first is turn:
                    outcome = yield from self._take(ask, turn)
                    if isinstance(outcome, AdmittedPermit):
                        return outcome
                    refusal = outcome
                with accounts.lock:
                    if refusal.account is not account:
                        account.line.leave(turn)
                        account = refusal.account
                        account.line.join(turn)
                    seconds = self._seconds_to_rest(ask, turn, refusal, end_at - accounts.now(), patience)
                if seconds > 0:
                    yield from _rested(turn, seconds, pause)
        finally:
            with accounts.lock:
                account.line.leave(turn)

    def _take(self, ask: Ask, turn: Turn) -> Program[AdmittedPermit | Refusal]:
        if self._shared is not None:
            return (yield from self._shared.take(ask, turn))
        with self._accounts.lock:
            return self._accounts.take(ask, turn)

    def _seconds_to_rest(self, ask: Ask, turn: Turn, refusal: Refusal, left: float, patience: float) -> float:
        """How long to sleep until it may be worth to try again. Raises `Throttled`. To be called under the lock."""
        is_first = refusal.account.line.first is turn
        if left <= 0:
            raise self._throttled(ask, refusal, patience)
        if not is_first:
            # Who leaves the line wakes the next.
            return left
        if not refusal.setting:
            # Those that were ahead have left meanwhile.
            return 0.0
        if refusal.seconds is not None and refusal.seconds > left:
            raise self._throttled(ask, refusal, patience)
        seconds = left if refusal.seconds is None else refusal.seconds
        return seconds if self._shared is None else min(seconds, self._shared.seconds_to_rest(refusal))

    def _check_patience(self, ask: Ask, refusal: Refusal, patience: float) -> None:
        """Raise `Throttled` where there will be no room in time. To be called under the lock."""
        account = refusal.account
        seconds, setting = account.forecast(self._accounts.now(), ask.tokens, self._parts)
        if refusal.seconds is not None and refusal.seconds > seconds:
            seconds, setting = refusal.seconds, refusal.setting
        if seconds > patience:
            raise self._throttled(ask, Refusal(account, setting, seconds), patience)

    @property
    def _parts(self) -> int:
        return 1 if self._shared is None else self._shared.parts_now

    def _throttled(self, ask: Ask, refusal: Refusal, patience: float) -> Throttled:
        account = refusal.account
        seconds, setting = refusal.seconds, refusal.setting
        if not setting:
            seconds, setting = account.forecast(self._accounts.now(), ask.tokens, self._parts)
        demand = ask.demand
        what = f"the call of {demand.model} ({demand.provider}) was not made: {account.describe(setting)}"
        waits = f"it may wait for {max(0.0, patience):,.1f} s at most"
        if setting == "concurrency":
            said = f"{what} has all its places taken by calls under way, and {waits}"
            seconds = None
        else:
            said = f"{what} leaves room for it in {seconds or 0.0:,.1f} s, and {waits}"
        if self._parts > 1:
            said += (
                f"; Redis is down, and this process keeps to 1/{self._parts} of the limit ([redis] processes)"
            )
        way_out = (
            "give the call more time, or ask another model meanwhile"
            if setting == "hold"
            else "raise the limit, give the call more time, or make fewer calls at once"
        )
        return Throttled(
            f"{said}. What helps: {way_out}",
            provider=demand.provider,
            model=demand.model,
            attempts=0,
            retry_after=seconds,
        )

    def _begin_in_child(self) -> None:
        with self._accounts.lock:
            if self._process != os.getpid():
                self._process = os.getpid()
                self._accounts.forget_parent()
                if self._shared is not None:
                    self._shared.forget_parent()


def rates_of(limits: Sequence[RateLimit], *, redis: SharedRedis | None = None, processes: int = 1) -> Rates:
    """The limits in this process, or shared over Redis by so many `processes`.

    Each of these keeps to its equal part of every limit while Redis is down.
    """
    if redis is None:
        return Rates(limits)
    from surefoot.limits.rates.shared import Shared

    return Rates(limits, shared=Shared(InProcess(limits), redis, parts=processes))


def _rested(turn: Turn, seconds: float, pause: Callable[[float], None]) -> Program[None]:
    is_blocking = yield Await(lambda: turn.rest(seconds))
    if is_blocking:
        yield Sleep(0.0, pause)
