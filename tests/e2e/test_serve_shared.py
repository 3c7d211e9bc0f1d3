"""Two servers that share a Redis and a ledger: somebody's rate and his budget are one, whichever of them he asks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from redis_server import RedisServer, own_redis
from serving import Server, until
from surefoot import App
from surefoot.access import LOCAL
from surefoot.config import load
from wire import WireServer

__all__ = ["own_redis"]

PER_MINUTE = 120
AT_ONCE = 12
"""Of these so many at once: a tenth."""
SETTINGS = """
[connections.main]
provider = "openai"
base_url = "{url}"
api_key = "${{env:PROVIDER_KEY}}"
default = true

[access]
project = "shop"

[access.roles]
caller = ["connection:use"]

[serve]
requests_per_minute = {per_minute}

[redis]
url = "{redis}"
processes = 2
timeout = 0.5

[budgets.day]
limit = "0.06"
of = "principal"
per = "day"
"""


class Two:
    """Both servers, and the tokens of those who ask them."""

    def __init__(self, folder: Path, redis: RedisServer) -> None:
        app = App(load(folder, environ={"SUREFOOT_LEDGER_SYNCHRONOUS": "normal"}))
        try:
            self.tokens = {who: self._known(app, who) for who in ("user:ann", "user:bob")}
        finally:
            app.close()
        environ = {"PROVIDER_KEY": "key-of-a-test"}
        options = ("--gateway", "--port", "0")
        self.servers: list[Server] = []
        for _ in range(2):
            self.servers.append(Server(folder, "served.py", options=options, environ=environ))
        self.redis = redis

    @staticmethod
    def _known(app: App, who: str) -> str:
        app.access.people.add(who, by=LOCAL, organisation="acme")
        app.access.people.grant(who, "runner", "acme", by=LOCAL)
        app.access.people.grant(who, "caller", "acme", by=LOCAL)
        return app.access.tokens.issue(who, by=LOCAL)[0]

    def ask(self, number: int, who: str) -> Any:
        """The answer of one of the servers, which come in turn."""
        headers = {"authorization": f"Bearer {self.tokens[who]}"}
        return self.servers[number % 2].client.get("/flows", headers=headers)

    def chat(self, number: int, who: str) -> Any:
        words = "how high it is " * 200
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": words}], "max_tokens": 1500}
        headers = {"authorization": f"Bearer {self.tokens[who]}"}
        return self.servers[number].client.post("/v1/chat/completions", json=body, headers=headers)

    def allowed(self, who: str, asked: int) -> tuple[int, float]:
        """How many of so many requests were let in, and how many seconds they took."""
        began, found = time.monotonic(), 0
        for number in range(asked):
            answer = self.ask(number, who)
            assert answer.status_code in (200, 429), answer.text
            if answer.status_code == 429:
                assert int(answer.headers["retry-after"]) >= 1
                assert answer.headers["ratelimit-remaining"] == "0"
            found += answer.status_code == 200
        return found, time.monotonic() - began


@pytest.fixture
def wire() -> Iterator[WireServer]:
    with WireServer() as wire:
        yield wire


@pytest.fixture
def two(tmp_path: Path, own_redis: RedisServer, wire: WireServer) -> Iterator[Two]:
    (tmp_path / "served.py").write_text(
        "from surefoot import flow\n\n\n@flow(uses=())\ndef one() -> int:\n    return 1\n"
    )
    (tmp_path / "surefoot.toml").write_text(
        SETTINGS.format(url=wire.openai_url, per_minute=PER_MINUTE, redis=own_redis.url)
    )
    both = Two(tmp_path, own_redis)
    try:
        yield both
    finally:
        assert [server.stop() for server in both.servers] == [0, 0]


def test_a_rate_and_a_budget_hold_over_two_servers(two: Two, wire: WireServer) -> None:
    # Of two servers that do not know of each other, each would let as many in at once.
    asked = 4 * AT_ONCE
    found, seconds = two.allowed("user:ann", asked)
    most = AT_ONCE + seconds * PER_MINUTE / 60 + 1
    assert AT_ONCE <= found <= most
    # Another one has a rate of his own, and each answer says what is left of it, whoever gives it.
    left = [int(two.ask(number, "user:bob").headers["ratelimit-remaining"]) for number in range(4)]
    assert left[0] == AT_ONCE - 1
    assert left[1] < left[0]

    # What was spent by way of one server is spent for the other.
    said: list[int] = []
    while len(said) < 60 and 402 not in said:
        # Longer than it takes to get one turn back: looking takes one, too.
        until(lambda: (time.sleep(2.5 * 60 / PER_MINUTE), two.ask(0, "user:bob").status_code)[1] == 200)
        answer = two.chat(len(said) % 2, "user:bob")
        said.append(answer.status_code)
    assert set(said) == {200, 402}, (said, answer.text)
    assert answer.json()["error"]["code"] == "budget_exceeded"
    refused = two.chat(len(said) % 2, "user:bob")
    assert (refused.status_code, refused.json()["error"]["code"]) == (402, "budget_exceeded")
    assert len(wire.received) == said.count(200)


def test_while_redis_is_down_each_server_keeps_to_its_part(two: Two) -> None:
    assert two.ask(0, "user:bob").status_code == 200
    two.redis.kill()
    found, seconds = two.allowed("user:ann", 4 * AT_ONCE)
    # Both halves together are no more than the whole.
    assert 2 <= found <= AT_ONCE + seconds * PER_MINUTE / 60 + 2
    two.redis.start()
    until(lambda: two.ask(0, "user:bob").status_code == 200 and two.ask(1, "user:bob").status_code == 200)
