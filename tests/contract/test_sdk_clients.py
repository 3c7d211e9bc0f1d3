"""Clients beside the plain ones: Azure, Vertex AI, the aiohttp bridge, and an agent framework over the SDKs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from google import genai
from pydantic_ai import Agent
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.google import GoogleModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.google import GoogleProvider
from pydantic_ai.providers.openai import OpenAIProvider

from memory_scope import MemoryScope
from policies import configure
from surefoot import models
from surefoot.values import Money
from wire import Fault, WireServer

MESSAGES: Any = [{"role": "user", "content": "hello there"}]


@pytest.fixture
def wire() -> Iterator[WireServer]:
    configure(retries=models.Retries(count=2, base=0.0))
    models.install()
    with WireServer() as server:
        yield server
    models.uninstall()


def recorded_then_replayed(wire: WireServer, use: Callable[[], Any], *, calls: int = 1) -> MemoryScope:
    """What `use` gives bare, inside a run and inside the resumed run is the same, and the last makes no call."""
    bare = use()
    before = wire.count()
    scope = MemoryScope()
    with scope.open():
        assert use() == bare
    assert wire.count() - before == calls
    assert [ending.status for ending in scope.endings] == ["completed"] * calls
    with scope.resumed().open():
        assert use() == bare
    assert wire.count() - before == calls
    return scope


def azure_of(wire: WireServer, **options: Any) -> openai.AzureOpenAI:
    credential = (
        {} if options.keys() & {"azure_ad_token", "azure_ad_token_provider"} else {"api_key": "test-key"}
    )
    return openai.AzureOpenAI(
        azure_endpoint=wire.azure_url, api_version="2024-10-21", **credential, **options
    )


def azure_chat(client: openai.AzureOpenAI) -> Any:
    return client.chat.completions.create(model="prod-chat", messages=MESSAGES).model_dump()


def azure_stream(client: openai.AzureOpenAI) -> Any:
    stream = client.chat.completions.create(
        model="prod-chat", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    )
    return [chunk.model_dump() for chunk in stream]


def azure_responses(client: openai.AzureOpenAI) -> Any:
    return client.responses.create(model="prod-chat", input="hello").model_dump()


def azure_embeddings(client: openai.AzureOpenAI) -> Any:
    return client.embeddings.create(model="text-embedding-3-small", input=["one", "two"]).model_dump()


@pytest.mark.parametrize("case", [azure_chat, azure_stream, azure_responses, azure_embeddings])
@pytest.mark.parametrize("credential", [{}, {"azure_ad_token": "test-key"}], ids=["key", "token"])
def test_azure_is_replayed_without_a_call(wire: WireServer, case: Any, credential: dict[str, str]) -> None:
    with azure_of(wire, **credential) as client:
        scope = recorded_then_replayed(wire, lambda: case(client))
    assert "test-key" not in repr([claim.work.inputs for claim in scope.claims]) + repr(scope.endings)


def test_an_async_azure_client_with_a_token_of_its_own_making(wire: WireServer) -> None:
    async def use() -> Any:
        async with openai.AsyncAzureOpenAI(
            azure_endpoint=wire.azure_url, api_version="2024-10-21", azure_ad_token_provider=lambda: "token"
        ) as client:
            return (await client.chat.completions.create(model="prod-chat", messages=MESSAGES)).model_dump()

    recorded_then_replayed(wire, lambda: asyncio.run(use()))


def test_the_facts_of_a_call_to_azure(wire: WireServer) -> None:
    with azure_of(wire) as client:
        scope = recorded_then_replayed(wire, lambda: azure_chat(client))
        usage = azure_chat(client)["usage"]
    facts = scope.endings[0].call
    assert facts is not None
    assert (facts.provider, facts.requested_model, facts.served_model) == ("azure", "prod-chat", "gpt-4o")
    prompt, completion = usage["prompt_tokens"], usage["completion_tokens"]
    assert facts.cost == Money(2_500 * (prompt - 4) + 1_250 * 4 + 10_000 * completion)


def test_a_deployment_that_the_client_names_is_the_one_that_counts(wire: WireServer) -> None:
    """The body says one thing then and the path another: two deployments are two calls."""
    scope = MemoryScope()
    for deployment in ("prod-chat", "gpt-4o-mini"):
        with azure_of(wire, azure_deployment=deployment) as client, scope.open():
            client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert [claim.work.inputs["path"] for claim in scope.claims] == [  # type: ignore[index]
        "deployments/prod-chat/chat/completions",
        "deployments/gpt-4o-mini/chat/completions",
    ]
    assert [ending.call.served_model for ending in scope.endings if ending.call] == ["gpt-4o", "gpt-4o-mini"]


def test_azures_v1_paths_are_openais(wire: WireServer) -> None:
    with openai.OpenAI(base_url=f"{wire.azure_url}/openai/v1", api_key="test") as client:
        recorded_then_replayed(
            wire,
            lambda: client.chat.completions.create(model="prod-chat", messages=MESSAGES).model_dump(),
        )


def test_a_failure_at_azure_is_one_call(wire: WireServer) -> None:
    scope = MemoryScope()
    with azure_of(wire, max_retries=5) as client:
        for opened in (scope, None):
            with (opened or scope.resumed()).open(), pytest.raises(openai.NotFoundError) as raised:
                client.chat.completions.create(model="none", messages=MESSAGES)
            assert raised.value.code == "DeploymentNotFound"
    assert wire.count() == 1


@pytest.mark.parametrize("is_stream", [False, True])
def test_anthropic_over_vertex_is_known_by_its_path(wire: WireServer, is_stream: bool) -> None:
    """The server has no such path, so a gateway between turns it into Anthropic's own, as Vertex AI does inside."""

    def gateway(request: httpx2.Request) -> httpx2.Response:
        body = json.loads(request.content)
        assert body.pop("anthropic_version")
        body["model"] = request.url.path.rpartition("/")[2].partition(":")[0]
        headers = {"x-api-key": "test", "anthropic-version": "2023-06-01"}
        answer = httpx2.post(f"{wire.url}/v1/messages", json=body, headers=headers)
        kind = {"content-type": answer.headers["content-type"]}
        return httpx2.Response(answer.status_code, headers=kind, content=answer.content)

    http = httpx2.Client(transport=httpx2.MockTransport(gateway))
    with anthropic.AnthropicVertex(
        project_id="p", region="eu", access_token="test", http_client=http
    ) as client:

        def use() -> Any:
            answer = client.messages.create(
                model="claude-sonnet-5", max_tokens=9, messages=MESSAGES, stream=is_stream
            )
            return [event.model_dump() for event in answer] if is_stream else answer.model_dump()

        scope = recorded_then_replayed(wire, use)
    facts = scope.endings[0].call
    assert facts is not None
    assert (facts.provider, facts.requested_model) == ("anthropic", "claude-sonnet-5")
    assert facts.cost is not None
    assert scope.claims[0].work.name == "anthropic.messages"


