"""Texts of requests and answers, and the places where they stand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

Kind = Literal["text", "reasoning", "signed", "arguments", "data"]
"""What a text is: words, reasoning that nobody has signed and reasoning that a provider has, what a tool is called
with, and anything else. The first two may be changed."""

CHANGEABLE: frozenset[Kind] = frozenset({"text", "reasoning"})

Fields = Mapping[str, Any]
Channel = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Said:
    """A text of a request or of an answer: who says it, in which message (0, 1, ...), and what kind of text it is."""

    text: str
    role: str
    place: int = 0
    kind: Kind = "text"


@dataclass(slots=True)
class Slot:
    """Where a text of an answer stands: `holder[key]`. A piece is one of several of its `channel`.

    `drawn` is a text that was drawn together from a structure, and stands nowhere.
    """

    holder: Any
    key: str | int
    kind: Kind
    channel: Channel
    is_piece: bool = False
    drawn: str = ""

    @property
    def text(self) -> str:
        """The text."""
        return self.drawn or cast("str", self.holder[self.key])


def leaves(value: object) -> Iterator[tuple[Any, str | int]]:
    """Where texts stand anywhere within a structure, in their order. Its depth is no matter."""
    stack = [(value, iter(_places(value)))]
    while stack:
        holder, places = stack[-1]
        key = next(places, None)
        if key is None:
            stack.pop()
            continue
        inner = cast("Any", holder)[key]
        if isinstance(inner, str):
            yield holder, key
        elif isinstance(inner, dict | list):
            stack.append((cast("object", inner), iter(_places(cast("object", inner)))))


def drawn_from(value: object) -> str:
    """All that a structure says, a line for each: texts, numbers, and the names that they have."""
    said: list[str] = []
    stack = [value]
    while stack:
        one = stack.pop()
        if isinstance(one, dict):
            fields = cast("dict[str, object]", one)
            for name, inner in reversed(fields.items()):
                stack += [inner, name]
        elif isinstance(one, list):
            stack += reversed(cast("list[object]", one))
        elif isinstance(one, str | int | float) and not isinstance(one, bool):
            said.append(str(one))
    return "\n".join(said)


def fields_in(value: object) -> list[Fields]:
    """The objects of a list; one that stands for itself."""
    if isinstance(value, dict):
        return [cast("Fields", value)]
    return [cast("Fields", each) for each in listed(value) if isinstance(each, dict)]


def listed(value: object) -> list[object]:
    """A list, empty where it is none."""
    return cast("list[object]", value) if isinstance(value, list) else []


def mapping(value: object) -> Fields:
    """An object, empty where it is none."""
    return cast("Fields", value) if isinstance(value, dict) else {}


def _places(value: object) -> list[Any]:
    if isinstance(value, dict):
        return list(cast("dict[str, object]", value))
    return list(range(len(listed(value))))
