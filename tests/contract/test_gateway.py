"""The official clients of OpenAI and Anthropic against the gateway, over strict local servers of both."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from pydantic import BaseModel

from gatewayed import KEY, Gatewayed, gatewayed
from surefoot.tracecontext import TraceParent, span_id
from surefoot.traces import trace
from wire import WireServer

MESSAGES: Any = [{"role": "user", "content": "How high is it?"}]
TOOL = {
    "name": "measure",
    "description": "Measures.",
    "parameters": {"type": "object", "properties": {"n": {"type": "integer"}}},
}


class Answer(BaseModel):
    text: str
    score: int


@pytest.fixture(autouse=True)
def own_policy() -> None:
    """The policy is that of the app."""


@pytest.fixture(scope="module")
def wire() -> Iterator[WireServer]:
    with WireServer() as wire:
        yield wire


@pytest.fixture(scope="module")
def gateway(wire: WireServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gatewayed]:
    with gatewayed(tmp_path_factory.mktemp("gateway"), wire.openai_url, wire.anthropic_url) as gateway:
        yield gateway


@pytest.fixture(autouse=True)
def forgotten(wire: WireServer) -> None:
    wire.received.clear()


def test_chat_is_a_durable_run_of_whoever_asks(gateway: Gatewayed, wire: WireServer) -> None:
    answer = gateway.openai().chat.completions.with_raw_response.create(model="gpt-4o", messages=MESSAGES)
    assert answer.parse().choices[0].message.content == "gpt-4o heard: How high is it?"
    run = gateway.app.ledger.run(answer.headers["x-surefoot-run"])
    assert (run.flow, run.status, run.tenant, run.principal) == ("gateway", "completed", "acme", "user:ann")
    assert run.totals.calls == 1
    assert run.totals.cost.nanos > 0
    call = gateway.app.recorded_calls(run.id).calls[0]
    assert call.answer is not None
    assert call.answer.body == answer.content
    assert len(wire.received) == 1


def test_the_provider_is_told_of_the_span_of_the_call_in_the_trace_of_whoever_asks(
    gateway: Gatewayed, wire: WireServer
) -> None:
    caller = "a1" * 16
    client = gateway.openai().with_options(default_headers={"traceparent": f"00-{caller}-{'b2' * 8}-01"})
    client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    run = gateway.ended()
    [call] = trace(gateway.app.ledger, run.id).walk()
    told = TraceParent.read(wire.received[0].headers["traceparent"])
    assert told == TraceParent(bytes.fromhex(caller), span_id(run.id, call.id))


def test_no_key_gets_to_the_other_side(gateway: Gatewayed, wire: WireServer) -> None:
    answer = gateway.openai(
        organization="org-of-the-client", default_headers={"cookie": "mine=1", "x-api-key": "mine"}
    ).chat.completions.with_raw_response.create(model="gpt-4o", messages=MESSAGES)
    sent = wire.received[0].headers
    assert sent["authorization"] == f"Bearer {KEY}"
    assert gateway.tokens["user:ann"] not in json.dumps(sent)
    assert not {"cookie", "x-api-key", "openai-organization"} & sent.keys()
    assert KEY not in json.dumps(dict(answer.headers)) + answer.text


def test_what_a_provider_sets_is_handed_to_nobody(gateway: Gatewayed, wire: WireServer) -> None:
    client = gateway.openai()
    first = client.chat.completions.with_raw_response.create(model="gpt-4o", messages=MESSAGES)
    client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert not {"set-cookie", "openai-organization"} & first.headers.keys()
    assert all("cookie" not in one.headers for one in wire.received)


@pytest.mark.parametrize("is_named", [False, True])
def test_a_stream_is_handed_on_byte_for_byte(gateway: Gatewayed, wire: WireServer, *, is_named: bool) -> None:
    body = {
        "model": "gpt-4o",
        "messages": MESSAGES,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    direct = httpx2.post(
        f"{wire.openai_url}/chat/completions", json=body, headers={"authorization": f"Bearer {KEY}"}
    )
    given = httpx2.post(
        f"{gateway.url}/v1/chat/completions",
        json=body | ({"model": "main:gpt-4o"} if is_named else {}),
        headers={"authorization": f"Bearer {gateway.tokens['user:ann']}"},
    )
    assert given.content == direct.content
    assert given.headers["content-type"] == direct.headers["content-type"]
    assert wire.received[1].body == wire.received[0].body
    assert gateway.ended().totals.usage.output > 0


def test_a_stream_through_the_client(gateway: Gatewayed) -> None:
    stream = gateway.openai().chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
    pieces = [chunk.choices[0].delta.content or "" for chunk in stream]
    assert len(pieces) > 3
    assert "".join(pieces) == "gpt-4o heard: How high is it?"
    run = gateway.ended()
    assert run.status == "completed"
    assert gateway.app.resume(run.id) == {
        "run": run.id,
        "text": "gpt-4o heard: How high is it?",
        "finish": "stop",
    }


def test_tools_go_through_untouched(gateway: Gatewayed, wire: WireServer) -> None:
    client, tools = gateway.openai(), [{"type": "function", "function": TOOL}]
    asked: Any = client.chat.completions.create(model="gpt-4o", messages=MESSAGES, tools=tools)  # type: ignore[call-overload]
    call = asked.choices[0].message.tool_calls[0]
    assert (call.function.name, call.function.arguments) == ("measure", '{"n": 42}')
    assert wire.received[0].body["tools"] == tools
    turns = [*MESSAGES, asked.choices[0].message.model_dump(exclude_none=True)]
    turns.append({"role": "tool", "tool_call_id": call.id, "content": "300 m"})
    last: Any = client.chat.completions.create(model="gpt-4o", messages=turns, tools=tools)  # type: ignore[call-overload]
    assert last.choices[0].message.content is not None


def test_structured_output(gateway: Gatewayed) -> None:
    parsed = gateway.openai().chat.completions.parse(
        model="gpt-4o", messages=MESSAGES, response_format=Answer
    )
    assert parsed.choices[0].message.parsed == Answer(text="text", score=42)


def test_embeddings(gateway: Gatewayed, wire: WireServer) -> None:
    client = gateway.openai()
    given = client.embeddings.create(model="main:text-embedding-3-small", input=["a", "b"], dimensions=4)
    assert [len(one.embedding) for one in given.data] == [4, 4]
    assert wire.received[0].body["model"] == "text-embedding-3-small"


def test_responses_whole_and_streamed(gateway: Gatewayed) -> None:
    client = gateway.openai()
    assert client.responses.create(model="gpt-4o", input="hello").output_text == "gpt-4o heard: hello"
    with client.responses.stream(model="gpt-4o", input="hello there") as stream:
        kinds = [event.type for event in stream]
    assert kinds[-1] == "response.completed"


def test_messages_of_anthropic_with_their_key_header(gateway: Gatewayed, wire: WireServer) -> None:
    client = gateway.anthropic()
    message = client.messages.create(model="claude-sonnet-5", max_tokens=50, messages=MESSAGES)
    assert message.content[0].text == "claude-sonnet-5 heard: How high is it?"  # type: ignore[union-attr]
    sent = wire.received[0].headers
    assert sent["x-api-key"] == KEY
    assert sent["anthropic-version"] == "2023-06-01"
    assert "authorization" not in sent
    with client.messages.stream(model="claude-sonnet-5", max_tokens=50, messages=MESSAGES) as stream:
        assert "".join(stream.text_stream) == "claude-sonnet-5 heard: How high is it?"


def test_tools_of_anthropic(gateway: Gatewayed) -> None:
    tool: Any = {"name": "measure", "input_schema": TOOL["parameters"]}
    message = gateway.anthropic().messages.create(
        model="claude-sonnet-5", max_tokens=50, messages=MESSAGES, tools=[tool]
    )
    call: Any = message.content[-1]
    assert (message.stop_reason, call.name, call.input) == ("tool_use", "measure", {"n": 42})
    output: Any = gateway.app.resume(gateway.ended().id)
    assert output["tool_calls"] == [{"name": "measure", "arguments": '{"n":42}'}]


def test_models_are_those_that_whoever_asks_may_use(gateway: Gatewayed) -> None:
    gateway.add("user:bob", "acme", on="acme/shop/connection:claude")
    listed = {model.id for model in gateway.openai().models.list()}
    assert "main:gpt-4o" in listed
    assert "main:gpt-4o" not in {model.id for model in gateway.openai("user:bob").models.list()}
    assert gateway.openai().models.retrieve("main:gpt-4o").owned_by == "main"
    with pytest.raises(openai.NotFoundError):
        gateway.openai("user:bob").models.retrieve("main:gpt-4o")
    assert "main:gpt-4o" in {model.id for model in gateway.anthropic().models.list()}


def test_a_client_on_an_event_loop(gateway: Gatewayed) -> None:
    import asyncio

    async def asked() -> list[str]:
        async with openai.AsyncOpenAI(
            base_url=f"{gateway.url}/v1", api_key=gateway.tokens["user:ann"], max_retries=0
        ) as client:

            async def one(number: int) -> str:
                content: Any = [{"role": "user", "content": f"n {number}"}]
                answer = await client.chat.completions.create(model="gpt-4o", messages=content)
                return answer.choices[0].message.content or ""

            return await asyncio.gather(*(one(number) for number in range(10)))

    assert asyncio.run(asked()) == [f"gpt-4o heard: n {number}" for number in range(10)]


def test_an_answer_is_given_again_under_the_key_of_its_request(gateway: Gatewayed, wire: WireServer) -> None:
    client = gateway.openai()

    def asked(key: str, text: str = "once", *, is_stream: bool = False) -> bytes:
        headers = {"idempotency-key": key}
        answer = client.chat.completions.with_raw_response.create(
            model="gpt-4o",
            messages=[{"role": "user", "content": text}],
            stream=is_stream,
            extra_headers=headers,
        )
        return answer.http_response.read()

    assert asked("k1") == asked("k1")
    assert len(wire.received) == 1
    assert asked("k2", is_stream=True) == asked("k2", is_stream=True)
    assert len(wire.received) == 2
    with pytest.raises(openai.BadRequestError):
        asked("k1", "something else")
    gateway.add("user:eve", "acme")
    other = gateway.openai("user:eve").chat.completions.with_raw_response.create(
        model="gpt-4o",
        messages=[{"role": "user", "content": "mine"}],
        extra_headers={"idempotency-key": "k1"},
    )
    assert b"mine" in other.content


def test_one_is_denied_the_connections_that_are_not_granted(gateway: Gatewayed, wire: WireServer) -> None:
    gateway.add("user:carl", "acme", on="acme/shop/connection:main")
    gateway.openai("user:carl").chat.completions.create(model="gpt-4o", messages=MESSAGES)
    with pytest.raises(anthropic.PermissionDeniedError) as denied:
        gateway.anthropic("user:carl").messages.create(
            model="claude-sonnet-5", max_tokens=5, messages=MESSAGES
        )
    said: Any = denied.value.body
    assert said["error"]["type"] == "permission_error"
    assert len(wire.received) == 1
    rows = [row for row in gateway.app.access.audit.rows() if row.who == "user:carl"]
    assert {(row.action, row.resource, row.decision) for row in rows} == {
        ("connection:use", "acme/shop/connection:main", "allowed"),
        ("connection:use", "acme/shop/connection:claude", "denied"),
    }
    assert all(row.request_id for row in rows)


def test_somebody_or_the_gateway_is_switched_off(gateway: Gatewayed, wire: WireServer) -> None:
    from surefoot.access import LOCAL

    gateway.add("user:dora", "acme")
    gateway.app.access.switches.off("user:dora", organisation="acme", by=LOCAL)
    with pytest.raises(openai.PermissionDeniedError, match="switched off"):
        gateway.openai("user:dora").chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert not wire.received
