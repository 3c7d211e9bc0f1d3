"""A real run with every kind of span, sent to a receiver that decodes the protobuf."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from anthropic import Anthropic
from openai import BadRequestError, OpenAI
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from durable import opened_app
from receiver import Receiver, attributes
from surefoot import App, flow, step
from surefoot.traces import Span as SpanRead
from surefoot.traces import Trace, trace
from surefoot.traces.ids import span_id, trace_id
from surefoot.traces.sending import Sent, send
from surefoot.traces.targets import otlp_target
from surefoot.values import RunTags, id_bytes
from wire import WireServer

SECRET = "sk-this-is-the-secret-key-of-the-test"
TOOLS: Any = [
    {
        "type": "function",
        "function": {
            "name": "look_up",
            "parameters": {"type": "object", "properties": {"page": {"type": "integer"}}},
        },
    }
]


@step
def look_up(page: int) -> str:
    return f"page {page}"


@step(pure=True)
def parse(text: str, attempt: int) -> str:
    if attempt == 1:
        raise ValueError(f"cannot read {text!r}") from KeyError("answer")
    return text.upper()


tries: list[str] = []


@step(retries=1, backoff=lambda _: 0.0)
def distil(text: str) -> str:
    tries.append(text)
    return parse(text, len(tries))


@step(fallback="from the full text")
def retrieve(query: str) -> str:
    raise OSError("the store cannot be read")


@flow
def inner(client_url: str) -> int:
    client = OpenAI(base_url=client_url, api_key=SECRET)
    found = client.embeddings.create(model="text-embedding-3-small", input=["a", "b"])
    return len(found.data)


@flow(name="answer", version="3")
def answer(query: str, openai_url: str, anthropic_url: str) -> dict[str, object]:
    client = OpenAI(base_url=openai_url, api_key=SECRET)
    retrieve(query)
    asked = client.chat.completions.create(
        model="gpt-4o",
        messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": query}],
        tools=TOOLS,
        temperature=0.25,
        max_tokens=64,
        stop=["END"],
    )
    assert asked.choices[0].message.tool_calls
    page = look_up(7)
    stream = client.chat.completions.create(
        model="gpt-4o",
        messages=[{"role": "user", "content": page}],
        stream=True,
        stream_options={"include_usage": True},
    )
    streamed = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    claude = Anthropic(base_url=anthropic_url, api_key=SECRET).messages.create(
        model="claude-sonnet-5",
        max_tokens=32,
        system="Count pages.",
        messages=[{"role": "user", "content": "how many?"}],
    )
    with suppress(BadRequestError):
        client.chat.completions.create(model="gpt-4o", messages=[])
    return {
        "streamed": streamed,
        "stop": claude.stop_reason,
        "vectors": inner(openai_url),
        "distilled": distil("words"),
    }


@dataclass(frozen=True)
class Story:
    """A run, what was sent of it (twice), and how it arrived."""

    trace: Trace
    sent: Sent
    first: list[Span]
    second: list[Span]
    receiver: Receiver

    def named(self, name: str) -> list[Span]:
        return [span for span in self.first if span.name == name]

    def one(self, name: str) -> Span:
        [span] = self.named(name)
        return span

    def read(self, name: str) -> list[SpanRead]:
        return [span for span in self.trace.walk() if span.name == name]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    tries.clear()
    folder = tmp_path_factory.mktemp("otlp")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", SECRET)
        with WireServer() as wire, opened_app(folder) as app, Receiver() as receiver:
            run_it(app, wire)
            found = trace(app.ledger, "last")
            target = otlp_target(
                receiver.url, headers={"x-api-key": "k"}, environ={"OTEL_SERVICE_NAME": "desk"}
            )
            sent = send([found], target)
            first = receiver.spans()
            send([found], target)
            yield Story(found, sent, first, receiver.spans()[len(first) :], receiver)


def run_it(app: App, wire: WireServer) -> None:
    inputs = {
        "query": f"What does {SECRET} open?",
        "openai_url": wire.openai_url,
        "anthropic_url": wire.anthropic_url,
    }
    tags = RunTags(tenant="acme", principal="ada", session="s-1", tags={"team": "blue"})
    app.run(answer, inputs, tags=tags)


def test_resource_scope_and_headers(story: Story) -> None:
    arrived = story.receiver.arrived[0]
    assert arrived.path == "/v1/traces"
    assert arrived.headers["content-type"] == "application/x-protobuf"
    assert arrived.headers["content-encoding"] == "gzip"
    assert arrived.headers["x-api-key"] == "k"
    [resource] = arrived.message.resource_spans
    told = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
    assert told["service.name"] == "desk"
    assert told["telemetry.sdk.language"] == "python"
    [scope] = resource.scope_spans
    assert (scope.scope.name, bool(scope.scope.version)) == ("surefoot", True)
    assert story.sent == Sent(runs=1, spans=len(story.first), requests=1)


def test_ids_come_from_the_run_and_its_steps_and_stay_the_same(story: Story) -> None:
    run = story.trace.run
    assert {span.trace_id for span in story.first} == {trace_id(run.id)} == {id_bytes(run.id)}
    assert (
        len({span.span_id for span in story.first}) == len(story.first) == 1 + len(list(story.trace.walk()))
    )
    assert all(len(span.span_id) == 8 for span in story.first)
    assert [span.SerializeToString() for span in story.first] == [
        span.SerializeToString() for span in story.second
    ]


def test_the_tree_is_that_of_the_run(story: Story) -> None:
    run_id = story.trace.run.id
    root = story.one("invoke_workflow answer")
    assert root.parent_span_id == b""
    assert root.span_id == span_id(run_id)
    sent = {span.span_id: span for span in story.first}
    for read in story.trace.walk():
        span = sent[span_id(run_id, read.id)]
        expected = root.span_id if read.parent == run_id else span_id(run_id, read.parent)
        assert span.parent_span_id == expected
    assert sent[story.one("embeddings text-embedding-3-small").parent_span_id].name == "invoke_workflow inner"
    parents = [sent[span.parent_span_id] for span in story.named("parse")]
    assert [span.name for span in parents] == ["distil", "distil"]
    assert [attributes(span)["surefoot.attempt"] for span in parents] == [1, 2]


def test_times_are_those_of_the_ledger_in_nanoseconds(story: Story) -> None:
    run = story.trace.run
    root = story.one("invoke_workflow answer")
    assert (root.start_time_unix_nano, root.end_time_unix_nano) == (run.created_ns, run.ended_ns)
    sent = {span.span_id: span for span in story.first}
    for read in story.trace.walk():
        span = sent[span_id(run.id, read.id)]
        assert (span.start_time_unix_nano, span.end_time_unix_nano) == (read.started_ns, read.ended_ns)
        assert root.start_time_unix_nano <= span.start_time_unix_nano
        assert span.end_time_unix_nano <= root.end_time_unix_nano


def test_the_run_itself(story: Story) -> None:
    root = story.one("invoke_workflow answer")
    told = attributes(root)
    assert root.kind == Span.SPAN_KIND_INTERNAL
    assert root.status.code == Status.STATUS_CODE_OK
    assert told["openinference.span.kind"] == "CHAIN"
    assert told["gen_ai.operation.name"] == "invoke_workflow"
    assert told["gen_ai.workflow.name"] == "answer"
    assert told["surefoot.flow.version"] == "3"
    assert told["surefoot.run.status"] == "completed"
    assert told["surefoot.is_degraded"] is True
    assert told["surefoot.tenant"] == "acme"
    assert json.loads(told["metadata"]) == {"team": "blue"}
    assert set(json.loads(told["input.value"])) == {"query", "openai_url", "anthropic_url"}
    assert json.loads(told["output.value"])["distilled"] == "WORDS"
    assert told["output.mime_type"] == told["input.mime_type"] == "application/json"
    assert told["surefoot.run.calls"] == 5
    assert not [name for name in told if name.startswith(("llm.", "gen_ai.usage"))], "receivers add these up"


def test_for_whom_is_told_on_every_span(story: Story) -> None:
    for span in story.first:
        told = attributes(span)
        assert (told["session.id"], told["user.id"]) == ("s-1", "ada")
        assert told["surefoot.run.id"] == story.trace.run.id


def test_a_chat_call_with_tools(story: Story) -> None:
    span = story.named("chat gpt-4o")[0]
    told = attributes(span)
    assert span.kind == Span.SPAN_KIND_CLIENT
    assert span.status.code == Status.STATUS_CODE_OK
    assert told["openinference.span.kind"] == "LLM"
    assert told["gen_ai.operation.name"] == "chat"
    assert told["gen_ai.provider.name"] == "openai"
    assert told["gen_ai.request.model"] == told["gen_ai.response.model"] == told["llm.model_name"] == "gpt-4o"
    assert told["gen_ai.request.temperature"] == 0.25
    assert told["gen_ai.request.max_tokens"] == 64
    assert told["gen_ai.request.stop_sequences"] == ["END"]
    assert json.loads(told["llm.invocation_parameters"])["temperature"] == 0.25
    assert told["gen_ai.response.finish_reasons"] == ["tool_calls"]
    assert told["gen_ai.response.id"].startswith("chatcmpl-")
    assert json.loads(told["gen_ai.tool.definitions"]) == TOOLS
    asked = json.loads(told["gen_ai.input.messages"])
    assert [message["role"] for message in asked] == ["system", "user"]
    assert asked[0]["parts"] == [{"type": "text", "content": "Be brief."}]
    [said] = json.loads(told["gen_ai.output.messages"])
    assert said["role"] == "assistant"
    assert said["parts"][0]["type"] == "tool_call"
    assert said["parts"][0]["name"] == "look_up"
    assert json.loads(told["input.value"])["model"] == "gpt-4o"
    assert json.loads(told["output.value"])["choices"]
    call = story.read("openai.chat")[0].call
    assert call is not None
    usage, cost = call.facts.usage, call.facts.cost
    assert cost is not None
    assert cost.nanos > 0
    assert told["gen_ai.usage.input_tokens"] == told["llm.token_count.prompt"] == usage.input
    assert told["gen_ai.usage.output_tokens"] == told["llm.token_count.completion"] == usage.output
    assert told["llm.token_count.total"] == usage.total
    assert told["llm.cost.total"] == told["gen_ai.usage.cost"] == cost.nanos / 1e9


def test_the_tool_that_the_model_asked_for_and_a_step_that_it_did_not(story: Story) -> None:
    told = attributes(story.one("execute_tool look_up"))
    assert told["openinference.span.kind"] == "TOOL"
    assert told["gen_ai.tool.name"] == "look_up"
    assert json.loads(told["gen_ai.tool.call.arguments"]) == {"page": 7}
    assert json.loads(told["gen_ai.tool.call.result"]) == "page 7"
    assert told["output.value"] == "page 7"
    assert told["output.mime_type"] == "text/plain"
    assert attributes(story.named("distil")[0])["openinference.span.kind"] == "CHAIN"


def test_a_streamed_call(story: Story) -> None:
    told = attributes(story.named("chat gpt-4o")[1])
    read = [span.call for span in story.read("openai.chat")][1]
    assert read is not None
    assert read.facts.first_token_ns is not None
    assert told["gen_ai.request.stream"] is True
    assert told["gen_ai.response.time_to_first_chunk"] == read.facts.first_token_ns / 1e9
    assert told["output.value"] == "gpt-4o heard: page 7"
    assert told["output.mime_type"] == "text/plain"
    assert json.loads(told["gen_ai.output.messages"])[0]["parts"] == [
        {"type": "text", "content": "gpt-4o heard: page 7"}
    ]
    assert told["gen_ai.usage.output_tokens"] > 0


def test_an_anthropic_call(story: Story) -> None:
    told = attributes(story.one("chat claude-sonnet-5"))
    assert told["gen_ai.provider.name"] == "anthropic"
    assert json.loads(told["gen_ai.system_instructions"]) == [{"type": "text", "content": "Count pages."}]
    assert [message["role"] for message in json.loads(told["gen_ai.input.messages"])] == ["user"]
    assert told["gen_ai.response.finish_reasons"] == ["end_turn"]
    assert told["gen_ai.usage.cache_read.input_tokens"] == 5
    assert told["llm.token_count.prompt_details.cache_read"] == 5


def test_an_embedding_sends_no_vectors(story: Story) -> None:
    told = attributes(story.one("embeddings text-embedding-3-small"))
    assert told["openinference.span.kind"] == "EMBEDDING"
    assert told["gen_ai.operation.name"] == "embeddings"
    assert told["embedding.model_name"] == "text-embedding-3-small"
    assert "gen_ai.output.messages" not in told
    assert told["output.value"].startswith("[2 vectors")


def test_a_refused_call_is_an_error(story: Story) -> None:
    span = story.named("chat gpt-4o")[2]
    told = attributes(span)
    assert span.status.code == Status.STATUS_CODE_ERROR
    assert "empty array" in span.status.message
    assert told["error.type"] == "400"
    assert told["http.response.status_code"] == 400
    assert "gen_ai.output.messages" not in told
    [event] = span.events
    assert event.name == "exception"


def test_failed_attempts_are_spans_with_the_exception(story: Story) -> None:
    failed, done = story.named("distil")
    assert failed.status.code == Status.STATUS_CODE_ERROR
    assert failed.status.message == "ValueError: cannot read 'words'"
    assert attributes(failed)["error.type"] == "ValueError"
    assert attributes(failed)["surefoot.is_tried_again"] is True
    [event] = failed.events
    told = {pair.key: pair.value for pair in event.attributes}
    assert event.name == "exception"
    assert event.time_unix_nano == failed.end_time_unix_nano
    assert told["exception.type"].string_value == "ValueError"
    assert told["exception.message"].string_value == "cannot read 'words'"
    [cause] = told["surefoot.exception.causes"].array_value.values
    assert cause.string_value == "KeyError: 'answer'"
    assert done.status.code == Status.STATUS_CODE_OK
    assert not done.events
    assert attributes(done)["surefoot.attempt"] == 2


def test_a_degraded_step_says_so(story: Story) -> None:
    failed, degraded = story.named("retrieve")
    assert failed.status.code == Status.STATUS_CODE_ERROR
    assert attributes(failed)["surefoot.is_degraded"] is False
    assert degraded.status.code == Status.STATUS_CODE_OK
    assert attributes(degraded)["surefoot.is_degraded"] is True


def test_only_the_redacted_view_leaves(story: Story) -> None:
    assert SECRET not in repr(story.first)
    assert SECRET.encode() not in b"".join(span.SerializeToString() for span in story.first)
    assert "What does" in attributes(story.one("invoke_workflow answer"))["input.value"]
