"""Where texts stand in every format: found, put in the place of others, and streams that pass byte for byte."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming import chat, chat_events, message, message_events
from surefoot.decisions import Decision
from surefoot.effects import Program, drive
from surefoot.errors import GuardRefused
from surefoot.models.chain.asked_texts import asked_in, asked_with
from surefoot.models.chain.blocks import blocks_of
from surefoot.models.chain.guarding import Guarded
from surefoot.models.chain.slots import Said
from surefoot.models.chain.spoken import answer_with, said_in

HI, SYSTEM, RESULT = "hi there", "be kind", "42 degrees"
REQUESTS: list[tuple[str, dict[str, Any]]] = [
    (
        "openai.chat",
        {
            "model": HI,
            "messages": [
                {"role": "system", "content": SYSTEM},
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": HI},
                        {"type": "image_url", "image_url": {"url": HI}},
                    ],
                },
                {"role": "tool", "tool_call_id": "1", "content": RESULT},
            ],
        },
    ),
    (
        "openai.responses",
        {
            "instructions": SYSTEM,
            "input": [
                {"role": "user", "content": [{"type": "input_text", "text": HI}]},
                {"type": "function_call_output", "call_id": "1", "output": RESULT},
                {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "hm"}]},
            ],
        },
    ),
    (
        "anthropic.messages",
        {
            "system": [{"type": "text", "text": SYSTEM}],
            "messages": [
                {"role": "user", "content": HI},
                {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "s"}]},
                {
                    "role": "user",
                    "content": [{"type": "tool_result", "content": [{"type": "text", "text": RESULT}]}],
                },
            ],
        },
    ),
    (
        "google.generate_content",
        {
            "systemInstruction": {"parts": [{"text": SYSTEM}]},
            "contents": [
                {
                    "role": "user",
                    "parts": [{"text": HI}, {"functionResponse": {"response": {"result": RESULT}}}],
                }
            ],
        },
    ),
]


@pytest.mark.parametrize(("operation", "body"), REQUESTS, ids=[name for name, _ in REQUESTS])
def test_the_texts_of_a_request(operation: str, body: dict[str, Any]) -> None:
    said = asked_in(operation, body)
    assert {(one.role, one.text) for one in said} == {("system", SYSTEM), ("user", HI), ("tool", RESULT)}
    other = asked_with(operation, body, {HI: "ho", "never": "x"})
    assert {one.text for one in asked_in(operation, other)} == {SYSTEM, "ho", RESULT}
    assert other.get("model") == body.get("model")
    assert asked_with(operation, body, {}) == body


def test_plain_inputs() -> None:
    assert [one.text for one in asked_in("openai.embeddings", {"input": ["a", "b"]})] == ["a", "b"]
    assert [one.text for one in asked_in("openai.completions", {"prompt": "a"})] == ["a"]
    assert asked_in("openai.embeddings", {"input": [1, 2, 3]}) == []


ANSWERS: list[tuple[str, dict[str, Any]]] = [
    ("openai.chat", chat(HI)),
    ("openai.completions", {"choices": [{"index": 0, "text": HI}]}),
    ("anthropic.messages", message(HI)),
    (
        "openai.responses",
        {
            "output": [
                {"type": "message", "content": [{"type": "output_text", "text": HI, "annotations": []}]}
            ]
        },
    ),
    (
        "google.generate_content",
        {"candidates": [{"content": {"parts": [{"text": "hi "}, {"text": "there"}]}}]},
    ),
]


@pytest.mark.parametrize(("operation", "answer"), ANSWERS, ids=[name for name, _ in ANSWERS])
def test_the_texts_of_an_answer(operation: str, answer: dict[str, Any]) -> None:
    body = json.dumps(answer).encode()
    assert [one.text for one in said_in(operation, body)] == [HI]
    other = answer_with(operation, body, {HI: "ho"})
    assert [one.text for one in said_in(operation, other)] == ["ho"]


def test_vectors_say_nothing_and_what_is_no_json_is_a_text() -> None:
    assert said_in("openai.embeddings", b'{"data": [{"embedding": [1.0]}]}') == []
    assert said_in("openai.chat", b"<html>") == [Said("<html>", "assistant", kind="data")]
    assert said_in("openai.chat", b"data: what\n\ndata: ever\n\ndata: [DONE]\n\n") == [
        Said("whatever", "assistant", kind="data")
    ]
    assert said_in("openai.chat", b"") == []


def response_events(pieces: Sequence[str]) -> list[bytes]:
    """The events of a streamed response of OpenAI's, which says its text four times."""
    whole = "".join(pieces)
    at = {"item_id": "i", "output_index": 0, "content_index": 0}
    part = {"type": "output_text", "text": whole, "annotations": []}
    item = {"type": "message", "id": "i", "role": "assistant", "content": [part]}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": {"id": "r", "output": []}},
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []}},
        {"type": "response.content_part.added", **at, "part": {**part, "text": ""}},
        *({"type": "response.output_text.delta", **at, "delta": piece} for piece in pieces),
        {"type": "response.output_text.done", **at, "text": whole},
        {"type": "response.content_part.done", **at, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": {"id": "r", "output": [item]}},
    ]
    return [f"event: {one['type']}\ndata: {json.dumps(one)}\n\n".encode() for one in events]


