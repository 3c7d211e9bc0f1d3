"""Which values may instruct: `trusted` and `endorse`, and the parts of data that a check has made harmless."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import Any, Final, TypeVar, cast, get_args, get_origin
from uuid import UUID

from surefoot import scope
from surefoot.errors import InvalidInput

T = TypeVar("T")

MOST_LEAVES = 100
"""How many texts a value may hold of which it is asked whether they are trusted; what holds more is not."""

_SCALARS: tuple[type, ...] = (
    *(bool, int, float, complex, type(None), Decimal, Fraction),
    *(date, time, timedelta, UUID, Enum),
)
SCALARS = frozenset((*_SCALARS, datetime))


def trusted(value: T) -> T:
    """Say that a value may instruct, as the team vouches for it: it is given back as it is.

    It is remembered by identity, with the texts in it, for as long as the run is open: what is made of it (an f-string,
    a slice) is another value. Outside of a run there is nothing to remember, and nothing is checked.
    """
    if (here := scope.current()) is not None:
        here.trust(value)
    return value


def endorse(value: object, kind: type[T]) -> T:
    """A value as a `kind`, validated as pydantic does, whose checked fields are trusted from here on in this run.

    Checked are numbers, booleans, enums and `Literal`s, dates and times, and texts that had to pass a pattern or a list
    (`Annotated[str, Text(pattern=...)]`, `Text(allow=[...])`, `Text(hosts=[...])`). A free text stays untrusted. Raises
    `InvalidInput` that names what does not fit, and not the value.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        result = TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        named = getattr(kind, "__name__", str(kind))
        raise InvalidInput(f"endorse: what was given is no {named}: {_problems(error)}") from None
    if (here := scope.current()) is not None:
        for part in checked_parts(result, kind):
            here.trust(part)
    return result


def _problems(error: Any) -> str:
    """What is wrong, by field. What a validator of the user's says may quote the value: only its kind is told."""
    said: list[str] = []
    for one in error.errors(include_url=False, include_input=False, include_context=False)[:5]:
        where = ".".join(map(str, one["loc"])) or "the value"
        said.append(f"{where}: {one['type'] if one['type'] == 'value_error' else one['msg']}")
    return "; ".join(said)


def is_scalar(value: object) -> bool:
    """Whether a value is too small to instruct: a number, a date, a member of an enum, at most one character."""
    kind = type(value)
    if kind is str or kind is bytes:
        return len(cast("str | bytes", value)) <= 1
    return kind in SCALARS or isinstance(value, _SCALARS)


TOO_MUCH: Final = object()
"""Stands for the rest of a value that holds more than was to be looked at; nobody knows it."""


def leaves_of(value: object, *, most: int = MOST_LEAVES) -> Iterator[object]:
    """What a value holds that is no container and no scalar, then `TOO_MUCH` where that is more than `most`."""
    left = 8 * most
    queue: list[object] = [value]
    while queue:
        one = queue.pop()
        # Counted too: containers that hold nothing but containers are work all the same.
        left -= 1
        if is_scalar(one):
            continue
        inner = parts_of(one)
        if inner is None:
            most -= 1
            yield one
        else:
            left -= len(inner)
            if left > 0 and not SCALARS.issuperset(type(part) for _, part in inner):
                queue.extend(part for _, part in inner)
        if left <= 0 or most <= 0:
            if queue or left <= 0:
                yield TOO_MUCH
            return


def parts_of(value: object) -> list[tuple[str, object]] | None:
    """The parts of a container by name or place; None for what is none."""
    if isinstance(value, str | bytes | bytearray):
        return None
    if isinstance(value, Mapping):
        items = cast("Mapping[object, object]", value).items()
        # The keys are texts too; they have no place, and are asked about last.
        return [*(("", key) for key, _ in items), *((str(key), part) for key, part in items)]
    if isinstance(value, list | tuple | AbstractSet):
        return [(str(n), part) for n, part in enumerate(cast("Sequence[object]", value))]
    if isinstance(value, type):
        return None
    if dataclasses.is_dataclass(value):
        return [(one.name, getattr(value, one.name, None)) for one in dataclasses.fields(value)]
    if (fields := getattr(type(value), "model_fields", None)) is not None and isinstance(fields, dict):
        extra: Mapping[str, object] = getattr(value, "__pydantic_extra__", None) or {}
        own: list[tuple[str, object]] = [
            (name, getattr(value, name, None)) for name in cast("dict[str, Any]", fields)
        ]
        return [*own, *extra.items()]
    return None


