"""What the official packages document, run over the hook, recorded, and replayed without a call and byte by byte.

Each example is one use that the README of its package shows, against the strict local server. Three times: bare, in a
run, and in that run resumed. The objects have to be equal, and the bytes that the SDK was given too.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from anthropic import beta_tool
from google import genai
from google.genai import types
from pydantic import BaseModel

from memory_scope import MemoryScope
from policies import configure
from surefoot import models
from wire import WireServer

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PNG = base64.b64encode(PIXEL).decode()
CLAUDE: Any = {"model": "claude-sonnet-5", "max_tokens": 1024}


@dataclass
class Bytes:
    """The bodies that an SDK was given, in order."""

    bodies: list[bytes] = field(default_factory=list)

    def tapped(self, response: httpx2.Response) -> httpx2.Response:
        index = len(self.bodies)
        self.bodies.append(b"")
        if response.is_stream_consumed or response.is_closed:
            self.bodies[index] = response.content
        else:
            response.stream = Tap(response.stream, lambda chunk: self.add(index, chunk))
        return response

    def add(self, index: int, chunk: bytes) -> None:
        self.bodies[index] += chunk


class Tap(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """A body that says what is read of it."""

    def __init__(self, stream: Any, hear: Callable[[bytes], None]) -> None:
        self._stream = stream
        self._hear = hear

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._stream:
            self._hear(chunk)
            yield chunk

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            self._hear(chunk)
            yield chunk

    def close(self) -> None:
        self._stream.close()

    async def aclose(self) -> None:
        await self._stream.aclose()


class Tapped(httpx2.Client):
    """A client of the user's own, above the hook: it sees what the SDK sees."""

    heard: Bytes

    def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        return self.heard.tapped(super().send(request, **options))


class AsyncTapped(httpx2.AsyncClient):
    heard: Bytes

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        return self.heard.tapped(await super().send(request, **options))


class Step(BaseModel):
    explanation: str
    output: str


class MathResponse(BaseModel):
    steps: list[Step]
    final_answer: str


def openai_responses(client: openai.OpenAI) -> Any:
    response = client.responses.create(
        model="gpt-5.2",
        instructions="You are a coding assistant that talks like a pirate.",
        input="How do I check if a Python object is an instance of a class?",
    )
    return response.model_dump(), response.output_text


def openai_chat(client: openai.OpenAI) -> Any:
    completion = client.chat.completions.create(
        model="gpt-5.2",
        messages=[
            {"role": "developer", "content": "Talk like a pirate."},
            {"role": "user", "content": "How do I check if a Python object is an instance of a class?"},
        ],
    )
    return completion.model_dump()


