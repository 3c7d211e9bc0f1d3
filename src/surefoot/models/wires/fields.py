"""Reading fields of JSON that somebody else wrote: of the type that is due, or a `ValueError` that says where."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import cast

from surefoot.models.operations import parse_json
from surefoot.values import Image, Json

_ABSENT: Mapping[str, Json] = {}


def object_of(value: Json, what: str) -> Mapping[str, Json]:
    """A JSON object. Raises `ValueError`."""
    if not isinstance(value, dict):
        raise ValueError(f"{what} is no object")  # noqa: TRY004  (of what was received, not of an argument)
    return value


def event_of(data: str) -> Mapping[str, Json]:
    """The JSON object of a server-sent event. Raises `ValueError`."""
    return object_of(cast("Json", parse_json(data)), "an event of the stream")


def inner(value: Mapping[str, Json], name: str) -> Mapping[str, Json]:
    """An object within an object; an empty one where there is none."""
    found = value.get(name)
    return found if isinstance(found, dict) else _ABSENT


def items(value: Mapping[str, Json], name: str) -> Sequence[Mapping[str, Json]]:
    """The objects of a list within an object; none where there is no list."""
    found = value.get(name)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def text(value: Mapping[str, Json], name: str) -> str:
    """A text within an object, or the empty one."""
    found = value.get(name)
    return found if isinstance(found, str) else ""


def number(value: Mapping[str, Json], name: str) -> float:
    """A number within an object, or 0."""
    found = value.get(name)
    return float(found) if isinstance(found, int | float) else 0.0


def data_url(image: Image) -> str:
    """Where a picture lies, or the picture itself as a `data:` URL."""
    if image.url:
        return image.url
    return f"data:{image.media_type or 'image/png'};base64,{base64.b64encode(image.data).decode()}"


def inline(image: Image) -> tuple[str, str] | None:
    """Media type and base64 text of a picture that is at hand; None for one that lies elsewhere."""
    if image.data:
        return image.media_type or "image/png", base64.b64encode(image.data).decode()
    if image.url.startswith("data:"):
        head, _, body = image.url.partition(",")
        return head.removeprefix("data:").removesuffix(";base64"), body
    return None
