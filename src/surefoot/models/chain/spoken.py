"""Where the texts stand in requests and answers of every format: what guards look at, and put others in the place of.

A text is found where a format has one and nowhere else: schemas, pictures and signatures stay as they are. Reasoning
that a provider has signed and the arguments of tools are looked at, and not changed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import orjson

from surefoot.models.chain.operations import parse_json
from surefoot.models.chain.sse import Event, events_of

Kind = Literal["text", "arguments", "reasoning"]

Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Said:
    """A text of a request or of an answer: who says it, in which message (0, 1, ...), and what kind of text it is."""

    text: str
    role: str
    place: int = 0
    kind: Kind = "text"


@dataclass(slots=True)
class Slot:
    """Where a text of an answer stands: `holder[key]`. A piece is one of several of its `channel`."""

    holder: Any
    key: str | int
    kind: Kind
    channel: tuple[object, ...]
    is_piece: bool = False

    @property
    def text(self) -> str:
        """The text."""
        return cast("str", self.holder[self.key])


# Requests


def asked_in(operation: str, body: Fields) -> list[Said]:
    """The texts of a request in their order, each part of a message by itself; a system prompt has place 0 too."""
    match operation:
        case "openai.chat":
            return [
                Said(text, _role(message), place)
                for place, message in enumerate(_fields(body.get("messages")))
                for text in _texts(message.get("content"))
            ]
        case "openai.responses":
            return [*_plain(body.get("instructions"), "system"), *_of_responses(body.get("input"))]
        case "anthropic.messages":
            said = _plain(body.get("system"), "system")
            for place, message in enumerate(_fields(body.get("messages"))):
                said += _of_anthropic(message.get("content"), _role(message), place)
            return said
        case "google.generate_content" | "google.embeddings":
            return _of_google(body)
        case _:
            return _plain(body.get("prompt"), "user") + _plain(body.get("input"), "user")


def asked_with(operation: str, body: Fields, changes: Mapping[str, str]) -> dict[str, object]:
    """The request with other texts in the place of some."""
    texts = {said.text for said in asked_in(operation, body)}
    known = {text: other for text, other in changes.items() if text in texts}

    def changed(value: Any) -> Any:
        listed = _listed(value)
        if isinstance(value, str):
            return known.get(value, value)
        if isinstance(value, dict):
            inner = cast("dict[str, Any]", value)
            return {name: changed(each) for name, each in inner.items()}
        return [changed(each) for each in listed] if isinstance(value, list) else cast("object", value)

    return {name: value if name in _NO_SPEECH else changed(value) for name, value in body.items()}


_NO_SPEECH = frozenset({"model", "tools", "tool_choice", "toolConfig", "response_format", "metadata", "user"})


def _role(message: Fields) -> str:
    role = message.get("role")
    return role if isinstance(role, str) else "user"


def _plain(value: object, role: str) -> list[Said]:
    return [Said(text, role, place) for place, text in enumerate(_texts(value))]


def _texts(content: object) -> Iterator[str]:
    """The texts of a message's content: one text, a list of texts, or of parts that hold one."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for part in cast("list[object]", content):
            if isinstance(part, str):
                yield part
            elif isinstance(part, dict):
                text = cast("Fields", part).get("text")
                if isinstance(text, str):
                    yield text


def _of_responses(given: object) -> list[Said]:
    if isinstance(given, str):
        return [Said(given, "user")]
    found: list[Said] = []
    for place, item in enumerate(_fields(given)):
        role = "tool" if "output" in item else _role(item)
        # Reasoning is given back as it came.
        if item.get("type") != "reasoning":
            found += [Said(text, role, place) for text in _texts(item.get("content"))]
        found += [Said(text, "tool", place) for text in _texts(item.get("output"))]
    return found


