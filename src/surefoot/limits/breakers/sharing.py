"""Telling Redis what this process sees of its breakers, and taking over what all processes see: behind all calls."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from weakref import ref

from surefoot import effects, scope
from surefoot.limits.breakers.breaker import Breaker, Clock
from surefoot.limits.breakers.circuit import Request
from surefoot.limits.breakers.exchange import PARTS, SCRIPT, answer, arguments
from surefoot.limits.redis import SharedRedis, Unavailable, is_running_here
from surefoot.locks import ForkSafeLock

INTERVAL = 0.5
"""Seconds between two exchanges, where nothing has happened that others should know at once."""
AT_ONCE = 16
"""Exchanges under way at a time."""

logger = scope.logger("surefoot.limits")


class Sharing:
    """The exchange with Redis about the breakers of one app, on the loop that is ours, once anything calls for it.

    It holds no lock while it waits. It ends when it is closed, or when nobody refers to it any more.
    """

    def __init__(
        self,
        redis: SharedRedis,
        breakers: Mapping[str, Breaker],
        *,
        clock: Clock,
        chance: Callable[[], float] = random.random,
        interval: float = INTERVAL,
    ) -> None:
        self.interval = interval
        self._redis = redis
        self._breakers = breakers
        self._clock = clock
        self._chance = chance
        self._lock = ForkSafeLock()
        self._process = 0
        self._member = ""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._awaited: asyncio.Event | None = None
        self._task: Future[None] | None = None
        self._is_roused = False
        self._is_closed = False

    def ensure(self) -> None:
        """Begin, if this process has not yet: a forked one has to for itself."""
        if self._process == os.getpid() or self._is_closed:
            return
        with self._lock:
            if self._process == os.getpid():
                return
            is_forked = self._process != 0
            self._process, self._member = os.getpid(), os.urandom(8).hex()
            self._is_roused, self._awaited = False, None
            if is_forked:
                for breaker in list(self._breakers.values()):
                    with breaker.lock:
                        breaker.given_back.clear()
                        breaker.circuit.forked()
            self._loop = effects.background()
            self._task = asyncio.run_coroutine_threadsafe(_exchanging(ref(self)), self._loop)

    def rouse(self) -> None:
        """Exchange now: something has happened. From any thread, and never waits."""
        loop = self._loop
        if self._is_roused or loop is None or self._process != os.getpid():
            return
        self._is_roused = True
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(self._wake)

    def close(self) -> None:
        """End it, after the exchange that is under way, which is waited for."""
        self._is_closed = True
        task, self._task = self._task, None
        if task is None or self._process != os.getpid():
            return
        self._is_roused = False
        self.rouse()
        if not is_running_here(self._loop):
            # Redis is given up after its own timeout; what hangs for longer is left behind.
            with suppress(Exception):
                task.result(2 * self._redis.timeout)
        for breaker in list(self._breakers.values()):
            with breaker.lock:
                change = breaker.circuit.detach(self._clock())
            if change is not None:
                breaker.tell(change)

    @property
    def is_closed(self) -> bool:
        return self._is_closed

    def awaited(self) -> asyncio.Event:
        """Set once something has happened. On the loop only."""
        if self._awaited is None:
            self._awaited = asyncio.Event()
        return self._awaited

    async def exchange(self) -> None:
        """One exchange about each breaker."""
        self._is_roused = False
        self.awaited().clear()
        turns = asyncio.Semaphore(AT_ONCE)

        async def one(breaker: Breaker) -> None:
            async with turns:
                await self._exchange(breaker)

        await asyncio.gather(*(one(breaker) for breaker in list(self._breakers.values())))

    async def _exchange(self, breaker: Breaker) -> None:
        circuit = breaker.circuit
        now = self._clock()
        with breaker.lock:
            breaker.take_back(now)
            request = circuit.request(now)
        try:
            found = await self._asked(breaker, request)
        except Unavailable as error:
            logger.debug("breaker %r is not shared: %s", breaker.name, error)
            with breaker.lock:
                circuit.returned(request)
                change = circuit.detach(self._clock())
        else:
            shared = answer(found)
            with breaker.lock:
                # Leases are counted from before Redis gave them, so that they never last longer here.
                change = circuit.heed(shared, now, self._clock())
        if change is not None:
            breaker.tell(change)

    async def _asked(self, breaker: Breaker, request: Request) -> list[object]:
        keys = [self._redis.key("breaker", breaker.name, part) for part in PARTS]
        found: list[object] = await self._redis.script(
            SCRIPT,
            keys,
            arguments(
                request,
                breaker.circuit.rules,
                member=self._member,
                epoch=os.urandom(8).hex(),
                chance=self._chance(),
            ),
        )
        return found

    def _wake(self) -> None:
        self.awaited().set()


async def _exchanging(sharing: ref[Sharing]) -> None:
    while (ours := sharing()) is not None and not ours.is_closed:
        try:
            await ours.exchange()
        except Exception:
            # Nobody sees this task: without it breakers would be shared no more.
            logger.exception("breakers could not be shared this time")
        awaited, interval = ours.awaited(), ours.interval
        del ours
        with suppress(TimeoutError):
            await asyncio.wait_for(awaited.wait(), interval)
