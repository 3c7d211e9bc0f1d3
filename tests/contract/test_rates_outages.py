"""Limits over Redis while Redis is not there: at the start, in between, hanging, and with its data lost."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator

import pytest

from rated import Making, Turned, admit, admitted, demand, most_in_a_window
from redis_server import RedisServer, own_redis, private_redis, redis_server, redis_session
from surefoot import effects
from surefoot.errors import Throttled
from surefoot.limits import outage
from surefoot.limits.rates import AdmittedPermit, RateLimit, Rates
from surefoot.limits.rates.told import told_by

__all__ = ["own_redis", "redis_server", "redis_session"]


@pytest.fixture
def shared(own_redis: RedisServer) -> Iterator[Making]:
    made = Making(own_redis)
    yield made
    made.close()


def taken(rates: Rates, most: int = 100) -> list[AdmittedPermit]:
    """All that are admitted now."""
    held: list[AdmittedPermit] = []
    try:
        while len(held) < most:
            held.append(admit(rates, demand()))
    except Throttled:
        pass
    return held


def until_back(rates: Rates) -> AdmittedPermit:
    """The first permit that Redis gives again."""
    end_at = time.monotonic() + 30
    while time.monotonic() < end_at:
        try:
            permit = admit(rates, demand())
        except Throttled:
            time.sleep(0.02)
            continue
        if not permit.is_local:
            return permit
        permit.done(0)
        time.sleep(0.02)
    raise AssertionError("Redis is not asked again")


def test_down_at_the_start_each_has_its_part_and_says_so(
    shared: Making, own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    own_redis.kill()
    rates = shared(RateLimit("few", concurrency=7), parts=3, timeout=1.0)
    held = taken(rates)
    assert [permit.is_local for permit in held] == [True, True]
    with pytest.raises(Throttled, match=r"Redis is down, and this process keeps to 1/3"):
        admit(rates, demand())
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    own_redis.start()
    held.pop().done(None)
    back = until_back(rates)
    # What was admitted meanwhile counts: its place is kept there too.
    key = rates._shared._key("places", "few", "p")  # type: ignore[union-attr]
    assert effects.bridged(lambda: shared.opened[0].run("ZCARD", key)) == 2
    for permit in (*held, back):
        permit.done(None)
    shared.settled(rates)
    assert effects.bridged(lambda: shared.opened[0].run("ZCARD", key)) == 0


def test_places_survive_a_server_that_forgets(shared: Making, own_redis: RedisServer) -> None:
    rates = shared(RateLimit("few", concurrency=3), timeout=1.0)
    held = taken(rates)
    assert len(held) == 3
    own_redis.restart(empty=True)
    for _ in range(4):
        # Whether the restart is noticed or not.
        time.sleep(0.2)
        held += taken(rates, 1)
    assert len(held) <= 6
    key = rates._shared._key("places", "few", "p")  # type: ignore[union-attr]
    effects.bridged(rates._shared._renew)  # type: ignore[union-attr]
    assert effects.bridged(lambda: shared.opened[0].run("ZCARD", key)) == len(held)
    for permit in held:
        permit.done(None)


def test_no_second_burst_when_it_goes_and_none_when_it_comes_back(
    shared: Making, own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outage, "SHORTEST", 0.001)
    monkeypatch.setattr(outage, "LONGEST", 0.01)
    clock = Turned()
    limit = RateLimit("rate", requests_per_minute=60, burst=0.1)
    rates = shared(limit, clock=clock, parts=1, timeout=2.0)
    found: list[tuple[float, float]] = []
    local: list[bool] = []

    def go_on(seconds: int) -> None:
        for _ in range(seconds * 2):
            clock.now += 0.5
            time.sleep(0.001)
            for permit in taken(rates):
                found.append((clock.now, 1))
                local.append(permit.is_local)

    go_on(20)
    own_redis.kill()
    go_on(30)
    assert local[-1]
    # With nothing that it knew.
    own_redis.start()
    go_on(60)
    assert not local[-1]
    assert len(found) >= 100
    assert most_in_a_window(found, 60) <= 66
    assert most_in_a_window(found, 10) <= 16


def test_alone_it_keeps_to_its_part_and_begins_without_a_burst(
    shared: Making, own_redis: RedisServer
) -> None:
    clock = Turned()
    rates = shared(RateLimit("rate", requests_per_minute=60, burst=0.1), clock=clock, parts=2, timeout=2.0)
    assert len(taken(rates)) == 6
    clock.now += 3600
    own_redis.kill()
    # The others may have had the burst just now.
    assert taken(rates) == []
    total = 0
    for _ in range(60):
        clock.now += 1
        total += len(taken(rates))
    assert 27 <= total <= 30


def test_what_was_taken_alone_counts_when_it_is_back_with_all_that_it_knew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outage, "SHORTEST", 0.001)
    monkeypatch.setattr(outage, "LONGEST", 0.01)
    clock = Turned()
    with private_redis(keeps=True) as server:
        made = Making(server)
        rates = made(RateLimit("rate", requests_per_minute=60, burst=0.1), clock=clock, timeout=2.0)
        assert len(taken(rates)) == 6
        server.kill()
        clock.now += 3600
        alone = taken(rates)
        for _ in range(6):
            clock.now += 1
            alone += taken(rates)
        assert {permit.is_local for permit in alone} == {True}
        assert len(alone) == 6
        server.start()
        time.sleep(0.1)
        # There everything has drained long ago.
        assert len(taken(rates)) <= 1
        clock.now += 1.1
        assert [permit.is_local for permit in taken(rates)] == [False]
        made.close()


def test_hanging_it_keeps_a_call_for_its_timeout_once(shared: Making, own_redis: RedisServer) -> None:
    rates = shared(RateLimit("few", concurrency=100), timeout=0.5)

    async def call() -> bool:
        permit = await admitted(rates, demand())
        permit.done(None)
        return permit.is_local

    async def work() -> None:
        assert not await call()
        with own_redis.frozen():
            started = time.monotonic()
            answers = await asyncio.gather(*(call() for _ in range(300)))
            assert all(answers)
            # One after the other, on 20 connections, they would take 7.5 s; some seconds more are a slow machine's.
            assert time.monotonic() - started < 5
        for _ in range(1000):
            if not await call():
                return
            await asyncio.sleep(0.02)
        raise AssertionError("Redis is not asked again")

    asyncio.run(work())


def test_who_waits_goes_on_when_it_goes_away(shared: Making, own_redis: RedisServer) -> None:
    rates = shared(RateLimit("one", concurrency=1), timeout=1.0)

    async def call() -> None:
        permit = await admitted(rates, demand(), patience=60)
        await asyncio.sleep(0)
        permit.done(None)

    async def work() -> None:
        held = await admitted(rates, demand())
        tasks = [asyncio.create_task(call()) for _ in range(20)]
        await asyncio.sleep(0.1)
        own_redis.kill()
        held.done(None)
        await asyncio.gather(*tasks)

    asyncio.run(work())


def test_what_one_process_is_told_the_others_keep_to(redis_server: RedisServer) -> None:
    limit = RateLimit("wide", requests_per_minute=60_000)
    one, other = Making(redis_server), Making(redis_server)
    first, second = one(limit), other(limit)
    one.opened[0].prefix = other.opened[0].prefix = "same"
    permit = admit(first, demand())
    permit.answered(429, {"retry-after": "30"})
    permit.done(0)
    one.settled(first)
    with pytest.raises(Throttled, match="another process was told"):
        admit(second, demand(), patience=20)
    one.close()
    other.close()


def test_a_large_demand_is_not_starved_by_small_ones_of_another_process(redis_server: RedisServer) -> None:
    """They take each bit of room as soon as it is there, and it needs all of the burst."""
    limit = RateLimit("words", tokens_per_minute=60_000, burst=0.01)
    one, other = Making(redis_server), Making(redis_server)
    small, large = one(limit), other(limit)
    one.opened[0].prefix = other.opened[0].prefix = "same"
    end_at = time.monotonic() + 30

    async def work() -> int:
        waiting = asyncio.create_task(admitted(large, demand(5000)))
        count = 0
        while not waiting.done() and time.monotonic() < end_at:
            try:
                (await admitted(small, demand(50), patience=0)).done(None)
                count += 1
            except Throttled:
                await asyncio.sleep(0.002)
        assert waiting.done()
        (await waiting).done(None)
        return count

    # Otherwise there would be room for 20 of them in each second, and none for it.
    assert asyncio.run(work()) < 200
    one.close()
    other.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
@pytest.mark.parametrize("kind", ["in process", "on Redis"])
def test_a_forked_child_has_none_of_its_parents_calls(redis_server: RedisServer, kind: str) -> None:
    made = Making(redis_server if kind == "on Redis" else None)
    rates = made(RateLimit("few", concurrency=2))
    held = [admit(rates, demand()) for _ in range(1 if made.is_shared else 2)]
    child = os.fork()
    if child == 0:
        code = 1
        try:
            mine = admit(rates, demand(), patience=20)
            mine.done(None)
            made.settled(rates)
            code = 0 if not made.is_shared or rates._shared._live == {} else 2  # type: ignore[union-attr]
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    for permit in held:
        permit.done(None)
    made.settled(rates)
    for permit in [admit(rates, demand()) for _ in range(2)]:
        permit.done(None)
    made.close()


# What headers tell

WALL = 1_785_000_000.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *(("1s", 1), ("6m0s", 360), ("20ms", 0.02), ("1h2m3.5s", 3600), ("7.66s", 7.66), ("12", 12)),
        *(("2026-07-25T17:20:30Z", 30), ("2026-07-25T17:20:30.5+00:00", 30.5), ("1785000030", 30)),
        *(("", 0), ("soon", 0), ("-5s", 0), ("1e9", 0), ("9" * 400, 0), ("99999999999", 3600), ("nan", 0)),
    ],
)
def test_resets_are_read(text: str, seconds: float) -> None:
    headers = {
        "x-ratelimit-limit-requests": "100",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": text,
    }
    assert told_by(200, headers, WALL).wait == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after": "Sat, 25 Jul 2026 17:20:20 GMT"}, 20),
        *(({"retry-after": text}, 0) for text in ("", "-1", "never", "inf", "Sat, 99 Foo")),
        ({}, 0),
    ],
)
def test_retry_after_is_read(headers: dict[str, str], seconds: float) -> None:
    assert told_by(429, headers, WALL).wait == pytest.approx(seconds)
    assert told_by(503, headers, WALL).wait == 0


def test_the_limits_of_both_forms_are_read() -> None:
    openai = told_by(
        200,
        {
            "x-ratelimit-limit-requests": "500",
            "x-ratelimit-remaining-requests": "499",
            "x-ratelimit-limit-tokens": "30000",
            "x-ratelimit-remaining-tokens": "29000",
        },
        WALL,
    )
    assert (openai.requests, openai.tokens, openai.wait) == (500, 30_000, 0)
    anthropic = told_by(
        200,
        {
            "anthropic-ratelimit-requests-limit": "50",
            "anthropic-ratelimit-requests-remaining": "49",
            "anthropic-ratelimit-requests-reset": "2026-07-25T17:20:01Z",
            "anthropic-ratelimit-output-tokens-limit": "8000",
            "anthropic-ratelimit-output-tokens-remaining": "0",
            "anthropic-ratelimit-output-tokens-reset": "2026-07-25T17:20:42Z",
        },
        WALL,
    )
    assert (anthropic.requests, anthropic.tokens, anthropic.wait) == (50, None, 42)
    assert anthropic.reason == "it has no output tokens left"
