"""Where the texts stand in answers of every format: what guards look at, and put others in the place of.

What a format is known to say has a kind and a channel. Everything else in an answer is looked at too, as data, so that
what a provider adds tomorrow passes no guard unseen; what is no text (pictures, signatures, ids) is known by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from surefoot.models.chain.blocks import Block, blocks_of
from surefoot.models.chain.operations import parse_json
from surefoot.models.chain.slots import (
    CHANGEABLE,
    Channel,
    Fields,
    Kind,
    Said,
    Slot,
    drawn_from,
    fields_in,
    listed,
    mapping,
)

_NO_TEXTS = frozenset(
    {
        *("id", "object", "type", "role", "model", "status", "index", "format", "language", "outcome"),
        *("finish_reason", "finishReason", "stop_reason", "native_finish_reason", "incomplete_details"),
        *("system_fingerprint", "service_tier", "provider", "modelVersion", "responseId", "obfuscation"),
        *("item_id", "call_id", "tool_use_id", "tool_call_id", "response_id", "previous_response_id"),
        *("container_id", "file_id", "event_id", "mimeType", "mime_type", "media_type", "detail"),
        *("signature", "thoughtSignature", "thought_signature", "encrypted_content", "encrypted_index"),
        *("b64_json", "partial_image_b64", "encrypted_stdout", "usage", "usageMetadata", "timings"),
        # What the answer says again token by token.
        *("logprobs", "logprobsResult", "top_logprobs"),
    }
)
_ECHOES = frozenset({"instructions", "tools", "tool_choice", "metadata"})
"""Fields in which an answer gives back what its request said."""
_TOKENS = frozenset({"logprobs", "logprobsResult"})
"""Fields that say a text once more, token by token."""
_ARGUMENTS = frozenset({"input", "args", "arguments"})
_SOUND = frozenset({"response.audio.delta", "response.output_audio.delta"})


def said_in(operation: str, body: bytes) -> list[Said]:
    """The texts of an answer, each once: those of a stream put together of their pieces."""
    if operation.endswith(("embeddings", "images")):
        return []
    found: dict[tuple[str, Kind], Said] = {}
    for slots in _grouped([block.value for block in _blocks(body)]).values():
        text, kind = "".join(slot.text for slot in slots), slots[0].kind
        if text:
            found.setdefault((text, kind), Said(text, "assistant", kind=kind))
    return list(found.values())


def answer_with(operation: str, body: bytes, changes: Mapping[str, str]) -> bytes:
    """An answer with other texts in the place of some; what is not concerned stays byte for byte."""
    if operation.endswith(("embeddings", "images")):
        return body
    blocks = _blocks(body)
    touched = _put(_grouped([block.value for block in blocks]), changes)
    if not touched:
        return body
    for block in blocks:
        has_tokens = _without_tokens(block.value)
        if has_tokens or any(id(slot.holder) in touched for slot in slots_in(block.value)):
            block.rewrite()
    return b"".join(block.raw for block in blocks)


def slots_in(value: object) -> Iterator[Slot]:
    """Where the texts stand in a buffered answer, or in one event of a stream; a text is what is no JSON."""
    if isinstance(value, str):
        yield Slot(None, 0, "data", ("no JSON",), is_piece=True, drawn=value)
    for chunk in listed(value):
        # Gemini's stream without events: the chunks of it.
        yield from slots_in(cast("object", chunk)) if isinstance(chunk, dict) else ()
    if not isinstance(value, dict):
        return
    said = cast("dict[str, Any]", value)
    known: set[tuple[int, str | int]] = set()
    for slot in _known(said):
        known.add((id(slot.holder), slot.key))
        yield slot
    yield from _others(said, known)


# What is known of formats


def _known(said: dict[str, Any]) -> Iterator[Slot]:
    kind = str(said.get("type") or "")
    for choice in fields_in(said.get("choices")):
        yield from _of_choice(choice)
    for number, candidate in enumerate(fields_in(said.get("candidates"))):
        yield from _of_candidate(candidate, candidate.get("index", number))
    if isinstance(said.get("content"), list):
        for index, block in enumerate(fields_in(said["content"])):
            yield from _of_block(block, index)
    if isinstance(said.get("content_block"), dict):
        yield from _of_block(said["content_block"], said.get("index"), is_piece=True)
    if kind == "content_block_delta":
        yield from _of_block(mapping(said.get("delta")), said.get("index"), is_piece=True)
    elif kind.startswith("response."):
        yield from _of_response_event(said, kind)
    for item in fields_in(said.get("output")):
        yield from _of_item(item)


def _of_choice(choice: Fields) -> Iterator[Slot]:
    index = choice.get("index", 0)
    if isinstance(choice.get("text"), str):
        yield Slot(choice, "text", "text", ("choice", index), is_piece=True)
    for name in ("message", "delta"):
        if message := mapping(choice.get(name)):
            yield from _of_message(message, index, is_piece=name == "delta")


def _of_message(fields: Fields, index: object, *, is_piece: bool) -> Iterator[Slot]:
    for key in ("content", "refusal"):
        if isinstance(fields.get(key), str):
            yield Slot(fields, key, "text", ("choice", index, key), is_piece)
    for part in fields_in(listed(fields.get("content"))):
        if isinstance(part.get("text"), str):
            yield Slot(part, "text", "text", ("choice", index, "content"), is_piece)
    for key in ("reasoning_content", "reasoning"):
        if isinstance(fields.get(key), str):
            yield Slot(fields, key, "reasoning", ("choice", index, key), is_piece)
    for place, call in enumerate(fields_in(fields.get("tool_calls"))):
        channel = ("choice", index, "call", call.get("index", place))
        for inner, key in (("function", "arguments"), ("custom", "input")):
            called = mapping(call.get(inner))
            if isinstance(called.get(key), str):
                yield Slot(called, key, "arguments", channel, is_piece)
    called = mapping(fields.get("function_call"))
    if isinstance(called.get("arguments"), str):
        yield Slot(called, "arguments", "arguments", ("choice", index, "function_call"), is_piece)


def _of_candidate(candidate: Fields, index: object) -> Iterator[Slot]:
    for part in fields_in(mapping(candidate.get("content")).get("parts")):
        if isinstance(part.get("text"), str):
            kind: Kind = "reasoning" if part.get("thought") else "text"
            yield Slot(part, "text", kind, ("candidate", index, kind), is_piece=True)
        yield from _of_arguments(mapping(part.get("functionCall")), "args")


def _of_block(block: Fields, index: object, *, is_piece: bool = False) -> Iterator[Slot]:
    for key, kind in _BLOCK_TEXTS.items():
        if isinstance(block.get(key), str):
            yield Slot(block, key, kind, ("block", index, kind), is_piece)
    yield from _of_arguments(block, "input")


_BLOCK_TEXTS: Mapping[str, Kind] = {"text": "text", "thinking": "signed", "partial_json": "arguments"}


def _of_response_event(said: dict[str, Any], kind: str) -> Iterator[Slot]:
    sort = kind.removeprefix("response.").rpartition(".")[0]
    what: Kind = "text" if sort in ("output_text", "refusal") else "arguments"
    if sort.startswith("reasoning"):
        what = "signed"
    elif "transcript" in sort:
        what = "data"
    channel = (sort, said.get("output_index"), said.get("content_index"), said.get("summary_index"))
    if kind.endswith(".delta") and isinstance(said.get("delta"), str) and kind not in _SOUND:
        yield Slot(said, "delta", what, channel, is_piece=True)
    elif kind.endswith(".done"):
        for key in ("text", "refusal", "arguments", "input", "code"):
            if isinstance(said.get(key), str):
                yield Slot(said, key, what, (*channel, "done"))
    yield from _of_parts([mapping(said.get("part"))], what if what == "signed" else "text")
    yield from _of_item(mapping(said.get("item")))
    for item in fields_in(mapping(said.get("response")).get("output")):
        yield from _of_item(item)


def _of_item(item: Fields) -> Iterator[Slot]:
    kind: Kind = "signed" if item.get("type") == "reasoning" else "text"
    for name in ("content", "summary"):
        yield from _of_parts(fields_in(listed(item.get(name))), kind)
    for key in ("arguments", "input", "code"):
        if isinstance(item.get(key), str):
            yield Slot(item, key, "arguments", ("item", id(item), key))


def _of_parts(parts: Sequence[Fields], kind: Kind) -> Iterator[Slot]:
    for part in parts:
        for key in ("text", "refusal"):
            if isinstance(part.get(key), str):
                yield Slot(part, key, kind, ("part", id(part), key))


def _of_arguments(holder: Fields, key: str) -> Iterator[Slot]:
    """Arguments that come as data: all that they say, also in the names that the model chose."""
    value = holder.get(key)
    if isinstance(value, str):
        yield Slot(holder, key, "arguments", ("arguments", id(holder)))
    elif isinstance(value, dict | list) and (drawn := drawn_from(cast("object", value))):
        yield Slot(holder, key, "arguments", ("arguments", id(holder)), drawn=drawn)


# All the rest


def _others(said: dict[str, Any], known: set[tuple[int, str | int]]) -> Iterator[Slot]:
    """Every other text. In an event that brings pieces each is one of the channel that its way through them names."""
    kind = str(said.get("type") or "")
    is_sound = kind in _SOUND
    at = said.get("index"), said.get("output_index")
    stack: list[tuple[Any, Channel, bool]] = [(said, at, kind.endswith("delta"))]
    while stack:
        holder, way, is_piece = stack.pop()
        fields = cast("dict[str, Any]", holder)
        pairs = fields.items() if isinstance(holder, dict) else enumerate(cast("list[object]", holder))
        inner: list[tuple[Any, Channel, bool]] = []
        for key, value in cast("Any", pairs):
            if key in _NO_TEXTS or (id(fields), key) in known or (is_sound and key == "delta"):
                continue
            if key in _ECHOES and "output" in holder:
                continue
            if isinstance(value, str):
                if value and not _is_packed(fields, key):
                    yield Slot(holder, key, _kind_of(fields, way), (*way, key), is_piece)
            elif isinstance(value, dict | list):
                name: object = mapping(cast("object", value)).get("index", key)
                inner.append((cast("object", value), (*way, name), is_piece or key == "delta"))
        stack += reversed(inner)


def _kind_of(holder: object, way: Channel) -> Kind:
    if not any(isinstance(name, str) and name.startswith(("reasoning", "thinking")) for name in way):
        return "data"
    return "signed" if mapping(holder).get("signature") else "reasoning"


def _is_packed(holder: object, key: object) -> bool:
    """Whether a text is a picture or a sound, as far as its holder says so."""
    if key == "result":
        return mapping(holder).get("type") == "image_generation_call"
    return key == "data" and mapping(holder).get("type") != "text"


# Groups


def _blocks(body: bytes) -> list[Block]:
    """An answer as what it reads as, whatever it calls itself: one value, or events."""
    if body.lstrip()[:1] in (b"{", b"["):
        value = parse_json(body)
        if value is not None:
            return [Block(body, [], value)]
    return [Block.of(raw) for raw in blocks_of(body)]


def _grouped(values: Sequence[object]) -> dict[Channel, list[Slot]]:
    """The slots of an answer, pieces of one text together."""
    groups: dict[Channel, list[Slot]] = {}
    for value in values:
        for slot in slots_in(value):
            key = slot.channel if slot.is_piece else (*slot.channel, len(groups))
            groups.setdefault(key, []).append(slot)
    return groups


def _put(groups: Mapping[Channel, list[Slot]], changes: Mapping[str, str]) -> set[int]:
    """Put other texts in the place of some: a text of several pieces into the first. The holders that were changed."""
    touched: set[int] = set()
    for slots in groups.values():
        if slots[0].kind not in CHANGEABLE:
            continue
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


def _without_tokens(value: object) -> bool:
    """Empty the lists that say a text token by token: whether there was one."""
    stack, is_found = [value], False
    while stack:
        one = stack.pop()
        if isinstance(one, dict):
            fields = cast("dict[str, object]", one)
            for name, inner in fields.items():
                if name in _TOKENS and inner:
                    fields[name] = [] if isinstance(inner, list) else None
                    is_found = True
            stack += fields.values()
        elif isinstance(one, list):
            stack += cast("list[object]", one)
    return is_found