@pytest.mark.parametrize("kind", ["chat", "stream", "embeddings"])
def test_the_aiohttp_bridge_is_hooked(wire: WireServer, kind: str) -> None:
    async def use() -> Any:
        async with openai.AsyncOpenAI(
            base_url=wire.openai_url, api_key="test", http_client=openai.DefaultAioHttpClient()
        ) as client:
            if kind == "embeddings":
                return (
                    await client.embeddings.create(model="text-embedding-3-small", input="one")
                ).model_dump()
            if kind == "chat":
                return (await client.chat.completions.create(model="gpt-4o", messages=MESSAGES)).model_dump()
            stream = await client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
            return [chunk.model_dump() async for chunk in stream]

    recorded_then_replayed(wire, lambda: asyncio.run(use()))


def test_the_bridges_connection_errors_are_tried_again(wire: WireServer) -> None:
    async def use() -> Any:
        async with openai.AsyncOpenAI(
            base_url=wire.openai_url, api_key="test", http_client=openai.DefaultAioHttpClient()
        ) as client:
            return (await client.chat.completions.create(model="gpt-4o", messages=MESSAGES)).model_dump()

    wire.fail(Fault("reset"), Fault(status=503))
    scope = MemoryScope()
    with scope.open():
        asyncio.run(use())
    assert wire.count() == 3
    assert [ending.status for ending in scope.endings] == ["completed"]


def agent_model(wire: WireServer, kind: str, opened: AsyncExitStack) -> Any:
    """A model of pydantic-ai over an SDK client of the user's own."""
    key: Any = {"api_key": "test", "max_retries": 3}
    if kind == "anthropic":
        client = anthropic.AsyncAnthropic(base_url=wire.anthropic_url, **key)
        opened.push_async_callback(client.close)
        return AnthropicModel("claude-sonnet-5", provider=AnthropicProvider(anthropic_client=client))
    if kind == "google":
        google = genai.Client(api_key="test", http_options={"base_url": wire.gemini_url})
        opened.callback(google.close)
        opened.push_async_callback(google.aio.aclose)
        return GoogleModel("gemini-3-flash-preview", provider=GoogleProvider(client=google))
    other = openai.AsyncOpenAI(base_url=wire.openai_url, **key)
    opened.push_async_callback(other.close)
    provider = OpenAIProvider(openai_client=other)
    return (OpenAIChatModel if kind == "chat" else OpenAIResponsesModel)("gpt-4o", provider=provider)


@pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")
@pytest.mark.parametrize("kind", ["chat", "responses", "anthropic", "google"])
@pytest.mark.parametrize("is_stream", [False, True])
def test_an_agent_of_pydantic_ai_is_replayed(wire: WireServer, kind: str, is_stream: bool) -> None:
    async def use() -> str:
        async with AsyncExitStack() as opened:
            agent = Agent(agent_model(wire, kind, opened), instructions="Be brief.")
            if not is_stream:
                return (await agent.run("hello")).output
            async with agent.run_stream("hello") as result:
                return "".join([text async for text in result.stream_text(delta=True)])

    recorded_then_replayed(wire, lambda: asyncio.run(use()))


@pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")
@pytest.mark.parametrize("kind", ["chat", "anthropic", "google"])
def test_the_tools_of_an_agent_run_in_each_turn(wire: WireServer, kind: str) -> None:
    pages: list[int] = []

    async def use() -> Any:
        async with AsyncExitStack() as opened:
            agent = Agent(agent_model(wire, kind, opened))

            @agent.tool_plain
            def read(page: int) -> str:
                """Read a page."""
                pages.append(page)
                return "text"

            return (await agent.run("hello")).output

    recorded_then_replayed(wire, lambda: asyncio.run(use()), calls=2)
    assert pages == [42, 42, 42]


@pytest.mark.parametrize("fault", [Fault(status=503), Fault("reset")], ids=lambda fault: fault.kind)
def test_an_agents_call_is_never_more_than_the_policy_says(wire: WireServer, fault: Fault) -> None:
    async def use() -> Any:
        async with AsyncExitStack() as opened:
            return await Agent(agent_model(wire, "chat", opened)).run("hello")

    wire.fail(*[fault] * 20)
    with MemoryScope().open() as scope, pytest.raises(Exception, match=r"503|Connection error"):
        asyncio.run(use())
    assert wire.count() == 3
    assert [ending.status for ending in scope.endings] == ["failed"]
