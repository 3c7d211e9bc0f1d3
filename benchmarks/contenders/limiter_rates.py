"""The libraries `limits` and `pyrate-limiter`: requests and tokens counted in memory, without calls at a time."""

from __future__ import annotations

import asyncio

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from pyrate_limiter import GCRA, Duration, InMemoryStateStore, Limiter, Rate, StateBucket

from benchmarks.contenders.serving import Round, serve_async

REQUESTS, TOKENS = 10**9, 10**12


async def counted(number: int) -> dict[str, float]:
    limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
    requests, tokens = RateLimitItemPerMinute(REQUESTS), RateLimitItemPerMinute(TOKENS)
    with Round() as taken:
        for _ in range(number):
            if not (await limiter.hit(requests, "calls") and await limiter.hit(tokens, "tokens", cost=1000)):
                raise SystemExit("limits refused")
    return taken.result(number)


async def pyrate(number: int) -> dict[str, float]:
    requests, tokens = (
        Limiter(StateBucket([Rate(limit, Duration.MINUTE)], algorithm=GCRA(), store=InMemoryStateStore()))
        for limit in (REQUESTS, TOKENS)
    )
    with Round() as taken:
        for _ in range(number):
            if not (
                await requests.try_acquire_async("calls", blocking=False)
                and await tokens.try_acquire_async("tokens", weight=1000, blocking=False)
            ):
                raise SystemExit("pyrate-limiter refused")
    return taken.result(number)


if __name__ == "__main__":
    asyncio.run(serve_async({"limits": counted, "pyrate": pyrate}))
