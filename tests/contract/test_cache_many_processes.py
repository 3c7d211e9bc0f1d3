"""Many processes that ask the same: one call, whoever is killed meanwhile.

`make test` has a small form; `SUREFOOT_TEST_LIMITS=all` makes it 3 processes with 300 requests each.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from begun import Begun
from redis_server import RedisServer, own_redis
from warm import IMPORTS, warm
from wire import WireServer

__all__ = ["own_redis"]

IS_WHOLE = os.environ.get("SUREFOOT_TEST_LIMITS") == "all"
PROCESSES, REQUESTS = (3, 300) if IS_WHOLE else (3, 40)
PATIENCE = 120

WORK = """
import asyncio, json, sys
from surefoot import App, Call, flow, generate

@flow(cache=True, trusted=True)
async def asking(requests: int, said: str) -> list[str]:
    one = Call("openai:gpt-4o", temperature=0.9)
    asked = [{"role": "user", "content": said}]
    return await asyncio.gather(*(generate(asked, using=one) for _ in range(requests)))

async def main() -> None:
    app = App.current()
    print("ready", flush=True)
    for line in sys.stdin:
        requests, said = json.loads(line)
        answers = await asking(requests, said)
        print(json.dumps([len(answers), sorted(set(answers))]), flush=True)
    app.close()

asyncio.run(main())
"""


@dataclass
class Crowd:
    """Processes that share a store, and the server that they ask."""

    wire: WireServer
    folder: Path
    environ: dict[str, str]
    children: list[Begun] = field(default_factory=list)

    def start(self, count: int) -> list[Begun]:
        """So many processes, each ready to ask."""
        begun = [warm(IMPORTS).begin(WORK, cwd=self.folder, environ=self.environ) for _ in range(count)]
        self.children += begun
        for child in begun:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
        return begun

    def ask(self, child: Begun, requests: int, said: str = "x") -> None:
        """Let a process begin."""
        assert child.stdin is not None
        child.stdin.write(json.dumps([requests, said]) + "\n")
        child.stdin.flush()

    def answers(self, child: Begun) -> Any:
        """How many answers it got, and which."""
        assert child.stdout is not None
        return json.loads(child.stdout.readline())

    def wait_until(self, is_so: Callable[[], bool]) -> None:
        end_at = time.monotonic() + PATIENCE
        while not is_so():
            assert time.monotonic() < end_at, "it never came about"
            time.sleep(0.01)


@pytest.fixture(params=["sqlite", "postgres", "redis"])
def crowd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Crowd]:
    with WireServer() as wire:
        environ = {
            "OPENAI_BASE_URL": wire.openai_url,
            "OPENAI_API_KEY": "key-of-a-test",
            "SUREFOOT_LEDGER_SYNCHRONOUS": "normal",
        }
        if request.param == "postgres":
            environ["SUREFOOT_LEDGER_URL"] = request.getfixturevalue("postgres_url")
        if request.param == "redis":
            server: RedisServer = request.getfixturevalue("own_redis")
            environ |= {
                "SUREFOOT_CACHE_STORE": "redis",
                "SUREFOOT_REDIS_URL": server.url,
                # A loop that begins 300 calls at once on a busy machine looks late at what has come.
                "SUREFOOT_REDIS_TIMEOUT": "20",
            }
        crowd = Crowd(wire, tmp_path, environ)
        yield crowd
        for child in crowd.children:
            child.kill()
            child.communicate()


def test_of_all_processes_one_calls(crowd: Crowd) -> None:
    crowd.wire.delay = 0.3
    children = crowd.start(PROCESSES)
    for said in ("one", "two"):
        for child in children:
            crowd.ask(child, REQUESTS, said)
        for child in children:
            assert crowd.answers(child) == [REQUESTS, [f"gpt-4o heard: {said}"]]
    assert crowd.wire.count() == 2


def test_when_the_leader_is_killed_one_other_leads(crowd: Crowd) -> None:
    crowd.wire.delay = 2.0
    leader, *others = crowd.start(PROCESSES)
    crowd.ask(leader, REQUESTS)
    crowd.wait_until(lambda: crowd.wire.count() == 1)
    for child in others:
        crowd.ask(child, REQUESTS)
    time.sleep(0.3)
    leader.kill()
    leader.wait()
    for child in others:
        assert crowd.answers(child) == [REQUESTS, ["gpt-4o heard: x"]]
    assert crowd.wire.count() == 2


@pytest.mark.parametrize("crowd", ["redis"], indirect=True)
def test_redis_is_killed_and_comes_back(crowd: Crowd, own_redis: RedisServer) -> None:
    crowd.wire.delay = 1.0
    children = crowd.start(PROCESSES)
    for child in children:
        crowd.ask(child, REQUESTS, "while it is killed")
    crowd.wait_until(lambda: crowd.wire.count() >= 1)
    own_redis.kill()
    for child in children:
        assert crowd.answers(child) == [REQUESTS, ["gpt-4o heard: while it is killed"]]
    # By themselves, each process has made one call at most.
    assert 1 <= crowd.wire.count() <= PROCESSES
    crowd.wire.delay = 0.1
    made = crowd.wire.count()
    for child in children:
        crowd.ask(child, REQUESTS, "while it is down")
    for child in children:
        assert crowd.answers(child) == [REQUESTS, ["gpt-4o heard: while it is down"]]
    assert made + 1 <= crowd.wire.count() <= made + PROCESSES
    own_redis.start()
    # Once each of them has found it again, it is as before.
    for number in range(200):
        made = crowd.wire.count()
        for child in children:
            crowd.ask(child, 1, f"again {number}")
        for child in children:
            crowd.answers(child)
        if crowd.wire.count() == made + 1:
            break
        time.sleep(0.1)
    crowd.wire.delay = 0.3
    made = crowd.wire.count()
    for child in children:
        crowd.ask(child, REQUESTS, "as before")
    for child in children:
        assert crowd.answers(child) == [REQUESTS, ["gpt-4o heard: as before"]]
    assert crowd.wire.count() == made + 1
