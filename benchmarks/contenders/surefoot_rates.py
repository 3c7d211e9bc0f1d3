"""Surefoot: one attempt admitted under a limit of requests, tokens and calls at a time, and done."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable

from benchmarks.contenders.serving import Round, serve_async
from surefoot import effects
from surefoot.limits.rates import RateLimit, Rates, rates_of
from surefoot.limits.redis import SharedRedis
from surefoot.values import Caller, Demand

LIMIT = RateLimit("all", requests_per_minute=1e9, tokens_per_minute=1e12, concurrency=100)
DEMAND = Demand(Caller(("run",), ("flow",), "tenant", "principal"), "openai", "openai", "gpt-4o", 1000)


def admitting(rates: Rates) -> Callable[[int], Awaitable[dict[str, float]]]:
    async def perform(number: int) -> dict[str, float]:
        with Round() as taken:
            for _ in range(number):
                permit = await effects.drive_async(rates.admit(DEMAND, patience=10.0))
                permit.done(900)
        return taken.result(number)

    return perform


async def waiting(number: int) -> dict[str, float]:
    """As many at once as are asked for, under ten places: nearly all of them wait in line."""
    rates = rates_of([RateLimit("few", concurrency=10)])

    async def call() -> None:
        permit = await effects.drive_async(rates.admit(DEMAND, patience=600.0))
        await asyncio.sleep(0)
        permit.done(900)

    with Round() as taken:
        await asyncio.gather(*(call() for _ in range(number)))
    return taken.result(number)


async def main(url: str) -> None:
    redis = SharedRedis(lambda: url)
    shared = rates_of([LIMIT], redis=redis)

    async def bare(number: int) -> dict[str, float]:
        await redis.run("SET", "key", "value")
        with Round() as taken:
            for _ in range(number):
                await redis.run("GET", "key")
        return taken.result(number)

    await serve_async(
        {
            "memory": admitting(rates_of([LIMIT])),
            "waiting": waiting,
            "redis": admitting(shared),
            "get": bare,
        }
    )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