def checked_parts(value: object, hint: object) -> Iterator[object]:
    """The texts in a value that had to pass a check, by what it is annotated as.

    `hint` is a type, or a JSON schema as a mapping, of which `enum` and `const` are checks.
    """
    if isinstance(hint, Mapping):
        yield from _checked_by_schema(value, cast("Mapping[str, object]", hint))
    else:
        yield from _checked(value, hint, (), 0)


def _checked(value: object, hint: object, metadata: Sequence[object], depth: int) -> Iterator[object]:
    if depth > 16 or value is None:
        return
    hint, metadata = _plain(hint, metadata)
    if isinstance(value, str):
        if _is_checked(value, hint, metadata):
            yield value
    elif get_origin(hint) in _UNIONS:
        # A container is of the arm that its class says; a text was handled above.
        for arm in get_args(hint):
            yield from _checked(value, arm, (), depth + 1)
    elif isinstance(value, Mapping):
        yield from _checked_mapping(cast("Mapping[object, object]", value), hint, depth)
    elif isinstance(value, list | tuple | AbstractSet):
        yield from _checked_items(list(cast("Sequence[object]", value)), hint, depth)
    elif _is_instance(value, hint) and (parts := parts_of(value)) is not None:
        hints = _hints_of(type(value))
        for name, part in parts:
            if name in hints:
                yield from _checked(part, *hints[name], depth + 1)


def _is_instance(value: object, hint: object) -> bool:
    try:
        return isinstance(hint, type) and isinstance(value, hint)
    except TypeError:
        # Classes that have no instances to be asked for: `Any`, a protocol.
        return False


_UNIONS = (typing.Union, types.UnionType)


def _plain(hint: object, metadata: Sequence[object]) -> tuple[object, Sequence[object]]:
    """An annotation without `Annotated` and aliases around it, and what those say of it."""
    for _ in range(16):
        if get_origin(hint) is typing.Annotated:
            hint, *more = get_args(hint)
            metadata = (*metadata, *more)
        elif (named := getattr(hint, "__value__", None)) is not None:
            hint = named
        else:
            break
    return hint, metadata


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
    return any(is_check(one) and _passes(one, value) for one in metadata)


def is_check(annotation: object) -> bool:
    """Whether an annotation of a text says what it has to be: `Text(pattern=...)`, pydantic's `Field(pattern=...)`."""
    checks = (getattr(annotation, name, None) for name in ("pattern", "allow", "hosts"))
    return any(check not in (None, (), []) for check in checks)


def _passes(annotation: object, value: str) -> bool:
    """Ask a `Text` once more; what is pydantic's was asked when the value was made."""
    problem = getattr(annotation, "problem", None)
    return problem is None or problem(value) is None


def _checked_mapping(value: Mapping[object, object], hint: object, depth: int) -> Iterator[object]:
    if typing.is_typeddict(hint):
        hints = typing.get_type_hints(hint, include_extras=True)
        for name, part in value.items():
            if name in hints:
                yield from _checked(part, hints[str(name)], (), depth + 1)
        return
    arguments = get_args(hint)
    if len(arguments) == 2:
        for name, part in value.items():
            yield from _checked(name, arguments[0], (), depth + 1)
            yield from _checked(part, arguments[1], (), depth + 1)


def _checked_items(items: Sequence[object], hint: object, depth: int) -> Iterator[object]:
    arguments = get_args(hint)
    if isinstance(hint, type) and hasattr(hint, "_fields"):
        hints = typing.get_type_hints(hint, include_extras=True)
        arguments = tuple(hints.get(name, object) for name in cast("Any", hint)._fields)
    is_each = len(arguments) == 1 or (len(arguments) == 2 and arguments[1] is Ellipsis)
    if is_each:
        arguments = (arguments[0],) * len(items)
    for part, one in zip(items, arguments, strict=False):
        yield from _checked(part, one, (), depth + 1)


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
        if (isinstance(allowed, Sequence) and value in allowed) or schema.get("const") == value:
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
