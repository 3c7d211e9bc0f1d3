"""What rate limits promise, in one process and over Redis."""

from __future__ import annotations

import asyncio
import gc
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rated import Making, Turned, admit, admitted, demand, making, most_in_a_window
from redis_server import redis_server, redis_session
from surefoot import effects
from surefoot.errors import Throttled
from surefoot.limits.rates import AdmittedPermit, RateLimit, Rates
from surefoot.values import Caller

__all__ = ["making", "redis_server", "redis_session"]

RPM = RateLimit("calls", requests_per_minute=60)
TPM = RateLimit("words", tokens_per_minute=6000, burst=0.1)


def how_many(rates: Rates, **options: Any) -> int:
    """How many calls are admitted right now, at most 1,000."""
    held: list[AdmittedPermit] = []
    try:
        while len(held) < 1000:
            held.append(admit(rates, demand(**options)))
    except Throttled:
        pass
    count = len(held)
    for permit in held:
        permit.done(None)
    return count


# Rates

ARRIVALS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.0, 0.001, 0.1, 0.4, 1.0, 3.0, 20.0, 90.0]),
        st.sampled_from([0, 1, 40, 100, 600, 900]),
        st.sampled_from([0.0, 0.2, 1.0]),
        st.booleans(),
    ),
    max_size=60,
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(arrivals=ARRIVALS, burst=st.sampled_from([0.01, 0.05, 0.5, 1.0]))
def test_no_window_holds_more_than_the_limit_and_its_burst(
    making: Making, arrivals: list[tuple[float, int, float, bool]], burst: float
) -> None:
    """Whatever the pattern, and whatever is given back in between: requests and tokens."""
    clock = Turned()
    limit = RateLimit("both", requests_per_minute=30, tokens_per_minute=1200, burst=burst)
    rates = making(limit, clock=clock)
    requests: list[tuple[float, float]] = []
    tokens: list[tuple[float, float]] = []
    under_way: list[tuple[AdmittedPermit, int]] = []
    for gap, asked, share, is_settled in arrivals:
        clock.now += gap
        try:
            permit = admit(rates, demand(asked))
        except Throttled:
            continue
        used = int(asked * share)
        requests.append((clock.now, 1))
        tokens.append((clock.now, used))
        under_way.append((permit, used))
        if is_settled:
            for permit, used in under_way:
                permit.done(used)
            under_way.clear()
            making.settled(rates)
    assert most_in_a_window(requests, 60) <= 30 + max(1, 30 * burst) + 1e-6
    largest = max((asked for _, asked, _, _ in arrivals), default=0)
    assert most_in_a_window(tokens, 60) <= 1200 + max(1200 * burst, largest) + 1e-6


def test_a_small_burst_and_then_the_rate(making: Making) -> None:
    clock = Turned()
    rates = making(RPM, clock=clock)
    assert how_many(rates) == 3  # 5 % of 60
    clock.now += 0.99
    assert how_many(rates) == 0
    clock.now += 0.02
    assert how_many(rates) == 1
    total = 0
    for _ in range(120):
        clock.now += 0.5
        total += how_many(rates)
    assert 59 <= total <= 61
    clock.now += 3600
    assert how_many(rates) == 3


def test_a_demand_above_the_burst_waits_for_all_to_drain(making: Making) -> None:
    clock = Turned()
    rates = making(TPM, clock=clock)
    admit(rates, demand(6000)).done(None)
    clock.now += 59.9
    with pytest.raises(Throttled):
        admit(rates, demand(6000))
    clock.now += 0.2
    admit(rates, demand(6000)).done(None)


def test_under_several_limits_it_is_all_or_nothing(making: Making) -> None:
    clock = Turned()
    rates = making(
        RateLimit("tight", of="model", requests_per_minute=60, burst=0.01),
        RateLimit("wide", of="provider", requests_per_minute=600, burst=0.001, concurrency=2),
        clock=clock,
    )
    admit(rates, demand(model="a")).done(None)
    making.settled(rates)
    for _ in range(20):
        # Refused by the tight one, these take nothing from the wide one: neither of its rate nor of its places.
        with pytest.raises(Throttled, match=r"limits\.tight"):
            admit(rates, demand(model="a"))
        clock.now += 0.001
    clock.now += 0.1
    admit(rates, demand(model="b")).done(None)
    with pytest.raises(Throttled, match=r"limits\.wide"):
        admit(rates, demand(model="c"))


