"""Three processes behind one breaker, and calls, words and exchanges with a real Redis in any order."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redis_server import RedisServer, redis_server, redis_session
from surefoot.limits import SharedRedis
from surefoot.limits.breakers.circuit import Circuit, Outbox
from surefoot.limits.breakers.exchange import PARTS, SCRIPT, answer, arguments
from surefoot.limits.breakers.phases import Closed, HalfOpen, Phase, Refusal, Verdict
from surefoot.limits.breakers.rules import Rules

__all__ = ["redis_server", "redis_session"]

# Redis has the time of its own machine, so nothing here waits for any: a cooldown is over at once.
RULES = Rules(minimum=4, probes=2, cooldown=0.001, cooldown_cap=0.001, window=600.0, lease=600.0)

Order = tuple[str, int, Verdict]
WORDS: tuple[Verdict, ...] = ("succeeded", "failed", "dropped")
ORDERS = st.tuples(
    st.sampled_from(["call", "call", "word", "exchange", "exchange", "lose"]),
    st.integers(0, 2),
    st.sampled_from(WORDS),
)


@dataclass
class Process:
    """A circuit as one process has it, and its calls under way."""

    redis: SharedRedis
    name: str
    now: float = 1000.0
    calls: list[tuple[Phase, str]] = field(default_factory=list[tuple[Phase, str]])
    admitted: dict[str, str] = field(default_factory=dict[str, str])
    """The permits of Redis that were used and not given back, with the era of each."""

    def __post_init__(self) -> None:
        self.member = os.urandom(4).hex()
        self.circuit = Circuit("db", RULES, outbox=Outbox(), chance=lambda: 0.5)

    def call(self) -> None:
        self.now += 0.01
        found = self.circuit.probe(self.now)
        if isinstance(found, Refusal):
            return
        phase, token = found
        if isinstance(phase, HalfOpen) and phase.era:
            self.admitted[token] = phase.era
        self.calls.append(found)

    def word(self, verdict: Verdict) -> None:
        if self.calls:
            phase, token = self.calls.pop(0)
            if verdict == "dropped":
                self.admitted.pop(token, None)
            self.circuit.ended(phase, token, verdict, 0.0, self.now)

    async def exchange(self, *, is_lost: bool = False) -> None:
        """One exchange; where it is lost, Redis has done its part and nobody here learns of it."""
        self.now += 0.01
        request = self.circuit.request(self.now)
        found = await self.redis.script(
            SCRIPT,
            [self.redis.key(self.name, part) for part in PARTS],
            arguments(
                request,
                RULES,
                member=self.member,
                epoch=os.urandom(4).hex(),
                chance=0.5,
            ),
        )
        await asyncio.sleep(0.001)
        if is_lost:
            self.circuit.returned(request)
            self.circuit.detach(self.now)
        else:
            self.circuit.heed(answer(found), self.now, self.now)


async def ordered(server: RedisServer, orders: list[Order]) -> None:
    redis = SharedRedis(lambda: server.url, timeout=20.0)
    three = [Process(redis, os.urandom(6).hex()) for _ in range(3)]
    for process in three:
        process.name = three[0].name
    for what, which, verdict in orders:
        process = three[which]
        match what:
            case "call":
                process.call()
            case "word":
                process.word(verdict)
            case "exchange":
                await process.exchange()
            case _:
                await process.exchange(is_lost=True)
        used = Counter(era for other in three for era in other.admitted.values())
        assert all(count <= RULES.probes for count in used.values())
    await recovered(three)


async def recovered(three: list[Process]) -> None:
    """What is called is well again: whatever came before, all close within some rounds."""
    for _ in range(12):
        for process in three:
            while process.calls:
                process.word("succeeded")
            # A permit that is not used is handed on after a while.
            process.now += 3.0
            await process.exchange()
            process.call()
        if all(isinstance(process.circuit.phase, Closed) for process in three):
            return
    phases = [process.circuit.phase for process in three]
    pytest.fail(f"it never closed again: {phases}")


OPENING: list[Order] = [
    order for n in range(6) for order in (("call", n % 3, "failed"), ("word", n % 3, "failed"))
]


@pytest.mark.timeout(900)
@settings(
    max_examples=400 if os.environ.get("SUREFOOT_TEST_LIMITS") == "all" else 25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(ORDERS, min_size=10, max_size=60))
def test_permits_are_never_exceeded_and_it_always_closes_again(
    redis_server: RedisServer, orders: list[Order]
) -> None:
    everybody: list[Order] = [("exchange", number, "failed") for number in range(3)]
    asyncio.run(ordered(redis_server, [*OPENING, *everybody, *orders]))