def _of_anthropic(content: object, role: str, place: int) -> list[Said]:
    if isinstance(content, str):
        return [Said(content, role, place)]
    found: list[Said] = []
    for block in _fields(content):
        match block.get("type"):
            case "text" if isinstance(block.get("text"), str):
                found.append(Said(block["text"], role, place))
            case "tool_result":
                found += _of_anthropic(block.get("content"), "tool", place)
            case "document":
                source = _mapping(block.get("source"))
                if source.get("type") == "text" and isinstance(source.get("data"), str):
                    found.append(Said(source["data"], "tool", place))
                found += _of_anthropic(source.get("content"), "tool", place)
            case "search_result":
                found += _of_anthropic(block.get("content"), "tool", place)
            case _:
                pass
    return found


def _of_google(body: Fields) -> list[Said]:
    system = _mapping(body.get("systemInstruction") or body.get("system_instruction"))
    found = [Said(text, "system") for text in _texts(system.get("parts"))]
    contents = [
        *_fields(body.get("contents")),
        _mapping(body.get("content")),
        *(_mapping(each.get("content")) for each in _fields(body.get("requests"))),
    ]
    for place, content in enumerate(contents):
        for part in _fields(content.get("parts")):
            if isinstance(part.get("text"), str) and not part.get("thought"):
                found.append(Said(part["text"], _role(content), place))
            answered = _mapping(part.get("functionResponse") or part.get("function_response"))
            found += [Said(text, "tool", place) for text in _leaves(answered.get("response"))]
    return found