def test_each_has_a_limit_of_its_own_and_runs_inside_count_for_both_flows(making: Making) -> None:
    clock = Turned()
    rates = making(
        RateLimit("flows", of="flow", requests_per_minute=1),
        RateLimit("tenants", of="tenant", only="acme-*", requests_per_minute=2, burst=1),
        RateLimit("models", of="model", only="p:gpt-*", requests_per_minute=3, burst=1),
        clock=clock,
    )

    def asks(**caller: Any) -> bool:
        try:
            admit(rates, demand(caller=Caller(**caller))).done(None)
        except Throttled:
            return False
        return True

    assert asks(flows=("outer", "inner"))
    assert not asks(flows=("inner",))
    assert not asks(flows=("outer",))
    assert asks(flows=("other",))
    assert [asks(tenant="acme-eu") for _ in range(3)] == [True, True, False]
    assert asks(tenant="acme-us")
    assert all(asks(tenant="globex") for _ in range(20))
    assert all(asks() for _ in range(20))
    answers = [how_many(rates, model=model) for model in ("gpt-4o", "claude")]
    assert answers == [3, 1000]


def test_bound_says_whether_a_limit_is_about_it(making: Making) -> None:
    rates = making(RateLimit("one", of="model", only="p:m", concurrency=1))
    assert rates.bound(demand(model="m"))
    assert not rates.bound(demand(model="other"))


def test_everything_shares_one(making: Making) -> None:
    rates = making(RateLimit("all", of="everything", concurrency=2))
    held = [admit(rates, demand(provider=name)) for name in ("a", "b")]
    with pytest.raises(Throttled):
        admit(rates, demand(provider="c"))
    for permit in held:
        permit.done(None)


def test_time_that_runs_backwards_stands_still(making: Making) -> None:
    if making.is_shared:
        pytest.skip("there the server's clock counts")
    clock = Turned()
    rates = making(RPM, clock=clock)
    assert how_many(rates) == 3
    clock.now -= 1000
    assert how_many(rates) == 0
    clock.now += 1001.01
    assert how_many(rates) == 1


# Giving back


def test_what_was_not_needed_goes_back_and_what_was_needed_more_is_taken(making: Making) -> None:
    clock = Turned()
    rates = making(TPM, clock=clock)
    permit = admit(rates, demand(600))
    with pytest.raises(Throttled):
        admit(rates, demand(1))
    permit.done(100)
    permit.done(0)  # the first word counts
    making.settled(rates)
    admit(rates, demand(500)).done(1100)
    making.settled(rates)
    clock.now += 5.99
    with pytest.raises(Throttled):
        admit(rates, demand(1))
    clock.now += 0.1
    admit(rates, demand(1)).done(None)


def test_what_has_drained_meanwhile_is_not_given_a_second_time(making: Making) -> None:
    clock = Turned()
    rates = making(TPM, clock=clock)
    late = admit(rates, demand(600))
    clock.now += 5.9
    other = admit(rates, demand(500))
    late.done(0)
    making.settled(rates)
    with pytest.raises(Throttled):
        admit(rates, demand(400))
    other.done(0)
    making.settled(rates)
    admit(rates, demand(400)).done(None)


# Calls at a time


def test_places_are_freed_once_also_those_of_lost_permits(making: Making) -> None:
    rates = making(RateLimit("few", concurrency=2))
    first, second = (admit(rates, demand()) for _ in range(2))
    with pytest.raises(Throttled, match="concurrency = 2"):
        admit(rates, demand())
    first.done(None)
    first.done(None)
    making.settled(rates)
    third = admit(rates, demand())
    with pytest.raises(Throttled):
        admit(rates, demand())
    del second
    gc.collect()
    # Nobody says that it is over, and who waits for its place is not let down.
    fourth = admit(rates, demand(), patience=30)
    with pytest.raises(Throttled):
        admit(rates, demand())
    third.done(None)
    fourth.done(None)


def test_first_come_first_served(making: Making) -> None:
    rates = making(RateLimit("one", concurrency=1))
    order: list[int] = []

    async def work() -> None:
        held = await admitted(rates, demand())

        async def call(number: int) -> None:
            permit = await admitted(rates, demand())
            order.append(number)
            await asyncio.sleep(0)
            permit.done(None)

        tasks = []
        for number in range(20):
            tasks.append(asyncio.create_task(call(number)))
            await waiting(rates, number + 1)
        held.done(None)
        await asyncio.gather(*tasks)

    asyncio.run(work())
    assert order == list(range(20))


async def waiting(rates: Rates, count: int) -> None:
    """Until so many wait in line."""
    accounts = rates._accounts
    for _ in range(20_000):
        lines = [one.line for one in (*accounts._accounts.values(), *accounts._endpoints.values())]
        if sum(len(line.turns) for line in lines) == count:
            return
        await asyncio.sleep(0.001)
    raise AssertionError(f"there are never {count} in line")


