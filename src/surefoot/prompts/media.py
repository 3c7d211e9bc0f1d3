"""Pictures, recordings and documents in prompts: from the values that callers give, and from files beside a prompt."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias, cast

from surefoot.prompts import opening
from surefoot.prompts.definition import Prompt
from surefoot.values import Audio, File, Image, media_type_of

Medium: TypeAlias = "Image | Audio | File"

MAX_BYTES = 50_000_000

_CLASSES: Mapping[str, type[Image | Audio | File]] = {
    "image": Image,
    "audio": Audio,
    "file": File,
}
_ADDRESS = re.compile(r"(?:https?:|data:)", re.IGNORECASE)
# How promptflow writes a picture as a text.
_WRITTEN = re.compile(r"data:image/(?P<kind>[^;\s]*);(?P<form>path|base64|url):\s*(?P<value>.*)", re.DOTALL)


class MediumError(ValueError):
    """A value or a file is no picture, recording or document of the kind that is wanted."""


def medium(value: object, kind: str) -> Medium:
    """The picture (`image`), recording (`audio`) or document (`file`) that a value is. Raises `MediumError`.

    A text is an address, and never the name of a file: values come from users. Code gives a `Path`, or bytes.
    """
    wanted = _CLASSES[kind]
    if isinstance(value, wanted):
        return value
    if isinstance(value, str):
        return wanted(url=value)
    if isinstance(value, Path):
        data = _read(value)
        return _of_bytes(data, wanted, kind, mimetypes.guess_type(value.name)[0] or "", value.name)
    if isinstance(value, bytes):
        return _of_bytes(value, wanted, kind, "", "")
    if isinstance(value, Mapping):
        return _of_mapping(cast("Mapping[str, object]", value), wanted, kind)
    raise MediumError(f"expected an address, bytes, a Path or {wanted.__name__}, got {type(value).__name__}")


def _of_bytes(data: bytes, wanted: type[Image | Audio | File], kind: str, declared: str, name: str) -> Medium:
    found = media_type_of(data) or declared
    if kind != "file" and not found.startswith(f"{kind}/"):
        raise MediumError(
            f"these bytes are no {'picture' if kind == 'image' else 'recording'} that is known "
            f"({found or 'unknown type'}); give {wanted.__name__}(data=..., media_type=...)"
        )
    if wanted is File:
        return File(data=data, media_type=found or "application/octet-stream", name=name)
    return wanted(data=data, media_type=found)


def _of_mapping(value: Mapping[str, object], wanted: type[Image | Audio | File], kind: str) -> Medium:
    inner = value.get(f"{kind}_url", value)
    address: object = inner
    if isinstance(inner, Mapping):
        table = cast("Mapping[str, object]", inner)
        address = next((table[key] for key in ("source", "url", "value") if table.get(key)), None)
    if not isinstance(address, str):
        raise MediumError(
            f"expected a mapping with `source` or `url`, got the keys {', '.join(map(str, value))}"
        )
    media_type = str(value.get("mediaType") or value.get("media_type") or "")
    found = wanted(url=address, media_type=media_type)
    detail = value.get("detail")
    if isinstance(found, Image) and isinstance(detail, str):
        return replace(found, detail=detail)
    return found


def written(text: str, prompt: Prompt) -> Image | None:
    """The picture that promptflow's way of writing one means (`data:image/png;path: a.png`). Raises `MediumError`."""
    found = _WRITTEN.fullmatch(text) if text.startswith("data:image/") else None
    if found is None:
        return None
    value = found["value"].strip()
    if found["form"] == "path":
        return replace(beside(prompt, value), detail="auto")
    url = value if found["form"] == "url" else f"data:image/{found['kind']};base64,{value}"
    return Image(url=url, media_type=f"image/{found['kind']}", detail="auto")


def written_table(value: Mapping[str, object], prompt: Prompt) -> Image | None:
    """The same in promptflow's data, `{"data:image/png;path": "a.png"}`. Raises `MediumError`."""
    if len(value) != 1:
        return None
    key, said = next(iter(value.items()))
    return written(f"{key}: {said}", prompt) if isinstance(said, str) else None


def inline(target: str, prompt: Prompt) -> Image:
    """The picture of `![...](target)`: an address, or a file beside the prompt. Raises `MediumError`."""
    return Image(url=target) if _ADDRESS.match(target) else beside(prompt, target)


def beside(prompt: Prompt, name: str) -> Image:
    """A picture in the folder of a prompt or below it. Raises `MediumError`."""
    if prompt.source is None:
        raise MediumError(
            f"the picture {name} is named, but this prompt has no folder; pass the picture as an input"
        )
    try:
        folder = prompt.source.parent.resolve()
        path = (folder / name).resolve()
    # A name can be too long, or hold a zero byte.
    except (OSError, ValueError):
        raise MediumError(f"{name[:100]!r} is no name of a file") from None
    if not path.is_relative_to(folder):
        raise MediumError(f"the picture {name} lies outside of the folder of the prompt; move it there")
    data = _read(path, inside=folder)
    found = media_type_of(data)
    if not found.startswith("image/"):
        raise MediumError(f"{path} is no picture (PNG, JPEG, GIF or WebP)")
    return Image(data=data, media_type=found)


def _read(path: Path, *, inside: Path | None = None) -> bytes:
    try:
        data = opening.content(path, most=MAX_BYTES, inside=inside)
    except opening.NoFile:
        raise MediumError(f"{path} is no file; name one") from None
    except OSError as error:
        raise MediumError(f"{path} cannot be read: {error.strerror}; check the path") from None
    if len(data) > MAX_BYTES:
        raise MediumError(f"{path} has more than {MAX_BYTES} bytes, which a message takes; make it smaller")
    return data
