"""What is wrong with a value that came from outside: where it stands, which rule it breaks, at which character."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast


@dataclass(frozen=True, slots=True)
class Mistake:
    """One broken rule. It never holds the value.

    `field` is a path as code writes it (`items[3].name`), `rule` the name of the rule (`max`, `pattern`, `hidden`,
    `type`, `missing`, ...), `problem` what is wrong in words. `offset` is the character of the text at which it is,
    counted from 0; None where that says nothing.
    """

    field: str
    rule: str
    problem: str
    offset: int | None = None

    def __str__(self) -> str:
        return f"{self.field}: {self.problem}" if self.field else self.problem


def path_of(steps: tuple[str | int, ...]) -> str:
    """The path of a value as code writes it: `("items", 3, "name")` is `items[3].name`."""
    path = ""
    for step in steps:
        if isinstance(step, int):
            path += f"[{step}]"
        elif path:
            path += f".{step}"
        else:
            path = step
    return path


def kind_of(value: object) -> str:
    """What a value is, in words that do not tell it: `text of 12 characters`, `a list of 3`."""
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value)
        case str():
            return f"text of {counted(len(value), 'character')}"
        case bytes() | bytearray():
            return counted(len(value), "byte")
        case list() | tuple():
            return f"a list of {len(cast('list[object]', value)):,}"
        case dict():
            return f"a mapping of {len(cast('dict[object, object]', value)):,}"
        case _:
            return type(value).__name__


def counted(count: int, what: str) -> str:
    """`3 characters`, `1 character`."""
    return f"{count:,} {what}{'s' * (count != 1)}"
