"""What an answer says of itself: the model that served it, its tokens, and whether it is whole."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from surefoot.models.chain.operations import parse_json
from surefoot.models.chain.sse import Event, events_of
from surefoot.values import Usage

_TERMINAL_EVENTS = frozenset(
    {"message_stop", "response.completed", "response.incomplete", "response.failed", "response.cancelled"}
)
_CONTENTS = ("choices", "output", "content", "data", "candidates", "delta")
_BLANK_LINE = re.compile(rb"\r\n\r\n|\n\n|\r\r")


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read in an answer. The cache writes are parts of `usage.input`.

    `is_priced_as_text` is False where the answer counts tokens that have a price of their own (audio).
    """

    model: str = ""
    usage: Usage = field(default_factory=Usage)
    cache_write: int = 0
    cache_write_1h: int = 0
    service_tier: str = ""
    is_priced_as_text: bool = True


def is_whole(events: list[Event]) -> bool:
    """Whether a stream's last event is one of those that end an answer."""
    if not events:
        return False
    last = events[-1]
    if last.data.strip() == "[DONE]":
        return True
    if not last.is_terminated:
        return False
    if last.name in _TERMINAL_EVENTS:
        return True
    answer = _mapping(parse_json(last.data))
    return _text(answer.get("type")) in _TERMINAL_EVENTS or _is_finished(answer)


def _is_finished(answer: Mapping[str, object]) -> bool:
    """Whether a chunk of Gemini's is the last one: no event of its own ends its streams."""
    if _mapping(answer.get("promptFeedback")).get("blockReason"):
        return True
    candidates = _list(answer.get("candidates"))
    return bool(candidates) and all(_mapping(each).get("finishReason") for each in candidates)


def ends_in_error(body: bytes) -> bool:
    """Whether the last word of a stream is an error: an event, or bare as Gemini sends it."""
    blocks = [block for block in _BLANK_LINE.split(body) if block.strip()]
    if not blocks:
        return False
    events = events_of(blocks[-1])
    said = _mapping(parse_json(events[-1].data if events else blocks[-1]))
    return isinstance(said.get("error"), dict)


def is_answer(body: bytes) -> bool:
    """Whether a buffered body is an answer and no error: a JSON object, or Gemini's list of the chunks of one."""
    answer = parse_json(body)
    if isinstance(answer, dict):
        return not is_complaint(cast("dict[str, object]", answer))
    return any(_is_chunk(each) for each in _list(answer))


def is_answer_in_events(body: bytes) -> bool:
    """Whether the body of an event stream says anything, and its last word is whole and no error."""
    blocks = _BLANK_LINE.split(body)
    for index in range(len(blocks) - 1, -1, -1):
        for last in events_of(blocks[index]):
            value = parse_json(last.data)
            is_whole_event = index < len(blocks) - 1 or value is not None or last.data.strip() == "[DONE]"
            return is_whole_event and last.name != "error" and not is_complaint(_mapping(value))
    return False


def is_complaint(answer: Mapping[str, object]) -> bool:
    """Whether an object is an error and nothing else, as proxies send it with the status of success."""
    return bool(answer.get("error")) and not any(answer.get(name) for name in _CONTENTS)


def read_buffered(body: bytes) -> Reading:
    """The reading of a buffered answer; an answer without `usage` reads as zero tokens."""
    whole = parse_json(body)
    chunks = [chunk for chunk in _list(whole) if _is_chunk(chunk)]
    answer = _mapping(chunks[-1] if chunks else whole)
    if "usageMetadata" in answer:
        return _reading_of_gemini(answer)
    return _reading(answer, _mapping(answer.get("usage")))


def _is_chunk(value: object) -> bool:
    return bool(_mapping(value).keys() & {"candidates", "usageMetadata", "promptFeedback"})


