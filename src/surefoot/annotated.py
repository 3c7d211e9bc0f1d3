"""The parts of a value by what they are annotated as: checked, free to come from whomever, or neither."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args, get_origin

from surefoot.errors import InvalidInput
from surefoot.parts import TOO_MUCH, parts_of
from surefoot.texts.patterns import compiled
from surefoot.texts.text import Text

Fit = Literal["checked", "free", ""]

_MOST_PARTS = 100_000
_DEEPEST = 16

_UNIONS = (typing.Union, types.UnionType)

_Hinted = tuple[object, object, Sequence[object]]
"""A part, what it is annotated as, and what is said beside the type."""


def fits(value: object, hint: object) -> Iterator[tuple[object, Fit]]:
    """What a value holds that is no container and not None, and how far its annotation lets it be trusted.

    `checked` is a text that had to pass a pattern or a list, or is one of a `Literal`; `free` is all that lies where
    the annotation says `Text(untrusted=True)`, and comes as it is. Ends in `TOO_MUCH` where there is more than is
    looked at.
    """
    yield from _Walk().through(value, hint, (), 0)


def checked_parts(value: object, hint: object) -> Iterator[object]:
    """The texts in a value that had to pass a check, by what it is annotated as.

    `hint` is a type, or a JSON schema as a mapping, of which `enum` and `const` are checks.
    """
    if isinstance(hint, Mapping):
        yield from _checked_by_schema(value, cast("Mapping[str, object]", hint))
    else:
        yield from (part for part, fit in fits(value, hint) if fit == "checked")


def is_free(hint: object, depth: int = 0) -> bool:
    """Whether an annotation says `Text(untrusted=True)` of all that there may be in a value."""
    hint, metadata = _plain(hint, ())
    if _says_free(metadata):
        return True
    parts = [one for one in get_args(hint) if one is not type(None) and one is not Ellipsis]
    return depth < _DEEPEST and bool(parts) and all(is_free(one, depth + 1) for one in parts)


@dataclass(slots=True)
class _Walk:
    """One walk through a value, which ends where that is too large."""

    left: int = _MOST_PARTS

    def through(
        self, value: object, hint: object, metadata: Sequence[object], depth: int
    ) -> Iterator[tuple[object, Fit]]:
        hint, metadata = _plain(hint, metadata)
        self.left -= 1
        if value is None:
            return
        if _says_free(metadata):
            yield value, "free"
        elif depth > _DEEPEST or self.left < 0:
            yield TOO_MUCH, ""
        elif isinstance(value, str):
            yield value, "checked" if _is_checked(value, hint, metadata) else ""
        elif (parts := _hinted_parts(value, hint)) is None:
            yield value, ""
        else:
            for part, inner, said in parts:
                yield from self.through(part, inner, said, depth + 1)
                if self.left < 0:
                    return


def _plain(hint: object, metadata: Sequence[object]) -> tuple[object, Sequence[object]]:
    """An annotation without `Annotated` and aliases around it, and what those say of it."""
    for _ in range(_DEEPEST):
        if get_origin(hint) is typing.Annotated:
            hint, *more = get_args(hint)
            # A `Field` of pydantic's holds what it asks in a list of its own.
            metadata = (*metadata, *more, *(one for said in more for one in getattr(said, "metadata", ())))
        elif (named := getattr(hint, "__value__", None)) is not None:
            hint = named
        else:
            break
    return hint, metadata


def _says_free(metadata: Sequence[object]) -> bool:
    return any(isinstance(one, Text) and one.untrusted for one in metadata)


def _is_checked(value: str, hint: object, metadata: Sequence[object]) -> bool:
    """Whether a text had to pass something: a pattern, a list, a `Literal`."""
    hint, metadata = _plain(hint, metadata)
    origin = get_origin(hint)
    if origin is typing.Literal:
        return value in get_args(hint)
    if origin in _UNIONS:
        arms = [arm for arm in get_args(hint) if arm is not type(None)]
        if len(arms) == 1:
            return _is_checked(value, arms[0], metadata)
        # Which arm has taken it is not known, so only what can be asked again counts.
        return any(get_origin(arm) is typing.Literal and value in get_args(arm) for arm in arms)
    return any(_passes(one, value) for one in metadata)


def _passes(annotation: object, value: str) -> bool:
    """Whether an annotation says what a text has to be, and this one is it.

    It is asked again: a field may have been assigned to, and nobody checks what a dataclass is made with. pydantic
    looks for its patterns anywhere in a text; here the whole of it has to be what the team has described.
    """
    if isinstance(annotation, Text):
        return annotation.is_checked and annotation.problem(value) is None
    pattern = getattr(annotation, "pattern", None)
    if isinstance(pattern, re.Pattern):
        pattern = cast("re.Pattern[str]", pattern).pattern
    if not isinstance(pattern, str):
        return False
    try:
        value.encode()
        return compiled(pattern).fullmatch(value) is not None
    except (InvalidInput, UnicodeEncodeError):
        # No text, or a pattern that only a slow engine reads: what nobody can ask again is not checked.
        return False


def _hinted_parts(value: object, hint: object) -> list[_Hinted] | None:
    """The parts of a container, the keys of a mapping among them; None for what is none."""
    parts = parts_of(value)
    if parts is None:
        return None
    if get_origin(hint) in _UNIONS:
        # What more than one arm can have taken is of neither.
        arms = [arm for arm in get_args(hint) if _is_instance(value, arm)]
        hint, _ = _plain(arms[0], ()) if len(arms) == 1 else (object, ())
    arguments = get_args(hint)
    if isinstance(value, Mapping):
        if typing.is_typeddict(hint):
            hints = typing.get_type_hints(hint, include_extras=True)
            return [(part, hints.get(name, object) if name else str, ()) for name, part in parts]
        key, inner = arguments if len(arguments) == 2 else (object, object)
        return [(part, inner if name else key, ()) for name, part in parts]
    if isinstance(value, list | tuple | AbstractSet):
        return [
            (part, one, ()) for (_, part), one in zip(parts, _hints_of_items(hint, len(parts)), strict=True)
        ]
    hints = _hints_of(type(value)) if _is_instance(value, hint) else {}
    return [(part, *hints.get(name, (object, ()))) for name, part in parts]


def _hints_of_items(hint: object, count: int) -> list[object]:
    arguments: list[object] = list(get_args(hint))
    if isinstance(hint, type) and hasattr(hint, "_fields"):
        hints = typing.get_type_hints(hint, include_extras=True)
        arguments = [hints.get(name, object) for name in cast("Any", hint)._fields]
    elif len(arguments) == 1 and get_origin(hint) is not tuple:
        return arguments * count
    elif len(arguments) == 2 and arguments[1] is Ellipsis:
        return arguments[:1] * count
    return [*arguments, *[object] * count][:count]


def _is_instance(value: object, hint: object) -> bool:
    hint, _ = _plain(hint, ())
    kind = get_origin(hint) or hint
    try:
        return isinstance(kind, type) and isinstance(value, kind)
    except TypeError:
        # Classes that have no instances to be asked for: `Any`, a protocol, a `TypedDict`.
        return typing.is_typeddict(hint) and isinstance(value, Mapping)


def _hints_of(kind: Any) -> dict[str, tuple[object, Sequence[object]]]:
    """What the fields of a class are annotated as, with what pydantic has taken out of an `Annotated`."""
    fields = getattr(kind, "model_fields", None)
    if isinstance(fields, dict):
        found = cast("dict[str, Any]", fields)
        return {name: (one.annotation, tuple(one.metadata)) for name, one in found.items()}
    try:
        hints = typing.get_type_hints(kind, include_extras=True)
    except (NameError, TypeError):
        return {}
    return {name: (hint, ()) for name, hint in hints.items()}


def _checked_by_schema(value: object, schema: Mapping[str, object], depth: int = 0) -> Iterator[object]:
    if depth > 16:
        return
    if isinstance(value, str):
        allowed = schema.get("enum")
        if (isinstance(allowed, list | tuple) and value in allowed) or schema.get("const") == value:
            yield value
    elif isinstance(value, Mapping):
        properties = schema.get("properties")
        if isinstance(properties, Mapping):
            known = cast("Mapping[str, object]", properties)
            for name, part in cast("Mapping[str, object]", value).items():
                if isinstance(inner := known.get(name), Mapping):
                    yield from _checked_by_schema(part, cast("Mapping[str, object]", inner), depth + 1)
    elif isinstance(value, list) and isinstance(items := schema.get("items"), Mapping):
        for part in cast("list[object]", value):
            yield from _checked_by_schema(part, cast("Mapping[str, object]", items), depth + 1)