def _leaves(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in cast("dict[str, object]", value).values():
            yield from _leaves(each)
    elif isinstance(value, list):
        for each in cast("list[object]", value):
            yield from _leaves(each)


# Answers


def said_in(operation: str, body: bytes, *, is_events: bool) -> list[Said]:
    """The texts of an answer, each once: those of a stream put together of their pieces."""
    if operation.endswith(("embeddings", "images")):
        return []
    found: dict[str, Said] = {}
    for slots in _grouped(_values(body, is_events=is_events)).values():
        text = "".join(slot.text for slot in slots)
        if text:
            found.setdefault(text, Said(text, "assistant", kind=slots[0].kind))
    return list(found.values())


def answer_with(operation: str, body: bytes, changes: Mapping[str, str], *, is_events: bool) -> bytes:
    """An answer with other texts in the place of some; what is not concerned stays byte for byte."""
    if operation.endswith(("embeddings", "images")):
        return body
    if not is_events:
        value = parse_json(body)
        _put(_grouped([value]), changes)
        return _dumped(value)
    blocks = [Block.of(part) for part in blocks_of(body)]
    touched = _put(_grouped([block.value for block in blocks]), changes)
    for block in blocks:
        if any(id(holder) in touched for holder in _holders(block.value)):
            block.rewrite()
    return b"".join(block.raw for block in blocks)


def slots_in(value: object) -> Iterator[Slot]:
    """Where the texts stand in a buffered answer, or in one event of a stream."""
    if isinstance(value, list):
        # Gemini's stream without events: the chunks of it.
        for chunk in cast("list[object]", value):
            yield from slots_in(chunk)
    if not isinstance(value, dict):
        return
    said = cast("dict[str, Any]", value)
    kind = str(said.get("type") or "")
    for choice in _fields(said.get("choices")):
        yield from _of_choice(cast("dict[str, Any]", choice))
    for number, candidate in enumerate(_fields(said.get("candidates"))):
        yield from _of_candidate(candidate, candidate.get("index", number))
    if isinstance(said.get("content"), list):
        for index, block in enumerate(_fields(said["content"])):
            yield from _of_block(block, index)
    if isinstance(said.get("content_block"), dict):
        yield from _of_block(said["content_block"], said.get("index"), is_piece=True)
    if kind == "content_block_delta":
        yield from _of_block(_mapping(said.get("delta")), said.get("index"), is_piece=True)
    elif kind.startswith("response."):
        yield from _of_response_event(said, kind)
    for item in _fields(said.get("output")):
        yield from _of_item(item)


def _of_choice(choice: dict[str, Any]) -> Iterator[Slot]:
    index = choice.get("index", 0)
    if isinstance(choice.get("text"), str):
        yield Slot(choice, "text", "text", ("choice", index), is_piece=True)
    for name in ("message", "delta"):
        message = choice.get(name)
        if not isinstance(message, dict):
            continue
        yield from _of_message(cast("dict[str, Any]", message), index, is_piece=name == "delta")


def _of_message(fields: dict[str, Any], index: object, *, is_piece: bool) -> Iterator[Slot]:
    for key in ("content", "refusal"):
        if isinstance(fields.get(key), str):
            yield Slot(fields, key, "text", ("choice", index, key), is_piece)
    for part in _fields(fields.get("content")) if isinstance(fields.get("content"), list) else ():
        if isinstance(part.get("text"), str):
            yield Slot(part, "text", "text", ("choice", index, "content"), is_piece)
    for key in ("reasoning_content", "reasoning"):
        if isinstance(fields.get(key), str):
            yield Slot(fields, key, "reasoning", ("choice", index, key), is_piece)
    for place, call in enumerate(_fields(fields.get("tool_calls"))):
        channel = ("choice", index, "call", call.get("index", place))
        for inner, key in (("function", "arguments"), ("custom", "input")):
            called = _mapping(call.get(inner))
            if isinstance(called.get(key), str):
                yield Slot(called, key, "arguments", channel, is_piece)


def _of_candidate(candidate: Fields, index: object) -> Iterator[Slot]:
    for part in _fields(_mapping(candidate.get("content")).get("parts")):
        if isinstance(part.get("text"), str):
            kind: Kind = "reasoning" if part.get("thought") else "text"
            yield Slot(part, "text", kind, ("candidate", index, kind), is_piece=True)
        called = _mapping(part.get("functionCall"))
        yield from _in_arguments(called, "args", ("candidate", index, "call", id(called)))


def _of_block(block: Fields, index: object, *, is_piece: bool = False) -> Iterator[Slot]:
    for key, kind in _BLOCK_TEXTS.items():
        if isinstance(block.get(key), str):
            yield Slot(block, key, kind, ("block", index, kind), is_piece)
    yield from _in_arguments(block, "input", ("block", index, "input", id(block)))


_BLOCK_TEXTS: Mapping[str, Kind] = {"text": "text", "thinking": "reasoning", "partial_json": "arguments"}


def _of_response_event(said: dict[str, Any], kind: str) -> Iterator[Slot]:
    sort = kind.removeprefix("response.").rpartition(".")[0]
    what: Kind = "text" if sort in ("output_text", "refusal") else "arguments"
    what = "reasoning" if sort.startswith("reasoning") else what
    channel = (sort, said.get("output_index"), said.get("content_index"), said.get("summary_index"))
    if kind.endswith(".delta") and isinstance(said.get("delta"), str) and "audio" not in sort:
        yield Slot(said, "delta", what, channel, is_piece=True)
    elif kind.endswith(".done"):
        for key in ("text", "refusal", "arguments", "input", "code"):
            if isinstance(said.get(key), str):
                yield Slot(said, key, what, (*channel, "done"))
    for name in ("part", "item", "response"):
        inner = said.get(name)
        if name == "response":
            for item in _fields(_mapping(inner).get("output")):
                yield from _of_item(item)
        elif isinstance(inner, dict):
            fields = cast("Fields", inner)
            yield from _of_item(fields) if name == "item" else _of_parts([fields], "text")


def _of_item(item: Fields) -> Iterator[Slot]:
    kind: Kind = "reasoning" if item.get("type") == "reasoning" else "text"
    for name in ("content", "summary"):
        if isinstance(item.get(name), list):
            yield from _of_parts(_fields(item[name]), kind)
    for key in ("arguments", "input", "code"):
        if isinstance(item.get(key), str):
            yield Slot(item, key, "arguments", ("item", id(item), key))


def _of_parts(parts: Sequence[Fields], kind: Kind) -> Iterator[Slot]:
    for part in parts:
        for key in ("text", "refusal"):
            if isinstance(part.get(key), str):
                yield Slot(part, key, kind, ("part", id(part), key))


def _in_arguments(holder: Any, key: str | int, channel: tuple[object, ...]) -> Iterator[Slot]:
    """The texts within arguments that come as data."""
    try:
        value: object = holder[key]
    except KeyError:
        return
    listed = _listed(value)
    if isinstance(value, str):
        yield Slot(holder, key, "arguments", (*channel, key))
    elif isinstance(value, dict):
        for name in cast("dict[str, Any]", value):
            yield from _in_arguments(value, name, (*channel, key))
    for place in range(len(listed)):
        yield from _in_arguments(listed, place, (*channel, key))


# Streams


_BLANK_LINE = re.compile(rb"\r\n\r\n|\n\n|\r\r")


def blocks_of(body: bytes) -> list[bytes]:
    """The events of a stream as bytes, each with the blank line that ends it."""
    found: list[bytes] = []
    start = 0
    for ending in _BLANK_LINE.finditer(body):
        found.append(body[start : ending.end()])
        start = ending.end()
    if start < len(body):
        found.append(body[start:])
    return found


@dataclass(slots=True)
class Block:
    """One event of a stream: its bytes, and what they say."""

    raw: bytes
    events: list[Event]
    value: object

    @classmethod
    def of(cls, raw: bytes) -> Block:
        """`value` is None where the data is no JSON."""
        events = events_of(raw)
        return cls(raw, events, parse_json(events[-1].data) if events else parse_json(raw))

    def rewrite(self) -> None:
        """Write what `value` is now; every line but those of the data stays."""
        if not self.events:
            self.raw = _dumped(self.value)
            return
        ending = _BLANK_LINE.search(self.raw)
        end = b"" if ending is None else ending[0]
        lines = self.raw.removesuffix(end).splitlines()
        kept = [line for line in lines if not line.startswith(b"data")]
        self.raw = b"\n".join([*kept, b"data: " + _dumped(self.value)]) + (end or b"\n\n")


def _values(body: bytes, *, is_events: bool) -> list[object]:
    if not is_events:
        return [parse_json(body)]
    return [Block.of(raw).value for raw in blocks_of(body)]


def _grouped(values: Sequence[object]) -> dict[tuple[object, ...], list[Slot]]:
    """The slots of an answer, pieces of one text together."""
    groups: dict[tuple[object, ...], list[Slot]] = {}
    for value in values:
        for slot in slots_in(value):
            key = slot.channel if slot.is_piece else (*slot.channel, len(groups))
            groups.setdefault(key, []).append(slot)
    return groups


def _put(groups: Mapping[tuple[object, ...], list[Slot]], changes: Mapping[str, str]) -> set[int]:
    """Put other texts in the place of some: a text of several pieces into the first. The holders that were changed."""
    touched: set[int] = set()
    for slots in groups.values():
        text = "".join(slot.text for slot in slots)
        other = changes.get(text)
        if other is None or other == text:
            continue
        # A block begins with an empty text, which its reader need not look at.
        first = next(slot for slot in slots if slot.text)
        for slot in slots:
            slot.holder[slot.key] = other if slot is first else ""
            touched.add(id(slot.holder))
    return touched


def _holders(value: object) -> Iterator[object]:
    for slot in slots_in(value):
        yield slot.holder


def _dumped(value: object) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # integers beyond 64 bits, halves of surrogate pairs
        return json.dumps(value).encode()


def _fields(value: object) -> list[Fields]:
    if isinstance(value, dict):
        return [cast("Fields", value)]
    found = cast("list[object]", value) if isinstance(value, list) else []
    return [cast("Fields", each) for each in found if isinstance(each, dict)]


def _listed(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []


def _mapping(value: object) -> Fields:
    return cast("Fields", value) if isinstance(value, dict) else {}
