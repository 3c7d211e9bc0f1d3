"""The connection to Redis that limits share, against a real server that is killed, frozen and started again."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from redis_server import RedisServer, own_redis, private_redis, redis_server, redis_session
from surefoot import effects
from surefoot.errors import ConfigError, MissingExtra
from surefoot.limits.outage import Outage
from surefoot.limits.redis import Script, SharedRedis, Unavailable

__all__ = ["own_redis", "redis_server", "redis_session"]

DOUBLE = Script("return redis.call('INCRBY', KEYS[1], ARGV[1] * 2)")


_open: list[SharedRedis] = []


@pytest.fixture(autouse=True)
def closing() -> Iterator[None]:
    yield
    while _open:
        _open.pop().close()


def connected(server: RedisServer, *, password: str | None = None, **options: Any) -> SharedRedis:
    _open.append(SharedRedis(lambda: server.url, lambda: password, **options))
    return _open[-1]


async def until_back(redis: SharedRedis) -> None:
    """Ask until it answers, for some seconds at most."""
    end_at = time.monotonic() + 30
    while time.monotonic() < end_at:
        try:
            await redis.run("PING")
        except Unavailable:
            await asyncio.sleep(0.02)
        else:
            return
    raise AssertionError("Redis did not come back")


def test_commands_scripts_and_several_at_once(redis_server: RedisServer) -> None:
    redis = connected(redis_server, prefix="p")

    async def work() -> None:
        assert redis.key("a", "b") == "p:a:b"
        assert await redis.run("SET", redis.key("a"), b"\x00\xff") == b"OK"
        assert await redis.run("GET", "p:a") == b"\x00\xff"
        assert await redis.script(DOUBLE, ["n"], [4]) == 8
        assert await redis.script(DOUBLE, ["n"], [1]) == 10
        assert await redis.run_all([("GET", "n"), ("GET", "none")]) == [b"10", None]

    asyncio.run(work())


def test_a_loop_that_is_held_up_is_no_outage(redis_server: RedisServer) -> None:
    redis = connected(redis_server, timeout=0.2)

    async def work() -> None:
        await redis.run("PING")
        asked = asyncio.create_task(redis.run("ECHO", "here"))
        await asyncio.sleep(0)
        # The answer lies there long before anybody can look.
        time.sleep(1.0)  # noqa: ASYNC251  (this is what is tried)
        assert await asked == b"here"
        assert not redis.is_down

    asyncio.run(work())


def test_a_thousand_tasks_on_few_connections(redis_server: RedisServer) -> None:
    redis = connected(redis_server, connections=5, timeout=60.0)

    async def work() -> None:
        await asyncio.gather(*(redis.script(DOUBLE, ["n"], [1]) for _ in range(1000)))
        assert await redis.run("GET", "n") == b"2000"
        clients = (await redis.run("CLIENT", "LIST")).decode().splitlines()
        assert len(clients) <= 6

    asyncio.run(work())


def test_each_loop_has_connections_of_its_own_and_they_end_with_it(redis_server: RedisServer) -> None:
    redis = connected(redis_server)

    def clients() -> int:
        return len(effects.bridged(lambda: redis.run("CLIENT", "LIST")).decode().splitlines())

    before = clients()
    for _ in range(3):
        asyncio.run(redis.run("INCR", "n"))
    threads = [threading.Thread(target=lambda: asyncio.run(redis.run("INCR", "n"))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert effects.bridged(lambda: redis.run("GET", "n")) == b"6"
    end_at = time.monotonic() + 10
    while clients() > before and time.monotonic() < end_at:
        time.sleep(0.01)
    assert clients() == before


def test_it_counts_as_down_once_and_scripts_work_after_a_restart(
    own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    redis = connected(own_redis)
    caplog.set_level(logging.INFO, "surefoot.limits")

    async def work() -> None:
        assert await redis.script(DOUBLE, ["n"], [1]) == 2
        own_redis.kill()
        answers = await asyncio.gather(*(redis.run("GET", "n") for _ in range(100)), return_exceptions=True)
        assert {type(answer) for answer in answers} == {Unavailable}
        assert redis.is_down
        own_redis.start()
        await until_back(redis)
        assert not redis.is_down
        assert await redis.script(DOUBLE, ["n"], [2]) == 4

    asyncio.run(work())
    said = [(record.levelname, record.getMessage().split(":")[0]) for record in caplog.records]
    assert said == [("WARNING", "Redis is down"), ("INFO", "Redis is back")]
    assert "Limits, breakers and the cache" in caplog.records[0].getMessage()


def test_a_restart_between_two_commands_goes_unnoticed(own_redis: RedisServer) -> None:
    redis = connected(own_redis)

    async def work() -> None:
        await asyncio.gather(*(redis.run("PING") for _ in range(10)))
        own_redis.restart()
        await asyncio.sleep(0.05)  # the loop sees that the connections are gone
        assert await redis.run("PING") in (b"PONG", "PONG", True)

    asyncio.run(work())


def test_a_server_that_hangs_keeps_callers_once_and_not_each(own_redis: RedisServer) -> None:
    redis = connected(own_redis, connections=2, timeout=0.5)

    async def work() -> None:
        await redis.run("PING")
        with own_redis.frozen():
            started = time.monotonic()
            answers = await asyncio.gather(
                *(redis.run("GET", "n") for _ in range(200)), return_exceptions=True
            )
            # One after the other on two connections they would wait for 50 seconds.
            assert time.monotonic() - started < 20
            assert {type(answer) for answer in answers} == {Unavailable}
        await until_back(redis)
        assert await redis.run("SET", "n", 1) == b"OK"
        assert await redis.run("GET", "n") == b"1"

    asyncio.run(work())


def test_who_is_cancelled_leaves_no_answer_to_the_next(redis_server: RedisServer) -> None:
    redis = connected(redis_server, connections=1)

    async def work() -> None:
        await redis.run("SET", "n", "right")
        for _ in range(20):
            task = asyncio.create_task(redis.run("ECHO", "wrong"))
            await asyncio.sleep(0)
            task.cancel()
            assert await redis.run("GET", "n") == b"right"
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(work())


def test_what_the_server_refuses_of_one_command_does_not_count_as_down(redis_server: RedisServer) -> None:
    redis = connected(redis_server)

    async def work() -> None:
        await redis.run("SET", "n", "text")
        with pytest.raises(Unavailable, match="not an integer"):
            await redis.run("INCR", "n")
        assert not redis.is_down
        assert await redis.run("GET", "n") == b"text"

    asyncio.run(work())


def test_passwords(caplog: pytest.LogCaptureFixture) -> None:
    with private_redis(password="sesame") as server:
        right = connected(server, password="sesame")
        assert effects.bridged(lambda: right.run("SET", "n", 1)) == b"OK"
        wrong = connected(server, password="simsalabim")
        with pytest.raises(Unavailable):
            effects.bridged(lambda: wrong.run("GET", "n"))
        assert wrong.is_down
        assert "simsalabim" not in caplog.text


def test_without_the_driver_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(MissingExtra, match=r"surefoot\[redis\]"):
        SharedRedis(lambda: "redis://127.0.0.1:1")


def test_an_address_that_is_none() -> None:
    redis = SharedRedis(lambda: "http://nowhere")
    with pytest.raises(ConfigError, match=r"redis://HOST:6379/0"):
        effects.bridged(lambda: redis.run("PING"))


def test_what_is_posted_arrives_and_is_dropped_while_it_is_down(own_redis: RedisServer) -> None:
    redis = connected(own_redis)

    async def work() -> None:
        for _ in range(500):
            redis.post("INCR", "n")
            redis.post_script(DOUBLE, ["m"], [1])
        await redis.flush()
        assert await redis.run_all([("GET", "n"), ("GET", "m")]) == [b"500", b"1000"]
        own_redis.kill()
        redis.post("INCR", "n")
        await redis.flush()
        assert redis.is_down
        redis.post("INCR", "n")
        own_redis.start()
        await until_back(redis)
        redis.post_script(DOUBLE, ["m"], [1])
        await redis.flush()
        assert await redis.run_all([("GET", "n"), ("GET", "m")]) == [None, b"2"]

    asyncio.run(work())


def test_close_sends_what_was_posted_and_nothing_is_posted_behind_it(redis_server: RedisServer) -> None:
    redis, other = connected(redis_server), connected(redis_server)
    for _ in range(1000):
        redis.post("INCR", "n")
    redis.close()
    redis.post("INCR", "n")
    assert effects.bridged(lambda: other.run("GET", "n")) == b"1000"
    assert effects.bridged(lambda: redis.run("GET", "n")) == b"1000"
    redis.post("INCR", "n")
    effects.bridged(redis.flush)
    assert effects.bridged(lambda: other.run("GET", "n")) == b"1001"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_has_connections_of_its_own(redis_server: RedisServer) -> None:
    redis = connected(redis_server)
    assert effects.bridged(lambda: redis.run("SET", "n", 1)) == b"OK"
    child = os.fork()
    if child == 0:
        code = 1
        try:
            redis.post("INCR", "n")
            for _ in range(100):
                effects.bridged(lambda: redis.run("INCR", "n"))
            effects.bridged(redis.flush)
            code = 0
        finally:
            os._exit(code)
    for _ in range(100):
        assert isinstance(effects.bridged(lambda: redis.run("INCR", "m")), int)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert effects.bridged(lambda: redis.run("GET", "n")) == b"102"


# What counts as down, by a clock of the test's own


def outage(now: list[float]) -> Outage:
    return Outage("it", "", logger=logging.getLogger("surefoot.test"), trial=2.0, clock=lambda: now[0])


def in_steps(now: list[float], is_so: Callable[[], bool], step: float = 0.05) -> float:
    """How long it takes until something is so."""
    begun = now[0]
    while not is_so():
        now[0] += step
        assert now[0] < begun + 100
    return now[0] - begun


def test_one_at_a_time_tries_it_again() -> None:
    now = [100.0]
    its = outage(now)
    assert its.lets_through()
    its.failed("refused")
    assert its.is_on
    assert not its.lets_through()
    assert 0.1 <= in_steps(now, its.lets_through) <= 0.3
    assert not its.lets_through()
    # The one that tries it is never heard of again: another may.
    assert 1.9 <= in_steps(now, its.lets_through) <= 2.1
    its.succeeded()
    assert not its.is_on
    assert its.lets_through()
    assert its.lets_through()


def test_the_while_grows_with_each_trial_and_not_with_each_caller() -> None:
    now = [100.0]
    its = outage(now)
    for _ in range(50):
        its.failed("refused")
    waits: list[float] = []
    for _ in range(8):
        waits.append(in_steps(now, its.lets_through))
        its.failed("refused")
    assert waits[0] <= 0.3
    assert 0.2 <= waits[1] <= 0.6
    assert all(2.4 <= wait <= 5.1 for wait in waits[5:])
