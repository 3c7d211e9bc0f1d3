"""What is taken of limits by many processes: one script of Redis, and each process by itself while Redis is down."""

from __future__ import annotations

import asyncio
import os
import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, cast

from surefoot import effects
from surefoot.effects import Await, Program
from surefoot.limits import outage
from surefoot.limits.rates.account import REMEMBERED, Account, Refusal, Taken
from surefoot.limits.rates.gcra import Gcra
from surefoot.limits.rates.in_process import InProcess
from surefoot.limits.rates.line import Turn
from surefoot.limits.rates.permit import Admitted, AdmittedPermit, Ask
from surefoot.limits.rates.scripts import ADMIT, RENEW, SETTLE, TELL
from surefoot.limits.redis import Part, SharedRedis, Unavailable

LEASE = 15.0
"""Seconds after which the places of a process that was killed are free again."""

_SETTINGS = ("", "requests_per_minute", "tokens_per_minute", "concurrency", "hold")
_LONG_AGO = -1e6
_MANY = 200


class Shared:
    """Limits on one Redis server that several processes keep to together.

    While Redis is down each of the `parts` processes keeps to its part of every limit, and for some seconds longer:
    until all of them can have found out that it is back. What they took meanwhile counts then, as do the calls under
    way. `server_us` takes the place of the server's clock, in tests (microseconds).
    """

    def __init__(
        self,
        accounts: InProcess,
        redis: SharedRedis,
        *,
        parts: int = 1,
        lease: float = LEASE,
        server_us: Callable[[], int] = lambda: 0,
    ) -> None:
        self.accounts = accounts
        self._redis = redis
        self._parts = parts
        self._lease = lease
        self._server_us = server_us
        self._apart_until = 0.0
        self._period = 0
        self._must_renew = False
        self._live: dict[str, tuple[str, ...]] = {}
        self._is_renewing = False
        self._lost: deque[Admitted] = deque()
        self._begin()

    def _begin(self) -> None:
        self._slots = 0
        self._name = os.urandom(8).hex()

    @property
    def parts_now(self) -> int:
        """Into how many parts limits are split now: 1 while Redis is there."""
        return self._parts if self._apart_until > self.accounts.now() else 1

    def seconds_to_rest(self, refusal: Refusal) -> float:
        """After how many seconds the first of a line asks again at the latest, as other processes change things too."""
        if refusal.seconds is None:
            # Nobody tells when another process frees a place.
            return random.uniform(0.02, 0.06)
        if self._apart_until > self.accounts.now():
            return 1.0
        return 5.0

    def take(self, ask: Ask, turn: Turn | None) -> Program[AdmittedPermit | Refusal]:
        """Take all that is asked, or nothing."""
        accounts = self.accounts
        with accounts.lock:
            self._find_lost()
            if not ask.accounts:
                # Under no limit, it only leaves endpoints alone that have asked for it.
                return accounts.take(ask, turn)
            now = accounts.now()
            refusal = accounts.behind(ask, turn)
            if refusal is None and ask.endpoint.hold_until > now:
                refusal = ask.endpoint.refuses(now, ask.tokens)
            if refusal is None and now < self._apart_until < float("inf"):
                self._touch(ask, now)
                refusal = accounts.refusal(ask, now, self._parts)
            if refusal is not None:
                return refusal
            self._slots += 1
            slot = f"{self._name}:{self._slots}"
            arguments = self._arguments(ask, slot, now, claimant=self._name if turn else "")
        try:
            answer = yield Await(lambda: self._asked(ask, slot, arguments))
        except Unavailable:
            with accounts.lock:
                return self._take_alone(ask, turn, slot)
        with accounts.lock:
            return self._understood(ask, slot, cast("list[int]", answer))

    def _arguments(self, ask: Ask, slot: str, now: float, *, claimant: str) -> list[Part]:
        arguments: list[Part] = [self._server_us(), slot, int(self._lease * 1e6), ask.tokens, claimant]
        for account in ask.accounts:
            requests, tokens = account.requests, account.tokens
            is_forced = account.period == self._period and not account.is_joined
            for rate in (requests, tokens):
                arguments += (0, 0) if rate is None else (rate.interval * 1e6, rate.burst)
            arguments.append(account.concurrency or 0)
            arguments += (_known(rate, now, is_forced=is_forced) for rate in (requests, tokens))
            arguments.append(1 if is_forced else 0)
        return arguments

    async def _asked(self, ask: Ask, slot: str, arguments: Sequence[Part]) -> Any:
        """Ask Redis, to the end: what is admitted for one that was cancelled meanwhile goes back."""
        task = asyncio.ensure_future(self._sent(ask, arguments))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(partial(self._undo, ask, slot))
            raise

    async def _sent(self, ask: Ask, arguments: Sequence[Part]) -> Any:
        if self._must_renew:
            # The calls under way come first, which the server may not know any more.
            await self._renew()
        return await self._redis.script(ADMIT, self._keys(ask), arguments)

    def _undo(self, ask: Ask, slot: str, task: asyncio.Task[Any]) -> None:
        if task.cancelled() or task.exception() is not None:
            # Whether it was admitted is not known. If so, its place is free after the lease.
            return
        answer = task.result()
        if answer[0] < 0:
            admitted = Admitted(ask, 0.0, _drains(ask, answer), slot=slot)
            self._post_settlement(admitted, ask.tokens, 1.0)

    def _understood(self, ask: Ask, slot: str, answer: Sequence[int]) -> AdmittedPermit | Refusal:
        """The answer of the script; its times are those of the server."""
        index, setting, wait, server_us = answer[:4]
        now = self.accounts.now()
        if self._apart_until == float("inf"):
            # Others may still think that it is down: for as long as that may last each keeps to its part.
            patient = outage.LONGEST + 2 * self._redis.timeout
            self._apart_until = now + patient if self._parts > 1 else 0.0
        is_apart = self._apart_until > now
        for account in ask.accounts:
            account.is_joined = True
        if not is_apart:
            for taken in _drains(ask, answer):
                _follow(taken.account.requests, now + (taken.requests - server_us) / 1e6)
                _follow(taken.account.tokens, now + (taken.tokens - server_us) / 1e6)
                taken.account.is_shared = True
        if index >= 0:
            account = ask.accounts[index - 1] if index else ask.endpoint
            if setting == 4:
                ask.endpoint.hold_until = max(ask.endpoint.hold_until, now + wait / 1e6)
                ask.endpoint.reason = ask.endpoint.reason or "as another process was told"
            return Refusal(account, _SETTINGS[setting], None if setting == 3 else wait / 1e6)
        if is_apart:
            self.accounts.taken(ask, now, self._parts)
        else:
            for account in (*ask.accounts, ask.endpoint):
                account.running += 1
        self._keep(ask, slot)
        return AdmittedPermit(self, Admitted(ask, server_us / 1e6, _drains(ask, answer), slot=slot))

    def _take_alone(self, ask: Ask, turn: Turn | None, slot: str) -> AdmittedPermit | Refusal:
        """Take of this process's part, as Redis does not answer."""
        accounts = self.accounts
        now = accounts.now()
        if self._apart_until != float("inf"):
            self._apart_until = float("inf")
            self._period += 1
            self._must_renew = True
        self._touch(ask, now)
        refusal = accounts.behind(ask, turn) or accounts.refusal(ask, now, self._parts)
        if refusal is not None:
            return refusal
        self._keep(ask, slot)
        taken = accounts.taken(ask, now, self._parts)
        return AdmittedPermit(self, Admitted(ask, now, taken, slot=slot, is_local=True))

    def _touch(self, ask: Ask, now: float) -> None:
        """What the others have taken before is not known: no burst where there may have been one."""
        for account in (*ask.accounts, ask.endpoint):
            if account.period != self._period:
                account.period = self._period
                account.is_joined = False
                if account.is_shared:
                    account.empty(now, self._parts)

    # What comes after

    def answered(self, admitted: Admitted, status: int, headers: Mapping[str, str], /) -> None:
        """See `AdmittedPermit.answered`; the other processes hear of it."""
        if not self.accounts.heard(admitted, status, headers) or not admitted.ask.accounts:
            return
        endpoint = admitted.ask.endpoint
        with self.accounts.lock:
            hold = max(0.0, endpoint.hold_until - self.accounts.now())
            lasts = REMEMBERED if endpoint.told_until > self.accounts.now() else 0.0
            rates: list[Part] = []
            for rate in (endpoint.requests, endpoint.tokens):
                rates += (0, 0) if rate is None else (rate.interval * 1e6, rate.burst)
        arguments = [self._server_us(), int(hold * 1e6), int(lasts * 1e6), *rates]
        self._redis.post_script(TELL, [self._key("told", endpoint.name, endpoint.model)], arguments)

    def settle(self, admitted: Admitted, less: float, requests: float, /) -> None:
        """See `Admitting.settle`."""
        with self.accounts.lock:
            self._live.pop(admitted.slot, None)
            if admitted.is_local:
                self.accounts.settled(admitted, less, requests, self._parts)
            else:
                # What this process knows of the rates it learns from the next answer.
                for taken in admitted.taken:
                    taken.account.leave()
        if admitted.is_local:
            less = requests = 0.0
        if less or requests or _is_counted(admitted.ask):
            self._post_settlement(admitted, less, requests)

    def _post_settlement(self, admitted: Admitted, less: float, requests: float) -> None:
        arguments: list[Part] = [self._server_us(), admitted.slot, less, requests]
        if admitted.is_local:
            # Never taken there, but its place may have been kept.
            arguments += (0, 0, 0, 0) * (len(admitted.ask.accounts) + 1)
        else:
            endpoint, *limits = admitted.taken
            arguments += (0, int(endpoint.requests), 0, int(endpoint.tokens))
            for taken in limits:
                for rate, drains_at in (
                    (taken.account.requests, taken.requests),
                    (taken.account.tokens, taken.tokens),
                ):
                    arguments += (0 if rate is None else rate.interval * 1e6, int(drains_at))
        self._redis.post_script(
            SETTLE, self._keys(admitted.ask), arguments, then=partial(self._wake, admitted.ask)
        )

    def _wake(self, ask: Ask) -> None:
        """Let those in line ask again, once Redis knows that there is room."""
        with self.accounts.lock:
            for account in ask.accounts:
                account.line.wake()

    def lose(self, admitted: Admitted, /) -> None:
        """See `Admitting.lose`. As in one process."""
        self._lost.append(admitted)
        with suppress(Exception):
            effects.background().call_soon_threadsafe(self._find_lost)

    def _find_lost(self) -> None:
        while self._lost:
            self.settle(self._lost.popleft(), 0.0, 0.0)

    # Places

    def _keep(self, ask: Ask, slot: str) -> None:
        if not _is_counted(ask):
            return
        self._live[slot] = tuple(
            self._key("places", account.limit.name, account.subject)
            for account in ask.accounts
            if account.concurrency is not None
        )
        if not self._is_renewing:
            self._is_renewing = True
            asyncio.run_coroutine_threadsafe(self._renewing(), effects.background())

    async def _renewing(self) -> None:
        while True:
            await asyncio.sleep(self._lease / 3)
            with self.accounts.lock:
                self._find_lost()
                if not self._live:
                    self._is_renewing = False
                    return
            try:
                await self._renew()
            except Unavailable:
                continue

    async def _renew(self) -> None:
        """Keep the places of the calls under way."""
        period = self._period
        with self.accounts.lock:
            pairs = [(key, slot) for slot, keys in self._live.items() for key in keys]
        for start in range(0, len(pairs), _MANY):
            part = pairs[start : start + _MANY]
            slots = [slot for _, slot in part]
            await self._redis.script(
                RENEW, [key for key, _ in part], [self._server_us(), int(self._lease * 1e6), *slots]
            )
        if period == self._period:
            self._must_renew = False
        # Those that have ended meanwhile may have been freed first and kept after that.
        for key, slot in pairs:
            if slot not in self._live:
                self._redis.post("ZREM", key, slot)

    def forget_parent(self) -> None:
        """In a forked child: the calls under way are the parent's, and so are their places."""
        self._live.clear()
        self._lost.clear()
        self._is_renewing = False
        self._begin()

    # Names

    def _keys(self, ask: Ask) -> list[str]:
        keys = [self._key("told", ask.endpoint.name, ask.endpoint.model)]
        for account in ask.accounts:
            keys.append(self._key("rates", account.limit.name, account.subject))
            keys.append(self._key("places", account.limit.name, account.subject))
        return keys

    def _key(self, kind: str, name: str, subject: str) -> str:
        return self._redis.key("limits", kind, name, subject)


def _known(rate: Gcra | None, now: float, *, is_forced: bool) -> int:
    """Microseconds until all has drained away that this process knows of."""
    if rate is None:
        return int(_LONG_AGO * 1e6)
    ahead = max(rate.drained_at - now, _LONG_AGO)
    return int(1e6 * (max(ahead, rate.burst * rate.interval) if is_forced else ahead))


def _follow(rate: Gcra | None, drained_at: float) -> None:
    if rate is not None:
        rate.drained_at = drained_at


def _drains(ask: Ask, answer: Sequence[int]) -> list[Taken]:
    """The rates that came with an answer: first what the endpoint has told."""
    accounts: list[Account] = [ask.endpoint, *ask.accounts]
    return [
        Taken(account, answer[4 + 2 * place], answer[5 + 2 * place]) for place, account in enumerate(accounts)
    ]


def _is_counted(ask: Ask) -> bool:
    return any(account.concurrency is not None for account in ask.accounts)
