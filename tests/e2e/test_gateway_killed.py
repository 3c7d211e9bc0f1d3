"""`surefoot serve --gateway` in a process of its own, which is killed in the middle of calls."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from gatewayed import KEY, SETTINGS
from serving import Server, until
from streaming import StreamingServer, chat, chat_events
from surefoot import App
from surefoot.access import LOCAL
from surefoot.config import load

MESSAGES: Any = [{"role": "user", "content": "hello"}]
BUDGET = '[budgets.day]\nlimit = "5"\nof = "tenant"\n'


class Provider:
    """Answers at once, or says words until it is told to stop."""

    def __init__(self) -> None:
        self.is_slow = threading.Event()
        self.stop = threading.Event()

    def __call__(self, body: dict[str, Any]) -> Any:
        if body.get("stream"):
            return chat_events(self._words())
        if self.is_slow.is_set():
            self.stop.wait(60)
        return json.dumps(chat("said")).encode()

    def _words(self) -> Iterator[str]:
        while not self.stop.is_set():
            yield "word "
            time.sleep(0.01)


@pytest.fixture
def provider() -> Iterator[tuple[Provider, StreamingServer]]:
    provider = Provider()
    with StreamingServer(provider) as server:
        try:
            yield provider, server
        finally:
            provider.stop.set()


@pytest.fixture
def token(tmp_path: Path, provider: tuple[Provider, StreamingServer]) -> str:
    """One of somebody who may ask the models of the project in this folder."""
    url = provider[1].url
    text = SETTINGS.format(openai=f"{url}/v1", anthropic=url, retries=0)
    (tmp_path / "surefoot.toml").write_text(text + BUDGET)
    app = App(load(tmp_path, environ={"PROVIDER_KEY": KEY}))
    try:
        app.access.people.add("user:ann", organisation="acme", by=LOCAL)
        app.access.people.grant("user:ann", "caller", "acme", by=LOCAL)
        return app.access.tokens.issue("user:ann", by=LOCAL)[0]
    finally:
        app.close()


def ask(server: Server, token: str, **more: Any) -> Any:
    http = openai.DefaultHttpxClient(verify=False)
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key=token, max_retries=0, http_client=http)
    return client.chat.completions.create(model="gpt-4o", messages=MESSAGES, max_tokens=1000, **more)


def test_calls_of_a_server_that_is_killed(
    tmp_path: Path, provider: tuple[Provider, StreamingServer], token: str
) -> None:
    rules, upstream = provider
    environ = {"PROVIDER_KEY": KEY}

    def keyed(key: str) -> dict[str, Any]:
        return {"extra_headers": {"idempotency-key": key}}

    first = Server(tmp_path, "--gateway", environ=environ)
    assert ask(first, token, **keyed("k1")).choices[0].message.content == "said"
    stream = ask(first, token, stream=True)
    assert next(stream).choices[0].delta.content == "word "
    rules.is_slow.set()
    broken: list[type[Exception]] = []

    def wait() -> None:
        try:
            ask(first, token, **keyed("k2"))
        except openai.APIError as error:
            broken.append(type(error))

    waiting = threading.Thread(target=wait)
    waiting.start()
    until(lambda: len(upstream.received) == 3, what="the third call is at its provider")
    first.kill()
    waiting.join(60)
    assert broken == [openai.APIConnectionError]
    with pytest.raises(openai.APIError):
        list(stream)

    rules.is_slow.clear()
    second = Server(tmp_path, "--gateway", environ=environ)
    try:
        # What was said is not asked for again, and what was not is asked once more.
        assert ask(second, token, **keyed("k1")).choices[0].message.content == "said"
        assert len(upstream.received) == 3
        assert ask(second, token, **keyed("k2")).choices[0].message.content == "said"
        assert len(upstream.received) == 4
    finally:
        assert second.stop() == 0
    app = App(load(tmp_path, environ={"PROVIDER_KEY": KEY}))
    try:
        runs = app.ledger.runs(flow="gateway")
        assert sorted(run.status for run in runs) == ["cancelled", "completed", "completed"]
        assert next(run for run in runs if run.status == "cancelled").error is not None
        assert all(app.ledger.first_break(run.id) is None for run in runs)
        account = app.budgets()[0]
        assert account.spent.nanos > 0
    finally:
        app.close()