def openai_vision(client: openai.OpenAI) -> Any:
    parts: Any = [
        {"type": "input_text", "text": "What is in this image?"},
        {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"},
    ]
    return client.responses.create(model="gpt-5.2", input=[{"role": "user", "content": parts}]).model_dump()


def openai_chat_vision(client: openai.OpenAI) -> Any:
    parts: Any = [
        {"type": "text", "text": "What is in this image?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
    ]
    return client.chat.completions.create(
        model="gpt-5.2", messages=[{"role": "user", "content": parts}]
    ).model_dump()


def openai_streaming(client: openai.OpenAI) -> Any:
    stream = client.responses.create(
        model="gpt-5.2", input="Write a one-sentence bedtime story about a unicorn.", stream=True
    )
    return [event.model_dump() for event in stream]


def openai_chat_streaming(client: openai.OpenAI) -> Any:
    stream = client.chat.completions.create(
        model="gpt-5.2", messages=[{"role": "user", "content": "Say this is a test"}], stream=True
    )
    return [chunk.model_dump() for chunk in stream]


def openai_chat_stream_helper(client: openai.OpenAI) -> Any:
    with client.chat.completions.stream(
        model="gpt-5.2", messages=[{"role": "user", "content": "Say this is a test"}]
    ) as stream:
        return [event.type for event in stream], stream.get_final_completion().model_dump(warnings=False)


def openai_responses_stream_helper(client: openai.OpenAI) -> Any:
    with client.responses.stream(model="gpt-5.2", input="Say this is a test") as stream:
        return [event.type for event in stream], stream.get_final_response().model_dump(warnings=False)


def openai_nested_params(client: openai.OpenAI) -> Any:
    response = client.chat.completions.create(
        messages=[{"role": "user", "content": "How much ?"}],
        model="gpt-5.2",
        response_format={"type": "json_object"},
    )
    return response.model_dump()


def openai_structured(client: openai.OpenAI) -> Any:
    completion = client.chat.completions.parse(
        model="gpt-4o-2024-08-06",
        messages=[
            {"role": "system", "content": "You are a helpful math tutor."},
            {"role": "user", "content": "solve 8x + 31 = 2"},
        ],
        response_format=MathResponse,
    )
    parsed = completion.choices[0].message.parsed
    assert isinstance(parsed, MathResponse)
    return completion.model_dump(warnings=False), parsed


def openai_responses_structured(client: openai.OpenAI) -> Any:
    response = client.responses.parse(
        model="gpt-4o-2024-08-06", input="solve 8x + 31 = 2", text_format=MathResponse
    )
    assert isinstance(response.output_parsed, MathResponse)
    return response.model_dump(warnings=False)


def openai_tools(client: openai.OpenAI) -> Any:
    messages: Any = [{"role": "user", "content": "look up all my orders in May"}]
    tools: Any = [
        {
            "type": "function",
            "function": {
                "name": "get_orders",
                "parameters": {"type": "object", "properties": {"month": {"type": "integer"}}},
            },
        }
    ]
    first = client.chat.completions.create(model="gpt-4o", messages=messages, tools=tools)
    called = first.choices[0].message
    assert called.tool_calls
    answer = {"role": "tool", "tool_call_id": called.tool_calls[0].id, "content": "three orders"}
    messages = [*messages, called.to_dict(), answer]
    second = client.chat.completions.create(model="gpt-4o", messages=messages, tools=tools)
    assert second.choices[0].message.content
    return first.model_dump(), second.model_dump()


def openai_embeddings(client: openai.OpenAI) -> Any:
    return client.embeddings.create(model="text-embedding-3-small", input=["one", "two"]).model_dump()


def openai_raw_response(client: openai.OpenAI) -> Any:
    response = client.chat.completions.with_raw_response.create(
        messages=[{"role": "user", "content": "Say this is a test"}], model="gpt-5.2"
    )
    return response.http_response.content, response.headers["x-request-id"], response.parse().model_dump()


def openai_streaming_response(client: openai.OpenAI) -> Any:
    with client.chat.completions.with_streaming_response.create(
        messages=[{"role": "user", "content": "Say this is a test"}], model="gpt-5.2"
    ) as response:
        return response.headers.get("content-type"), list(response.iter_lines())


def openai_with_options(client: openai.OpenAI) -> Any:
    return openai_chat(client.with_options(max_retries=5, timeout=60))


def anthropic_messages(client: anthropic.Anthropic) -> Any:
    message = client.messages.create(messages=[{"role": "user", "content": "Hello, Claude"}], **CLAUDE)
    return message.model_dump()


def anthropic_streaming(client: anthropic.Anthropic) -> Any:
    stream = client.messages.create(
        messages=[{"role": "user", "content": "Hello, Claude"}], stream=True, **CLAUDE
    )
    return [event.model_dump() for event in stream]


def anthropic_stream_helper(client: anthropic.Anthropic) -> Any:
    with client.messages.stream(
        messages=[{"role": "user", "content": "Say hello there!"}], **CLAUDE
    ) as stream:
        return list(stream.text_stream), stream.get_final_message().model_dump()


def anthropic_vision(client: anthropic.Anthropic) -> Any:
    source = {"type": "base64", "media_type": "image/png", "data": PNG}
    parts: Any = [{"type": "image", "source": source}, {"type": "text", "text": "What is in this image?"}]
    return client.messages.create(messages=[{"role": "user", "content": parts}], **CLAUDE).model_dump()


def anthropic_tools(client: anthropic.Anthropic) -> Any:
    tools: Any = [
        {
            "name": "get_weather",
            "input_schema": {"type": "object", "properties": {"location": {"type": "string"}}},
        }
    ]
    messages: Any = [{"role": "user", "content": "What is the weather in SF?"}]
    first = client.messages.create(messages=messages, tools=tools, **CLAUDE)
    used = next(block for block in first.content if block.type == "tool_use")
    result = {"type": "tool_result", "tool_use_id": used.id, "content": "sunny"}
    messages = [
        *messages,
        {"role": "assistant", "content": [block.to_dict() for block in first.content]},
        {"role": "user", "content": [result]},
    ]
    second = client.messages.create(messages=messages, tools=tools, **CLAUDE)
    assert second.stop_reason == "end_turn"
    return first.model_dump(), second.model_dump()


def anthropic_tool_runner(client: anthropic.Anthropic) -> Any:
    @beta_tool
    def get_weather(location: str) -> str:
        """Look up the weather.

        Args:
            location: The city.
        """
        return f"sunny in {location}"

    runner = client.beta.messages.tool_runner(
        tools=[get_weather], messages=[{"role": "user", "content": "What is the weather in SF?"}], **CLAUDE
    )
    return [message.model_dump() for message in runner]


def anthropic_raw_response(client: anthropic.Anthropic) -> Any:
    response = client.messages.with_raw_response.create(
        messages=[{"role": "user", "content": "Hello, Claude"}], **CLAUDE
    )
    return response.http_response.content, response.parse().model_dump()


def anthropic_streaming_response(client: anthropic.Anthropic) -> Any:
    with client.messages.with_streaming_response.create(
        messages=[{"role": "user", "content": "Hello, Claude"}], **CLAUDE
    ) as response:
        return list(response.iter_lines())


def without_headers(answer: Any) -> Any:
    """An answer of google-genai's without the HTTP headers, some of which say when it was sent."""
    return answer.model_dump(exclude={"sdk_http_response"})


def google_generate(client: genai.Client) -> Any:
    response = client.models.generate_content(model="gemini-2.5-flash", contents="Why is the sky blue?")
    return without_headers(response), response.text


def google_streaming(client: genai.Client) -> Any:
    chunks = client.models.generate_content_stream(
        model="gemini-2.5-flash", contents="Tell me a story in 300 words."
    )
    return [without_headers(chunk) for chunk in chunks]


def google_instructed(client: genai.Client) -> Any:
    config = types.GenerateContentConfig(
        system_instruction="I say high, you say low", max_output_tokens=3, temperature=0.3
    )
    return without_headers(
        client.models.generate_content(model="gemini-2.5-flash", contents="high", config=config)
    )


def google_vision(client: genai.Client) -> Any:
    image = types.Part.from_bytes(data=PIXEL, mime_type="image/png")
    return without_headers(
        client.models.generate_content(
            model="gemini-2.5-flash", contents=["What is this image about?", image]
        )
    )


def google_structured(client: genai.Client) -> Any:
    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=MathResponse)
    response = client.models.generate_content(
        model="gemini-2.5-flash", contents="solve 8x + 31 = 2", config=config
    )
    assert isinstance(response.parsed, MathResponse)
    return without_headers(response)


def google_tools(client: genai.Client) -> Any:
    def get_current_weather(location: str) -> str:
        """Returns the current weather."""
        return "sunny"

    config = types.GenerateContentConfig(tools=[get_current_weather])
    response = client.models.generate_content(
        model="gemini-2.5-flash", contents="What is the weather like in Boston?", config=config
    )
    return without_headers(response)


def google_chat(client: genai.Client) -> Any:
    chat = client.chats.create(model="gemini-2.5-flash")
    first = chat.send_message("tell me a story")
    return without_headers(first), [without_headers(chunk) for chunk in chat.send_message_stream("go on")]


def google_embeddings(client: genai.Client) -> Any:
    response = client.models.embed_content(
        model="gemini-embedding-001",
        contents=["why is the sky blue?", "What is your age?"],
        config=types.EmbedContentConfig(output_dimensionality=10),
    )
    return without_headers(response)


OPENAI = [
    openai_responses,
    openai_chat,
    openai_vision,
    openai_chat_vision,
    openai_streaming,
    openai_chat_streaming,
    openai_chat_stream_helper,
    openai_responses_stream_helper,
    openai_nested_params,
    openai_structured,
    openai_responses_structured,
    openai_tools,
    openai_embeddings,
    openai_raw_response,
    openai_streaming_response,
    openai_with_options,
]
ANTHROPIC = [
    anthropic_messages,
    anthropic_streaming,
    anthropic_stream_helper,
    anthropic_vision,
    anthropic_tools,
    anthropic_tool_runner,
    anthropic_raw_response,
    anthropic_streaming_response,
]
GOOGLE = [
    google_generate,
    google_streaming,
    google_instructed,
    google_vision,
    google_structured,
    google_tools,
    google_chat,
    google_embeddings,
]


async def async_openai_responses(client: openai.AsyncOpenAI) -> Any:
    response = await client.responses.create(
        model="gpt-5.2", input="Explain disestablishmentarianism to a smart five year old."
    )
    return response.model_dump()


async def async_openai_chat(client: openai.AsyncOpenAI) -> Any:
    answer = await client.chat.completions.create(
        messages=[{"role": "user", "content": "Say this is a test"}], model="gpt-5.2"
    )
    return answer.model_dump()


async def async_openai_streaming(client: openai.AsyncOpenAI) -> Any:
    stream = await client.responses.create(
        model="gpt-5.2", input="Write a one-sentence bedtime story about a unicorn.", stream=True
    )
    return [event.model_dump() async for event in stream]


async def async_openai_streaming_response(client: openai.AsyncOpenAI) -> Any:
    async with client.chat.completions.with_streaming_response.create(
        messages=[{"role": "user", "content": "Say this is a test"}], model="gpt-5.2"
    ) as response:
        return [line async for line in response.iter_lines()]


async def async_anthropic_messages(client: anthropic.AsyncAnthropic) -> Any:
    message = await client.messages.create(messages=[{"role": "user", "content": "Hello, Claude"}], **CLAUDE)
    return message.model_dump()


async def async_anthropic_stream_helper(client: anthropic.AsyncAnthropic) -> Any:
    async with client.messages.stream(
        messages=[{"role": "user", "content": "Say hello there!"}], **CLAUDE
    ) as stream:
        return [text async for text in stream.text_stream], (await stream.get_final_message()).model_dump()


async def async_google_generate(client: genai.Client) -> Any:
    return without_headers(
        await client.aio.models.generate_content(model="gemini-2.5-flash", contents="Tell me a story.")
    )


async def async_google_streaming(client: genai.Client) -> Any:
    stream = await client.aio.models.generate_content_stream(
        model="gemini-2.5-flash", contents="Tell me a story in 300 words."
    )
    return [without_headers(chunk) async for chunk in stream]


ASYNC = [
    async_openai_responses,
    async_openai_chat,
    async_openai_streaming,
    async_openai_streaming_response,
    async_anthropic_messages,
    async_anthropic_stream_helper,
    async_google_generate,
    async_google_streaming,
]


@pytest.fixture
def wire() -> Iterator[WireServer]:
    configure(retries=models.Retries(count=2, base=0.0))
    models.install()
    with WireServer() as server:
        yield server
    models.uninstall()


def of_openai(wire: WireServer, http: Any) -> Any:
    return openai.OpenAI(base_url=wire.openai_url, api_key="test", http_client=http)


def of_anthropic(wire: WireServer, http: Any) -> Any:
    return anthropic.Anthropic(base_url=wire.anthropic_url, api_key="test", http_client=http)


def of_google(wire: WireServer, http: Any) -> Any:
    options = types.HttpOptions(base_url=wire.gemini_url, httpx_client=http)
    return genai.Client(api_key="test", http_options=options)


SYNC = [
    (make, use)
    for make, uses in ((of_openai, OPENAI), (of_anthropic, ANTHROPIC), (of_google, GOOGLE))
    for use in uses
]


def of_async(wire: WireServer, http: Any, use: Callable[[Any], Any]) -> Any:
    if "google" in use.__name__:
        options = types.HttpOptions(base_url=wire.gemini_url, httpx_async_client=http)
        return genai.Client(api_key="test", http_options=options)
    if "anthropic" in use.__name__:
        return anthropic.AsyncAnthropic(base_url=wire.anthropic_url, api_key="test", http_client=http)
    return openai.AsyncOpenAI(base_url=wire.openai_url, api_key="test", http_client=http)


def check(wire: WireServer, use: Callable[[], tuple[Any, list[bytes]]]) -> None:
    bare, bare_bytes = use()
    calls = wire.count()
    assert calls == len(bare_bytes) > 0
    scope = MemoryScope()
    with scope.open():
        live, live_bytes = use()
    assert wire.count() == 2 * calls
    assert [ending.status for ending in scope.endings] == ["completed"] * calls
    with scope.resumed().open():
        replayed, replayed_bytes = use()
    assert wire.count() == 2 * calls
    assert replayed == live == bare
    assert replayed_bytes == live_bytes == bare_bytes
    assert all(replayed_bytes)


@pytest.mark.parametrize(("make", "use"), SYNC, ids=lambda given: given.__name__)
def test_an_example_is_replayed_byte_by_byte(wire: WireServer, make: Any, use: Callable[[Any], Any]) -> None:
    def once() -> tuple[Any, list[bytes]]:
        with ExitStack() as opened:
            http = opened.enter_context(Tapped(follow_redirects=True))
            http.heard = Bytes()
            return use(opened.enter_context(make(wire, http))), http.heard.bodies

    check(wire, once)


@pytest.mark.parametrize("use", ASYNC, ids=lambda use: use.__name__)
def test_an_async_example_is_replayed_byte_by_byte(wire: WireServer, use: Callable[[Any], Any]) -> None:
    async def once() -> tuple[Any, list[bytes]]:
        async with AsyncTapped(follow_redirects=True) as http:
            http.heard = Bytes()
            client = of_async(wire, http, use)
            result = await use(client)
            if isinstance(client, genai.Client):
                client.close()
            return result, http.heard.bodies

    check(wire, lambda: asyncio.run(once()))
