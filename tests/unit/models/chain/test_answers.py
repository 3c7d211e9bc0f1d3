from __future__ import annotations

import json

import pytest

from surefoot.models.chain.answers import (
    ends_in_error,
    is_answer,
    is_answer_in_events,
    is_whole,
    read_buffered,
    read_events,
)
from surefoot.models.chain.sse import Event, events_of
from surefoot.values import Usage


def test_events_of_every_line_ending() -> None:
    for end in (b"\n", b"\r\n", b"\r"):
        body = b": hello\n\nevent: a\ndata: 1\ndata: 2\n\nid: 7\n\ndata:3\n\ndata: cut".replace(b"\n", end)
        assert events_of(body) == [
            Event("a", "1\n2"),
            Event("", "3"),
            Event("", "cut", is_terminated=False),
        ]


def test_events_end_at_no_other_character() -> None:
    data = "\x0b\x0c\x1c\x85\u2028\u2029"
    assert events_of(f"data: {data}\n\n".encode()) == [Event("", data)]


@pytest.mark.parametrize(
    ("body", "whole"),
    [
        (b"", False),
        (b'data: {"x": 1}\n\n', False),
        (b'data: {"x": 1}\n\ndata: [DONE]\n\n', True),
        (b'data: {"x": 1}\n\ndata: [DONE]', True),
        (b'data: {"text": "data: [DONE]"}\n\n', False),
        (b'event: message_stop\ndata: {"type": "message_stop"}\n\n', True),
        (b'data: {"type": "message_stop"}\n\n', True),
        (b'event: response.completed\ndata: {"type": "response.completed", "resp', False),
        (b"event: response.completed\ndata: {}\n\n", True),
        (b"event: response.incomplete\ndata: {}\n\n", True),
        (b"event: response.failed\ndata: {}\n\n", True),
        (b"event: response.output_text.delta\ndata: {}\n\n", False),
    ],
)
def test_whether_a_stream_is_whole(body: bytes, whole: bool) -> None:
    assert is_whole(events_of(body)) is whole


def test_an_answer_is_a_json_object() -> None:
    assert is_answer(b'{"id": "x"}')
    assert not is_answer(b"[]")
    assert not is_answer(b'{"id": ')
    assert not is_answer(b"<html>")


def test_tokens_of_a_chat() -> None:
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "prompt_tokens_details": {"cached_tokens": 40},
        "completion_tokens_details": {"reasoning_tokens": 15},
    }
    body = json.dumps({"model": "gpt-4o-2024-08-06", "usage": usage, "service_tier": "flex"}).encode()
    reading = read_buffered(body)
    assert (reading.model, reading.service_tier) == ("gpt-4o-2024-08-06", "flex")
    assert reading.usage == Usage(input=100, cached=40, output=20, reasoning=15)


def test_anthropics_cache_is_a_part_of_the_input() -> None:
    usage = {
        "input_tokens": 10,
        "cache_read_input_tokens": 200,
        "cache_creation_input_tokens": 30,
        "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 10},
        "output_tokens": 5,
    }
    reading = read_buffered(json.dumps({"model": "claude", "usage": usage}).encode())
    assert reading.usage == Usage(input=240, cached=200, output=5)
    assert (reading.cache_write, reading.cache_write_1h) == (20, 10)


def test_anthropics_stream_counts_in_two_places() -> None:
    start = {
        "input_tokens": 10,
        "cache_read_input_tokens": 7,
        "cache_creation_input_tokens": 0,
        "output_tokens": 1,
    }
    events = [
        Event(
            "message_start", json.dumps({"type": "message_start", "message": {"model": "c", "usage": start}})
        ),
        Event("message_delta", json.dumps({"type": "message_delta", "usage": {"output_tokens": 33}})),
        Event("message_stop", '{"type": "message_stop"}'),
    ]
    reading = read_events(events)
    assert reading.model == "c"
    assert reading.usage == Usage(input=17, cached=7, output=33)
    # Closed before the end: what was said until then.
    assert read_events(events[:1]).usage == Usage(input=17, cached=7, output=1)


def test_a_chat_stream_reports_last_or_not_at_all() -> None:
    chunk = Event("", json.dumps({"model": "m", "choices": [], "usage": None}))
    last = Event("", json.dumps({"model": "m", "usage": {"prompt_tokens": 4, "completion_tokens": 2}}))
    done = Event("", "[DONE]")
    assert read_events([chunk, last, done]).usage == Usage(input=4, output=2)
    assert read_events([chunk, done]).usage == Usage()
    assert read_events([chunk, done]).model == "m"
    assert read_events([]).model == ""


def test_llama_cpp_counts_in_its_timings() -> None:
    last = Event("", json.dumps({"model": "m", "timings": {"cache_n": 3, "prompt_n": 31, "predicted_n": 7}}))
    assert read_events([last, Event("", "[DONE]")]).usage == Usage(input=34, cached=3, output=7)


