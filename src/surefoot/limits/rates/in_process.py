"""What is taken of limits within one process: one step over all accounts of a demand, all or nothing."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from surefoot import effects
from surefoot.limits.rates.account import Account, Endpoint, Refusal, Taken
from surefoot.limits.rates.limit import RateLimit, model_of
from surefoot.limits.rates.line import Turn
from surefoot.limits.rates.permit import Admitted, AdmittedPermit, Ask
from surefoot.limits.rates.told import Told, told_by
from surefoot.locks import ForkSafeLock
from surefoot.values import Demand

ACCOUNTS = 4096
"""From how many accounts on those are looked for that can be forgotten."""


class InProcess:
    """The accounts of all limits in this process.

    `clock` gives seconds that should not run backwards; where they do, time stands still. `wall` gives seconds since
    the epoch, by which the times that providers tell are read.
    """

    def __init__(
        self,
        limits: Sequence[RateLimit],
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.limits = limits
        self.lock = ForkSafeLock()
        self._clock = clock
        self._wall = wall
        self._latest = float("-inf")
        self._accounts: dict[tuple[str, str], Account] = {}
        self._endpoints: dict[tuple[str, str], Endpoint] = {}
        self._known: dict[object, tuple[Sequence[Account], Endpoint]] = {}
        self._many = ACCOUNTS
        self._lost: deque[Admitted] = deque()

    def now(self) -> float:
        """The clock, which stands still where it would run backwards. To be called under the lock."""
        now = self._clock()
        self._latest = max(self._latest, now)
        return self._latest

    def ask(self, demand: Demand) -> Ask:
        """The accounts that a demand is on. To be called under the lock."""
        caller = demand.caller
        key = (
            *(demand.provider, demand.endpoint, demand.model),
            *(caller.flows, caller.tenant, caller.principal),
        )
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._found(demand)
        return Ask(demand, known[0], known[1])

    def _found(self, demand: Demand) -> tuple[Sequence[Account], Endpoint]:
        if len(self._accounts) + len(self._endpoints) + len(self._known) > self._many:
            self._forget_idle()
        accounts: list[Account] = []
        for limit in self.limits:
            for subject in limit.subjects(demand):
                account = self._accounts.get((limit.name, subject))
                if account is None:
                    account = self._accounts[limit.name, subject] = Account(limit, subject)
                accounts.append(account)
        model = model_of(demand)
        endpoint = self._endpoints.get((demand.endpoint, model))
        if endpoint is None:
            endpoint = self._endpoints[demand.endpoint, model] = Endpoint(demand.endpoint, model)
        return tuple(accounts), endpoint

    def _forget_idle(self) -> None:
        now = self.now()
        self._known.clear()
        self._accounts = {key: one for key, one in self._accounts.items() if not one.is_idle(now)}
        self._endpoints = {key: one for key, one in self._endpoints.items() if not one.is_idle(now)}
        self._many = max(ACCOUNTS, 2 * (len(self._accounts) + len(self._endpoints)))

    def behind(self, ask: Ask, turn: Turn | None) -> Refusal | None:
        """Where others have waited for longer. To be called under the lock."""
        for account in (*ask.accounts, ask.endpoint):
            first = account.line.first
            if first is not None and (turn is None or first.ticket < turn.ticket):
                return Refusal(account, "", 0.0)
        return None

    def refusal(self, ask: Ask, now: float, parts: int = 1) -> Refusal | None:
        """Why there is no room: the longest wait that is known, else a full concurrency. Under the lock."""
        tokens = ask.tokens
        worst = ask.endpoint.refuses(now, tokens, parts)
        for account in ask.accounts:
            found = account.refuses(now, tokens, parts)
            if found is not None and (worst is None or (found.seconds or 0.0) > (worst.seconds or 0.0)):
                worst = found
        return worst

    def take(self, ask: Ask, turn: Turn | None) -> AdmittedPermit | Refusal:
        """Take all that is asked, or nothing. To be called under the lock."""
        if self._lost:
            self.find_lost()
        refusal = self.behind(ask, turn)
        if refusal is not None:
            return refusal
        now = self.now()
        refusal = self.refusal(ask, now)
        if refusal is not None:
            return refusal
        return AdmittedPermit(self, Admitted(ask, now, self.taken(ask, now)))

    def taken(self, ask: Ask, now: float, parts: int = 1) -> list[Taken]:
        """Take it, whether there is room or not. To be called under the lock."""
        tokens = ask.tokens
        taken = [account.take(now, tokens, parts) for account in ask.accounts]
        taken.append(ask.endpoint.take(now, tokens, parts))
        return taken

    def answered(self, admitted: Admitted, status: int, headers: Mapping[str, str], /) -> None:
        """See `AdmittedPermit.answered`."""
        self.heard(admitted, status, headers)

    def heard(self, admitted: Admitted, status: int, headers: Mapping[str, str]) -> bool:
        """Learn from an answer. Whether it said something new."""
        told = told_by(status, headers, self._wall())
        if not told.is_something:
            return False
        ask = admitted.ask
        learning = [account.limit for account in ask.accounts if account.limit.learn]
        if not learning:
            if status != 429 or not told.wait:
                return False
            # Without a limit that learns, only what an answer asks for outright is done.
            told = Told(told.wait, reason=told.reason)
        requests = [limit.requests_per_minute for limit in learning if limit.requests_per_minute is not None]
        tokens = [limit.tokens_per_minute for limit in learning if limit.tokens_per_minute is not None]
        ceiling = (min(requests, default=float("inf")), min(tokens, default=float("inf")))
        burst = max((limit.burst for limit in learning), default=1.0)
        with self.lock:
            return ask.endpoint.learn(self.now(), told, ceiling, burst)

    def settle(self, admitted: Admitted, less: float, requests: float, /) -> None:
        """See `Admitting.settle`."""
        with self.lock:
            self.settled(admitted, less, requests)

    def settled(self, admitted: Admitted, less: float, requests: float, parts: int = 1) -> None:
        """Give back what was not needed, and the places. To be called under the lock."""
        now = self.now()
        for taken in admitted.taken:
            taken.account.release(now, taken, less, requests, parts)

    def lose(self, admitted: Admitted, /) -> None:
        """See `Admitting.lose`. What is done under a lock is left to another thread, or to the next who comes."""
        self._lost.append(admitted)
        with suppress(Exception):
            # At the end of the interpreter there is no such thread.
            effects.background().call_soon_threadsafe(self._look_for_lost)

    def _look_for_lost(self) -> None:
        with self.lock:
            self.find_lost()

    def find_lost(self) -> None:
        """Give back the places of permits that are gone. To be called under the lock."""
        while self._lost:
            self.settled(self._lost.popleft(), 0.0, 0.0)

    def forget_parent(self) -> None:
        """In a forked child: the calls and those that wait are the parent's, what was taken of rates is not undone."""
        self._lost.clear()
        for account in (*self._accounts.values(), *self._endpoints.values()):
            account.running = 0
            account.line.turns.clear()
            account.line.tokens = 0
