"""Recorded requests and answers of every wire format, read into parameters, messages and answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from surefoot.traces import Call, ToolCall, Turn, read_call
from surefoot.values import CallFacts, Usage

FACTS = CallFacts("openai", "gpt-4o", "gpt-4o-2024-08-06", Usage(10, 2, 3))


def read(
    operation: str, request: dict[str, Any], answer: object, *, is_stream: bool = False, status: int = 200
) -> Call:
    body = answer if isinstance(answer, str) else json.dumps(answer)
    record: dict[str, Any] = {
        "status": status,
        "headers": {},
        "body": body,
        "is_stream": is_stream,
        "is_closed_early": False,
    }
    return read_call(operation, FACTS, {"path": "x", "body": {"model": "gpt-4o", **request}}, record)


def events(*data: object) -> str:
    return "".join(f"data: {item if isinstance(item, str) else json.dumps(item)}\n\n" for item in data)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({}, [("temperature", None, False), ("max_tokens", None, False)]),
        (
            {"top_p": 1, "max_output_tokens": 5, "stop": None},
            [
                ("temperature", None, False),
                ("max_output_tokens", 5, True),
                ("top_p", 1, True),
                ("stop", None, True),
            ],
        ),
        ({"max_tokens": 5, "temperature": 0}, [("temperature", 0, True), ("max_tokens", 5, True)]),
    ],
)
def test_what_matters_is_told_even_where_it_was_not_sent(body, told) -> None:
    call = read("openai.chat", body, {})
    assert [(each.name, each.value, each.is_sent) for each in call.told_parameters()] == told


def test_a_chat_request_is_parameters_and_messages() -> None:
    parts = [{"type": "text", "text": "what is it?"}, {"type": "image_url", "image_url": {"url": "data:..."}}]
    asked = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at":1}'}}
    call = read(
        "openai.chat",
        {
            "messages": [
                {"role": "system", "content": "Be short."},
                {"role": "user", "content": parts},
                {"role": "assistant", "content": None, "tool_calls": [asked]},
                {"role": "tool", "tool_call_id": "c1", "content": "a cat"},
            ],
            "temperature": 0,
            "max_tokens": 5,
            "tools": [{"type": "function", "function": {"name": "look"}}],
        },
        {"choices": [{"message": {"content": "A cat."}, "finish_reason": "stop"}]},
    )
    assert call.parameters == {"temperature": 0, "max_tokens": 5}
    assert call.tools == ("look",)
    assert call.messages == (
        Turn("system", "Be short."),
        Turn("user", "what is it?\n[image_url]"),
        Turn("assistant", '[calls look({"at":1})]'),
        Turn("tool", "a cat"),
    )
    assert (call.said.text, call.said.finish, call.status, call.problem) == ("A cat.", "stop", 200, "")
    assert call.facts is FACTS


def test_what_was_not_sent_is_no_parameter() -> None:
    call = read("openai.chat", {"messages": []}, {"choices": []})
    assert call.parameters == {}


def test_several_choices_are_told_apart_and_tool_calls_kept() -> None:
    tool = {"function": {"name": "add", "arguments": "{}"}}
    answer = {
        "choices": [
            {"message": {"content": "one"}, "finish_reason": "stop"},
            {
                "message": {"content": None, "refusal": "no", "tool_calls": [tool]},
                "finish_reason": "tool_calls",
            },
        ]
    }
    said = read("openai.chat", {"messages": []}, answer).said
    assert said.text == "[choice 1] one\n[choice 2] no"
    assert said.tool_calls == (ToolCall("add", "{}"),)
    assert said.finish == "stop, tool_calls"


def test_a_chat_stream_is_joined() -> None:
    body = events(
        {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hel"}}]},
        {"choices": [{"index": 0, "delta": {"content": "lo"}}]},
        {
            "choices": [
                {
                    "index": 0,
                    "delta": {"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": '{"a"'}}]},
                }
            ]
        },
        {
            "choices": [
                {"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]}}
            ]
        },
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
        {"choices": [], "usage": {"prompt_tokens": 1}},
        "[DONE]",
    )
    call = read("openai.chat", {"messages": [], "stream": True}, body, is_stream=True)
    assert call.said.text == "Hello"
    assert call.said.tool_calls == (ToolCall("f", '{"a":1}'),)
    assert call.said.finish == "tool_calls"
    assert call.is_stream
    assert call.response == body


def test_a_stream_that_was_cut_gives_what_had_come() -> None:
    body = events({"choices": [{"index": 0, "delta": {"content": "half"}}]}) + 'data: {"choices": [{"ind'
    assert read("openai.chat", {"messages": []}, body, is_stream=True).said.text == "half"


def test_the_responses_format() -> None:
    request = {
        "instructions": "Be kind.",
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "hi"}]},
            {"type": "function_call", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "output": "42"},
        ],
        "max_output_tokens": 9,
    }
    answer = {
        "status": "incomplete",
        "incomplete_details": {"reason": "max_output_tokens"},
        "output": [
            {"type": "reasoning", "summary": []},
            {"type": "message", "content": [{"type": "output_text", "text": "hello"}]},
            {"type": "function_call", "name": "g", "arguments": "{1}"},
        ],
    }
    call = read("openai.responses", request, answer)
    assert call.messages == (
        Turn("system", "Be kind."),
        Turn("user", "hi"),
        Turn("assistant", "[calls f({})]"),
        Turn("function_call_output", "42"),
    )
    assert call.parameters == {"max_output_tokens": 9}
    assert (call.said.text, call.said.finish) == ("hello", "max_output_tokens")
    assert call.said.tool_calls == (ToolCall("g", "{1}"),)


def test_a_responses_stream_is_its_last_whole_response_or_its_deltas() -> None:
    whole = {
        "output": [{"type": "message", "content": [{"type": "output_text", "text": "all"}]}],
        "status": "completed",
    }
    ended = events(
        {"type": "response.output_text.delta", "delta": "al"},
        {"type": "response.completed", "response": whole},
    )
    cut = events(
        {"type": "response.output_text.delta", "delta": "al"},
        {"type": "response.output_text.delta", "delta": "m"},
    )
    assert read("openai.responses", {"input": "hi"}, ended, is_stream=True).said.text == "all"
    assert read("openai.responses", {"input": "hi"}, cut, is_stream=True).said.text == "alm"
    assert read("openai.responses", {"input": "hi"}, cut, is_stream=True).messages == (Turn("user", "hi"),)


def test_the_anthropic_format() -> None:
    request = {
        "system": [{"type": "text", "text": "Be short."}],
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": [{"type": "tool_use", "name": "f", "input": {"a": 1}}]},
            {
                "role": "user",
                "content": [{"type": "tool_result", "content": [{"type": "text", "text": "42"}]}],
            },
        ],
        "max_tokens": 7,
        "tools": [{"name": "f", "input_schema": {}}],
    }
    answer = {
        "content": [{"type": "text", "text": "hello"}, {"type": "tool_use", "name": "g", "input": {"b": 2}}],
        "stop_reason": "tool_use",
    }
    call = read("anthropic.messages", request, answer)
    assert call.messages == (
        Turn("system", "Be short."),
        Turn("user", "hi"),
        Turn("assistant", '[calls f({"a":1})]'),
        Turn("user", "[result of a tool] 42"),
    )
    assert call.tools == ("f",)
    assert call.parameters == {"max_tokens": 7}
    assert (call.said.text, call.said.finish) == ("hello", "tool_use")
    assert call.said.tool_calls == (ToolCall("g", '{"b":2}'),)


def test_an_anthropic_stream_is_joined() -> None:
    body = "event: message_start\n" + events(
        {"type": "message_start", "message": {"content": []}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hel"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "lo"}},
        {
            "type": "content_block_start",
            "index": 1,
            "content_block": {"type": "tool_use", "name": "f", "input": {}},
        },
        {
            "type": "content_block_delta",
            "index": 1,
            "delta": {"type": "input_json_delta", "partial_json": '{"a"'},
        },
        {
            "type": "content_block_delta",
            "index": 1,
            "delta": {"type": "input_json_delta", "partial_json": ":1}"},
        },
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}},
        {"type": "message_stop"},
    )
    said = read("anthropic.messages", {"messages": []}, body, is_stream=True).said
    assert (said.text, said.finish) == ("Hello", "tool_use")
    assert said.tool_calls == (ToolCall("f", '{"a":1}'),)


def test_embeddings_are_counted_and_not_printed() -> None:
    answer = {"data": [{"embedding": [0.1, 0.2]}, {"embedding": [0.3, 0.4]}]}
    call = read("openai.embeddings", {"input": ["a", "b"]}, answer)
    assert call.messages == (Turn("input", "a"), Turn("input", "b"))
    assert call.said.text == "[2 vectors of 2 numbers]"


def test_plain_completions() -> None:
    call = read(
        "openai.completions", {"prompt": "Once"}, {"choices": [{"text": " upon", "finish_reason": "length"}]}
    )
    assert call.messages == (Turn("prompt", "Once"),)
    assert (call.said.text, call.said.finish) == (" upon", "length")


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"error": {"message": "slow down", "type": "x"}}, "HTTP 429: slow down"),
        ({"error": "slow down"}, "HTTP 429: slow down"),
        ("<html>busy</html>", "HTTP 429: <html>busy</html>"),
    ],
)
def test_a_refusal_says_why(body: object, problem: str) -> None:
    call = read("openai.chat", {"messages": []}, body, status=429)
    assert (call.problem, call.said.text, call.status) == (problem, "", 429)


def test_a_call_without_an_answer_says_what_was_raised() -> None:
    call = read_call("openai.chat", FACTS, {"body": {"messages": []}}, "APIConnectionError: no route")
    assert (call.problem, call.status) == ("APIConnectionError: no route", None)


@pytest.mark.parametrize("output", [None, [], {"body": 3}, {"status": "x", "body": "no json"}])
def test_whatever_is_recorded_can_be_read(output: Any) -> None:
    assert read_call("openai.chat", FACTS, "a text", output).messages == ()
