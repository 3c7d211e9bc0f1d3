"""One breaker over three processes with many tasks each: as many probes reach the server as there are permits.

`SUREFOOT_TEST_LIMITS=all` takes 1,000 tasks in each process, and more rounds.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import pytest

from redis_server import RedisServer, own_redis

__all__ = ["own_redis"]

IS_WHOLE = os.environ.get("SUREFOOT_TEST_LIMITS") == "all"
TASKS = 1_000 if IS_WHOLE else 60
ROUNDS = 5 if IS_WHOLE else 1
PROCESSES = 3
SECONDS = 120

pytestmark = pytest.mark.timeout(900 if IS_WHOLE else 240)
WORKER = Path(__file__).parents[1] / "support" / "breaker_worker.py"


class Server:
    """A server that is well, or fails at once, or holds all that come until it is told how to answer them."""

    def __init__(self) -> None:
        self.mode = "well"
        self.came = 0
        self.port = 0
        self._held: list[asyncio.StreamWriter] = []
        self._loop = asyncio.new_event_loop()
        self._is_over = threading.Event()
        self._is_up = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._is_up.wait(SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        self.become("down")
        self._is_over.set()
        self._thread.join()

    def become(self, mode: str) -> None:
        """Answer so from now on, those that are held as well; who comes from now on is counted from 0."""
        done = threading.Event()

        def change() -> None:
            self.mode, self.came = mode, 0
            held, self._held = self._held, []
            for writer in held:
                self._serve(writer)
            done.set()

        self._loop.call_soon_threadsafe(change)
        assert done.wait(SECONDS)

    def _run(self) -> None:
        async def serve() -> None:
            async with await asyncio.start_server(self._met, "127.0.0.1", 0, backlog=1024) as server:
                self.port = server.sockets[0].getsockname()[1]
                self._is_up.set()
                await asyncio.to_thread(self._is_over.wait)

        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(serve())

    async def _met(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.came += 1
        self._serve(writer)

    def _serve(self, writer: asyncio.StreamWriter) -> None:
        if self.mode == "holding":
            self._held.append(writer)
            return
        with suppress(OSError):
            writer.write(b"well\n" if self.mode == "well" else b"down\n")
        writer.close()


class Worker:
    """One of the processes, and how it stands."""

    def __init__(self, redis: RedisServer, server: Server, settings: dict[str, Any]) -> None:
        arguments = [redis.url, str(server.port), str(TASKS), json.dumps(settings)]
        self._process = subprocess.Popen(
            [sys.executable, str(WORKER), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        self.stands: dict[str, Any] = {"state": "", "under_way": 1, "is_shared": False}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def close(self) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        code = self._process.wait(SECONDS)
        self._reader.join()
        self._process.stdout.close()
        return code

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.stands = json.loads(line)


@contextmanager
def workers(redis: RedisServer, server: Server, **settings: Any) -> Iterator[list[Worker]]:
    with ExitStack() as stack:
        made: list[Worker] = []
        for _ in range(PROCESSES):
            made.append(Worker(redis, server, settings))
            stack.callback(made[-1].close)
        yield made
        assert [worker.close() for worker in made] == [0] * PROCESSES
        stack.pop_all()


def until(what: Callable[[], bool], says: str) -> None:
    end_at = time.monotonic() + SECONDS
    while not what():
        assert time.monotonic() < end_at, f"it never came to that: {says}"
        time.sleep(0.02)


def all_of(three: list[Worker], name: str, *values: object) -> bool:
    return all(worker.stands[name] in values for worker in three)


def goes_down(server: Server, three: list[Worker]) -> None:
    """The server fails until every process has opened and nothing is under way; then it holds whoever comes."""
    server.become("down")
    until(lambda: all_of(three, "state", "open", "half-open"), "all are open")
    while True:
        until(lambda: all_of(three, "under_way", 0), "nothing is under way")
        time.sleep(0.15)
        if all_of(three, "under_way", 0):
            break
    server.become("holding")


def comes_back(server: Server, three: list[Worker]) -> None:
    server.become("well")
    until(lambda: all_of(three, "state", "closed"), "all are closed")
    before = [worker.stands["succeeded"] for worker in three]
    until(
        lambda: all(worker.stands["succeeded"] > was for worker, was in zip(three, before, strict=True)),
        "all go on",
    )


@pytest.mark.parametrize("probes", [1, 3] if IS_WHOLE else [2])
def test_as_many_probes_reach_the_server_as_there_are_permits_over_all_processes(
    own_redis: RedisServer, probes: int
) -> None:
    settings = {"cooldown": 1.0, "cooldown_cap": 2.0, "minimum": 20, "probes": probes, "lease": 600.0}
    with Server() as server, workers(own_redis, server, **settings) as three:
        until(lambda: all_of(three, "state", "closed"), "all have begun")
        for _ in range(ROUNDS):
            goes_down(server, three)
            until(lambda: server.came >= probes, "it is tried")
            refused = [worker.stands["refused"] for worker in three]
            # All tasks try all the while, and none but those with a permit gets through.
            time.sleep(1.5)
            assert server.came == probes
            assert all(
                worker.stands["refused"] - was > TASKS for worker, was in zip(three, refused, strict=True)
            )
            # They fail: it is tried again, by as many.
            server.become("down")
            until(lambda: all_of(three, "under_way", 0), "the probes have failed")
            server.become("holding")
            until(lambda: server.came >= probes, "it is tried again")
            time.sleep(1.0)
            assert server.came == probes
            comes_back(server, three)


def test_redis_is_killed_and_comes_back_in_the_midst(own_redis: RedisServer) -> None:
    settings = {"cooldown": 1.5, "cooldown_cap": 2.0, "minimum": 20, "probes": 2, "lease": 600.0}
    with Server() as server, workers(own_redis, server, **settings) as three:
        until(lambda: all_of(three, "state", "closed"), "all have begun")
        for _ in range(ROUNDS):
            goes_down(server, three)
            own_redis.kill()
            # Each decides for itself: no more than its own permits, and no process that waits for ever.
            until(lambda: all_of(three, "is_shared", False), "all notice")
            until(lambda: server.came >= 2 * PROCESSES, "each tries it")
            time.sleep(0.5)
            assert 2 * PROCESSES <= server.came <= 2 * PROCESSES + 2
            comes_back(server, three)
            own_redis.start()
            time.sleep(1.0)
            # One again: the permits are those of all.
            goes_down(server, three)
            until(lambda: server.came >= 2 and all_of(three, "is_shared", True), "it is tried, shared")
            time.sleep(1.5)
            assert server.came == 2
            comes_back(server, three)
        # No call waited for Redis, on however slow a machine.
        assert all(worker.stands["slowest"] < 2.0 for worker in three)
