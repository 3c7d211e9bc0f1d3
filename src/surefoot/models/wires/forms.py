"""An answer at once and the same answer as a stream: which may be given again, and how one becomes the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

import orjson

from surefoot.errors import UsageError
from surefoot.models.chain.answers import is_answer, is_whole, read_buffered, read_events
from surefoot.models.chain.operations import parse_json
from surefoot.models.chain.record import Answer
from surefoot.models.chain.sse import Event, events_of
from surefoot.models.generating.asking import Interrupted, Listening, Turn, Wire
from surefoot.models.wires.anthropic import AnthropicMessages
from surefoot.models.wires.fields import inner, items, place, text
from surefoot.models.wires.google import GoogleGenerate
from surefoot.models.wires.openai_chat import OpenAIChat
from surefoot.models.wires.openai_responses import OpenAIResponses
from surefoot.models.wires.writing import written
from surefoot.values import Json

EMBEDDINGS = frozenset({"openai.embeddings", "google.embeddings"})
"""The operations whose answers are vectors."""

_WIRES: Mapping[str, Wire] = {
    "openai.chat": OpenAIChat(),
    "openai.responses": OpenAIResponses(),
    "anthropic.messages": AnthropicMessages(),
    "google.generate_content": GoogleGenerate(),
}
_KEPT_ENDS = ("stop", "length", "tools")
_NOTHING: Mapping[str, Json] = {}


def listening_to(operation: str) -> Listening | None:
    """For the text of a streamed answer; None for an operation whose answers are not known by pieces."""
    wire = _WIRES.get(operation)
    return None if wire is None else wire.listen()


def is_in_events(answer: Answer) -> bool:
    """Whether a body is a stream of events, by what it is called or by how it begins."""
    return answer.is_event_stream or answer.body.lstrip()[:1] not in (b"{", b"[")


def may_be_given_again(operation: str, answer: Answer) -> bool:
    """Whether an answer is one of success and whole: neither an error, nor cut off by a filter, nor still to come.

    One that came to its limit of tokens is whole: the same request comes to the same limit.
    """
    if not answer.is_success or answer.is_closed_early or answer.is_free or answer.error is not None:
        return False
    if operation == "openai.images":
        # Where a picture lies it is kept for an hour or so.
        return False
    if is_in_events(answer):
        events = events_of(answer.body)
        if not is_whole(events):
            return False
        bodies = [_said(event) for event in events]
    elif operation in EMBEDDINGS:
        return is_answer(answer.body)
    else:
        body = parse_json(answer.body)
        if not isinstance(body, dict):
            return False
        bodies = [cast("Mapping[str, Json]", body)]
        if text(bodies[0], "status") in ("queued", "in_progress", "failed", "cancelled"):
            return False
    if operation == "openai.completions":
        ends = [text(choice, "finish_reason") for body in bodies for choice in items(body, "choices")]
        return any(ends) and "content_filter" not in ends
    turn = _turn(operation, answer)
    if turn is None or turn.refusal or turn.finish not in _KEPT_ENDS:
        return False
    # A limit that a budget has put on it is none of the request.
    return answer.output_cap is None or turn.finish != "length"


def in_form(
    operation: str, answer: Answer, *, is_events: bool, usage_asked: bool | None = None
) -> Answer | None:
    """The answer as a stream of events or at once; None where it holds what only the other form can say.

    In its own form it stays byte for byte what it was. `usage_asked` is for streams of chat completions: whether the
    last chunk is to count the tokens, None where that is no matter.
    """
    if is_in_events(answer) == is_events:
        if not is_events or operation != "openai.chat" or usage_asked is None:
            return answer
        return _with_usage(answer) if usage_asked else _without_usage(answer)
    if operation not in _WIRES:
        return None
    said = [_said(event) for event in events_of(answer.body)] if not is_events else _object(answer.body)
    if operation == "openai.responses" and not is_events:
        # Its last event holds the whole of it.
        whole = next((inner(one, "response") for one in reversed(said) if one.get("response")), _NOTHING)
        return _at_once(answer, whole) if items(whole, "output") else None
    turn = _turn(operation, answer)
    if turn is None or not all(_PLAIN[operation](one) for one in said):
        return None
    reading = read_events(events_of(answer.body)) if not is_events else read_buffered(answer.body)
    if reading.usage.total == 0:
        # A stream whose tokens nobody asked for: no answer at once can say how many they were.
        return None
    try:
        rewritten = written(operation, turn, reading.usage)
    except UsageError:
        return None
    if not is_events:
        return _at_once(answer, rewritten.body)
    lines = "".join(
        f"event: {event.name}\ndata: {event.data}\n\n" if event.name else f"data: {event.data}\n\n"
        for event in rewritten.events
    )
    streamed = replace(
        answer,
        headers={**answer.headers, "content-type": "text/event-stream; charset=utf-8"},
        body=lines.encode("utf-8", "surrogatepass"),
        is_stream=True,
    )
    return _without_usage(streamed) if operation == "openai.chat" and usage_asked is False else streamed


def _at_once(answer: Answer, body: Mapping[str, Json]) -> Answer:
    return replace(
        answer,
        headers={**answer.headers, "content-type": "application/json"},
        body=orjson.dumps(body),
        is_stream=False,
    )


def _turn(operation: str, answer: Answer) -> Turn | None:
    """What an answer says; None where it cannot be read."""
    wire = _WIRES.get(operation)
    if wire is None:
        return None
    try:
        if not is_in_events(answer):
            return wire.read(cast("Mapping[str, Json]", parse_json(answer.body)))
        heard = wire.listen()
        for event in events_of(answer.body):
            heard.hear(event.name, event.data)
        return heard.turn()
    except (ValueError, TypeError, AttributeError, Interrupted):
        return None


def _object(body: bytes) -> list[Mapping[str, Json]]:
    found = parse_json(body)
    return [cast("Mapping[str, Json]", found)] if isinstance(found, dict) else []


def _said(event: Event) -> Mapping[str, Json]:
    found = parse_json(event.data)
    return cast("Mapping[str, Json]", found) if isinstance(found, dict) else {}


# Chunks that count the tokens


def _is_count(event: Event) -> bool:
    """Whether a chunk of a chat completion holds the usage and nothing else."""
    said = _said(event)
    return bool(said.get("usage")) and said.get("choices") == []


def _without_usage(answer: Answer) -> Answer:
    """The stream without the chunk that a client who did not ask for it may not expect."""
    blocks = answer.body.split(b"\n\n")
    kept = [block for block in blocks if not any(_is_count(event) for event in events_of(block + b"\n\n"))]
    return answer if len(kept) == len(blocks) else replace(answer, body=b"\n\n".join(kept))


def _with_usage(answer: Answer) -> Answer | None:
    return answer if any(map(_is_count, events_of(answer.body))) else None


# What a `Turn` has words for: all of it is read, and written again in the other form.


def _truthy(value: Mapping[str, Json]) -> set[str]:
    return {name for name, found in value.items() if found}


def _are_of(parts: Sequence[Mapping[str, Json]], *kinds: str) -> bool:
    return all(text(part, "type") in kinds for part in parts)


def _is_plain_chat(said: Mapping[str, Json]) -> bool:
    choices = items(said, "choices")
    known = {"role", "content", "refusal", "tool_calls", "reasoning_content"}
    for choice in choices:
        message = inner(choice, "message") or inner(choice, "delta")
        if place(choice, "index") != 0 or not _truthy(message) <= known:
            return False
        for call in items(message, "tool_calls"):
            if not _truthy(call) <= {"id", "type", "index", "function"}:
                return False
    return len(choices) <= 1


def _is_plain_response(said: Mapping[str, Json]) -> bool:
    output = items(said, "output")
    parts = [part for item in output for part in items(item, "content")]
    return (
        _are_of(output, "message", "function_call")
        and _are_of(parts, "output_text", "refusal")
        and not any(part.get("annotations") for part in parts)
        and sum(text(item, "type") == "message" for item in output) <= 1
    )


def _is_plain_message(said: Mapping[str, Json]) -> bool:
    """Of Anthropic's: a message, or an event of one."""
    started = inner(said, "content_block")
    blocks = [*items(said, "content"), *([started] if started else [])]
    delta = inner(said, "delta") if text(said, "type") == "content_block_delta" else _NOTHING
    return (
        _are_of(blocks, "text", "tool_use")
        and not any(block.get("citations") for block in blocks)
        and (not delta or _are_of([delta], "text_delta", "input_json_delta"))
        and sum(text(block, "type") == "text" for block in blocks) <= 1
        and not said.get("container")
    )


def _is_plain_candidate(said: Mapping[str, Json]) -> bool:
    candidates = items(said, "candidates")
    parts = [part for one in candidates for part in items(inner(one, "content"), "parts")]
    known = {"content", "finishReason", "index", "logprobsResult", "avgLogprobs", "safetyRatings"}
    return (
        len(candidates) <= 1
        and all(_truthy(one) <= known for one in candidates)
        and all(_truthy(part) <= {"text", "functionCall"} for part in parts)
    )


_PLAIN = {
    "openai.chat": _is_plain_chat,
    "openai.responses": _is_plain_response,
    "anthropic.messages": _is_plain_message,
    "google.generate_content": _is_plain_candidate,
}
