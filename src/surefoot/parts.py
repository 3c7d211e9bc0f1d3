"""What a value consists of, as trust looks at it: leaves in containers, and scalars that are too small to instruct."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import Any, Final, cast
from uuid import UUID

MOST_LEAVES = 100
"""How many texts a value may hold of which it is asked whether they are trusted; what holds more is not."""

_SCALARS: tuple[type, ...] = (
    *(bool, int, float, complex, type(None), Decimal, Fraction),
    *(date, time, timedelta, UUID, Enum),
)
SCALARS = frozenset((*_SCALARS, datetime))


def is_scalar(value: object) -> bool:
    """Whether a value is too small to instruct: a number, a date, a member of an enum, at most one character."""
    kind = type(value)
    if kind is str or kind is bytes:
        return len(cast("str | bytes", value)) <= 1
    if kind is dict or kind is list:
        # Most results are; to ask for a kind of fraction is slow.
        return False
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
