"""Calls behind a circuit breaker, of whichever library is named: what one costs, and how many try it half-open.

Run as `guarded_calls LIBRARY`. `calls N` makes so many calls that succeed at once; `probes N` opens the breaker, waits
until its cooldown has passed, begins so many at once, and says how many of them got through.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from benchmarks.contenders.serving import Round, serve

FAILURES = 5
COOLDOWN = 0.2

Guard = Callable[[Callable[[], Awaitable[None]]], Awaitable[None]]


async def nothing() -> None:
    """A call that succeeds at once."""


async def failing() -> None:
    """One that fails."""
    raise OSError


def surefoot() -> Guard:
    from surefoot.limits.breakers import Breakers, Rules

    breakers = Breakers({"db": Rules(minimum=FAILURES, cooldown=COOLDOWN)})

    async def guarded(call: Callable[[], Awaitable[None]]) -> None:
        with breakers.enter("db"):
            await call()

    return guarded


def surefoot_words() -> Guard:
    """As the chain of model calls does: without `with`."""
    from surefoot.limits.breakers import Breakers, Rules

    breakers = Breakers({"db": Rules(minimum=FAILURES, cooldown=COOLDOWN)})

    async def guarded(call: Callable[[], Awaitable[None]]) -> None:
        trial = breakers.enter("db")
        try:
            await call()
        except OSError:
            trial.failed()
            raise
        trial.succeeded()

    return guarded


def bare() -> Guard:
    """No breaker: what the calls alone cost."""

    async def guarded(call: Callable[[], Awaitable[None]]) -> None:
        await call()

    return guarded


def aiobreaker() -> Guard:
    from datetime import timedelta

    library: Any = __import__("aiobreaker")
    breaker = library.CircuitBreaker(fail_max=FAILURES, timeout_duration=timedelta(seconds=COOLDOWN))

    async def guarded(call: Callable[[], Awaitable[None]]) -> None:
        await breaker.call_async(call)

    return guarded


def purgatory() -> Guard:
    library: Any = __import__("purgatory")
    factory = library.AsyncCircuitBreakerFactory(default_threshold=FAILURES, default_ttl=COOLDOWN)

    async def guarded(call: Callable[[], Awaitable[None]]) -> None:
        async with await factory.get_breaker("db"):
            await call()

    return guarded


def circuitbreaker() -> Guard:
    library: Any = __import__("circuitbreaker")
    breaker = library.CircuitBreaker(failure_threshold=FAILURES, recovery_timeout=COOLDOWN, name="db")

    async def guarded(call: Callable[[], Awaitable[None]]) -> None:
        await breaker.call_async(call)

    return guarded


LIBRARIES = {
    made.__name__: made for made in (surefoot, surefoot_words, bare, aiobreaker, purgatory, circuitbreaker)
}


def main(library: str) -> None:
    make = LIBRARIES[library]
    guarded = make()

    async def calling(number: int) -> None:
        for _ in range(number):
            await guarded(nothing)

    def calls(number: int) -> dict[str, float]:
        with Round() as taken:
            asyncio.run(calling(number))
        return taken.result(number)

    def probes(number: int) -> dict[str, float]:
        return {"admitted": float(asyncio.run(admitted(make(), number)))}

    serve({"calls": calls, "probes": probes})


async def admitted(guarded: Guard, number: int) -> int:
    """How many of so many tasks get through at the moment when the breaker is tried again."""
    for _ in range(2 * FAILURES):
        # Each library refuses with an error of its own.
        with suppress(Exception):
            await guarded(failing)
    await asyncio.sleep(2 * COOLDOWN)
    came = 0
    gate = asyncio.Event()

    async def held() -> None:
        nonlocal came
        came += 1
        await gate.wait()

    tasks = [asyncio.ensure_future(guarded(held)) for _ in range(number)]
    await asyncio.sleep(COOLDOWN)
    gate.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    return came


if __name__ == "__main__":
    main(sys.argv[1])
