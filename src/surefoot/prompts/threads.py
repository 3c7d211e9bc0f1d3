"""Threads: a conversation that is given as an input, and put into a prompt at its place."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import cast, overload

from surefoot.prompts.media import MediumError, medium
from surefoot.prompts.roles import RoleError, check_given
from surefoot.values import Audio, File, Image, Json, Message, Part, ToolCall

_KNOWN = frozenset({"role", "content", "parts", "name", "tool_calls", "tool_call_id", "metadata"})


class ThreadError(ValueError):
    """A value is no conversation."""


class Thread(Sequence[Mapping[str, object]]):
    """A conversation. To a template it is a list of mappings with `role` and `content`."""

    __slots__ = ("messages",)

    def __init__(self, messages: tuple[Message, ...]) -> None:
        self.messages = messages

    @overload
    def __getitem__(self, place: int) -> Mapping[str, object]: ...
    @overload
    def __getitem__(self, place: slice) -> list[Mapping[str, object]]: ...
    def __getitem__(self, place: int | slice) -> Mapping[str, object] | list[Mapping[str, object]]:
        if isinstance(place, slice):
            return [_shown(message) for message in self.messages[place]]
        return _shown(self.messages[place])

    def __iter__(self) -> Iterator[Mapping[str, object]]:
        return map(_shown, self.messages)

    def __len__(self) -> int:
        return len(self.messages)


# What is put into a message whole, where an expression gives it.
NOT_TEXT = (Image, Audio, File, Thread)


def _shown(message: Message) -> Mapping[str, object]:
    return {"role": message.role, "content": message.text, "name": message.name}


def thread(value: object) -> Thread:
    """The conversation that a value is: `Message`s, or mappings with `role` and `content`. Raises `ThreadError`.

    Its messages speak for users, assistants and tools: what comes with the inputs gives no instructions.
    """
    if isinstance(value, Thread):
        return value
    kind = type(value).__name__
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Sequence):
        raise ThreadError(f"expected a list of messages, got {kind}")
    messages: list[Message] = []
    for number, entry in enumerate(cast("Sequence[object]", value)):
        try:
            messages.append(_message(entry))
        except (RoleError, MediumError, ThreadError) as error:
            raise ThreadError(f"message {number + 1}: {error}") from None
    return Thread(tuple(messages))


def _message(entry: object) -> Message:
    if isinstance(entry, Message):
        check_given(entry.role)
        return entry
    if not isinstance(entry, Mapping):
        raise ThreadError(f"expected a mapping with role and content, got {type(entry).__name__}")
    given = cast("Mapping[str, Json]", entry)
    role = given.get("role", "user")
    if not isinstance(role, str):
        raise ThreadError(f"the role is {type(role).__name__}, and no text")
    check_given(role)
    metadata = {key: value for key, value in given.items() if key not in _KNOWN}
    own = given.get("metadata")
    if isinstance(own, dict):
        metadata |= own
    return Message(
        role,
        _content(given.get("content", given.get("parts"))),
        tool_calls=calls(given.get("tool_calls")),
        tool_call_id=_text(given, "tool_call_id"),
        name=_text(given, "name"),
        metadata=metadata or None,
    )


def _text(given: Mapping[str, Json], key: str) -> str:
    value = given.get(key)
    if value is not None and not isinstance(value, str):
        raise ThreadError(f"{key} is {type(value).__name__}, and no text")
    return value or ""


def _content(content: Json) -> str | tuple[Part, ...]:
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        raise ThreadError(f"the content is {type(content).__name__}, and neither text nor a list of parts")
    parts = tuple(_part(part) for part in content)
    return parts[0] if len(parts) == 1 and isinstance(parts[0], str) else parts


def _part(part: object) -> Part:
    if isinstance(part, str | Image | Audio | File):
        return part
    if not isinstance(part, Mapping):
        raise ThreadError(f"a part of the content is {type(part).__name__}")
    given = cast("Mapping[str, object]", part)
    kind = str(given.get("kind", given.get("type", "text"))).removesuffix("_url").removeprefix("input_")
    if kind == "text":
        return str(given.get("value", given.get("text", "")))
    if kind not in ("image", "audio", "file"):
        raise ThreadError(
            f"a part of the content is of the unknown kind {kind}; known are text, image, audio, file"
        )
    return medium(given, kind)


def calls(value: Json) -> tuple[ToolCall, ...]:
    """The tool calls that a list of them is: `{id, function: {name, arguments}}`, or all three in one mapping.

    Raises `ThreadError`.
    """
    if value is None:
        return ()
    if not isinstance(value, list):
        raise ThreadError(f"tool_calls is {type(value).__name__}, and no list")
    found: list[ToolCall] = []
    for entry in value:
        inner = entry.get("function", entry) if isinstance(entry, dict) else None
        if (
            not isinstance(entry, dict)
            or not isinstance(inner, dict)
            or not isinstance(inner.get("name"), str)
        ):
            raise ThreadError(
                "tool_calls holds something that is no call: it needs `id`, and `function` with `name`"
            )
        arguments = inner.get("arguments", "")
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        found.append(ToolCall(str(entry.get("id") or ""), str(inner["name"]), text))
    return tuple(found)
