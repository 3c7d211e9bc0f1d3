"""Scorers as a text names them, on the command line and in files: `NAME`, `NAME:ARGUMENTS`, `METRIC=NAME:ARGUMENTS`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from surefoot.errors import InvalidInput

Reading = Callable[[str], object]
"""What a text of an argument stands for. Raises `ValueError` that says what to write."""

_NAMED = re.compile(r"(?P<metric>[^\W\d][\w.-]*)=(?P<rest>[A-Za-z]\w*(?::.*)?)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Written:
    """A text that names a scorer, in its parts. `arguments` is None where no colon follows the name.

    `metric` is what the metric is to be called; empty where the text does not say.
    """

    metric: str
    name: str
    arguments: str | None

    @classmethod
    def of(cls, text: str) -> Self:
        given = _NAMED.fullmatch(text)
        metric, rest = (given["metric"], given["rest"]) if given else ("", text)
        name, colon, arguments = rest.partition(":")
        return cls(metric, name, arguments if colon else None)

    @property
    def called(self) -> str:
        """The name of the metric: what was said, else the scorer as it is written. Empty for its name alone."""
        return self.metric or ("" if self.arguments is None else f"{self.name}:{self.arguments}")


@dataclass(frozen=True, slots=True)
class Entry:
    """How a scorer is made of its arguments.

    takes: the arguments by name, in order, and how each is read. `required`: so many of the first have to be there.
    rest: how all that follows the colon is read, where it is one argument.
    several: the argument whose values are all that stand without a name. lists: those that may be given repeatedly.
    """

    make: Callable[..., Any]
    takes: Mapping[str, Reading] = field(default_factory=dict[str, Reading])
    required: int = 0
    rest: Reading | None = None
    several: bool = False
    lists: tuple[str, ...] = ()
    usage: str = ""

    def tidied(self, written: Written) -> Written:
        """Without the spaces around arguments, so that one scorer has one name however it is written."""
        if written.arguments is None or self.rest is not None:
            return written
        return replace(written, arguments=",".join(part.strip() for part in written.arguments.split(",")))

    def made(self, name: str, arguments: str | None) -> Any:
        """The scorer. Raises `InvalidInput` for arguments that do not fit."""
        if arguments is None or arguments == "":
            if self.required or arguments == "":
                raise self._wrong(
                    name, "there is nothing after its name" if self.required else "nothing follows the colon"
                )
            return self.make()
        try:
            if self.rest is not None:
                return self.make(self.rest(arguments))
            positional, named = self._read(arguments)
            return self.make(*positional, **named)
        except ValueError as error:
            raise self._wrong(name, str(error)) from None
        except InvalidInput as error:
            raise InvalidInput(f"scorer {name}:{arguments}: {error}") from None

    def _read(self, arguments: str) -> tuple[list[object], dict[str, object]]:
        positional: list[object] = []
        named: dict[str, Any] = {}
        order = list(self.takes)
        for part in arguments.split(","):
            key, equals, value = part.partition("=")
            if equals and key in self.takes:
                read = self.takes[key](value)
                if key in self.lists:
                    named.setdefault(key, []).append(read)
                elif key in named:
                    raise ValueError(f"{key} stands twice")
                else:
                    named[key] = read
            elif self.several:
                positional.append(part)
            elif equals:
                near = difflib.get_close_matches(key, order, n=1)
                hint = f"did you mean {near[0]}?" if near else f"it takes {', '.join(order) or 'nothing'}"
                raise ValueError(f"{key} is no argument of it; {hint}")
            elif named or not order:
                raise ValueError(f"{part!r} is one argument too many")
            else:
                named[order[0]] = self.takes[order[0]](part)
        if self.several and len(positional) < self.required:
            raise ValueError("it takes more")
        missing = [] if self.several else [key for key in order[: self.required] if key not in named]
        if missing:
            raise ValueError(f"{missing[0]} is missing")
        return positional, named

    def _wrong(self, name: str, problem: str) -> InvalidInput:
        return InvalidInput(f"scorer {name}: {problem}; write it as in {name}{self.usage}")


def nearest(name: str, known: Collection[str]) -> str:
    """What to write in place of a name that is not known, for an error."""
    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"


def some_text(given: str) -> str:
    if not given:
        raise ValueError("an argument is empty")
    return given


def count(given: str) -> int:
    if not (given.isascii() and given.isdigit()) or len(given) > 9:
        raise ValueError(f"{given!r} is no whole number")
    return int(given)


def number(given: str) -> float:
    try:
        return float(given)
    except ValueError:
        raise ValueError(f"{given!r} is no number") from None


def choice(*allowed: str) -> Reading:
    def read(given: str) -> str:
        if given in allowed:
            return given
        near = difflib.get_close_matches(given, allowed, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(allowed)}"
        raise ValueError(f"{given!r} is none of its values: {hint}")

    return read