def google_events(pieces: Sequence[str]) -> list[bytes]:
    """The events of a streamed answer of Gemini's."""
    found = [{"candidates": [{"index": 0, "content": {"parts": [{"text": piece}]}}]} for piece in pieces]
    found.append({"candidates": [{"index": 0, "content": {"parts": []}, "finishReason": "STOP"}]})
    return [f"data: {json.dumps(one)}\r\n\r\n".encode() for one in found]


STREAMS: dict[str, Any] = {
    "openai.chat": chat_events,
    "anthropic.messages": message_events,
    "openai.responses": response_events,
    "google.generate_content": google_events,
}


class Plain:
    """Guards that let all pass, hold words back, or put another text in the place of one."""

    def __init__(self, *, is_whole: bool = False, changes: Mapping[str, str] | None = None) -> None:
        self.decisions: list[Decision] = []
        self.max_output_bytes = 1_000_000
        self.is_whole = is_whole
        self.changes = changes or {}

    def judge(self) -> Program[None]:
        yield from ()

    def enter(self, size: int) -> Program[Mapping[str, str]]:
        yield from ()
        return {}

    def check(self, said: Sequence[Said]) -> Program[Mapping[str, str]]:
        yield from ()
        return {one.text: self.changes[one.text] for one in said if one.text in self.changes}

    def passing(self) -> Words:
        return Words()

    def too_large(self) -> GuardRefused:
        return GuardRefused("too large")


class Words:
    """Hands on whole words."""

    def __init__(self) -> None:
        self.text = ""

    def feed(self, piece: str) -> int:
        self.text += piece
        return self.text.rfind(" ") + 1

    def end(self) -> None: ...


def watched(operation: str, body: bytes, cuts: list[int], guard: Plain) -> bytes:
    """What is handed on of a stream that comes cut anywhere."""
    watch = Guarded(operation, {}, guard).watch(is_events=True)
    ends = sorted({min(cut, len(body)) for cut in cuts} | {len(body)})
    found, start = b"", 0
    for end in ends:
        found += drive(watch.heard(body[start:end]))
        start = end
    found += drive(watch.ended())
    assert watch.given == found
    assert watch.body == body
    return found


@pytest.mark.parametrize("operation", STREAMS)
@given(pieces=st.lists(st.text(max_size=8), max_size=6), cuts=st.lists(st.integers(0, 3_000), max_size=20))
def test_a_clean_stream_passes_byte_for_byte_however_it_is_cut(
    operation: str, pieces: list[str], cuts: list[int]
) -> None:
    body = b"".join(STREAMS[operation](pieces))
    assert watched(operation, body, cuts, Plain()) == body
    assert watched(operation, body, cuts, Plain(is_whole=True)) == body


@pytest.mark.parametrize("operation", STREAMS)
@given(cuts=st.lists(st.integers(0, 3_000), max_size=20))
def test_a_text_is_replaced_wherever_a_stream_says_it(operation: str, cuts: list[int]) -> None:
    pieces = ["ann@", "private.ex", "ample wrote"]
    body = b"".join(STREAMS[operation](pieces))
    guard = Plain(is_whole=True, changes={"".join(pieces): "<EMAIL> wrote"})
    given_on = watched(operation, body, cuts, guard)
    assert [one.text for one in said_in(operation, given_on)] == ["<EMAIL> wrote"]
    assert b"ann@" not in given_on
    assert b"private.ex" not in given_on
    assert len(blocks_of(given_on)) == len(blocks_of(body))


def test_what_is_held_stands_before_what_follows_it() -> None:
    events = list(chat_events(["one tw", "o three"]))
    watch = Guarded("openai.chat", {}, Plain()).watch(is_events=True)
    passed = [drive(watch.heard(one)) for one in events]
    # The last event lets go of all that was held: a client may read no further.
    assert passed == [b"", events[0], b"", b"".join(events[1:])]
    assert drive(watch.ended()) == b""


def test_other_texts_take_the_place_of_texts_and_of_nothing_that_reads_alike() -> None:
    body = {"model": "user", "messages": [{"role": "user", "content": [{"type": "text", "text": "user"}]}]}
    made = asked_with("openai.chat", body, {"user": "them"})
    assert made == {
        "model": "user",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "them"}]}],
    }
    assert body["messages"][0]["content"][0]["text"] == "user"  # type: ignore[index]


TITLED: list[tuple[str, dict[str, Any]]] = [
    (
        "anthropic.messages",
        {
            "messages": [
                {"role": "user", "content": [{"type": "document", "title": HI, "source": {"type": "url"}}]}
            ]
        },
    ),
    (
        "anthropic.messages",
        {
            "messages": [
                {"role": "assistant", "content": [{"type": "web_fetch_tool_result", "content": {"page": HI}}]}
            ]
        },
    ),
    ("openai.responses", {"prompt": {"id": "p", "variables": {"v": HI}}}),
    (
        "openai.responses",
        {"input": [{"type": "shell_call_output", "output": [{"stdout": HI, "outcome": {"type": "exit"}}]}]},
    ),
    (
        "google.generate_content",
        {"contents": [{"role": "model", "parts": [{"codeExecutionResult": {"output": HI}}]}]},
    ),
]


@pytest.mark.parametrize(("operation", "body"), TITLED)
def test_what_a_tool_or_a_document_says_is_a_text_wherever_it_stands(
    operation: str, body: dict[str, Any]
) -> None:
    (said,) = asked_in(operation, body)
    assert (said.text, said.role in ("tool", "user")) == (HI, True)
    assert [one.text for one in asked_in(operation, asked_with(operation, body, {HI: "ho"}))] == ["ho"]
