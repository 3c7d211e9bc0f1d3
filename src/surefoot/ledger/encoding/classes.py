"""Instances of classes that others wrote: dataclasses, enums, named tuples, subclasses of built-in types."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from types import MemberDescriptorType
from typing import Any

from surefoot.errors import NotRestored
from surefoot.ledger.encoding.names import class_name
from surefoot.ledger.encoding.walk import Plain, Reader, Refused, Return, Walk, Writer, tag

_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: made by a class statement, not by C
_EMPTY: frozenset[str] = frozenset()
_MOST = 2_000  # classes whose shapes are remembered


def _iterated(base: Any) -> Callable[[Any], Any]:
    return lambda value: base(base.__iter__(value))


_BASES: tuple[Any, ...] = (tuple, list, set, frozenset)
_OBJECT: Any = object
_TUPLE: Any = tuple
_LIST: Any = list
_SET: Any = set
_DICT: Any = dict

# The exact built-in value of an instance of a subclass, past any method that the subclass overrides.
_CONTENT: dict[type, Callable[[Any], Any]] = {
    str: str.__str__,
    int: int.__int__,
    float: float.__float__,
    bytes: lambda value: bytes.__add__(b"", value),
    dict: lambda value: dict(_DICT.items(value)),
    **{base: _iterated(base) for base in _BASES},
}
_REFILL: dict[type, Callable[[Any, Any], None]] = {
    list: _LIST.extend,
    set: _SET.update,
    dict: _DICT.update,
}


@dataclass(frozen=True, slots=True)
class _Shape:
    """What a class says of the attributes of its instances."""

    name: str
    fields: frozenset[str] = _EMPTY
    required: frozenset[str] = _EMPTY
    slots: tuple[str, ...] = ()
    dropped: frozenset[str] = _EMPTY


_shapes: dict[type, _Shape] = {}


def class_of(value: object) -> Any:
    """The class of a value, as a foreign one that type checkers leave alone."""
    return type(value)


def solid(kind: type) -> type:
    """The nearest class in the line of ancestors that is built in C, which decides the layout."""
    return next(parent for parent in kind.__mro__ if not parent.__flags__ & _HEAP_TYPE)


def derived(kind: type) -> frozenset[str]:
    """Attributes that hold nothing of their own: cached properties, and the mark that typing leaves."""
    cached = (name for parent in kind.__mro__ for name, item in vars(parent).items() if _is_cached(item))
    return frozenset((*cached, "__orig_class__"))


def _is_cached(item: object) -> bool:
    return isinstance(item, cached_property)


def _is_dataclass(kind: type) -> bool:
    # Not `dataclasses.is_dataclass`, whose narrowing loses the class.
    return hasattr(kind, "__dataclass_fields__")


def _slots(kind: type) -> tuple[str, ...]:
    return tuple(
        name
        for parent in kind.__mro__
        if parent.__flags__ & _HEAP_TYPE
        for name, item in vars(parent).items()
        if isinstance(item, MemberDescriptorType)
    )


def _shape(kind: type) -> _Shape:
    shape = _shapes.get(kind)
    if shape is None:
        if len(_shapes) > _MOST:
            _shapes.clear()
        shape = _shapes[kind] = _shape_of(kind)
    return shape


def _shape_of(kind: type) -> _Shape:
    name = class_name(kind)
    if not _is_dataclass(kind):
        return _Shape(name, slots=_slots(kind), dropped=derived(kind))
    fields = dataclasses.fields(kind)
    missing = dataclasses.MISSING
    return _Shape(
        name,
        frozenset(field.name for field in fields),
        frozenset(
            field.name for field in fields if field.default is missing and field.default_factory is missing
        ),
        _slots(kind),
        derived(kind),
    )


def _held(value: object, shape: _Shape) -> dict[str, Any]:
    """All attributes of an instance, wherever they are kept."""
    held: dict[str, Any] = dict(getattr(value, "__dict__", None) or {})
    for name in shape.slots:
        try:
            held[name] = object.__getattribute__(value, name)
        except AttributeError:
            continue  # declared, never set
    return held


def _write_dataclass(value: Any, depth: int, walk: Walk) -> object:
    shape = _shape(class_of(value))
    held: dict[str, Any] = _held(value, shape) if shape.slots else value.__dict__
    if held.keys() == shape.fields:
        return tag("dataclass", shape.name, walk.attributes(value, held, depth + 2))
    others = frozenset(held) - shape.fields
    fields = walk.attributes(value, held, depth + 2, others)
    more: dict[str, object] = {}
    if absent := shape.fields - held.keys():
        more["absent"] = sorted(absent)
    if rest := others - shape.dropped:
        more["rest"] = walk.attributes(value, {name: held[name] for name in sorted(rest)}, depth + 3)
    return tag("dataclass", shape.name, fields, more) if more else tag("dataclass", shape.name, fields)


def _read_dataclass(parts: list[Any], back: Return) -> object:
    kind = back.class_named(parts[0], object, "a class")
    if not _is_dataclass(kind) or solid(kind) is not object:
        raise NotRestored(f"cannot restore a recorded {parts[0]}: it is not a dataclass any more")
    shape = _shape(kind)
    held: dict[str, Any] = parts[1]
    more: dict[str, Any] = parts[2] if parts[2:] else {}
    absent = set(more.get("absent", ()))
    unchanged(parts[0], held.keys() - shape.fields, "no longer has", "which was recorded")
    unchanged(parts[0], shape.required - held.keys() - absent, "needs", "which was not recorded")
    value: Any = _OBJECT.__new__(kind)
    _fill(value, back.fields(held), shape)
    _fill(value, back.fields(more.get("rest", {})), shape)
    if len(held) + len(absent) < len(shape.fields):
        _fill(value, _defaults(kind, held.keys() | absent), shape)
    return value


def _defaults(kind: Any, known: set[str]) -> dict[str, Any]:
    """Defaults of the fields that the class did not have yet when it was recorded."""
    return {
        field.name: field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        for field in dataclasses.fields(kind)
        if field.name not in known
    }


def unchanged(name: str, fields: frozenset[str] | set[str], verb: str, fact: str) -> None:
    """Raises `NotRestored` if there are such fields."""
    if fields:
        listed = ", ".join(sorted(fields))
        raise NotRestored(
            f"cannot restore a recorded {name}: the class {verb} {listed}, {fact}. "
            "Give new fields a default and keep old ones, "
            "or annotate the function's return type so that the data is validated to it"
        )


def _fill(value: Any, held: dict[str, Any], shape: _Shape) -> None:
    """Set attributes past frozen, `__setattr__` and properties."""
    for name, item in held.items():
        if name in shape.slots:
            object.__setattr__(value, name, item)
        else:
            value.__dict__[name] = item


def _write_enum(value: enum.Enum, depth: int, walk: Walk) -> object:
    name = class_name(class_of(value))
    plain = value._value_
    if type(plain) in (str, int, bool):
        return tag("enum", name, value._name_, walk.lower(plain, depth + 2))
    return tag("enum", name, value._name_)


def _write_flag(value: enum.Flag, depth: int, walk: Walk) -> object:
    return tag("flag", class_name(class_of(value)), walk.lower(value._value_, depth + 2))


def _read_enum(parts: list[Any], back: Return) -> object:
    kind: Any = back.class_named(parts[0], enum.Enum, "an enum")
    member = kind.__members__.get(parts[1])
    if member is None:
        raise NotRestored(
            f"cannot restore a recorded {parts[0]}: it has no member {parts[1]!r} any more. "
            "Keep the old name as an alias, or annotate the function's return type"
        )
    return member


def _read_flag(parts: list[Any], back: Return) -> object:
    kind: Any = back.class_named(parts[0], enum.Flag, "a flag")
    return kind(back.restore(parts[1]))


def _write_namedtuple(value: Any, depth: int, walk: Walk) -> object:
    fields: tuple[str, ...] = value._fields
    held: dict[str, Any] = dict(zip(fields, _TUPLE.__iter__(value), strict=True))
    return tag("namedtuple", class_name(class_of(value)), walk.attributes(value, held, depth + 2))


def _read_namedtuple(parts: list[Any], back: Return) -> object:
    kind: Any = back.class_named(parts[0], tuple, "a named tuple")
    held: dict[str, Any] = parts[1]
    fields: tuple[str, ...] = kind._fields
    unchanged(parts[0], held.keys() - set(fields), "no longer has", "which was recorded")
    missing = frozenset(fields) - held.keys()
    unchanged(parts[0], missing - kind._field_defaults.keys(), "needs", "which was not recorded")
    held = {**kind._field_defaults, **back.fields(held)}
    return _TUPLE.__new__(kind, [held[name] for name in fields])


def _write_subclass(value: Any, depth: int, walk: Walk) -> object:
    shape = _shape(class_of(value))
    base = solid(class_of(value))
    content = _CONTENT[base](value)
    try:
        written = walk.lower(content, depth + 2)
    except Refused as refused:
        if refused.trail:
            refused.trail[-1] = (value, refused.trail[-1][1])
        raise
    held = walk.attributes(value, _held(value, shape), depth + 2, shape.dropped)
    return tag("subclass", shape.name, written, held) if held else tag("subclass", shape.name, written)


def _read_subclass(parts: list[Any], back: Return) -> object:
    kind: Any = back.class_named(parts[0], object, "a class")
    content = back.restore(parts[1])
    base = class_of(content)
    new: Any = base.__new__
    if base not in _CONTENT or solid(kind) is not base:
        raise NotRestored(f"cannot restore a recorded {parts[0]}: it is not a {base.__name__} any more")
    value: Any
    if base in _REFILL:
        value = new(kind)
        _REFILL[base](value, content)
    else:
        value = new(kind, content)
    if parts[2:]:
        _fill(value, back.fields(parts[2]), _shape(kind))
    return value


def family(kind: type) -> Writer | None:
    """The writer for instances of a class, if it is of a kind that this module knows."""
    if _is_a(kind, enum.Enum):
        return _write_flag if _is_a(kind, enum.Flag) else _write_enum
    base = solid(kind)
    if _is_dataclass(kind):
        return _write_dataclass if base is object else None
    if base is tuple and hasattr(kind, "_fields"):
        return _write_namedtuple
    return _write_subclass if base in _CONTENT and base is not kind else None


def _is_a(kind: type, parent: type) -> bool:
    return issubclass(kind, parent)


READERS: dict[str, Reader] = {
    "dataclass": _read_dataclass,
    "enum": _read_enum,
    "flag": _read_flag,
    "namedtuple": _read_namedtuple,
    "subclass": _read_subclass,
}

PLAIN: dict[str, Plain] = {
    "dataclass": lambda parts, back: back.fields(parts[1]),
    "enum": lambda parts, back: back.restore(parts[-1]),
    "flag": lambda parts, back: back.restore(parts[1]),
    "namedtuple": lambda parts, back: back.fields(parts[1]),
    "subclass": lambda parts, back: back.restore(parts[1]),
}
