"""Reading what scorers ask for out of a flow's output."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from surefoot.errors import InvalidInput

Reader = str | Callable[[Any], object]
"""How a part of the output is found: a path as in `context_used.text` (a list is read item by item), or a function
of the output."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A text and the document that it is from."""

    text: str
    source: str


def read(output: object, reader: Reader) -> object:
    """The part of an output that a reader names. Raises `InvalidInput` where it is not there."""
    if callable(reader):
        return reader(output)
    found, at = output, "the output"
    for part in reader.split("."):
        found = _each(found, part, at)
        at = f"{at}.{part}"
    return found


def _each(value: object, part: str, at: str) -> object:
    if isinstance(value, list | tuple):
        return [_step(item, part, at) for item in cast("list[object]", value)]
    return _step(value, part, at)


def _step(value: object, part: str, at: str) -> object:
    if isinstance(value, Mapping):
        mapping = cast("Mapping[str, object]", value)
        if part in mapping:
            return mapping[part]
        raise InvalidInput(f"{at} has no {part!r}: it has {', '.join(map(str, mapping)) or 'nothing'}")
    try:
        found: object = getattr(value, part)
    except AttributeError:
        raise InvalidInput(f"{at} is {type(value).__name__} and has no {part!r}") from None
    return found
