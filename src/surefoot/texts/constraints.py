"""Rules for values as YAML files write them, in the words of JSON Schema: lengths, patterns, lists, bounds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias, cast

from surefoot.errors import UsageError
from surefoot.mistakes import Mistake
from surefoot.texts.text import Text
from surefoot.values import Json

_Number: TypeAlias = "int | float"

OF_TEXT = ("minLength", "maxLength", "pattern", "allow", "hosts")
OF_NUMBERS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
OF_LISTS = ("minItems", "maxItems")
_NEARLY = Fraction(1, 10**9)
KEYWORDS = frozenset((*OF_TEXT, *OF_NUMBERS, *OF_LISTS))
"""The keys of a mapping that are rules."""


def _is_multiple(value: _Number, step: _Number) -> bool:
    if isinstance(value, int) and isinstance(step, int):
        return value % step == 0
    if isinstance(value, float) and not math.isfinite(value):
        return False
    # 0.3 is three times 0.1 for whoever writes it.
    parts = Fraction(value) / Fraction(str(step))
    return abs(parts - round(parts)) < _NEARLY


_HOLDS: Mapping[str, tuple[Callable[[_Number, _Number], bool], str]] = {
    "minimum": (lambda value, bound: value >= bound, "has to be {:,} or more"),
    "maximum": (lambda value, bound: value <= bound, "has to be {:,} or less"),
    "exclusiveMinimum": (lambda value, bound: value > bound, "has to be more than {:,}"),
    "exclusiveMaximum": (lambda value, bound: value < bound, "has to be less than {:,}"),
    "multipleOf": (_is_multiple, "has to be a multiple of {:,}"),
}


@dataclass(frozen=True, slots=True)
class Constraints:
    """Rules for one value. Those of text say nothing of a number, nor those of numbers of a list.

    `said` are the rules as they were written. `text` are those of text.
    """

    said: Mapping[str, Json]
    text: Text | None

    def mistake(self, value: object, field: str = "") -> Mistake | None:
        """The first rule that a value breaks; `field` is where it stands."""
        if isinstance(value, str):
            return None if self.text is None else self.text.mistake(value, field)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return self._out_of_bounds(value, field)
        if isinstance(value, list | tuple):
            return self._too_many(len(cast("list[object]", value)), field)
        return None

    def schema(self) -> dict[str, Json]:
        """The same as JSON Schema, which has no `hosts`, and `enum` for `allow`."""
        told: dict[str, Json] = {
            name: value for name, value in self.said.items() if name not in ("allow", "hosts")
        }
        if "allow" in self.said:
            told["enum"] = self.said["allow"]
        return told

    def written(self) -> dict[str, Json]:
        """The rules as keys of a mapping that is no JSON Schema."""
        is_searched = self.text is not None and "pattern" in self.said
        return {**self.said, **({"pattern": self.text.pattern} if is_searched and self.text else {})}

    def _out_of_bounds(self, value: _Number, field: str) -> Mistake | None:
        for name, (holds, words) in _HOLDS.items():
            bound = self.said.get(name)
            if bound is not None and not holds(value, cast("_Number", bound)):
                return Mistake(field, name, words.format(bound))
        return None

    def _too_many(self, count: int, field: str) -> Mistake | None:
        least, most = self.said.get("minItems"), self.said.get("maxItems")
        if isinstance(most, int) and count > most:
            return Mistake(field, "maxItems", f"has {count:,} items, and may have {most:,}", most)
        if isinstance(least, int) and count < least:
            return Mistake(field, "minItems", f"has {count:,} items, and needs {least:,}")
        return None


def constraints_of(entry: Mapping[str, Json], *, is_schema: bool = False) -> Constraints | None:
    """The rules among the keys of a mapping; None where it has none.

    minLength, maxLength: of a text, in characters. pattern: in RE2's syntax, which the whole text has to match, and
    where the mapping `is_schema` (a JSON Schema, by whose rules it is read) some part of it. allow: texts that it may
    be. hosts: hosts of which it has to be an address. minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf:
    of a number. minItems, maxItems: of a list. See `surefoot.Text`.

    Raises `UsageError`, which names the key.
    """
    said = {name: value for name, value in entry.items() if name in KEYWORDS and value is not None}
    if not said:
        return None
    for name in ("minLength", "maxLength", *OF_LISTS):
        if name in said:
            _check_count(name, said[name])
    for name in OF_NUMBERS:
        bound = said.get(name)
        if name in said and not _is_number(bound):
            raise UsageError(f"{name} is {bound!r}: give a number")
    step = said.get("multipleOf")
    if step is not None and not cast("_Number", step) > 0:
        raise UsageError(f"multipleOf is {step!r}: give a number above 0")
    pattern = said.get("pattern")
    if pattern is not None and not isinstance(pattern, str):
        raise UsageError(f"pattern is {pattern!r}: give a regular expression in quotes")
    for name in ("allow", "hosts"):
        listed = said.get(name)
        if name in said and not (isinstance(listed, list) and all(isinstance(one, str) for one in listed)):
            raise UsageError(f"{name} has to be a list of texts, as in `{name}: [a, b]`")
    if not any(name in said for name in OF_TEXT):
        return Constraints(said, None)
    if pattern is not None and is_schema:
        # A search as a match of the whole, so that one way of asking does for both.
        pattern = f"(?s:.*)(?:{pattern})(?s:.*)"
    text = Text(
        min=cast("int | None", said.get("minLength")),
        max=cast("int | None", said.get("maxLength")),
        pattern=pattern,
        allow=cast("list[str] | None", said.get("allow")),
        hosts=cast("list[str] | None", said.get("hosts")),
    )
    return Constraints(said, text)


def _check_count(name: str, value: Json) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise UsageError(f"{name} is {value!r}: give a whole number, 0 or more")


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
