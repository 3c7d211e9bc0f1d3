"""Pydantic models, also those that an SDK built leniently: with missing, unknown or ill-typed fields."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

from surefoot.errors import NotRestored
from surefoot.ledger.encoding.classes import derived, unchanged
from surefoot.ledger.encoding.names import Reference, reference
from surefoot.ledger.encoding.walk import Plain, Reader, Refused, Return, Walk, Writer, tag


@dataclass(frozen=True, slots=True)
class _Shape:
    """What a model class says of its instances."""

    name: Reference
    fields: frozenset[str]
    required: frozenset[str]
    dropped: frozenset[str]
    has_extra: bool
    is_root: bool


_MOST = 2_000  # classes whose shapes are remembered
_shapes: dict[type, _Shape] = {}


def _shape(kind: Any) -> _Shape:
    shape = _shapes.get(kind)
    if shape is None:
        if len(_shapes) > _MOST:
            _shapes.clear()
        fields = kind.__pydantic_fields__
        shape = _shapes[kind] = _Shape(
            name=reference(kind),
            fields=frozenset(fields),
            required=frozenset(name for name, field in fields.items() if field.is_required()),
            dropped=derived(kind),
            has_extra=kind.model_config.get("extra") == "allow",
            is_root=bool(kind.__pydantic_root_model__),
        )
    return shape


def _write_model(value: Any, depth: int, walk: Walk) -> object:
    try:
        shape = _shape(type(value))
    except TypeError as error:
        raise Refused(
            value, f"its class is parametrised with something that has no name ({error}). Use a class instead"
        ) from None
    held: dict[str, Any] = value.__dict__
    more: dict[str, object] = {}
    if held.keys() == shape.fields:
        fields = walk.attributes(value, held, depth + 2)
    else:
        others = frozenset(held) - shape.fields
        fields = walk.attributes(value, held, depth + 2, others)
        if absent := shape.fields - held.keys():
            more["absent"] = sorted(absent)
        if rest := others - shape.dropped:
            more["rest"] = walk.attributes(value, {name: held[name] for name in sorted(rest)}, depth + 3)
    extra: dict[str, Any] | None = value.__pydantic_extra__
    private: dict[str, Any] | None = value.__pydantic_private__
    if extra:
        more["extra"] = walk.attributes(value, extra, depth + 3)
    if private is not None:
        more["private"] = walk.attributes(value, private, depth + 3)
    # Which fields were given and which defaulted makes no difference to what the model says.
    if not walk.is_identity and value.__pydantic_fields_set__ != fields.keys():
        more["set"] = sorted(value.__pydantic_fields_set__)
    return tag("model", shape.name, fields, more) if more else tag("model", shape.name, fields)


def _read_model(parts: list[Any], back: Return) -> object:
    kind = _model_class(parts[0], back)
    shape = _shape(kind)
    held: dict[str, Any] = parts[1]
    more: dict[str, Any] = parts[2] if parts[2:] else {}
    absent = set(more.get("absent", ()))
    name = parts[0] if isinstance(parts[0], str) else parts[0][0]
    unchanged(name, held.keys() - shape.fields, "no longer has", "which was recorded")
    unchanged(name, shape.required - held.keys() - absent, "needs", "which was not recorded")
    was_set = set(more["set"]) if "set" in more else set(held)
    fields = back.fields(held)
    if len(held) + len(absent) < len(shape.fields):
        for field in shape.fields - held.keys() - absent:
            fields[field] = kind.__pydantic_fields__[field].get_default(call_default_factory=True)
    fields.update(back.fields(more.get("rest", {})))
    extra = back.fields(more["extra"]) if "extra" in more else {} if shape.has_extra else None
    private = back.fields(more["private"]) if "private" in more else None
    value = object.__new__(kind)
    put = object.__setattr__
    put(value, "__dict__", fields)
    put(value, "__pydantic_fields_set__", was_set)
    if shape.is_root:
        # A root model has neither, and says so in attributes of the class.
        return value
    put(value, "__pydantic_extra__", extra)
    put(value, "__pydantic_private__", private)
    return value


def _model_class(name: Reference, back: Return) -> Any:
    kind = back.type_named(name)
    pydantic = sys.modules.get("pydantic")
    if pydantic is None or not isinstance(kind, type) or not issubclass(kind, pydantic.BaseModel):
        raise NotRestored(f"cannot restore a recorded {name}: it is not a pydantic model (any more)")
    return kind


def _plain(parts: list[Any], back: Return) -> object:
    more: dict[str, Any] = parts[2] if parts[2:] else {}
    fields = back.fields(parts[1])
    if "set" in more:
        fields = {name: item for name, item in fields.items() if name in more["set"]}
    return {**fields, **back.fields(more.get("extra", {}))}


def family(kind: type) -> Writer | None:
    """The writer of a model class."""
    # Without pydantic in the process nothing can be a model, and importing it costs more than a run.
    pydantic = sys.modules.get("pydantic")
    return _write_model if pydantic is not None and issubclass(kind, pydantic.BaseModel) else None


READERS: dict[str, Reader] = {"model": _read_model}
PLAIN: dict[str, Plain] = {"model": _plain}
