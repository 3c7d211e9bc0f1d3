"""Limits that several processes share over Redis, which is killed and frozen in the midst of it.

SUREFOOT_TEST_LIMITS=all makes it three processes with 1,000 tasks each, and all of the cases.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from rate_workers import Event, Load, workers
from rated import most_in_a_window
from redis_server import RedisServer, own_redis, redis_server, redis_session

__all__ = ["own_redis", "redis_server", "redis_session"]

PROCESSES = 3
IS_ALL = os.environ.get("SUREFOOT_TEST_LIMITS") == "all"
TASKS, ENOUGH = (1000, 600.0) if IS_ALL else (60, 100.0)
in_full_only = pytest.mark.skipif(not IS_ALL, reason="SUREFOOT_TEST_LIMITS=all")
pytestmark = pytest.mark.timeout(ENOUGH + 60)


def load(server: RedisServer, *, seconds: float = 0.0, tokens: int = 0, **limit: Any) -> Load:
    return Load(server.url, "", TASKS, PROCESSES, seconds, tokens, limit, timeout=1.0)


def begun(events: list[Event]) -> list[Event]:
    return [event for event in events if event.what == "begin"]


def most_at_a_time(events: list[Event]) -> int:
    """Calls under way, by what the workers have logged; where times are equal, ends come first."""
    most = running = 0
    for event in sorted(events, key=lambda one: (one.time, one.what == "begin")):
        running += 1 if event.what == "begin" else -1
        most = max(most, running)
    return most


def check_windows(admitted: list[tuple[float, float]], per_second: float, burst: float) -> None:
    """No window holds more than rate and burst; beside them one for rounding at both ends of it."""
    admitted.sort()
    for seconds in (0.01, 0.1, 0.5, 1.0, 3.0, 10.0):
        most = most_in_a_window(admitted, seconds)
        assert most <= per_second * seconds + burst + admitted[0][1], f"{most} in {seconds} s"


def test_a_rate_of_requests(redis_server: RedisServer, tmp_path: Path) -> None:
    per_second = 400.0 if IS_ALL else 100.0
    each = load(redis_server, requests_per_minute=per_second * 60, burst=0.001)
    with workers(each, tmp_path, PROCESSES) as all_of_them:
        assert all_of_them.wait(ENOUGH) == [0] * PROCESSES
        events = begun(all_of_them.events())
    assert len(events) == PROCESSES * TASKS
    assert {event.worker for event in events} == set(range(PROCESSES))
    assert not any(event.is_local for event in events)
    check_windows([(event.at, 1.0) for event in events], per_second, max(1, per_second * 60 * 0.001))


@in_full_only
def test_a_rate_of_tokens(redis_server: RedisServer, tmp_path: Path) -> None:
    per_second = 400_000.0 if IS_ALL else 100_000.0
    each = load(redis_server, tokens=1000, tokens_per_minute=per_second * 60, burst=0.0005)
    with workers(each, tmp_path, PROCESSES) as all_of_them:
        assert all_of_them.wait(ENOUGH) == [0] * PROCESSES
        events = begun(all_of_them.events())
    assert len(events) == PROCESSES * TASKS
    check_windows([(event.at, 1000.0) for event in events], per_second, per_second * 60 * 0.0005)


def test_calls_at_a_time(redis_server: RedisServer, tmp_path: Path) -> None:
    each = load(redis_server, seconds=0.01, concurrency=7)
    with workers(each, tmp_path, PROCESSES) as all_of_them:
        assert all_of_them.wait(ENOUGH) == [0] * PROCESSES
        events = all_of_them.events()
    assert len(begun(events)) == PROCESSES * TASKS
    assert not any(event.is_local for event in events)
    assert 1 < most_at_a_time(events) <= 7


def test_the_places_of_a_killed_process_come_back(redis_server: RedisServer, tmp_path: Path) -> None:
    # Each keeps its place for so long that without its end nobody else gets one.
    held = Load(redis_server.url, "", 3, PROCESSES, 3600.0, 0, {"concurrency": 3}, lease=2.0)
    after = Load(redis_server.url, "", 3, PROCESSES, 0.0, 0, {"concurrency": 3}, lease=2.0)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with workers(held, tmp_path / "a", 1) as first, workers(after, tmp_path / "b", 1) as second:
        first.until(3)
        time.sleep(3)
        # The lease has passed and was renewed.
        assert second.processes[0].poll() is None
        first.kill(0)
        assert second.wait(60) == [0]


@pytest.mark.parametrize("how", ["killed", pytest.param("frozen", marks=in_full_only)])
def test_redis_goes_and_comes_back(own_redis: RedisServer, tmp_path: Path, how: str) -> None:
    """Nobody locks up, each keeps to its part meanwhile, and no window has too much, before, between and after."""
    per_second = 100.0 if IS_ALL else 30.0
    each = load(own_redis, requests_per_minute=per_second * 60, burst=0.002)
    with workers(each, tmp_path, PROCESSES) as all_of_them:
        all_of_them.until(int(per_second))
        if how == "killed":
            own_redis.kill()
            time.sleep(2)
            own_redis.start()
        else:
            with own_redis.frozen():
                time.sleep(3)
        assert all_of_them.wait(ENOUGH) == [0] * PROCESSES
        events = begun(all_of_them.events())
    assert len(events) == PROCESSES * TASKS
    places = [event.is_local for event in events]
    assert True in places
    last_alone = len(places) - 1 - places[::-1].index(True)
    assert last_alone < len(places) - 1, "none is admitted by Redis again"
    # By the time at which they began: when they were admitted is told by different clocks here.
    burst = max(1, per_second * 60 * 0.002)
    times = [(event.time, 1.0) for event in events]
    for seconds in (1.0, 3.0, 6.0):
        # A busy machine lets those begin together that were admitted one after the other.
        assert most_in_a_window(times, seconds) <= per_second * (seconds + 0.5) + burst + PROCESSES
