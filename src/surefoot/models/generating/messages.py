"""Messages as they are given to `generate`: ours, or in the form of chat completions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from surefoot.errors import UsageError
from surefoot.models.wires.media import audio_type
from surefoot.values import Audio, File, Image, Message, Part, ToolCall


def message_of(given: object) -> Message:
    """A message as it was given: one of ours, or in the form of chat completions."""
    if isinstance(given, Message):
        return given
    if not isinstance(given, Mapping):
        raise UsageError(f"a {type(given).__name__} is no message: give {{'role': 'user', 'content': '...'}}")
    fields = cast("Mapping[str, Any]", given)
    role, content = fields.get("role"), fields.get("content")
    if not isinstance(role, str):
        raise UsageError(f"a message has no role: {dict(fields)!r}"[:300])
    parts: str | tuple[Part, ...]
    if content is None or isinstance(content, str):
        parts = content or ""
    elif isinstance(content, Sequence):
        parts = tuple(_part(part) for part in cast("Sequence[object]", content))
    else:
        raise UsageError(
            f"the content of a message is a {type(content).__name__}: give a text or a list of parts"
        )
    calls = tuple(
        ToolCall(str(call["id"]), str(call["function"]["name"]), str(call["function"]["arguments"]))
        for call in fields.get("tool_calls") or ()
    )
    return Message(role, parts, calls, str(fields.get("tool_call_id") or ""), str(fields.get("name") or ""))


def _part(part: object) -> Part:
    """A part of a message: one of ours, or in the form of chat completions."""
    if isinstance(part, str | Image | Audio | File):
        return part
    if isinstance(part, Mapping):
        fields = cast("Mapping[str, Any]", part)
        kind = fields.get("type")
        if kind == "text" and isinstance(fields.get("text"), str):
            return cast("str", fields["text"])
        inner = fields.get(kind) if isinstance(kind, str) else None
        if isinstance(inner, Mapping) and (media := _media(str(kind), cast("Mapping[str, str]", inner))):
            return media
    raise UsageError(f"a message has a part that is no text, picture, recording or file: {part!r}"[:300])


def _media(kind: str, known: Mapping[str, str]) -> Image | Audio | File | None:
    match kind:
        case "image_url":
            return Image(url=known.get("url", ""), detail=known.get("detail", ""))
        case "input_audio":
            return Audio(url=f"data:{audio_type(known.get('format', 'wav'))};base64,{known.get('data', '')}")
        case "file" if known.get("file_data"):
            return File(url=known["file_data"], name=known.get("filename", ""))
        case _:
            return None
