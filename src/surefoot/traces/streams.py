"""A recorded stream joined into the answer that the same call would have got in one piece."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import cast

import orjson

from surefoot.values import Json

_BLANK_LINE = re.compile(r"\r\n\r\n|\n\n|\r\r")


def joined(operation: str, body: str) -> Json:
    """The answer that the server-sent events of a body make up, in the buffered form of the operation.

    A stream that was cut gives the part that had come; tokens are not counted here.
    """
    events = list(_events(body))
    if operation == "anthropic.messages":
        return _message(events)
    if operation == "openai.responses":
        return _response(events)
    return _completion(events)


def _events(body: str) -> Iterator[dict[str, Json]]:
    for block in _BLANK_LINE.split(body):
        lines = [line[5:].removeprefix(" ") for line in block.splitlines() if line.startswith("data:")]
        try:
            event: object = orjson.loads("\n".join(lines))
        except orjson.JSONDecodeError:
            continue  # the end mark `[DONE]`, or an event that was cut
        if isinstance(event, dict):
            yield cast("dict[str, Json]", event)


def _completion(events: list[dict[str, Json]]) -> Json:
    texts: dict[int, str] = {}
    calls: dict[int, dict[int, dict[str, Json]]] = {}
    finishes: dict[int, Json] = {}
    for event in events:
        for choice in map(_mapping, _list(event.get("choices"))):
            index = _index(choice)
            delta = _mapping(choice.get("delta"))
            piece = delta.get("content") or delta.get("refusal") or choice.get("text")
            texts[index] = texts.get(index, "") + (piece if isinstance(piece, str) else "")
            for part in map(_mapping, _list(delta.get("tool_calls"))):
                _extend(
                    calls.setdefault(index, {}).setdefault(_index(part), {"name": "", "arguments": ""}), part
                )
            finishes[index] = choice.get("finish_reason") or finishes.get(index)
    return {
        "choices": [
            {
                "finish_reason": finishes.get(index),
                "message": {
                    "content": text,
                    "tool_calls": [{"function": call} for call in calls.get(index, {}).values()],
                },
            }
            for index, text in sorted(texts.items())
        ]
    }


def _extend(call: dict[str, Json], part: Mapping[str, Json]) -> None:
    function = _mapping(part.get("function"))
    for key in ("name", "arguments"):
        piece = function.get(key)
        if isinstance(piece, str):
            call[key] = f"{call[key]}{piece}"


def _response(events: list[dict[str, Json]]) -> Json:
    for event in reversed(events):
        whole = event.get("response")
        if isinstance(whole, dict) and whole.get("output"):
            return whole
    pieces = [
        str(event.get("delta", "")) for event in events if event.get("type") == "response.output_text.delta"
    ]
    text: dict[str, Json] = {"type": "output_text", "text": "".join(pieces)}
    return {"output": [{"type": "message", "content": [text]}]}


def _message(events: list[dict[str, Json]]) -> Json:
    blocks: dict[int, dict[str, Json]] = {}
    stop: Json = None
    for event in events:
        match event.get("type"):
            case "content_block_start":
                blocks[_index(event)] = dict(_mapping(event.get("content_block")))
            case "content_block_delta":
                _grow(blocks.setdefault(_index(event), {"type": "text"}), _mapping(event.get("delta")))
            case "message_delta":
                stop = _mapping(event.get("delta")).get("stop_reason") or stop
            case _:
                pass
    return {"content": [block for _, block in sorted(blocks.items())], "stop_reason": stop}


def _grow(block: dict[str, Json], delta: Mapping[str, Json]) -> None:
    for piece, into in (("text", "text"), ("partial_json", "input"), ("thinking", "thinking")):
        more = delta.get(piece)
        if isinstance(more, str):
            begun = block.get(into)
            block[into] = (begun if isinstance(begun, str) else "") + more


def _index(part: Mapping[str, Json]) -> int:
    index = part.get("index")
    return index if isinstance(index, int) else 0


def _mapping(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, dict) else {}


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []
