"""Where the texts stand in requests of every format: what guards look at, and put others in the place of."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any, cast

from surefoot.models.chain.slots import Fields, Said, fields_in, leaves, listed, mapping

_Place = tuple[Any, "str | int", str, int]
"""What holds a text and under which key, who says it, and in which message."""

_NO_WORDS = frozenset({"type", "id", "call_id", "tool_use_id", "status", "encrypted_content", "image_url"})
"""Fields of a tool's result that are no part of what it says."""


def asked_in(operation: str, body: Fields) -> list[Said]:
    """The texts of a request in their order, each part of a message by itself; a system prompt has place 0 too."""
    return [Said(holder[key], role, place) for holder, key, role, place in _places(operation, body)]


def asked_with(operation: str, body: Fields, changes: Mapping[str, str]) -> dict[str, object]:
    """The request with other texts in the place of some. What is no text of it stays, whatever it reads as."""
    made = copy.deepcopy(dict(body))
    # All places are known before any is changed.
    for holder, key, _, _ in list(_places(operation, made)):
        holder[key] = changes.get(holder[key], holder[key])
    return made


def _places(operation: str, body: Fields) -> Iterator[_Place]:
    match operation:
        case "openai.chat":
            for place, message in enumerate(fields_in(body.get("messages"))):
                yield from _texts(message, "content", _role(message), place)
        case "openai.responses":
            yield from _plain(body, "instructions", "system")
            for holder, key in leaves(mapping(mapping(body.get("prompt")).get("variables"))):
                if key != "type":
                    yield holder, key, "user", 0
            yield from _of_responses(body)
        case "anthropic.messages":
            yield from _plain(body, "system", "system")
            for place, message in enumerate(fields_in(body.get("messages"))):
                yield from _of_anthropic(message, "content", _role(message), place)
        case "google.generate_content" | "google.embeddings":
            yield from _of_google(body)
        case _:
            for name in ("prompt", "suffix", "input"):
                yield from _plain(body, name, "user")


def _role(message: Fields) -> str:
    role = message.get("role")
    return role if isinstance(role, str) else "user"


def _plain(holder: Any, key: str | int, role: str) -> Iterator[_Place]:
    """A text or a list of them, each a message of its own."""
    for place, (inner, at, _, _) in enumerate(_texts(holder, key, role, 0)):
        yield inner, at, role, place


def _texts(holder: Any, key: str | int, role: str, place: int) -> Iterator[_Place]:
    """The texts of a message's content: one text, a list of texts, or of parts that hold one."""
    content = cast("object", holder.get(key))
    if isinstance(content, str):
        yield holder, key, role, place
    for number, part in enumerate(listed(content)):
        if isinstance(part, str):
            yield content, number, role, place
        elif isinstance(part, dict) and isinstance(cast("Fields", part).get("text"), str):
            yield part, "text", role, place


def _of_responses(body: Fields) -> Iterator[_Place]:
    if isinstance(body.get("input"), str):
        yield body, "input", "user", 0
        return
    for place, item in enumerate(fields_in(body.get("input"))):
        # Reasoning is given back as it came.
        if item.get("type") != "reasoning":
            yield from _texts(item, "content", "tool" if "output" in item else _role(item), place)
        for name in ("output", "outputs", "results"):
            yield from _of_tool(item, name, place)


def _of_tool(holder: Any, key: str, place: int) -> Iterator[_Place]:
    """All that a tool has answered, whatever form that has."""
    content = holder.get(key)
    if isinstance(content, str):
        yield holder, key, "tool", place
    for inner, at in leaves(content):
        if at not in _NO_WORDS:
            yield inner, at, "tool", place


def _of_anthropic(holder: Any, key: str, role: str, place: int) -> Iterator[_Place]:
    if isinstance(holder.get(key), str):
        yield holder, key, role, place
        return
    for block in fields_in(holder.get(key)):
        kind = block.get("type")
        if kind == "text":
            if isinstance(block.get("text"), str):
                yield block, "text", role, place
        elif kind == "tool_result":
            yield from _of_anthropic(block, "content", "tool", place)
        elif kind in ("document", "search_result"):
            yield from _of_document(block, place)
        elif isinstance(kind, str) and kind.endswith("_tool_result"):
            # Of a tool that the provider has: a page, a search, a program.
            yield from _of_tool(block, "content", place)


def _of_document(block: Fields, place: int) -> Iterator[_Place]:
    for name in ("title", "context"):
        if isinstance(block.get(name), str):
            yield block, name, "tool", place
    source = mapping(block.get("source"))
    if source.get("type") == "text" and isinstance(source.get("data"), str):
        yield source, "data", "tool", place
    for holder in (source, block):
        yield from _of_anthropic(holder, "content", "tool", place)


def _of_google(body: Fields) -> Iterator[_Place]:
    for name in ("systemInstruction", "system_instruction"):
        yield from _texts(mapping(body.get(name)), "parts", "system", 0)
    contents = [
        *fields_in(body.get("contents")),
        mapping(body.get("content")),
        *(mapping(each.get("content")) for each in fields_in(body.get("requests"))),
    ]
    for place, content in enumerate(contents):
        for part in fields_in(content.get("parts")):
            if isinstance(part.get("text"), str) and not part.get("thought"):
                yield part, "text", _role(content), place
            for name in ("functionResponse", "function_response"):
                yield from _of_tool(mapping(part.get(name)), "response", place)
            for name in ("codeExecutionResult", "code_execution_result"):
                yield from _of_tool(mapping(part.get(name)), "output", place)
