from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from typing import Any

import anthropic
import httpx
import openai
import pytest

from memory_scope import MemoryScope
from policies import configure
from surefoot import models
from surefoot.errors import ConfigError, ContextOverflow
from surefoot.models import CallTarget, Endpoint, Route
from surefoot.models.chain.endpoints import has_credential, routed_headers
from surefoot.values import Money
from wire import Fault, WireServer

MESSAGES: Any = [{"role": "user", "content": "hello"}]


class Aliases:
    """Every model without a credential is served by the wire server, whose token is `inner`."""

    def __init__(self, wire: WireServer) -> None:
        self.wire = wire
        self.targets: list[CallTarget] = []
        self.connected = 0
        self.checked: list[tuple[str, object]] = []
        self.is_too_long = False

    def route(self, call: CallTarget, /) -> Route | None:
        self.targets.append(call)
        return None if call.has_credential else Route("local:smollm2", self.connect)

    def connect(self) -> Endpoint:
        self.connected += 1
        return Endpoint(self.wire.openai_url, {"Authorization": "Bearer inner"}, self.check)

    def check(self, body: Mapping[str, object], path: str) -> None:
        self.checked.append((path, body["model"]))
        if self.is_too_long:
            raise ContextOverflow("the prompt is too long")


@pytest.fixture
def wire() -> Iterator[WireServer]:
    models.install()
    with WireServer() as server:
        yield server
    models.uninstall()


@pytest.fixture
def aliases(wire: WireServer) -> Aliases:
    aliases = Aliases(wire)
    configure(endpoints=aliases, retries=models.Retries(base=0.0))
    return aliases


def unreachable(**options: Any) -> openai.OpenAI:
    """A client of the real address, which a test must never reach."""
    return openai.OpenAI(base_url="http://127.0.0.1:9/v1", max_retries=0, **options)


def test_an_alias_is_served_by_its_endpoint(wire: WireServer, aliases: Aliases) -> None:
    scope = MemoryScope()
    with unreachable(api_key="local", organization="org-secret") as client:
        with scope.open():
            answer = client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
        assert answer.choices[0].message.content == "smollm2 heard: hello"
        with scope.resumed().open():
            assert client.chat.completions.create(model="gpt-4o", messages=MESSAGES) == answer
    assert wire.count() == 1
    sent = wire.received[0]
    assert sent.headers["authorization"] == "Bearer inner"
    assert "openai-organization" not in sent.headers
    assert sent.body == {"model": "smollm2", "messages": MESSAGES}
    assert aliases.checked == [("/chat/completions", "smollm2")]
    assert aliases.targets == [CallTarget("openai", "gpt-4o", has_credential=False)]
    # The identity is that of the call as the user wrote it, so it survives a change of alias.
    inputs: Any = scope.claims[0].work.inputs
    assert inputs["body"]["model"] == "gpt-4o"
    facts = scope.endings[0].call
    assert facts is not None
    assert (facts.provider, facts.requested_model, facts.served_model) == ("local", "gpt-4o", "local:smollm2")
    assert facts.cost == Money(0)
    assert facts.usage.output > 0


@pytest.mark.parametrize("library", ["httpx2", "httpx"])
def test_streams_and_raw_responses_are_routed_too(wire: WireServer, aliases: Aliases, library: str) -> None:
    legacy: Any = {"http_client": httpx.Client()} if library == "httpx" else {}
    with MemoryScope().open(), unreachable(api_key="local", **legacy) as client:
        stream = client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
        words = [chunk.choices[0].delta.content or "" for chunk in stream]
        assert "".join(words) == "smollm2 heard: hello"
        raw = client.chat.completions.with_raw_response.create(model="gpt-4o", messages=MESSAGES)
        assert raw.parse().choices[0].message.content == "smollm2 heard: hello"


def test_an_async_client_in_any_number_of_loops(wire: WireServer, aliases: Aliases) -> None:
    async def use() -> str | None:
        async with openai.AsyncOpenAI(
            base_url="http://127.0.0.1:9/v1", api_key="local", max_retries=0
        ) as client:
            answer = await client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
            stream = await client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
            assert [chunk async for chunk in stream]
            return answer.choices[0].message.content

    for _ in range(2):
        with MemoryScope().open():
            assert asyncio.run(use()) == "smollm2 heard: hello"


