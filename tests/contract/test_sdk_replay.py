"""The official SDKs over the hook: what a run records, a resumed run replays without a call, byte by byte."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import httpx
import openai
import pytest
from pydantic import BaseModel

from memory_scope import MemoryScope
from policies import configure
from surefoot import models
from surefoot.values import Money, Usage
from wire import Fault, WireServer


class Verdict(BaseModel):
    answer: str
    score: int


MESSAGES: Any = [{"role": "user", "content": "What are the key risks, naïvely?"}]
TOOLS: Any = [
    {
        "type": "function",
        "function": {
            "name": "lookup",
            "parameters": {
                "type": "object",
                "properties": {"page": {"type": "integer"}},
                "required": ["page"],
            },
        },
    }
]
ANTHROPIC_TOOLS: Any = [
    {"name": "lookup", "input_schema": {"type": "object", "properties": {"page": {"type": "integer"}}}}
]


@pytest.fixture
def wire() -> Iterator[WireServer]:
    configure(retries=models.Retries(count=2, base=0.0))
    models.install()
    with WireServer() as server:
        yield server
    models.uninstall()


def chat(client: openai.OpenAI) -> Any:
    return client.chat.completions.create(model="gpt-4o", messages=MESSAGES, temperature=0.5).model_dump()


def chat_stream(client: openai.OpenAI) -> Any:
    stream = client.chat.completions.create(
        model="gpt-4o", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    )
    return [chunk.model_dump() for chunk in stream]


def chat_stream_helper(client: openai.OpenAI) -> Any:
    with client.chat.completions.stream(model="gpt-4o", messages=MESSAGES) as stream:
        return [event.type for event in stream], stream.get_final_completion().model_dump(warnings=False)


def chat_tools(client: openai.OpenAI) -> Any:
    return client.chat.completions.create(model="gpt-4o", messages=MESSAGES, tools=TOOLS).model_dump()


def chat_parse(client: openai.OpenAI) -> Any:
    parsed = client.chat.completions.parse(model="gpt-4o", messages=MESSAGES, response_format=Verdict)
    assert isinstance(parsed.choices[0].message.parsed, Verdict)
    return parsed.model_dump(warnings=False)


def chat_raw(client: openai.OpenAI) -> Any:
    raw = client.chat.completions.with_raw_response.create(model="gpt-4o", messages=MESSAGES)
    return raw.text, raw.parse().model_dump(), raw.headers["x-request-id"], raw.elapsed.total_seconds() >= 0


def chat_streaming_response(client: openai.OpenAI) -> Any:
    with client.chat.completions.with_streaming_response.create(
        model="gpt-4o", messages=MESSAGES
    ) as response:
        return b"".join(response.iter_bytes(7)), response.status_code


def chat_streaming_response_parsed(client: openai.OpenAI) -> Any:
    with client.chat.completions.with_streaming_response.create(
        model="gpt-4o", messages=MESSAGES
    ) as response:
        return response.parse().model_dump()


def completions(client: openai.OpenAI) -> Any:
    return client.completions.create(model="gpt-3.5-turbo-instruct", prompt="Once").model_dump()


def responses(client: openai.OpenAI) -> Any:
    return client.responses.create(model="gpt-4o", input="What now?").model_dump()


def responses_stream(client: openai.OpenAI) -> Any:
    stream = client.responses.create(model="gpt-4o", input="What now?", stream=True)
    return [event.model_dump() for event in stream]


def responses_parse(client: openai.OpenAI) -> Any:
    parsed = client.responses.parse(model="gpt-4o", input="What now?", text_format=Verdict)
    assert isinstance(parsed.output_parsed, Verdict)
    return parsed.model_dump(warnings=False)


def embeddings(client: openai.OpenAI) -> Any:
    return client.embeddings.create(model="text-embedding-3-small", input=["one", "two"]).model_dump()


OPENAI_CASES = [
    chat,
    chat_stream,
    chat_stream_helper,
    chat_tools,
    chat_parse,
    chat_raw,
    chat_streaming_response,
    chat_streaming_response_parsed,
    completions,
    responses,
    responses_stream,
    responses_parse,
    embeddings,
]


def message(client: anthropic.Anthropic) -> Any:
    return client.messages.create(model="claude-sonnet-5", max_tokens=50, messages=MESSAGES).model_dump()


def message_stream(client: anthropic.Anthropic) -> Any:
    stream = client.messages.create(model="claude-sonnet-5", max_tokens=50, messages=MESSAGES, stream=True)
    return [event.model_dump() for event in stream]


def message_stream_helper(client: anthropic.Anthropic) -> Any:
    with client.messages.stream(model="claude-sonnet-5", max_tokens=50, messages=MESSAGES) as stream:
        return list(stream.text_stream), stream.get_final_message().model_dump()


def message_tools(client: anthropic.Anthropic) -> Any:
    return client.messages.create(
        model="claude-sonnet-5", max_tokens=50, messages=MESSAGES, tools=ANTHROPIC_TOOLS
    ).model_dump()


def message_raw(client: anthropic.Anthropic) -> Any:
    raw = client.messages.with_raw_response.create(model="claude-sonnet-5", max_tokens=50, messages=MESSAGES)
    return raw.http_response.text, raw.headers["x-request-id"], raw.parse().model_dump()


def message_streaming_response(client: anthropic.Anthropic) -> Any:
    with client.messages.with_streaming_response.create(
        model="claude-sonnet-5", max_tokens=50, messages=MESSAGES
    ) as response:
        return list(response.iter_lines())


ANTHROPIC_CASES = [
    message,
    message_stream,
    message_stream_helper,
    message_tools,
    message_raw,
    message_streaming_response,
]


def openai_client(wire: WireServer, **options: Any) -> openai.OpenAI:
    return openai.OpenAI(base_url=wire.openai_url, api_key="test-key", **options)


def anthropic_client(wire: WireServer, **options: Any) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=wire.anthropic_url, api_key="test-key", **options)


def recorded_then_replayed(
    wire: WireServer, use: Callable[[], Any], *, calls: int = 1
) -> tuple[Any, MemoryScope]:
    """What `use` gives bare, inside a run, and inside the resumed run is the same, and the last makes no call."""
    bare = use()
    before = wire.count()
    first = MemoryScope()
    with first.open():
        live = use()
    assert live == bare
    assert wire.count() - before == calls
    assert [ending.status for ending in first.endings] == ["completed"] * calls
    assert all(claim.ticket and claim.ticket.is_waited_for for claim in first.claims)
    with first.resumed().open():
        replayed = use()
    assert replayed == bare
    assert wire.count() - before == calls
    return live, first


@pytest.mark.parametrize("case", OPENAI_CASES, ids=lambda case: case.__name__)
def test_openai_is_replayed_without_a_call(wire: WireServer, case: Callable[[openai.OpenAI], Any]) -> None:
    with openai_client(wire) as client:
        recorded_then_replayed(wire, lambda: case(client))


@pytest.mark.parametrize("case", ANTHROPIC_CASES, ids=lambda case: case.__name__)
def test_anthropic_is_replayed_without_a_call(
    wire: WireServer, case: Callable[[anthropic.Anthropic], Any]
) -> None:
    with anthropic_client(wire) as client:
        recorded_then_replayed(wire, lambda: case(client))


@pytest.mark.parametrize("case", OPENAI_CASES, ids=lambda case: case.__name__)
def test_a_legacy_httpx_client_is_hooked_too(wire: WireServer, case: Callable[[openai.OpenAI], Any]) -> None:
    legacy: Any = httpx.Client()
    with openai_client(wire, http_client=legacy) as client:
        recorded_then_replayed(wire, lambda: case(client))


async def async_chat(client: openai.AsyncOpenAI) -> Any:
    return (await client.chat.completions.create(model="gpt-4o", messages=MESSAGES)).model_dump()


async def async_chat_stream(client: openai.AsyncOpenAI) -> Any:
    stream = await client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
    return [chunk.model_dump() async for chunk in stream]


async def async_chat_raw(client: openai.AsyncOpenAI) -> Any:
    raw = await client.chat.completions.with_raw_response.create(model="gpt-4o", messages=MESSAGES)
    return raw.text, raw.parse().model_dump()


async def async_chat_streaming_response(client: openai.AsyncOpenAI) -> Any:
    async with client.chat.completions.with_streaming_response.create(
        model="gpt-4o", messages=MESSAGES
    ) as response:
        return [line async for line in response.iter_lines()]


async def async_chat_parse(client: openai.AsyncOpenAI) -> Any:
    parsed = await client.chat.completions.parse(model="gpt-4o", messages=MESSAGES, response_format=Verdict)
    return parsed.model_dump(warnings=False)


async def async_responses_stream(client: openai.AsyncOpenAI) -> Any:
    stream = await client.responses.create(model="gpt-4o", input="What now?", stream=True)
    return [event.model_dump() async for event in stream]


async def async_embeddings(client: openai.AsyncOpenAI) -> Any:
    return (await client.embeddings.create(model="text-embedding-3-small", input="one")).model_dump()


ASYNC_OPENAI_CASES = [
    async_chat,
    async_chat_stream,
    async_chat_raw,
    async_chat_streaming_response,
    async_chat_parse,
    async_responses_stream,
    async_embeddings,
]


async def async_message(client: anthropic.AsyncAnthropic) -> Any:
    answer = await client.messages.create(model="claude-sonnet-5", max_tokens=50, messages=MESSAGES)
    return answer.model_dump()


async def async_message_stream(client: anthropic.AsyncAnthropic) -> Any:
    stream = await client.messages.create(
        model="claude-sonnet-5", max_tokens=50, messages=MESSAGES, stream=True
    )
    return [event.model_dump() async for event in stream]


async def async_message_stream_helper(client: anthropic.AsyncAnthropic) -> Any:
    async with client.messages.stream(model="claude-sonnet-5", max_tokens=50, messages=MESSAGES) as stream:
        return [text async for text in stream.text_stream], (await stream.get_final_message()).model_dump()


ASYNC_ANTHROPIC_CASES = [async_message, async_message_stream, async_message_stream_helper]


@pytest.mark.parametrize("case", ASYNC_OPENAI_CASES, ids=lambda case: case.__name__)
def test_async_openai_is_replayed_without_a_call(wire: WireServer, case: Callable[[Any], Any]) -> None:
    async def use() -> Any:
        async with openai.AsyncOpenAI(base_url=wire.openai_url, api_key="test-key") as client:
            return await case(client)

    recorded_then_replayed(wire, lambda: asyncio.run(use()))


@pytest.mark.parametrize("case", ASYNC_OPENAI_CASES, ids=lambda case: case.__name__)
def test_async_openai_over_legacy_httpx_is_replayed(wire: WireServer, case: Callable[[Any], Any]) -> None:
    async def use() -> Any:
        legacy: Any = httpx.AsyncClient()
        async with openai.AsyncOpenAI(
            base_url=wire.openai_url, api_key="test-key", http_client=legacy
        ) as client:
            return await case(client)

    recorded_then_replayed(wire, lambda: asyncio.run(use()))


@pytest.mark.parametrize("case", ASYNC_ANTHROPIC_CASES, ids=lambda case: case.__name__)
def test_async_anthropic_is_replayed_without_a_call(wire: WireServer, case: Callable[[Any], Any]) -> None:
    async def use() -> Any:
        async with anthropic.AsyncAnthropic(base_url=wire.anthropic_url, api_key="test-key") as client:
            return await case(client)

    recorded_then_replayed(wire, lambda: asyncio.run(use()))


def test_calls_of_one_gather_are_recorded_apart(wire: WireServer) -> None:
    async def use() -> Any:
        async with openai.AsyncOpenAI(base_url=wire.openai_url, api_key="test-key") as client:

            async def ask(text: str) -> str | None:
                answer = await client.chat.completions.create(
                    model="gpt-4o", messages=[{"role": "user", "content": text}]
                )
                return answer.choices[0].message.content

            return await asyncio.gather(*(ask(f"question {n}") for n in range(8)))

    answers, _ = recorded_then_replayed(wire, lambda: asyncio.run(use()), calls=8)
    assert answers == [f"gpt-4o heard: question {n}" for n in range(8)]


def test_a_compressed_answer_is_recorded_decoded(wire: WireServer) -> None:
    with openai_client(wire) as client:
        bare = chat(client)
        wire.fail(Fault("gzip"))
        scope = MemoryScope()
        with scope.open():
            assert chat(client) == bare
        with scope.resumed().open():
            assert chat(client) == bare
    output: Any = scope.endings[0].output
    assert json.loads(output["body"]) == bare_body(wire)
    assert "content-encoding" not in output["headers"]
    assert "content-length" not in output["headers"]
    assert wire.count() == 2 + 1  # the bare one, the recorded one, and that of bare_body


def bare_body(wire: WireServer) -> Any:
    with openai_client(wire) as client:
        raw = client.chat.completions.with_raw_response.create(
            model="gpt-4o", messages=MESSAGES, temperature=0.5
        )
        return json.loads(raw.text)


def test_a_compressed_stream_is_recorded_decoded(wire: WireServer) -> None:
    with anthropic_client(wire) as client:
        bare = message_stream(client)
        wire.fail(Fault("gzip"))
        scope = MemoryScope()
        with scope.open():
            assert message_stream(client) == bare
        with scope.resumed().open():
            assert message_stream(client) == bare
    assert wire.count() == 2


def test_secrets_are_in_no_record(wire: WireServer) -> None:
    with openai_client(wire) as client:
        _, scope = recorded_then_replayed(wire, lambda: chat(client))
    written = json.dumps([claim.work.inputs for claim in scope.claims]) + json.dumps(
        [ending.output for ending in scope.endings]
    )
    assert "test-key" not in written
    assert "session=secret" not in written
    assert "127.0.0.1" not in written


def test_the_facts_of_a_chat_call(wire: WireServer) -> None:
    with openai_client(wire) as client:
        answer, scope = recorded_then_replayed(wire, lambda: chat(client))
    facts = scope.endings[0].call
    assert facts is not None
    assert (facts.provider, facts.requested_model, facts.served_model) == ("openai", "gpt-4o", "gpt-4o")
    usage = answer["usage"]
    assert facts.usage == Usage(usage["prompt_tokens"], 4, usage["completion_tokens"], 2)
    # $2.50 and $10 per million tokens, $1.25 for those that were cached.
    expected = 2_500 * (usage["prompt_tokens"] - 4) + 1_250 * 4 + 10_000 * usage["completion_tokens"]
    assert facts.cost == Money(expected)
    assert facts.first_token_ns is None


def test_streams_report_the_tokens_that_the_provider_reports(wire: WireServer) -> None:
    with openai_client(wire) as client:
        chunks, scope = recorded_then_replayed(wire, lambda: chat_stream(client))
        facts = scope.endings[0].call
        assert facts is not None
        assert facts.usage.output == chunks[-1]["usage"]["completion_tokens"]
        assert facts.first_token_ns is not None
        events, scope = recorded_then_replayed(wire, lambda: responses_stream(client))
        facts = scope.endings[0].call
        assert facts is not None
        usage = events[-1]["response"]["usage"]
        assert facts.usage == Usage(usage["input_tokens"], 2, usage["output_tokens"], 1)
    with anthropic_client(wire) as anthropic_sdk:
        events, scope = recorded_then_replayed(wire, lambda: message_stream(anthropic_sdk))
        facts = scope.endings[0].call
        assert facts is not None
        start = events[0]["message"]["usage"]["input_tokens"]
        assert facts.usage.input == start + 5 + 3
        assert facts.usage.cached == 5
        assert facts.usage.output > 1
        assert facts.served_model == "claude-sonnet-5"


def test_a_stream_without_usage_has_none_made_up(wire: WireServer) -> None:
    async def use() -> Any:
        async with openai.AsyncOpenAI(base_url=wire.openai_url, api_key="test-key") as client:
            return await async_chat_stream(client)

    _, scope = recorded_then_replayed(wire, lambda: asyncio.run(use()))
    facts = scope.endings[0].call
    assert facts is not None
    assert facts.usage == Usage()


def test_tokens_arrive_while_the_answer_is_made(wire: WireServer) -> None:
    with openai_client(wire) as client, MemoryScope().open():
        wire.fail(Fault("drip", delay=0.02))
        stream = client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
        next(iter(stream))
        scope_is_open = stream.response.is_closed
        list(stream)
    assert not scope_is_open


def test_a_stream_that_is_closed_early_replays_as_far_as_it_was_read(wire: WireServer) -> None:
    def two(client: openai.OpenAI, count: int) -> list[str | None]:
        texts = []
        with client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True) as stream:
            for chunk in stream:
                texts.append(chunk.choices[0].delta.content)
                if len(texts) == count:
                    break
        return texts

    wire.fail(Fault("drip", delay=0.05))
    scope = MemoryScope()
    with openai_client(wire) as client:
        with scope.open():
            live = two(client, 3)
        output: Any = scope.endings[0].output
        assert scope.endings[0].status == "completed"
        assert output["is_closed_early"]
        with scope.resumed().open():
            assert two(client, 3) == live
        from surefoot.errors import ClosedEarly

        with scope.resumed().open(), pytest.raises(ClosedEarly):
            two(client, 100)
    assert wire.count() == 1


def test_an_async_stream_that_is_closed_early(wire: WireServer) -> None:
    from surefoot.errors import ClosedEarly

    async def read(count: int) -> list[str]:
        async with anthropic.AsyncAnthropic(base_url=wire.anthropic_url, api_key="test-key") as client:
            kinds = []
            async with await client.messages.create(
                model="claude-sonnet-5", max_tokens=50, messages=MESSAGES, stream=True
            ) as stream:
                async for event in stream:
                    kinds.append(event.type)
                    if len(kinds) == count:
                        break
            return kinds

    wire.fail(Fault("drip", delay=0.05))
    scope = MemoryScope()
    with scope.open():
        live = asyncio.run(read(2))
    output: Any = scope.endings[0].output
    assert output["is_closed_early"]
    with scope.resumed().open():
        assert asyncio.run(read(2)) == live
    with scope.resumed().open(), pytest.raises(ClosedEarly):
        asyncio.run(read(100))
    assert wire.count() == 1


def test_a_cancelled_reader_leaves_no_outcome(wire: WireServer) -> None:
    async def use() -> None:
        async with openai.AsyncOpenAI(base_url=wire.openai_url, api_key="test-key") as client:

            async def read() -> None:
                async with await client.chat.completions.create(
                    model="gpt-4o", messages=MESSAGES, stream=True
                ) as stream:
                    async for _ in stream:
                        begun.set()

            begun = asyncio.Event()
            task = asyncio.create_task(read())
            await begun.wait()
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    wire.fail(Fault("drip", delay=0.05))
    scope = MemoryScope()
    with scope.open():
        asyncio.run(use())
    assert [claim.is_abandoned for claim in scope.claims] == [True]


def test_a_cancelled_call_leaves_no_outcome(wire: WireServer) -> None:
    async def use() -> None:
        async with openai.AsyncOpenAI(base_url=wire.openai_url, api_key="test-key") as client:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(async_chat(client), 0.2)

    wire.delay = 0.6
    scope = MemoryScope()
    with scope.open():
        asyncio.run(use())
    assert [claim.is_abandoned for claim in scope.claims] == [True]


def test_an_error_in_the_reader_keeps_the_part_that_was_read(wire: WireServer) -> None:
    def use(client: openai.OpenAI) -> None:
        with client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True) as stream:
            for chunk in stream:
                if chunk.choices[0].delta.content:
                    raise ValueError("no use for this")

    wire.fail(Fault("drip", delay=0.05))
    scope = MemoryScope()
    with openai_client(wire) as client:
        with scope.open(), pytest.raises(ValueError, match="no use") as raised:
            use(client)
        assert scope.endings[0].status == "failed"
        assert scope.endings[0].cause is raised.value
        with scope.resumed().open(), pytest.raises(ValueError, match="no use"):
            use(client)
    assert wire.count() == 1
