"""Prompts, messages and settings as plain data for `--json`."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from surefoot.values import Audio, File, Image, Json, Message, Part

if TYPE_CHECKING:
    from surefoot.prompts import Dialect, Prompt, Property

_WORD = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+")
_SECRET = frozenset(
    {
        *("apikey", "authorization", "cookie", "credential", "credentials", "key", "keys", "passwd"),
        *("password", "secret", "secrets", "token"),
    }
)
HIDDEN = "(hidden)"


def message_json(message: Message) -> dict[str, Json]:
    """A message in the form of chat completions; what it does not have is left out."""
    content: Json = (
        message.content if isinstance(message.content, str) else [_part(part) for part in message.content]
    )
    shown: dict[str, Json] = {"role": message.role, "content": content}
    if message.name:
        shown["name"] = message.name
    if message.tool_call_id:
        shown["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        shown["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.metadata:
        shown["metadata"] = dict(message.metadata)
    return shown


def _part(part: Part) -> Json:
    from surefoot.models.wires.media import audio_format, media_type

    match part:
        case str():
            return {"type": "text", "text": part}
        case Image():
            detail: dict[str, Json] = {"detail": part.detail} if part.detail else {}
            return {"type": "image_url", "image_url": {"url": _address(part), **detail}}
        case Audio():
            if part.data:
                data = base64.b64encode(part.data).decode()
                form = audio_format(media_type(part))
                return {"type": "input_audio", "input_audio": {"data": data, "format": form}}
            return {"type": "audio_url", "audio_url": {"url": part.url}}
        case File():
            name: dict[str, Json] = {"filename": part.name} if part.name else {}
            where = "file_data" if part.data else "file_url"
            return {"type": "file", "file": {where: _address(part), **name}}


def _address(part: Image | File) -> str:
    """Where a part lies; bytes as a `data:` URL."""
    if not part.data:
        return part.url
    kind = part.media_type or "application/octet-stream"
    return f"data:{kind};base64,{base64.b64encode(part.data).decode()}"


def model_json(
    section: Json, *, dialect: Dialect = "prompty-v2", environ: Mapping[str, str] | None = None
) -> Json:
    """A model section as it is shown: `${env:X}` resolved where X is set or has a default, and no credential.

    A field that holds a secret by its name keeps its reference as written, and a text in it is hidden. promptflow knows
    no defaults.
    """
    known = os.environ if environ is None else environ

    def resolved(written: str, name: str, default: str | None) -> str:
        if dialect == "promptflow":
            return known.get(name if default is None else f"{name}:{default}", written)
        found = known.get(name)
        return found if found is not None else default or written

    return _shown(section, resolved, is_secret=False)


def _shown(value: Json, resolved: Callable[[str, str, str | None], str], *, is_secret: bool) -> Json:
    if isinstance(value, dict):
        return {
            name: _shown(entry, resolved, is_secret=is_secret or is_secret_name(name))
            for name, entry in value.items()
        }
    if isinstance(value, list):
        return [_shown(entry, resolved, is_secret=is_secret) for entry in value]
    if not isinstance(value, str):
        return value
    from surefoot.prompts.references import variable_in

    variable = variable_in(value)
    if is_secret:
        # The default of a reference may be the secret itself.
        return HIDDEN if variable is None else f"${{env:{variable[0]}}}"
    return value if variable is None else resolved(value, *variable)


def secrets_in(value: Json, *, is_secret: bool = False) -> set[str]:
    """The texts in a section that are credentials by the names of their fields, references to variables apart."""
    if isinstance(value, dict):
        return {
            found
            for name, entry in value.items()
            for found in secrets_in(entry, is_secret=is_secret or is_secret_name(name))
        }
    if isinstance(value, list):
        return {found for entry in value for found in secrets_in(entry, is_secret=is_secret)}
    if not (is_secret and isinstance(value, str) and value):
        return set()
    from surefoot.prompts.references import variable_in

    variable = variable_in(value)
    return {value} if variable is None else {variable[1]} if variable[1] else set()


def masked(text: str, secrets: Iterable[str]) -> str:
    """A text without the credentials, the longest first."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def is_secret_name(name: str) -> bool:
    """Whether a field holds a credential: by the last word of its name, so that `max_tokens` is none."""
    words = [word.lower() for word in _WORD.findall(name)]
    return bool(words) and (words[-1] in _SECRET or words[-2:] == ["connection", "string"])


def property_json(entry: Property) -> dict[str, Json]:
    """A declared input or output; what it does not have is left out."""
    shown: dict[str, Json] = {"name": entry.name, "type": entry.type, "required": entry.is_needed}
    if entry.description:
        shown["description"] = entry.description
    if entry.has_default:
        shown["default"] = entry.default
    if entry.enum is not None:
        shown["enum"] = list(entry.enum)
    if entry.items is not None:
        shown["items"] = property_json(entry.items)
    if entry.properties:
        shown["properties"] = [property_json(inner) for inner in entry.properties.values()]
    return shown


def undeclared(prompt: Prompt) -> list[str]:
    """What the template takes beside what is declared; with `?` what not every rendering comes by."""
    from surefoot.prompts import rendering

    names = rendering.names_of(prompt)
    return [
        name if name in names.needed else f"{name}?" for name in sorted(names.used - prompt.inputs.keys())
    ]
