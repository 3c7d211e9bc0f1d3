"""Rate limits of tests: in one process and on Redis, by the clock of the machine or by one that the test turns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from redis_server import RedisServer
from surefoot import effects
from surefoot.limits.rates import AdmittedPermit, InProcess, RateLimit, Rates, Shared
from surefoot.limits.redis import SharedRedis
from surefoot.values import Caller, Demand, new_id


@dataclass
class Turned:
    """A clock that stands still until it is turned, in seconds."""

    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now

    def us(self) -> int:
        return int(self.now * 1e6)


@dataclass
class Making:
    """Makes limits of one kind."""

    redis_server: RedisServer | None = None
    opened: list[SharedRedis] = field(default_factory=list)

    @property
    def is_shared(self) -> bool:
        return self.redis_server is not None

    def __call__(self, *limits: RateLimit, clock: Turned | None = None, **options: Any) -> Rates:
        times: dict[str, Any] = {} if clock is None else {"clock": clock, "wall": clock}
        if self.redis_server is None:
            return Rates(limits, **times)
        server = self.redis_server
        redis = SharedRedis(lambda: server.url, prefix=new_id(), timeout=options.pop("timeout", 30.0))
        self.opened.append(redis)
        if clock is not None:
            options["server_us"] = clock.us
        return Rates(limits, shared=Shared(InProcess(limits, **times), redis, **options), **times)

    def settled(self, rates: Rates) -> None:
        """Wait until what permits gave back has arrived."""
        if rates._shared is not None:
            effects.bridged(rates._shared._redis.flush)

    def close(self) -> None:
        for redis in self.opened:
            redis.close()


@pytest.fixture(params=["in process", "on Redis"])
def making(request: pytest.FixtureRequest) -> Iterator[Making]:
    """Both kinds, one after the other."""
    server = request.getfixturevalue("redis_server") if request.param == "on Redis" else None
    made = Making(server)
    yield made
    made.close()


def demand(
    tokens: int = 0,
    *,
    model: str = "m",
    provider: str = "p",
    endpoint: str = "",
    caller: Caller | None = None,
) -> Demand:
    return Demand(caller or Caller(), provider, endpoint or provider, model, tokens)


def admit(
    rates: Rates, asked: Demand, *, patience: float = 0.0, pause: Callable[[float], None] = lambda _: None
) -> AdmittedPermit:
    """Blocking."""
    return effects.drive(rates.admit(asked, patience=patience, pause=pause))


async def admitted(rates: Rates, asked: Demand, *, patience: float = 60.0) -> AdmittedPermit:
    """On the running loop."""
    return await effects.drive_async(rates.admit(asked, patience=patience))


def most_in_a_window(taken: list[tuple[float, float]], seconds: float) -> float:
    """The largest sum of amounts in any `seconds`, by (time, amount) in order of time; both ends belong to it."""
    most = total = 0.0
    start = 0
    for at, amount in taken:
        total += amount
        while taken[start][0] < at - seconds:
            total -= taken[start][1]
            start += 1
        most = max(most, total)
    return most