def read_events(events: list[Event]) -> Reading:
    """The reading of a streamed answer: the tokens that the provider reports, or none; nothing is estimated."""
    first: Mapping[str, object] = {}
    for event in events:
        first = _inner(_mapping(parse_json(event.data)))
        if first:
            break
    for event in reversed(events):
        if not any(name in event.data for name in ('"usage"', '"timings"', '"usageMetadata"')):
            continue
        answer = _inner(_mapping(parse_json(event.data)))
        if "usageMetadata" in answer:
            return _reading_of_gemini({**first, **answer})
        usage = _mapping(answer.get("usage")) or _timed(_mapping(answer.get("timings")))
        if usage:
            # Anthropic counts the input in the first event and the output in the last.
            counted = {**_mapping(first.get("usage")), **{k: v for k, v in usage.items() if v is not None}}
            return _reading({**first, **answer}, counted)
    return _reading(first, _mapping(first.get("usage")))


def _reading_of_gemini(answer: Mapping[str, object]) -> Reading:
    """The reading of an answer of Gemini's, which counts thoughts and what its tools read beside the rest."""
    usage = _mapping(answer.get("usageMetadata"))
    thoughts = _count(usage.get("thoughtsTokenCount"))
    read = _count(usage.get("promptTokenCount")) + _count(usage.get("toolUsePromptTokenCount"))
    written = _count(usage.get("candidatesTokenCount")) + thoughts
    counted = Usage(read, min(read, _count(usage.get("cachedContentTokenCount"))), written, thoughts)
    heard = _modalities(usage, "promptTokensDetails") | _modalities(usage, "toolUsePromptTokensDetails")
    made = _modalities(usage, "candidatesTokensDetails")
    is_text = "AUDIO" not in heard and not made - {"TEXT", "MODALITY_UNSPECIFIED"}
    return Reading(_text(answer.get("modelVersion")), counted, is_priced_as_text=is_text)


def _modalities(usage: Mapping[str, object], name: str) -> set[str]:
    return {
        _text(part.get("modality"))
        for part in map(_mapping, _list(usage.get(name)))
        if _count(part.get("tokenCount"))
    }


def _timed(timings: Mapping[str, object]) -> Mapping[str, object]:
    """The usage in llama.cpp's `timings`, which it sends also where a stream's usage was not asked for."""
    if not timings:
        return {}
    cached = _count(timings.get("cache_n"))
    return {
        "prompt_tokens": cached + _count(timings.get("prompt_n")),
        "completion_tokens": _count(timings.get("predicted_n")),
        "prompt_tokens_details": {"cached_tokens": cached},
    }


def _inner(event: Mapping[str, object]) -> Mapping[str, object]:
    """The answer within an event: `response` (OpenAI), `message` (Anthropic), else the event itself."""
    for name in ("response", "message"):
        inner = event.get(name)
        if isinstance(inner, dict):
            return cast("dict[str, object]", inner)
    return event


def _reading(answer: Mapping[str, object], usage: Mapping[str, object]) -> Reading:
    model = _text(answer.get("model")) or _text(answer.get("modelVersion"))
    tier = _text(answer.get("service_tier"))
    prompt = _mapping(usage.get("prompt_tokens_details") or usage.get("input_tokens_details"))
    completion = _mapping(usage.get("completion_tokens_details") or usage.get("output_tokens_details"))
    output = _count(usage.get("completion_tokens") or usage.get("output_tokens"))
    reasoning = _count(completion.get("reasoning_tokens") or completion.get("thinking_tokens"))
    is_text = not _count(prompt.get("audio_tokens")) and not _count(completion.get("audio_tokens"))
    if "cache_read_input_tokens" in usage or "cache_creation_input_tokens" in usage:
        cached = _count(usage.get("cache_read_input_tokens"))
        written = _count(usage.get("cache_creation_input_tokens"))
        long = min(written, _count(_mapping(usage.get("cache_creation")).get("ephemeral_1h_input_tokens")))
        total = _count(usage.get("input_tokens")) + cached + written
        return Reading(model, Usage(total, cached, output, reasoning), written - long, long, tier, is_text)
    cached = _count(prompt.get("cached_tokens"))
    total = _count(usage.get("prompt_tokens") or usage.get("input_tokens"))
    counted = Usage(total, cached, output, reasoning)
    return Reading(model, counted, service_tier=tier, is_priced_as_text=is_text)


def _mapping(value: object) -> Mapping[str, object]:
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