def test_the_format_of_anthropic_is_routed_where_it_is_served(wire: WireServer, aliases: Aliases) -> None:
    with MemoryScope().open(), anthropic.Anthropic(base_url="http://127.0.0.1:9", api_key="local") as client:
        answer = client.messages.create(model="claude-sonnet-5", max_tokens=9, messages=MESSAGES)
    block: Any = answer.content[0]
    assert block.text == "smollm2 heard: hello"
    assert wire.received[0].path == "/v1/messages"
    assert aliases.checked == [("/v1/messages", "smollm2")]


def test_an_operation_that_the_endpoint_lacks(wire: WireServer, aliases: Aliases) -> None:
    with (
        MemoryScope().open(),
        unreachable(api_key="local") as client,
        pytest.raises(ConfigError, match=r"answers no openai.embeddings .* credential"),
    ):
        client.embeddings.create(model="text-embedding-3-small", input="one")
    assert wire.count() == 0


def test_a_credential_goes_its_own_way(wire: WireServer, aliases: Aliases) -> None:
    with MemoryScope().open(), openai.OpenAI(base_url=wire.openai_url, api_key="real") as client:
        answer = client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert answer.model == "gpt-4o"
    assert wire.received[0].headers["authorization"] == "Bearer real"
    assert aliases.connected == 0


@pytest.mark.parametrize("is_async", [False, True])
def test_a_prompt_that_does_not_fit_is_refused_before_the_call(
    wire: WireServer, aliases: Aliases, is_async: bool
) -> None:
    aliases.is_too_long = True

    async def use_async() -> None:
        async with openai.AsyncOpenAI(base_url="http://127.0.0.1:9/v1", api_key="local") as client:
            await client.chat.completions.create(model="gpt-4o", messages=MESSAGES)

    def use() -> None:
        if is_async:
            asyncio.run(use_async())
        else:
            unreachable(api_key="local").chat.completions.create(model="gpt-4o", messages=MESSAGES)

    scope = MemoryScope()
    with scope.open(), pytest.raises(ContextOverflow, match="too long") as raised:
        use()
    assert wire.count() == 0
    assert scope.endings[0].status == "failed"
    assert scope.endings[0].cause is raised.value
    with scope.resumed().open(), pytest.raises(ContextOverflow):
        unreachable(api_key="local").chat.completions.create(model="gpt-4o", messages=MESSAGES)


def test_each_attempt_asks_for_the_address_anew(wire: WireServer, aliases: Aliases) -> None:
    wire.fail(Fault("reset"))
    with MemoryScope().open(), unreachable(api_key="local") as client:
        client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert aliases.connected == 2
    assert len(aliases.checked) == 1


def test_an_alias_is_announced_once(
    wire: WireServer, aliases: Aliases, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("surefoot.models.sdk.exchange._announced", set())
    with MemoryScope().open(), unreachable(api_key="local") as client:
        for _ in range(3):
            client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    told = [
        record for record in caplog.records if record.name == "surefoot.models" and "alias" in record.message
    ]
    assert [(record.levelno, record.message) for record in told] == [
        (logging.WARNING, "model alias: gpt-4o is answered by local:smollm2, as no credential for it is set")
    ]


@pytest.mark.parametrize(
    ("headers", "is_credential"),
    [
        ({}, False),
        ({"authorization": "Bearer "}, False),
        ({"authorization": "Bearer"}, False),
        ({"authorization": "Bearer local"}, False),
        ({"authorization": "Bearer sk-1"}, True),
        ({"x-api-key": "local"}, False),
        ({"x-api-key": "k"}, True),
        ({"api-key": "azure"}, True),
    ],
)
def test_what_counts_as_a_credential(headers: dict[str, str], is_credential: bool) -> None:
    assert has_credential(headers) is is_credential


def test_nothing_of_the_client_leaks_to_another_endpoint() -> None:
    headers = {"Authorization": "Bearer k", "X-Api-Key": "k", "Cookie": "c", "Host": "h", "Accept": "a"}
    assert routed_headers(headers, Endpoint("http://x", {"Authorization": "Bearer t"})) == {
        "accept": "a",
        "authorization": "Bearer t",
    }
