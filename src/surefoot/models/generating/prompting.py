"""What a prompt is asked to be by `generate`: messages, and settings of its own for the call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, cast

from surefoot.errors import UsageError
from surefoot.models.generating.choices import Call
from surefoot.models.wires.media import audio_type
from surefoot.scope import Slot
from surefoot.values import Audio, File, Image, Json, Message, Part, PromptRef, ToolCall


class Template(Protocol):
    """A prompt: it becomes messages, and may say which model it is written for, and with which settings.

    It may have a `cache` too: what it says of the cache (see `Call`).
    """

    @property
    def name(self) -> str: ...

    @property
    def ref(self) -> PromptRef: ...

    @property
    def model(self) -> Mapping[str, Json]:
        """The model section of its file, of whichever dialect."""
        ...

    def messages(self, /, **inputs: object) -> list[Message]: ...


class Find(Protocol):
    """Finds a prompt by its reference. Raises `UnknownPrompt`."""

    def __call__(self, reference: str, /) -> Template: ...


templates: Slot[Find] = Slot("library of prompts")

Prompt = "str | Template | Sequence[Message | Mapping[str, Any]]"


NONE = Call()
"""The settings of messages that came from no prompt file."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A prompt with its inputs put in. `name` and `ref` are those of a prompt file; empty for messages as such."""

    messages: tuple[Message, ...]
    name: str = ""
    ref: PromptRef | None = None
    settings: Call = NONE


def rendered(prompt: object, inputs: Mapping[str, object]) -> Rendered:
    """The messages of a prompt, of its reference, or those that were given as they are.

    Raises `UnknownPrompt`, `InvalidInput`, `PromptError`, and `UsageError` for what is no prompt.
    """
    if isinstance(prompt, str):
        prompt = templates()(prompt)
    if isinstance(prompt, Sequence):
        if inputs:
            raise UsageError(
                f"messages take no inputs, and {', '.join(inputs)} were given: put them into a prompt file, or into "
                "the messages"
            )
        given = cast("Sequence[object]", prompt)
        if not given:
            raise UsageError("there are no messages to ask a model with: give one at least")
        return Rendered(tuple(_message(one) for one in given))
    if not callable(getattr(prompt, "messages", None)):
        raise UsageError(
            f"a {type(prompt).__name__} is no prompt: give the reference of one in the library, a Prompty, or messages"
        )
    template = cast("Template", prompt)
    messages = tuple(template.messages(**inputs))
    settings = settings_of(template.model)
    if (wish := getattr(template, "cache", None)) is not None:
        settings = replace(settings, cache=wish)
    return Rendered(messages, template.name, template.ref, settings)


def _message(given: object) -> Message:
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


_SETTINGS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "topp": "top_p",
    "max_tokens": "max_tokens",
    "max_completion_tokens": "max_tokens",
    "maxoutputtokens": "max_tokens",
    "max_output_tokens": "max_tokens",
    "seed": "seed",
    "stop": "stop",
    "stopsequences": "stop",
    "reasoning_effort": "reasoning_effort",
}
"""What dialects call the settings of a call, in small letters."""


def settings_of(section: Mapping[str, Json]) -> Call:
    """What the model section of a prompt file says of the call; what this version does not know is left out."""
    configuration = section.get("configuration")
    inner = configuration if isinstance(configuration, dict) else {}
    known: dict[str, Any] = {}
    for part in (section.get("parameters"), section.get("options"), section):
        for name, value in (part if isinstance(part, dict) else {}).items():
            field = _SETTINGS.get(name.lower())
            if field is not None and value is not None and field not in known:
                known[field] = (value,) if field == "stop" and isinstance(value, str) else value
    named = [section.get("id"), section.get("name"), inner.get("model"), inner.get("azure_deployment")]
    model = next((name for name in named if isinstance(name, str) and name), "")
    provider = section.get("provider")
    if isinstance(provider, str) and provider and model and ":" not in model:
        model = f"{provider}:{model}"
    elif inner.get("type") == "azure_openai" and model and ":" not in model:
        model = f"azure:{model}"
    connection = section.get("connection") or inner.get("connection")
    if isinstance(connection, str) and connection and model and ":" not in model:
        model = f"{connection}:{model}"
    return Call(model, **known)


def over(call: Call, settings: Call) -> Call:
    """The call, with what it leaves open taken from the settings of the prompt."""
    if settings is NONE:
        return call
    taken = {
        name: getattr(settings, name)
        for name in (*set(_SETTINGS.values()), "model", "cache")
        if getattr(call, name) in (None, "") and getattr(settings, name) is not None
    }
    return replace(call, **taken)
