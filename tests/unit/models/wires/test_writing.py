"""What is written as a provider writes it is read as what it was, by us and by the providers' own packages."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from anthropic.types import Message as AnthropicMessage
from anthropic.types import RawMessageStreamEvent
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from surefoot.errors import UsageError
from surefoot.models.chain.answers import is_whole, read_buffered, read_events
from surefoot.models.chain.sse import Event
from surefoot.models.generating.asking import Logprob, Turn
from surefoot.models.wires import written
from surefoot.values import ToolCall, Usage
from turns import WIRES, heard, turns, usages

OPERATIONS = sorted(WIRES)
said = st.sampled_from(OPERATIONS).flatmap(lambda name: st.tuples(st.just(name), turns(name)))


@given(said, usages)
def test_what_is_written_is_read_as_what_it_was(said: tuple[str, Turn], usage: Usage) -> None:
    operation, turn = said
    answer = written(operation, turn, usage)
    # As it comes off the wire.
    body = json.loads(json.dumps(answer.body))
    read = WIRES[operation].read(body)
    assert replace(read, native=None) == turn
    listening, pieces = heard(WIRES[operation], answer.events)
    assert listening.is_whole
    assert listening.turn() == read
    assert pieces == turn.text


@given(said, usages, st.data())
def test_a_stream_that_was_cut_between_events_is_not_whole(
    said: tuple[str, Turn], usage: Usage, data: st.DataObject
) -> None:
    operation, turn = said
    events = written(operation, turn, usage).events
    cut = data.draw(st.integers(0, len(events) - 1))
    listening, pieces = heard(WIRES[operation], events[:cut])
    assert not listening.is_whole
    part = listening.turn()
    assert part.text == pieces
    assert turn.text.startswith(part.text)
    assert turn.reasoning.startswith(part.reasoning)
    assert len(part.tool_calls) <= len(turn.tool_calls)


@given(said, usages, st.data())
def test_a_stream_that_was_cut_within_an_event_is_not_whole_or_malformed(
    said: tuple[str, Turn], usage: Usage, data: st.DataObject
) -> None:
    operation, turn = said
    events = written(operation, turn, usage).events
    at = data.draw(st.integers(0, len(events) - 1))
    cut = data.draw(st.integers(0, len(events[at].data) - 1))
    listening, _ = heard(WIRES[operation], events[:at])
    with pytest.raises(ValueError, match="no object"):
        listening.hear(events[at].name, events[at].data[:cut])
    assert not listening.is_whole


@given(usages, st.sampled_from(["openai.chat", "openai.responses", "anthropic.messages"]))
def test_tokens_are_counted_as_they_were(usage: Usage, operation: str) -> None:
    answer = written(operation, Turn("Yes.", model="m", id="1"), usage)
    assert read_buffered(json.dumps(answer.body).encode()).usage == usage
    assert read_events(list(answer.events)).usage == usage


@pytest.mark.parametrize("operation", ["openai.chat", "openai.responses", "anthropic.messages"])
def test_the_stream_has_an_end_that_the_record_knows(operation: str) -> None:
    events = list(written(operation, Turn("Yes."), Usage()).events)
    assert is_whole(events)
    assert not is_whole(events[:-1])


@cache
def adapter_of(kind: Any) -> TypeAdapter[Any]:
    """The type of a provider's package as pydantic checks it; made once, as that takes seconds."""
    return TypeAdapter(kind)


def payload(event: Event) -> Any:
    return json.loads(event.data)


@given(turns("openai.chat"), usages)
def test_openais_package_reads_chats(turn: Turn, usage: Usage) -> None:
    answer = written("openai.chat", turn, usage)
    completion = ChatCompletion.model_validate(answer.body)
    assert completion.choices[0].message.content == (turn.text or (None if turn.tool_calls else ""))
    assert [call.id for call in completion.choices[0].message.tool_calls or []] == [
        call.id for call in turn.tool_calls
    ]
    for event in answer.events[:-1]:
        ChatCompletionChunk.model_validate(payload(event))


@given(turns("openai.responses"), usages)
def test_openais_package_reads_responses(turn: Turn, usage: Usage) -> None:
    answer = written("openai.responses", turn, usage)
    assert Response.model_validate(answer.body).output_text == turn.text
    for event in answer.events:
        adapter_of(ResponseStreamEvent).validate_python(payload(event))


@given(turns("anthropic.messages"), usages)
def test_anthropics_package_reads_messages(turn: Turn, usage: Usage) -> None:
    answer = written("anthropic.messages", turn, usage)
    message = AnthropicMessage.model_validate(answer.body)
    assert "".join(block.text for block in message.content if block.type == "text") == turn.text
    for event in answer.events:
        if event.name != "ping":
            adapter_of(RawMessageStreamEvent).validate_python(payload(event))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_turn_with_calls_ends_in_tools(operation: str) -> None:
    call = ToolCall("call_1", "look_up", '{"key":1}')
    answer = written(operation, Turn("", tool_calls=(call,)), Usage())
    turn = WIRES[operation].read(answer.body)
    assert (turn.finish, turn.tool_calls) == ("tools", (call,))


@pytest.mark.parametrize(
    ("operation", "turn", "said"),
    [
        ("openai.completions", Turn("a"), "there are openai.chat"),
        ("openai.chat", Turn("a", "other"), "there are stop, length, tools, filter"),
        ("openai.chat", Turn("a", "tools"), "give the turn tool_calls"),
        ("anthropic.messages", Turn("a", logprobs=(Logprob("a", -1.0),)), "no log-probabilities"),
        ("anthropic.messages", Turn("", tool_calls=(ToolCall("1", "f", "{"),)), "no JSON object"),
        ("google.generate_content", Turn("", tool_calls=(ToolCall("1", "f", "[]"),)), "no JSON object"),
    ],
)
def test_what_a_format_has_no_words_for_is_not_written(operation: str, turn: Turn, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        written(operation, turn, Usage())