def test_audio_tokens_have_other_prices() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": {"audio_tokens": 5}}
    assert not read_buffered(json.dumps({"usage": usage}).encode()).is_priced_as_text


@pytest.mark.parametrize(
    "body", [b"{", b"null", b'{"usage": 4, "model": 5}', b'{"usage": {"prompt_tokens": "x"}}']
)
def test_nonsense_reads_as_nothing(body: bytes) -> None:
    assert read_buffered(body).usage == Usage()
    assert read_buffered(body).model == ""


GEMINI = (
    b'{"candidates": [{"content": {"parts": [{"text": "hi"}]}, "finishReason": "STOP"}],'
    b' "modelVersion": "gemini-2.5-pro",'
    b' "usageMetadata": {"promptTokenCount": 100, "cachedContentTokenCount": 40, "toolUsePromptTokenCount": 7,'
    b' "candidatesTokenCount": 20, "thoughtsTokenCount": 5, "totalTokenCount": 132}}'
)


@pytest.mark.parametrize("body", [GEMINI, b"[" + GEMINI + b"]", b'[{"candidates": []}, ' + GEMINI + b"]"])
def test_gemini_counts_thoughts_beside_the_output(body: bytes) -> None:
    reading = read_buffered(body)
    assert is_answer(body)
    assert reading.model == "gemini-2.5-pro"
    assert reading.usage == Usage(107, 40, 25, 5)
    assert reading.is_priced_as_text


def test_geminis_stream_counts_in_its_last_event() -> None:
    body = (
        b'data: {"candidates": [{}], "usageMetadata": {"promptTokenCount": 1}}\r\n\r\ndata: '
        + GEMINI
        + b"\r\n\r\n"
    )
    events = events_of(body)
    assert is_whole(events)
    assert not is_whole(events[:1])
    assert read_events(events).usage == Usage(107, 40, 25, 5)


def test_a_prompt_that_gemini_blocks_is_a_whole_answer() -> None:
    assert is_whole(events_of(b'data: {"promptFeedback": {"blockReason": "SAFETY"}}\n\n'))


@pytest.mark.parametrize(
    ("name", "modality", "is_text"),
    [
        ("promptTokensDetails", "TEXT", True),
        ("promptTokensDetails", "IMAGE", True),
        ("promptTokensDetails", "AUDIO", False),
        ("candidatesTokensDetails", "TEXT", True),
        ("candidatesTokensDetails", "IMAGE", False),
    ],
)
def test_gemini_tells_which_tokens_have_other_prices(name: str, modality: str, is_text: bool) -> None:
    body = f'{{"usageMetadata": {{"{name}": [{{"modality": "{modality}", "tokenCount": 3}}]}}}}'.encode()
    assert read_buffered(body).is_priced_as_text == is_text


@pytest.mark.parametrize(
    ("body", "is_error"),
    [
        (b"", False),
        (b'data: {"a": 1}\n\n{\n "error": {"code": 503}\n}\n', True),
        (b'{"error": {"code": 503}}', True),
        (b'data: {"a": 1}\n\ndata: {"error": {"message": "x"}}\n\n', True),
        (b'event: error\ndata: {"type": "error", "error": {"type": "overloaded_error"}}\n\n', True),
        (b'data: {"error": {"message": "x"}}\n\ndata: [DONE]\n\n', False),
        (b'data: {"error": null}\n\n', False),
        (b"data: {", False),
        (b"\n\n", False),
    ],
)
def test_whether_a_stream_ends_in_an_error(body: bytes, is_error: bool) -> None:
    assert ends_in_error(body) == is_error


@pytest.mark.parametrize(
    ("body", "is_fit"),
    [
        (b"", False),
        (b": a comment\n\n", False),
        (b"<html>no events</html>", False),
        (b'{"error": {"message": "x"}}', False),
        (b'data: {"choices": []}\n\ndata: [DONE]\n\n', True),
        (b'data: {"choices": []}\r\n\r\ndata: [DONE]', True),
        (b'data: {"choices": []}\n\n: ping\n\n', True),
        (b'data: {"choices": []}\n\ndata: {"choi', False),
        (b'data: {"choices": []}\n\ndata: {"choices": []}', True),
        (b'data: {"choices": []}\n\ndata: {"error": {"message": "x"}}\n\n', False),
        (b'event: error\ndata: {"type": "error", "error": {}}\n\n', False),
        (b'data: {"type": "response.completed", "text": "' + b"x" * 100_000 + b'"}\n\n', True),
    ],
)
def test_what_a_stream_ends_in(body: bytes, is_fit: bool) -> None:
    assert is_answer_in_events(body) is is_fit
