"""Which cases are meant: `topic=billing`, `tag!=x`, `cost>0.01`, `len(query)>200`."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self, cast

from surefoot.errors import InvalidInput
from surefoot.evals.datasets.case import Case, data_of

_FORM = re.compile(
    r"\s*(?P<len>len\()?\s*(?P<name>[^\s=!<>()]+)\s*(?(len)\))\s*(?P<sign>!=|>=|<=|=|>|<)\s*(?P<value>.*?)\s*"
)
_KNOWN = 12


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition on a case: what stands under a name, compared with a value.

    `=` and `!=` compare text; numbers, true, false and null as JSON writes them; of a list they ask whether the value
    is in it. `>`, `>=`, `<`, `<=` compare numbers. `len(NAME)` is the length of a text or list in characters or items,
    `len` alone that of all texts in the inputs. A case in which nothing stands under the name is another than any
    value, and neither more nor less.
    """

    name: str
    sign: str
    value: str
    is_length: bool = False

    @classmethod
    def of(cls, text: str) -> Self:
        """The condition that a text spells. Raises `InvalidInput`."""
        found = _FORM.fullmatch(text)
        if found is None:
            raise InvalidInput(
                f"{text!r} is no condition: write NAME=VALUE, NAME!=VALUE, NAME>NUMBER (or >=, <, <=), or "
                "len(NAME)>NUMBER"
            )
        name = found["name"]
        is_length = found["len"] is not None or name == "len"
        condition = cls(
            "" if is_length and found["len"] is None else name, found["sign"], found["value"], is_length
        )
        if (is_length or condition.sign[0] in "<>") and _number(condition.value) is None:
            raise InvalidInput(f"{text!r} compares with {condition.value!r}, which is no number")
        return condition

    def holds(self, case: Case) -> bool:
        """Whether it is true of a case. Raises `InvalidInput` where a number is compared with something else."""
        found = self._found(case)
        if found is _NOTHING:
            return self.sign == "!="
        if self.sign in ("=", "!="):
            is_equal = self._is_equal(found)
            return is_equal if self.sign == "=" else not is_equal
        number, wanted = _number(found), _number(self.value)
        if number is None or wanted is None:
            raise InvalidInput(f"{case.label}: {self.name!r} is {found!r:.80}, which is no number to compare")
        match self.sign:
            case ">":
                return number > wanted
            case ">=":
                return number >= wanted
            case "<":
                return number < wanted
            case _:
                return number <= wanted

    def _found(self, case: Case) -> object:
        if self.is_length and not self.name:
            return sum(map(len, _texts(case.inputs)))
        try:
            found = case.value(self.name)
        except KeyError:
            return _NOTHING
        plain = data_of(found)
        if not self.is_length:
            return plain
        return len(plain) if isinstance(plain, str | list | dict) else _NOTHING

    def _is_equal(self, found: object) -> bool:
        if isinstance(found, list):
            return any(self._is_equal(item) for item in cast("list[object]", found))
        if isinstance(found, bool) or found is None:
            return self.value == {True: "true", False: "false", None: "null"}[found]
        if isinstance(found, int | float):
            return _number(self.value) == found
        return found == self.value


_NOTHING = object()


def chosen(cases: Iterable[Case], conditions: Sequence[Condition]) -> list[Case]:
    """The cases of which all conditions hold.

    Raises `InvalidInput` for a name that stands in no case: it would be a mistake that finds nothing, or everything.
    """
    every = list(cases)
    for condition in conditions:
        if condition.name and not any(_has(case, condition.name) for case in every):
            known = sorted({name for case in every for name in (*case.metadata, *case.inputs)})
            more = f" and {len(known) - _KNOWN} more" if len(known) > _KNOWN else ""
            raise InvalidInput(
                f"no case has {condition.name!r}: there are {', '.join(known[:_KNOWN]) or 'no names'}{more}"
            )
    return [case for case in every if all(condition.holds(case) for condition in conditions)]


def of_fields(fields: Mapping[str, object]) -> list[Condition]:
    """The conditions that keyword arguments stand for: each equal to its value. Raises `InvalidInput`."""
    return [Condition(name, "=", _spelled(name, value)) for name, value in fields.items()]


def _spelled(name: str, value: object) -> str:
    plain = data_of(value)
    if isinstance(plain, str):
        return plain
    if isinstance(plain, bool) or plain is None:
        return {True: "true", False: "false", None: "null"}[plain]
    if isinstance(plain, int | float):
        return repr(plain)
    raise InvalidInput(
        f"{name} is compared with {type(value).__name__}: give a text, a number, a bool or None"
    )


def _has(case: Case, name: str) -> bool:
    try:
        case.value(name)
    except KeyError:
        return False
    return True


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except ValueError:
        return None


def _texts(value: object) -> Iterable[str]:
    """All texts inside of a value."""
    plain = data_of(value)
    if isinstance(plain, str):
        yield plain
    elif isinstance(plain, dict | list):
        inside: Collection[object] = plain.values() if isinstance(plain, dict) else plain
        for item in inside:
            yield from _texts(item)
