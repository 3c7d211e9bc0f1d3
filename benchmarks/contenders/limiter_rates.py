"""The libraries `limits` and `pyrate-limiter`: a request and its tokens counted in memory, without calls at a time."""

from __future__ import annotations

import asyncio
from typing import Any

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter, SlidingWindowCounterRateLimiter
from pyrate_limiter import Duration, InMemoryBucket, Limiter, Rate

from benchmarks.contenders.serving import Round, serve_async

REQUESTS, TOKENS = RateLimitItemPerMinute(10**9), RateLimitItemPerMinute(10**12)


def counting(strategy: Any) -> Any:
    async def perform(number: int) -> dict[str, float]:
        limiter = strategy(MemoryStorage())
        with Round() as taken:
            for _ in range(number):
                if not (await limiter.hit(REQUESTS, "openai") and await limiter.hit(TOKENS, "tokens", cost=1000)):
                    raise SystemExit("refused")
        return taken.result(number)

    return perform


async def pyrate(number: int) -> dict[str, float]:
    """Requests alone: a weight of 1,000 is kept there as 1,000 entries."""
    limiter = Limiter(InMemoryBucket([Rate(10**9, Duration.MINUTE)]))
    with Round() as taken:
        for _ in range(number):
            if not await limiter.try_acquire_async("openai", blocking=False):
                raise SystemExit("refused")
    return taken.result(number)


if __name__ == "__main__":
    asyncio.run(
        serve_async(
            {
                # The one keeps each request, and would keep each token; so only the counter is asked for both.
                "limits": counting(SlidingWindowCounterRateLimiter),
                "limits-window": window,
                "pyrate": pyrate,
            }
        )
    )
