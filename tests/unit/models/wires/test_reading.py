"""Answers as providers and other servers give them: what is read, kept for the next request, and refused."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.models.chain.sse import Event, events_of
from surefoot.models.generating.asking import Ask, Interrupted, Logprob, Turn
from surefoot.models.wires import AnthropicMessages, GoogleGenerate, OpenAIChat, OpenAIResponses, written
from surefoot.values import Message, ToolCall, Usage
from turns import WIRES, heard, turns

OPERATIONS = sorted(WIRES)

MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-5",
    "content": [
        {"type": "thinking", "thinking": "I need the weather.", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "c2VjcmV0"},
        {"type": "text", "text": "I look. "},
        {"type": "text", "text": ""},
        {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Oslo", "days": 3}},
    ],
    "stop_reason": "tool_use",
    "usage": {"input_tokens": 9, "output_tokens": 5},
}
RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "model": "gpt-5",
    "output": [
        {
            "id": "rs_1",
            "type": "reasoning",
            "summary": [
                {"type": "summary_text", "text": "First."},
                {"type": "summary_text", "text": "Then."},
            ],
            "encrypted_content": "c2VjcmV0",
        },
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "phase": "commentary",
            "content": [
                {
                    "type": "output_text",
                    "text": "I look.",
                    "annotations": [],
                    "logprobs": [{"token": "I look.", "logprob": -0.5, "bytes": [], "top_logprobs": []}],
                }
            ],
        },
        {
            "id": "fc_1",
            "type": "function_call",
            "call_id": "call_1",
            "name": "weather",
            "arguments": '{"city": "Oslo"}',
            "status": "completed",
        },
    ],
}
CONTENT: dict[str, Any] = {
    "candidates": [
        {
            "content": {
                "role": "model",
                "parts": [
                    {"text": "Thinking.", "thought": True},
                    {"text": "I "},
                    {"text": "look."},
                    {
                        "functionCall": {"name": "weather", "args": {"city": "Oslo"}},
                        "thoughtSignature": "c2ln",
                    },
                    {"functionCall": {"name": "weather", "args": {"city": "Rome"}}},
                    {"functionCall": {"id": "g1", "name": "clock", "args": {}}},
                ],
            },
            "finishReason": "STOP",
        }
    ],
    "modelVersion": "gemini-3-pro",
    "responseId": "r1",
}


def test_a_message_with_signed_thoughts() -> None:
    turn = AnthropicMessages().read(MESSAGE)
    assert turn == Turn(
        text="I look. ",
        finish="tools",
        tool_calls=(ToolCall("toolu_1", "weather", '{"city":"Oslo","days":3}'),),
        reasoning="I need the weather.",
        model="claude-sonnet-5",
        id="msg_1",
        native={"role": "assistant", "content": [MESSAGE["content"][at] for at in (0, 1, 2, 4)]},
    )


def test_a_response_with_encrypted_reasoning() -> None:
    turn = OpenAIResponses().read(RESPONSE)
    native: Any = turn.native
    assert replace(turn, native=None) == Turn(
        text="I look.",
        finish="tools",
        tool_calls=(ToolCall("call_1", "weather", '{"city": "Oslo"}'),),
        reasoning="First.\n\nThen.",
        logprobs=(Logprob("I look.", -0.5),),
        model="gpt-5",
        id="resp_1",
    )
    assert [native[0], native[2]] == [RESPONSE["output"][0], RESPONSE["output"][2]]
    assert native[1]["phase"] == "commentary"
    assert "logprobs" not in native[1]["content"][0]


def test_content_with_a_signature_and_calls_without_ids() -> None:
    turn = GoogleGenerate().read(CONTENT)
    assert (turn.text, turn.reasoning, turn.finish) == ("I look.", "Thinking.", "tools")
    assert [call.name for call in turn.tool_calls] == ["weather", "weather", "clock"]
    first, second, third = turn.tool_calls
    assert third.id == "g1"
    assert len({first.id, second.id, third.id}) == 3
    assert GoogleGenerate().read(CONTENT).tool_calls == turn.tool_calls
    assert GoogleGenerate().read(CONTENT | {"responseId": "r2"}).tool_calls[0].id != first.id


def test_ids_that_gemini_did_not_give_are_not_sent_to_it() -> None:
    wire = GoogleGenerate()
    turn = wire.read(CONTENT)
    said = Message("assistant", turn.text, turn.tool_calls, native=turn.native, native_to=wire.operation)
    results = [Message("tool", call.id, tool_call_id=call.id) for call in reversed(turn.tool_calls)]
    contents: Any = wire.body(Ask("gemini-3-pro", (Message("user", "x"), said, *results)))["contents"]
    assert contents[1]["parts"][2:] == CONTENT["candidates"][0]["content"]["parts"][3:]
    sent = [part["functionResponse"] for part in contents[2]["parts"]]
    # In the order of the calls, as Gemini tells the first two apart by nothing else.
    assert [one["response"]["output"] for one in sent] == [call.id for call in turn.tool_calls]
    assert [one.get("id") for one in sent] == [None, None, "g1"]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_one_provider_gave_goes_back_to_it_alone(operation: str) -> None:
    wire = WIRES[operation]
    answer = written(
        operation,
        Turn("I look.", tool_calls=(ToolCall("1", "f", '{"a":1}'),), reasoning="Deep secret."),
        Usage(),
    )
    turn = wire.read(answer.body)

    def said(to: str) -> Any:
        message = Message("assistant", turn.text, turn.tool_calls, native=turn.native, native_to=to)
        talk = (Message("user", "x"), message, Message("tool", "y", tool_call_id="1"))
        return wire.body(Ask("m", talk))

    assert "Deep secret." in json.dumps(said(operation))
    for other in OPERATIONS:
        if other != operation:
            assert said(other) == said("")
            assert "Deep secret." not in json.dumps(said(other))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_plain_answer_needs_no_form_of_its_own(operation: str) -> None:
    assert WIRES[operation].read(written(operation, Turn("Yes."), Usage()).body).native is None


@pytest.mark.parametrize(
    ("stop", "finish", "refusal"),
    [
        ("end_turn", "stop", ""),
        ("stop_sequence", "stop", ""),
        ("max_tokens", "length", ""),
        ("model_context_window_exceeded", "length", ""),
        ("pause_turn", "other", ""),
        ("refusal", "filter", "bio"),
        ("something_new", "other", ""),
        ("tool_use", "other", ""),
    ],
)
def test_why_a_message_ended(stop: str, finish: str, refusal: str) -> None:
    details = {"type": "refusal", "category": "bio", "explanation": None}
    body = {"content": [{"type": "text", "text": "x"}], "stop_reason": stop, "stop_details": details}
    turn = AnthropicMessages().read(body)
    assert (turn.finish, turn.refusal) == (finish, refusal)


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "filter"),
        ("PROHIBITED_CONTENT", "filter"),
        ("MALFORMED_FUNCTION_CALL", "other"),
        ("SOMETHING_NEW", "other"),
    ],
)
def test_why_content_ended(reason: str, finish: str) -> None:
    body: Any = {"candidates": [{"finishReason": reason, "finishMessage": "because"}]}
    turn = GoogleGenerate().read(body)
    assert (turn.text, turn.finish) == ("", finish)
    assert turn.refusal == ("because" if finish == "filter" else "")


def test_a_prompt_that_was_blocked() -> None:
    body: Any = {"promptFeedback": {"blockReason": "SAFETY", "blockReasonMessage": "no"}}
    turn = GoogleGenerate().read(body)
    assert (turn.text, turn.finish, turn.refusal) == ("", "filter", "no")
    listening, _ = heard(GoogleGenerate(), [Event("", json.dumps(body))])
    assert listening.is_whole
    assert listening.turn() == turn


@pytest.mark.parametrize(
    ("status", "reason", "finish"),
    [
        ("incomplete", "max_output_tokens", "length"),
        ("incomplete", "content_filter", "filter"),
        ("incomplete", "steered", "other"),
        ("completed", None, "tools"),
    ],
)
def test_why_a_response_ended(status: str, reason: str | None, finish: str) -> None:
    assert (
        OpenAIResponses().read(RESPONSE | {"status": status, "incomplete_details": {"reason": reason}}).finish
        == finish
    )


@pytest.mark.parametrize(
    ("said", "has_call", "finish"),
    [
        ("stop", True, "tools"),
        ("tool_calls", True, "tools"),
        ("TOOL_CALLS", True, "tools"),
        ("length", True, "length"),
        ("content_filter", True, "filter"),
        ("tool_calls", False, "other"),
        ("", False, "stop"),
    ],
)
def test_why_a_completion_ended(said: str, has_call: bool, finish: str) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": {"a": 1}}}
    message: dict[str, Any] = {
        "role": "assistant",
        "content": "x",
        "tool_calls": [call] if has_call else None,
    }
    turn = OpenAIChat().read({"choices": [{"message": message, "finish_reason": said}]})
    assert turn.finish == finish
    assert [one.arguments for one in turn.tool_calls] == ['{"a":1}'] * has_call


def chunk(**delta: Any) -> Event:
    return Event("", json.dumps({"id": "c1", "model": "m", "choices": [{"index": 0, "delta": delta}]}))


def test_calls_that_a_server_numbers_all_the_same() -> None:
    def call(id: str, name: str, arguments: str) -> Event:
        piece: dict[str, Any] = {"index": 0, "function": {"name": name, "arguments": arguments}}
        return chunk(tool_calls=[piece | ({"id": id} if id else {})])

    events = [call("a", "f", '{"n":'), call("", "", "1}"), call("b", "g", ""), call("b", "", '{"n":2}')]
    listening, _ = heard(OpenAIChat(), events)
    assert listening.turn().tool_calls == (ToolCall("a", "f", '{"n":1}'), ToolCall("b", "g", '{"n":2}'))


def test_azures_first_chunk_names_no_model() -> None:
    first = {"id": "", "model": "", "choices": [], "prompt_filter_results": []}
    listening, said = heard(OpenAIChat(), [Event("", json.dumps(first)), chunk(content="x")])
    turn = listening.turn()
    assert (said, turn.id, turn.model) == ("x", "c1", "m")


def test_other_choices_than_the_first_are_left_out() -> None:
    other = Event("", json.dumps({"choices": [{"index": 1, "delta": {"content": "no"}}]}))
    assert heard(OpenAIChat(), [chunk(content="yes"), other])[1] == "yes"


def test_what_a_server_adds_to_a_call_is_given_back() -> None:
    signed = {
        "id": "1",
        "index": 0,
        "function": {"name": "f", "arguments": "{}"},
        "extra_content": {"s": "c2ln"},
    }
    listening, _ = heard(OpenAIChat(), [chunk(tool_calls=[signed], reasoning_content="Hm.")])
    native: Any = listening.turn().native
    assert native["tool_calls"][0]["extra_content"] == {"s": "c2ln"}
    assert native["reasoning_content"] == "Hm."


@pytest.mark.parametrize(
    ("operation", "event", "kind"),
    [
        ("openai.chat", {"error": {"message": "busy", "type": "server_error", "code": None}}, "server_error"),
        ("openai.chat", {"error": {"message": "busy", "code": 502}}, ""),
        ("openai.chat", {"error": "busy"}, ""),
        ("openai.responses", {"type": "error", "message": "busy", "code": "rate_limit"}, "rate_limit"),
        ("openai.responses", {"type": "error", "error": {"message": "busy", "type": "overloaded"}}, "overloaded"),
        ("openai.responses", {"error": {"message": "busy", "type": "overloaded"}}, "overloaded"),
        (
            "openai.responses",
            {"type": "response.failed", "response": {"error": {"code": "server_error", "message": "busy"}}},
            "server_error",
        ),
        ("anthropic.messages", {"type": "error", "error": {"type": "api_error", "message": "busy"}}, "api_error"),
        ("anthropic.messages", {"error": {"message": "busy"}}, ""),
        ("google.generate_content", {"error": {"message": "busy", "status": "UNAVAILABLE"}}, "UNAVAILABLE"),
    ],
)  # fmt: skip
def test_an_error_in_place_of_the_rest(operation: str, event: dict[str, Any], kind: str) -> None:
    listening = WIRES[operation].listen()
    with pytest.raises(Interrupted, match="busy") as raised:
        listening.hear("", json.dumps(event))
    assert raised.value.kind == kind
    assert not listening.is_whole


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    "body", [{}, [], None, "x", {"error": {"message": "busy", "code": "c"}}, {"error": "busy"}]
)
def test_what_is_no_answer(operation: str, body: Any) -> None:
    with pytest.raises(ValueError, match=r"no object|is an error: busy|has no"):
        WIRES[operation].read(body)


def test_a_response_that_is_not_done() -> None:
    with pytest.raises(ValueError, match="its status is queued"):
        OpenAIResponses().read(RESPONSE | {"status": "queued"})


@pytest.mark.parametrize(
    ("operation", "data"),
    [
        ("anthropic.messages", '{"type": "content_block_delta", "index": 4, "delta": {}}'),
        ("anthropic.messages", '{"type": "message_start"}'),
        ("anthropic.messages", "{}"),
        ("openai.responses", '{"type": "response.output_text.delta", "delta": "x"}'),
        ("openai.responses", '{"type": "response.output_item.added"}'),
        ("openai.responses", "{}"),
    ],
)
def test_an_event_that_cannot_be_there(operation: str, data: str) -> None:
    with pytest.raises(ValueError, match=r"began|no object|no type"):
        WIRES[operation].listen().hear("", data)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_kinds_of_events_that_are_still_to_come_say_nothing(operation: str) -> None:
    assert WIRES[operation].listen().hear("", '{"type": "something.new", "delta": {"x": 1}}') == ""


def test_a_message_that_was_cut_off_within_a_call_is_not_given_back() -> None:
    answer = written(
        "anthropic.messages", Turn("", "length", (ToolCall("1", "f", '{"a":1,"b":2}'),)), Usage()
    )
    events = [event for event in answer.events if event.name != "content_block_stop"]
    last = max(at for at, event in enumerate(events) if event.name == "content_block_delta")
    turn = heard(AnthropicMessages(), events[:last])[0].turn()
    assert turn.tool_calls == (ToolCall("1", "f", '{"a":1'),)
    assert turn.native is None


def test_a_responses_last_event_may_leave_the_items_out() -> None:
    events = list(written("openai.responses", Turn("Yes.", id="r"), Usage()).events)
    end = json.loads(events[-1].data)
    end["response"]["output"] = []
    events[-1] = Event(events[-1].name, json.dumps(end))
    listening, _ = heard(OpenAIResponses(), events)
    assert listening.is_whole
    assert listening.turn().text == "Yes."


def changed(value: Any, data: st.DataObject) -> Any:
    """The JSON value with one value within it, or itself, made into another, or taken out."""
    if isinstance(value, dict) and value and data.draw(st.integers(0, 3)):
        name = data.draw(st.sampled_from(sorted(value)))
        if not data.draw(st.integers(0, 3)):
            return {key: one for key, one in value.items() if key != name}
        return value | {name: changed(value[name], data)}
    if isinstance(value, list) and value and data.draw(st.integers(0, 3)):
        at = data.draw(st.integers(0, len(value) - 1))
        return [*value[:at], changed(value[at], data), *value[at + 1 :]]
    odd = [None, True, -1, 10**400, 2.5, "x", "\ud800", [], [None], [[]], {}, {"x": []}, {"error": 1}]
    return data.draw(st.sampled_from(odd))


@given(st.sampled_from(OPERATIONS).flatmap(lambda name: st.tuples(st.just(name), turns(name))), st.data())
def test_whatever_is_odd_in_an_answer_is_read_or_refused(said: tuple[str, Turn], data: st.DataObject) -> None:
    operation, turn = said
    answer = written(operation, turn, Usage(9, 2, 5, 1))
    body = changed(json.loads(json.dumps(answer.body)), data)
    with suppress(ValueError):
        assert isinstance(WIRES[operation].read(body), Turn)
    events = list(answer.events)
    at = data.draw(st.integers(0, len(events) - 1))
    if events[at].data != "[DONE]":
        events[at] = Event(events[at].name, json.dumps(changed(json.loads(events[at].data), data)))
    listening = WIRES[operation].listen()
    with suppress(ValueError, Interrupted):
        for event in events:
            assert isinstance(listening.hear(event.name, event.data), str)
        assert isinstance(listening.turn(), Turn)


@given(st.sampled_from(OPERATIONS).flatmap(lambda name: st.tuples(st.just(name), turns(name))), st.data())
def test_a_body_that_was_cut_at_any_byte_is_not_whole(said: tuple[str, Turn], data: st.DataObject) -> None:
    operation, turn = said
    answer = written(operation, turn, Usage())
    sent = "".join(
        (f"event: {event.name}\n" if event.name else "") + f"data: {event.data}\n\n"
        for event in answer.events
    ).encode()
    whole, _ = heard(WIRES[operation], events_of(sent))
    assert whole.turn() == WIRES[operation].read(json.loads(json.dumps(answer.body)))
    # Without the blank line, and at least one byte of the last event.
    cut = data.draw(st.integers(0, len(sent) - 3))
    listening = WIRES[operation].listen()
    with suppress(ValueError):
        for event in events_of(sent[:cut]):
            listening.hear(event.name, event.data)
    assert not listening.is_whole
    assert turn.text.startswith(listening.turn().text)
