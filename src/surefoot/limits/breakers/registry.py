"""The breakers of one app, by name."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Mapping

from surefoot.limits.breakers.breaker import Breaker, Clock, Listener, Reading
from surefoot.limits.breakers.circuit import Circuit, Outbox
from surefoot.limits.breakers.phases import Closed
from surefoot.limits.breakers.rules import Rules
from surefoot.limits.breakers.sharing import Sharing
from surefoot.limits.breakers.trials import Trial
from surefoot.limits.redis import SharedRedis
from surefoot.locks import ForkSafeLock

MODELS = "models"
"""The settings of every provider's endpoint."""

MOST = 1_024


class Breakers:
    """Circuit breakers by name, each made when it is first asked for.

    `rules` are the settings by name; a name without goes by the defaults. `endpoints` are those of models. Code that
    is no step guards what it calls with `with breakers.enter("vector-db"): ...`.
    """

    def __init__(
        self,
        rules: Mapping[str, Rules] | None = None,
        *,
        clock: Clock = time.monotonic,
        wall: Clock = time.time,
        chance: Callable[[], float] = random.random,
        redis: SharedRedis | None = None,
    ) -> None:
        """`clock` gives seconds that never run backwards, `wall` seconds since the Unix epoch.

        With `redis`, processes share what they know of a breaker; no call waits for that.
        """
        self._rules = dict(rules or {})
        self._clock = clock
        self._wall = wall
        self._chance = chance
        self._lock = ForkSafeLock()
        self._breakers: dict[str, Breaker] = {}
        self._listeners: list[Listener] = []
        self.endpoints = Endpoints(self)
        self._sharing = None if redis is None else Sharing(redis, self._breakers, clock=clock, chance=chance)

    def enter(self, name: str, /) -> Trial:
        """Let a call through, and measure how long it takes. Raises `BreakerOpen`. Never waits for anything."""
        breaker = self._breakers.get(name)
        if breaker is None:
            breaker = self._made(name)
        if self._sharing is not None:
            self._sharing.ensure()
        return breaker.enter()

    def listen(self, listener: Listener) -> None:
        """Call a function at each change of any breaker, in the thread that brought it about; it must be quick."""
        self._listeners.append(listener)

    def readings(self) -> list[Reading]:
        """How each breaker that was asked for stands now, by name."""
        with self._lock:
            breakers = list(self._breakers.values())
        return sorted((breaker.reading() for breaker in breakers), key=lambda reading: reading.breaker)

    def close(self) -> None:
        """Share nothing with other processes any more; breakers go on in this one."""
        if self._sharing is not None:
            self._sharing.close()

    def _made(self, name: str) -> Breaker:
        with self._lock:
            if name in self._breakers:
                return self._breakers[name]
            self._make_room()
            is_endpoint = name.startswith(f"{MODELS}/")
            section = MODELS if is_endpoint and name not in self._rules else name
            rules = self._rules.get(section, Rules())
            circuit = Circuit(
                name,
                rules,
                outbox=Outbox() if self._sharing is not None else None,
                chance=self._chance,
                wall=self._wall,
            )
            made = self._breakers[name] = Breaker(
                circuit,
                f"[breakers.{_key(section)}]",
                clock=self._clock,
                listeners=self._listeners,
                rouse=_nobody if self._sharing is None else self._sharing.rouse,
            )
            return made

    def _make_room(self) -> None:
        # Whoever calls ever new hosts must not fill the memory: the oldest goes that has nothing to remember.
        for name, breaker in list(self._breakers.items()):
            if len(self._breakers) < MOST:
                return
            if isinstance(breaker.circuit.phase, Closed):
                del self._breakers[name]
        if len(self._breakers) >= MOST:
            del self._breakers[next(iter(self._breakers))]


class Endpoints:
    """The breakers of the endpoints of models, which go by the settings `models` unless one has its own.

    They are kept apart from those that steps name: an endpoint of that name is another thing.
    """

    def __init__(self, breakers: Breakers) -> None:
        self._breakers = breakers

    def enter(self, name: str, /) -> Trial:
        """See `Breakers.enter`."""
        return self._breakers.enter(f"{MODELS}/{name}")


def _nobody() -> None:
    """Nobody else is told."""


def _key(name: str) -> str:
    """A name as TOML writes it in the head of a table."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else '"' + name.replace('"', '\\"') + '"'
