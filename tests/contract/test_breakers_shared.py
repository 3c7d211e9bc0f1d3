"""Breakers that share what they know over a real Redis: several registries stand for several processes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from redis_server import RedisServer, own_redis, redis_server, redis_session
from surefoot.errors import BreakerOpen
from surefoot.limits import SharedRedis
from surefoot.limits.breakers import Breakers, Reading, Rules, Trial
from surefoot.limits.breakers.circuit import HOLD_SECONDS
from surefoot.limits.breakers.phases import HalfOpen
from surefoot.limits.breakers.sharing import INTERVAL

__all__ = ["own_redis", "redis_server", "redis_session"]

SECONDS = 30
RULES = Rules(minimum=10, cooldown=1.0, cooldown_cap=8.0, window=60.0)


@contextmanager
def processes(server: RedisServer, count: int, rules: Rules = RULES) -> Iterator[list[Breakers]]:
    """As many registries, each with a connection of its own."""
    with ExitStack() as stack:
        made: list[Breakers] = []
        for _ in range(count):
            url = server.url
            redis = SharedRedis(lambda url=url: url, timeout=0.5)  # type: ignore[misc]
            breakers = Breakers({"db": rules}, redis=redis)
            stack.callback(redis.close)
            stack.callback(breakers.close)
            made.append(breakers)
        yield made


def until(what: Callable[[], bool]) -> None:
    end_at = time.monotonic() + SECONDS
    while not what():
        assert time.monotonic() < end_at, "it never came to that"
        time.sleep(0.01)


def reading(breakers: Breakers) -> Reading:
    return breakers.readings()[0]


def state(breakers: Breakers) -> str:
    return reading(breakers).state


def let_through(breakers: Breakers) -> Trial | None:
    try:
        return breakers.enter("db")
    except BreakerOpen:
        return None


def a_trial(breakers: Breakers) -> Trial:
    """The first call that is let through again."""
    found: list[Trial] = []
    until(lambda: (trial := let_through(breakers)) is not None and not found.append(trial))
    return found[0]


def fail(breakers: Breakers, count: int) -> None:
    for _ in range(count):
        breakers.enter("db").failed()


def known(*all_of_them: Breakers) -> None:
    """Each knows of the breaker, by a call that told nothing of it."""
    for breakers in all_of_them:
        breakers.enter("db").dropped()


def test_another_process_learns_that_it_is_down_and_that_it_is_back(redis_server: RedisServer) -> None:
    with processes(redis_server, 2) as (first, second):
        known(second)
        fail(first, 10)
        began = time.monotonic()
        until(lambda: state(second) == "open")
        # Far above what it takes, and far below what it would take without Redis: for ever.
        assert time.monotonic() - began < 10
        assert reading(second).why == reading(first).why == "10 of 10 calls failed in 60 s"
        assert reading(second).is_shared
        with pytest.raises(BreakerOpen, match="10 of 10 calls failed in 60 s"):
            second.enter("db")
        a_trial(second).succeeded()
        until(lambda: (state(first), state(second)) == ("closed", "closed"))


def test_failures_that_are_too_few_in_each_process_are_enough_in_all(redis_server: RedisServer) -> None:
    with processes(redis_server, 3) as three:
        for breakers in three:
            fail(breakers, 4)
        until(lambda: [state(breakers) for breakers in three] == ["open"] * 3)
        assert {reading(breakers).why for breakers in three} == {"12 of 12 calls failed in 60 s"}


def test_one_of_three_that_reaches_nothing_keeps_that_to_itself(redis_server: RedisServer) -> None:
    """A machine with a broken network must not shut the others off."""
    rules = Rules(minimum=10, cooldown=60.0, window=60.0)
    with processes(redis_server, 3, rules) as (broken, *well):
        for breakers in well:
            for _ in range(20):
                breakers.enter("db").succeeded()
        time.sleep(2 * INTERVAL)
        fail(broken, 10)
        assert state(broken) == "open"
        time.sleep(3 * INTERVAL)
        assert [state(breakers) for breakers in well] == ["closed", "closed"]
        assert not reading(broken).is_shared
        # Where half of them find it down, it is down for all.
        for _ in range(40):
            if (trial := let_through(well[0])) is not None:
                trial.failed()
        until(lambda: state(well[1]) == "open")


def test_permits_are_counted_over_all_processes(redis_server: RedisServer) -> None:
    rules = Rules(minimum=10, cooldown=1.0, window=60.0, probes=2)
    with processes(redis_server, 3, rules) as three:
        known(*three)
        fail(three[0], 10)
        until(lambda: [state(breakers) for breakers in three] == ["open"] * 3)
        trials: list[Trial] = []
        end_at = time.monotonic() + 2.5
        while time.monotonic() < end_at:
            trials += [trial for breakers in three for _ in range(20) if (trial := let_through(breakers))]
        assert len(trials) == 2
        trials[0].succeeded()
        time.sleep(2 * INTERVAL)
        assert [let_through(breakers) for breakers in three] == [None] * 3
        trials[1].succeeded()
        until(lambda: [state(breakers) for breakers in three] == ["closed"] * 3)


def test_a_probe_that_fails_in_one_process_opens_it_in_all_for_twice_as_long(
    redis_server: RedisServer,
) -> None:
    with processes(redis_server, 2) as (first, second):
        known(second)
        fail(first, 10)
        until(lambda: state(second) == "open")
        a_trial(second).failed()
        until(lambda: (reading(first).failures, reading(second).failures) == (1, 1))
        assert (state(first), state(second)) == ("open", "open")
        assert 0.8 < reading(second).retry_after <= 2.0


def test_a_process_that_died_with_a_permit_gives_it_back_by_its_lease(redis_server: RedisServer) -> None:
    rules = Rules(minimum=10, cooldown=0.5, window=60.0, lease=2.0)
    with processes(redis_server, 2, rules) as (dying, other):
        known(other)
        fail(dying, 10)
        until(lambda: state(other) == "open")
        held = a_trial(dying)
        taken_at = time.monotonic()
        a_trial(other).succeeded()
        assert time.monotonic() - taken_at > 1.0
        until(lambda: state(other) == "closed")
        held.dropped()


def test_a_permit_that_is_not_used_is_handed_on(redis_server: RedisServer) -> None:
    rules = Rules(minimum=10, cooldown=0.5, window=60.0, lease=600.0)
    with processes(redis_server, 2, rules) as (idle, busy):
        known(busy)
        fail(idle, 10)
        until(lambda: state(busy) == "open")
        assert let_through(idle) is None
        # It has called and been refused, so a permit is fetched for it.
        circuit = idle._breakers["db"].circuit
        until(lambda: isinstance(circuit.phase, HalfOpen) and bool(circuit.phase.grants))
        began = time.monotonic()
        a_trial(busy).succeeded()
        assert time.monotonic() - began < HOLD_SECONDS + 20
        until(lambda: state(idle) == "closed")


def test_while_redis_is_down_each_decides_for_itself_and_behind_it_all_agree_again(
    own_redis: RedisServer,
) -> None:
    rules = Rules(minimum=10, cooldown=2.0, window=60.0)
    with processes(own_redis, 2, rules) as (first, second):
        known(second)
        fail(first, 10)
        until(lambda: (state(first), state(second)) == ("open", "open"))
        own_redis.kill()
        until(lambda: not reading(first).is_shared and not reading(second).is_shared)
        # Open as before, each with permits of its own.
        assert {state(first), state(second)} <= {"open", "half-open"}
        a_trial(first).failed()
        a_trial(second).succeeded()
        assert (state(first), state(second)) == ("open", "closed")
        began = time.monotonic()
        for _ in range(200):
            second.enter("db").succeeded()
        assert time.monotonic() - began < 5
        own_redis.start()
        # Back: what one finds out the other learns again.
        until(lambda: state(first) == "open")
        a_trial(first).succeeded()
        until(lambda: state(first) == "closed")

        def fails_over_all() -> bool:
            if (trial := let_through(second)) is not None:
                trial.failed()
            return state(first) == "open" and reading(first).is_shared

        until(fails_over_all)


def test_a_redis_that_has_lost_everything_is_told_again(own_redis: RedisServer) -> None:
    rules = Rules(minimum=10, cooldown=30.0, window=60.0)
    with processes(own_redis, 2, rules) as (first, second):
        known(second)
        fail(first, 10)
        until(lambda: (state(first), state(second)) == ("open", "open"))
        own_redis.restart(empty=True)
        with processes(own_redis, 1, rules) as (third,):
            known(third)
            until(lambda: state(third) == "open")
            assert reading(third).why == "10 of 10 calls failed in 60 s"
            assert 0 < reading(third).retry_after < 30


def test_a_redis_that_hangs_holds_nobody_up(own_redis: RedisServer) -> None:
    with processes(own_redis, 1) as (only,), own_redis.frozen():
        slowest = 0.0
        fail(only, 10)
        end_at = time.monotonic() + 1.5
        while time.monotonic() < end_at:
            began = time.monotonic()
            if (trial := let_through(only)) is not None:
                trial.failed()
            slowest = max(slowest, time.monotonic() - began)
            time.sleep(0.001)
        assert slowest < 2.0
        until(lambda: not reading(only).is_shared)
        a_trial(only).succeeded()
        assert state(only) == "closed"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_shares_on_its_own_and_leaves_its_parents_permits(redis_server: RedisServer) -> None:
    rules = Rules(minimum=10, cooldown=0.5, window=60.0, lease=600.0)
    with processes(redis_server, 1, rules) as (parent,):
        fail(parent, 10)
        held = a_trial(parent)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                # The one permit is the parent's; the child learns from Redis when it is closed.
                time.sleep(1.0)
                if let_through(parent) is None:
                    until(lambda: let_through(parent) is not None)
                    code = 0
            finally:
                os._exit(code)
        time.sleep(2.5)
        held.succeeded()
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        until(lambda: state(parent) == "closed")
