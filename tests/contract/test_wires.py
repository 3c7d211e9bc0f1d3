"""Each format against the strict server: what is written is taken, what comes back is read, at once and streamed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import pytest

from surefoot.models.chain.sse import events_of
from surefoot.models.generating.asking import Ask, Interrupted, OutputSpec, ToolSpec, Turn, Wire
from surefoot.models.wires import (
    AnthropicMessages,
    EmbeddingWire,
    GoogleEmbeddings,
    GoogleGenerate,
    OpenAIChat,
    OpenAIEmbeddings,
    OpenAIResponses,
)
from surefoot.values import Image, Message
from wire import Fault, WireServer
from wire_parts import vector

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360606060000000050001"
    "a5f645400000000049454e44ae426082"
)
ASKED = (Message("system", "Be brief."), Message("user", "What is a ledger?"))
CITY = ToolSpec(
    "weather",
    "The weather of a city.",
    {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city", "days"],
        "additionalProperties": False,
    },
    is_strict=True,
)
REPORT = OutputSpec(
    "Report",
    {
        "type": "object",
        "properties": {"title": {"type": "string"}, "pages": {"type": "integer"}},
        "required": ["title", "pages"],
        "additionalProperties": False,
    },
)


@dataclass(frozen=True)
class Spoken:
    """A format, and where the server speaks it."""

    wire: Wire
    base: str
    model: str
    headers: Mapping[str, str]
    query: str = ""


SPOKEN = {
    "chat": Spoken(OpenAIChat(), "/v1", "gpt-4o", {"authorization": "Bearer k"}),
    "azure": Spoken(
        OpenAIChat(),
        "/openai/deployments/prod-chat",
        "prod-chat",
        {"api-key": "k"},
        "?api-version=2024-10-21",
    ),
    "azure v1": Spoken(OpenAIChat(), "/openai/v1", "prod-chat", {"api-key": "k"}),
    "responses": Spoken(OpenAIResponses(), "/v1", "gpt-5", {"authorization": "Bearer k"}),
    "anthropic": Spoken(
        AnthropicMessages(), "/v1", "claude-sonnet-5", {"x-api-key": "k", "anthropic-version": "2023-06-01"}
    ),
    "google": Spoken(GoogleGenerate(), "/v1beta", "gemini-3-flash", {"x-goog-api-key": "k"}),
}
# What a format has no words for is tested with its body.
LIKELY = ["chat", "azure", "responses", "google"]


@pytest.fixture
def server() -> Iterator[WireServer]:
    with WireServer() as running:
        yield running


@pytest.fixture(params=SPOKEN)
def spoken(request: pytest.FixtureRequest) -> Spoken:
    return SPOKEN[request.param]


def said(server: WireServer, spoken: Spoken, ask: Ask) -> Turn:
    """What the model says; the body goes over a real connection."""
    ask = replace(ask, model=spoken.model)
    status, content = posted(server.url + spoken.base + spoken.wire.path(ask), spoken, spoken.wire.body(ask))
    assert status == 200, content
    if not ask.is_stream:
        return spoken.wire.read(json.loads(content))
    listening = spoken.wire.listen()
    pieces = [listening.hear(event.name, event.data) for event in events_of(content)]
    assert listening.is_whole
    turn = listening.turn()
    assert "".join(pieces) == turn.text
    return turn


def posted(url: str, spoken: Spoken, body: dict[str, Any]) -> tuple[int, bytes]:
    async def post() -> tuple[int, bytes]:
        async with (
            aiohttp.ClientSession(headers=spoken.headers) as session,
            session.post(url + spoken.query, json=body) as response,
        ):
            return response.status, await response.read()

    return asyncio.run(post())


@pytest.mark.parametrize("is_stream", [False, True], ids=["at once", "streamed"])
class TestEach:
    def test_text(self, server: WireServer, spoken: Spoken, is_stream: bool) -> None:
        turn = said(server, spoken, Ask("", ASKED, is_stream=is_stream))
        served = "gpt-4o" if spoken.model == "prod-chat" else spoken.model
        assert turn.text == f"{served} heard: What is a ledger?"
        assert (turn.finish, turn.model) == ("stop", served)
        assert turn.id

    def test_settings(self, server: WireServer, spoken: Spoken, is_stream: bool) -> None:
        has_stop = spoken.wire.operation != "openai.responses"
        ask = Ask(
            "",
            ASKED,
            temperature=0.5,
            top_p=0.9,
            max_tokens=100,
            stop=("END",) if has_stop else (),
            reasoning_effort="low",
            is_stream=is_stream,
        )
        if spoken.wire.operation == "anthropic.messages":
            ask = replace(ask, max_tokens=None)
        assert "What is a ledger?" in said(server, spoken, ask).text

    def test_pictures(self, server: WireServer, spoken: Spoken, is_stream: bool) -> None:
        pictures = ("What is on", Image(data=PIXEL), Image(url="https://example.com/b.jpeg"))
        turn = said(server, spoken, Ask("", (Message("user", pictures),), is_stream=is_stream))
        assert "What is on" in turn.text

    def test_output(self, server: WireServer, spoken: Spoken, is_stream: bool) -> None:
        turn = said(server, spoken, Ask("", ASKED, output=REPORT, is_stream=is_stream))
        assert json.loads(turn.text) == {"title": "text", "pages": 42}

    def test_a_conversation_with_tools(self, server: WireServer, spoken: Spoken, is_stream: bool) -> None:
        ask = Ask("", ASKED, tools=(CITY,), reasoning_effort="low", is_stream=is_stream)
        first = said(server, spoken, ask)
        assert first.finish == "tools"
        (call,) = first.tool_calls
        assert call.name == "weather"
        assert json.loads(call.arguments) == {"city": "text", "days": 42}
        assert first.native is not None
        for native, native_to in ((first.native, spoken.wire.operation), (None, ""), ("foreign", "another")):
            answered = (
                *ASKED,
                Message("assistant", first.text, first.tool_calls, native=native, native_to=native_to),
                Message("tool", "sunny", tool_call_id=call.id, name="weather"),
            )
            last = said(server, spoken, replace(ask, messages=answered))
            assert last.finish == "stop"
            assert not last.tool_calls

    def test_one_reading_of_an_answer_is_like_another(
        self, server: WireServer, spoken: Spoken, is_stream: bool
    ) -> None:
        ask = Ask("", ASKED, tools=(CITY,), reasoning_effort="low", is_stream=is_stream)
        assert said(server, spoken, ask) == said(server, spoken, ask)


@pytest.mark.parametrize("name", LIKELY)
@pytest.mark.parametrize("is_stream", [False, True], ids=["at once", "streamed"])
def test_log_probabilities(server: WireServer, name: str, is_stream: bool) -> None:
    turn = said(server, SPOKEN[name], Ask("", ASKED, top_logprobs=2, is_stream=is_stream))
    assert "".join(token.token for token in turn.logprobs) == turn.text
    assert turn.logprobs[1].logprob == -0.25
    assert [logprob for _, logprob in turn.logprobs[1].others] == [-1.0, -2.0]
    bare = said(server, SPOKEN[name], Ask("", ASKED, top_logprobs=0, is_stream=is_stream))
    assert [token.others for token in bare.logprobs] == [() for _ in turn.logprobs]


@pytest.mark.parametrize("name", ["chat", "azure", "responses", "anthropic"])
def test_a_stream_that_brings_an_error(server: WireServer, name: str) -> None:
    server.fail(Fault(kind="error_event"))
    with pytest.raises(Interrupted, match=r"error|Overloaded") as raised:
        said(server, SPOKEN[name], Ask("", ASKED, is_stream=True))
    assert raised.value.kind in ("server_error", "overloaded_error")


def test_an_error_in_a_stream_of_geminis_is_no_event_and_the_stream_has_no_end(server: WireServer) -> None:
    spoken = SPOKEN["google"]
    ask = Ask(spoken.model, ASKED, is_stream=True)
    server.fail(Fault(kind="error_event"))
    _, content = posted(server.url + spoken.base + spoken.wire.path(ask), spoken, spoken.wire.body(ask))
    listening = spoken.wire.listen()
    for event in events_of(content):
        listening.hear(event.name, event.data)
    assert not listening.is_whole


@pytest.mark.parametrize(
    ("wire", "base", "model", "headers"),
    [
        (OpenAIEmbeddings(), "/v1", "text-embedding-3-small", {"authorization": "Bearer k"}),
        (OpenAIEmbeddings("float"), "/v1", "text-embedding-3-small", {"authorization": "Bearer k"}),
        (OpenAIEmbeddings(), "/openai/v1", "text-embedding-3-small", {"api-key": "k"}),
        (GoogleEmbeddings(), "/v1beta", "gemini-embedding-001", {"x-goog-api-key": "k"}),
        (GoogleEmbeddings("RETRIEVAL_QUERY"), "/v1beta", "gemini-embedding-001", {"x-goog-api-key": "k"}),
    ],
)
def test_embeddings(
    server: WireServer, wire: EmbeddingWire, base: str, model: str, headers: dict[str, str]
) -> None:
    texts = ["a ledger", "a loop", "a ledger"]
    spoken = Spoken(OpenAIChat(), base, model, headers)
    status, content = posted(server.url + base + wire.path(model), spoken, wire.body(texts, model))
    assert status == 200, content
    found = wire.read(json.loads(content), count=3)
    assert found == tuple(tuple(vector(text)) for text in texts)
    with pytest.raises(ValueError, match="3 embeddings for 2 texts"):
        wire.read(json.loads(content), count=2)


def test_gemini_makes_vectors_of_the_length_that_is_asked_for(server: WireServer) -> None:
    wire, model = GoogleEmbeddings(), "gemini-embedding-001"
    spoken = Spoken(OpenAIChat(), "/v1beta", model, {"x-goog-api-key": "k"})
    body = wire.body(["a"], model, dimensions=3)
    _, content = posted(server.url + "/v1beta" + wire.path(model), spoken, body)
    assert [len(found) for found in wire.read(json.loads(content), count=1)] == [3]