def test_who_is_cancelled_costs_the_others_nothing(making: Making) -> None:
    rates = making(RateLimit("one", concurrency=1))
    order: list[int] = []

    async def work() -> None:
        held = await admitted(rates, demand())

        async def call(number: int) -> None:
            permit = await admitted(rates, demand())
            order.append(number)
            permit.done(None)

        tasks = []
        for number in range(6):
            tasks.append(asyncio.create_task(call(number)))
            await waiting(rates, number + 1)
        for number in (0, 3, 5):
            tasks[number].cancel()
        await waiting(rates, 3)
        held.done(None)
        await asyncio.gather(*tasks, return_exceptions=True)
        assert [task.cancelled() for task in tasks] == [True, False, False, True, False, True]

    asyncio.run(work())
    assert order == [1, 2, 4]
    making.settled(rates)
    admit(rates, demand()).done(None)


def test_cancelled_at_any_moment_nothing_is_lost(making: Making) -> None:
    """Also in the midst of the step that admits it."""
    limit = RateLimit("both", concurrency=3, tokens_per_minute=60_000, burst=0.1)
    # So long a lease that nothing comes back by its end.
    rates = making(limit, lease=3600.0)

    async def work() -> None:
        async def call() -> None:
            permit = await admitted(rates, demand(1000))
            try:
                await asyncio.sleep(0)
            finally:
                permit.done(0)

        for turn in range(40):
            tasks = [asyncio.create_task(call()) for _ in range(6)]
            for _ in range(turn % 9):
                await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        # All is back: three places, and the rate as if nothing had been.
        held = await asyncio.gather(*(admitted(rates, demand(1000), patience=20) for _ in range(3)))
        for permit in held:
            permit.done(0)

    asyncio.run(work())
    making.settled(rates)
    account = next(iter(rates._accounts._accounts.values()))
    assert account.running == 0
    assert account.line.turns == []


# Patience


def test_who_cannot_be_admitted_in_time_learns_it_at_once(making: Making) -> None:
    clock = Turned()
    rates = making(RateLimit("slow", requests_per_minute=1), clock=clock)
    admit(rates, demand()).done(None)
    with pytest.raises(Throttled) as caught:
        admit(rates, demand(), patience=30)
    said = str(caught.value)
    for part in (
        *("'slow'", "provider 'p'", "[limits.slow] requests_per_minute = 1", "60.0 s", "30.0 s", "raise the"),
    ):
        assert part in said
    assert caught.value.retry_after == pytest.approx(60, abs=0.1)
    assert (caught.value.provider, caught.value.model) == ("p", "m")


def test_those_in_line_count_for_the_forecast(making: Making) -> None:
    rates = making(RateLimit("slow", requests_per_minute=6))

    async def work() -> None:
        (await admitted(rates, demand())).done(None)
        tasks = []
        for number in range(2):
            tasks.append(asyncio.create_task(admitted(rates, demand(), patience=3600)))
            await waiting(rates, number + 1)
        # 10 s for each of the two, and 10 s for itself.
        with pytest.raises(Throttled) as caught:
            await admitted(rates, demand(), patience=15)
        assert caught.value.retry_after is not None
        assert 20 < caught.value.retry_after <= 30
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await waiting(rates, 0)

    asyncio.run(work())


def test_where_nobody_can_tell_patience_is_waited_for(making: Making) -> None:
    rates = making(RateLimit("one", concurrency=1))

    async def work() -> None:
        held = await admitted(rates, demand())
        with pytest.raises(Throttled, match=r"\[limits.one\] concurrency = 1"):
            await admitted(rates, demand(), patience=0.05)
        held.done(None)
        (await admitted(rates, demand())).done(None)

    asyncio.run(work())


def test_blocking_code_that_waits_sees_that_its_run_stops(making: Making) -> None:
    rates = making(RateLimit("one", concurrency=1))
    held = admit(rates, demand())
    pauses: list[float] = []

    class Stopped(Exception):
        pass

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            raise Stopped

    with pytest.raises(Stopped):
        admit(rates, demand(), patience=600, pause=pause)
    assert pauses == [0.0, 0.0]
    held.done(None)
    making.settled(rates)
    admit(rates, demand()).done(None)


# What providers tell


def test_a_429_holds_back_all_that_ask_the_same(making: Making) -> None:
    clock = Turned()
    rates = making(RateLimit("wide", requests_per_minute=6000), clock=clock)
    permit = admit(rates, demand())
    permit.answered(429, {"retry-after": "20"})
    permit.done(0)
    making.settled(rates)
    with pytest.raises(Throttled, match=r"asked to be left alone \(it answered with 429\)") as caught:
        admit(rates, demand(), patience=19)
    assert caught.value.retry_after == pytest.approx(20, abs=0.1)
    admit(rates, demand(model="another")).done(None)
    clock.now += 20.01
    admit(rates, demand()).done(None)


def test_without_any_limit_a_429_is_heeded_too(making: Making) -> None:
    clock = Turned()
    rates = making(clock=clock)
    permit = admit(rates, demand())
    permit.answered(429, {"retry-after-ms": "1500"})
    assert rates.bound(demand())
    with pytest.raises(Throttled):
        admit(rates, demand())
    clock.now += 1.6
    admit(rates, demand()).done(None)


def test_rates_that_are_told_hold_where_they_are_lower_and_for_a_while(making: Making) -> None:
    clock = Turned()
    rates = making(RateLimit("set", requests_per_minute=600, burst=0.1), clock=clock)
    permit = admit(rates, demand())
    permit.answered(200, {"x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-requests": "59"})
    permit.done(None)
    making.settled(rates)
    assert how_many(rates) == 6  # 10 % of 60
    making.settled(rates)
    clock.now += 10
    total = 0
    for _ in range(30):
        clock.now += 1
        total += how_many(rates)
    assert total <= 36
    # A higher one than is set changes nothing.
    clock.now += 60
    permit = admit(rates, demand())
    permit.answered(200, {"x-ratelimit-limit-requests": "100000"})
    permit.done(None)
    clock.now += 301
    making.settled(rates)
    assert how_many(rates) == 60


def test_what_is_used_up_is_left_alone_until_its_reset(making: Making) -> None:
    clock = Turned()
    rates = making(RateLimit("set", tokens_per_minute=600_000), clock=clock)
    permit = admit(rates, demand(10))
    headers = {
        "x-ratelimit-limit-tokens": "1000000",
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "1m30s",
    }
    permit.answered(200, headers)
    permit.done(10)
    making.settled(rates)
    with pytest.raises(Throttled, match="it has no tokens left"):
        admit(rates, demand(10), patience=89)
    clock.now += 90.1
    admit(rates, demand(10)).done(None)


def test_nothing_is_learned_where_it_is_not_wanted(making: Making) -> None:
    clock = Turned()
    rates = making(RateLimit("set", requests_per_minute=600, burst=0.1, learn=False), clock=clock)
    permit = admit(rates, demand())
    permit.answered(200, {"x-ratelimit-limit-requests": "1", "x-ratelimit-remaining-requests": "0"})
    permit.done(None)
    assert how_many(rates) == 59


# Many at once


def test_a_thousand_tasks_at_once(making: Making) -> None:
    rates = making(RateLimit("few", concurrency=20))
    running = most = done = 0

    async def call() -> None:
        nonlocal running, most, done
        permit = await admitted(rates, demand(), patience=600)
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        done += 1
        permit.done(None)

    async def work() -> None:
        await asyncio.gather(*(call() for _ in range(1000)))

    asyncio.run(work())
    assert done == 1000
    assert 1 < most <= 20


def test_a_thousand_tasks_under_a_rate(making: Making) -> None:
    limit = RateLimit("rate", requests_per_minute=60_000, tokens_per_minute=60_000_000, burst=0.0001)
    rates = making(limit)
    times: list[float] = []

    async def call() -> None:
        permit = await admitted(rates, demand(1000), patience=600)
        times.append(permit.at)
        permit.done(1000)

    async def work() -> None:
        await asyncio.gather(*(call() for _ in range(1000)))

    asyncio.run(work())
    times.sort()
    assert len(times) == 1000
    for seconds in (0.01, 0.1, 0.5):
        most = most_in_a_window([(at, 1) for at in times], seconds)
        assert most <= 1000 * seconds + 6 + 1


def test_threads_and_tasks_share_a_limit(making: Making) -> None:
    rates = making(RateLimit("few", concurrency=4))
    lock = threading.Lock()
    running: list[int] = []
    most = done = 0

    def begin() -> None:
        nonlocal most
        with lock:
            running.append(1)
            most = max(most, len(running))

    def end() -> None:
        nonlocal done
        with lock:
            running.pop()
            done += 1

    def blocking() -> None:
        permit = admit(rates, demand(), patience=600)
        begin()
        end()
        permit.done(None)

    async def call() -> None:
        permit = await admitted(rates, demand(), patience=600)
        begin()
        await asyncio.sleep(0.001)
        end()
        permit.done(None)

    async def work() -> None:
        await asyncio.gather(*(call() for _ in range(60)))

    with ThreadPoolExecutor(12) as pool:
        futures = [pool.submit(blocking) for _ in range(60)]
        futures.append(pool.submit(asyncio.run, work()))
        asyncio.run(work())
        for future in futures:
            future.result()
    assert done == 180
    assert most <= 4
    effects.bridged(lambda: asyncio.sleep(0))
