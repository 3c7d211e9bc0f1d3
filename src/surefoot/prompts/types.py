"""The types of declared inputs, checked by pydantic's validator: deeply, and all at once.

Strictly where a prompt is written for us. An older dialect has never checked them, so there a text will do that reads
as what is declared (`"3"` for a whole number, a list in JSON).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, cast

from pydantic_core import PydanticCustomError, SchemaValidator, ValidationError, core_schema

from surefoot.mistakes import Mistake, kind_of
from surefoot.prompts.definition import Property, PropertyType
from surefoot.texts.constraints import Constraints
from surefoot.values import Json

_EXPECTED: dict[PropertyType, str] = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
}
_MAX_SHOWN = 10


class Types:
    """The types of declared inputs. Values are looked at and never changed.

    is_strict: whether a text is never what it reads as.
    """

    def __init__(self, inputs: Mapping[str, Property], *, is_strict: bool = True) -> None:
        self._inputs = inputs
        fields_ = {
            name: core_schema.typed_dict_field(_schema(entry, is_strict=is_strict), required=False)
            for name, entry in inputs.items()
        }
        self._validator = SchemaValidator(core_schema.typed_dict_schema(fields_, extra_behavior="ignore"))

    def mistakes(self, given: Mapping[str, object]) -> list[Mistake]:
        """What is wrong with the values that are given: where, what was expected, and what stands there."""
        try:
            self._validator.validate_python(given if isinstance(given, dict) else dict(given))
        except ValidationError as error:
            found = [_told(mistake, self._inputs) for mistake in error.errors(include_url=False)]
            more = len(found) - _MAX_SHOWN
            return found[:_MAX_SHOWN] + (
                [Mistake("", "more", f"and {more} more mistakes of this kind")] if more > 0 else []
            )
        return []


def _schema(entry: Property, *, is_strict: bool) -> Any:
    schema = _typed(entry, is_strict=is_strict)
    if entry.enum is not None:
        schema = core_schema.chain_schema(
            [schema, core_schema.no_info_plain_validator_function(_one_of(entry.enum))]
        )
    if entry.rules is not None:
        check = core_schema.no_info_plain_validator_function(_within(entry.rules, entry.type))
        schema = core_schema.chain_schema([schema, check])
    # None is what a value that need not be given may be.
    if not entry.is_required or (entry.has_default and entry.default is None):
        return core_schema.nullable_schema(schema)
    return schema


def _typed(entry: Property, *, is_strict: bool) -> Any:
    match entry.type:
        case "string":
            kinds = str if is_strict else (str, int, float)
            return core_schema.no_info_plain_validator_function(_instance(kinds, "text"))
        case "integer":
            return core_schema.int_schema(strict=is_strict)
        case "number":
            return core_schema.float_schema(strict=is_strict)
        case "boolean":
            return core_schema.bool_schema(strict=is_strict)
        case "array":
            item = (
                _schema(entry.items, is_strict=is_strict)
                if entry.items is not None
                else core_schema.any_schema()
            )
            listed = _listed if is_strict else _listed_or_read
            return core_schema.no_info_before_validator_function(listed, core_schema.list_schema(item))
        case "object":
            inner = {
                name: core_schema.typed_dict_field(
                    _schema(property_, is_strict=is_strict), required=property_.is_needed
                )
                for name, property_ in entry.properties.items()
            }
            return core_schema.no_info_before_validator_function(
                _mapped if is_strict else _mapped_or_read,
                core_schema.typed_dict_schema(inner, extra_behavior="ignore"),
            )
        case _:
            return core_schema.any_schema()


def _instance(kind: type | tuple[type, ...], expected: str) -> Callable[[object], object]:
    def check(value: object) -> object:
        if not isinstance(value, kind):
            raise PydanticCustomError("type", cast("Any", expected))
        return value

    return check


def _within(rules: Constraints, kind: PropertyType) -> Callable[[object], object]:
    def check(value: object) -> object:
        # In an older dialect a number will do for a text, as which it is rendered.
        said = str(value) if kind == "string" and isinstance(value, int | float) else value
        found = rules.mistake(said)
        if found is not None:
            context = {"problem": found.problem, "rule": found.rule, "offset": found.offset}
            raise PydanticCustomError("rule", "{problem}", context)
        return value

    return check


def _one_of(values: tuple[Json, ...]) -> Callable[[object], object]:
    def check(value: object) -> object:
        # True is equal to 1, and is not what was listed.
        if not any(
            value == listed and isinstance(value, bool) == isinstance(listed, bool) for listed in values
        ):
            raise PydanticCustomError("enum", "one of a list")
        return value

    return check


def _listed(value: object) -> object:
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise PydanticCustomError("type", "a list")
    return list(cast("Sequence[object]", value))


def _listed_or_read(value: object) -> object:
    return _listed(_read(value))


def _mapped_or_read(value: object) -> object:
    return _mapped(_read(value))


def _read(value: object) -> object:
    """What a text reads as in JSON; other values, and texts that are none, as they are."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _mapped(value: object) -> object:
    """Mappings, dataclasses, and models of pydantic."""
    if isinstance(value, Mapping):
        return dict(cast("Mapping[object, object]", value))
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if hasattr(type(value), "model_fields"):
        return dict(cast("Any", value))
    raise PydanticCustomError("type", "a mapping")


def _told(mistake: Any, inputs: Mapping[str, Property]) -> Mistake:
    where, entry = "", None
    for step in mistake["loc"]:
        if isinstance(step, int):
            where += f"[{step}]"
            entry = entry.items if entry is not None else None
        else:
            where += f".{step}" if where else step
            entry = inputs.get(step) if entry is None else entry.properties.get(step)
    if mistake["type"] == "missing":
        return Mistake("", "missing", f"{where} is missing")
    value = mistake["input"]
    if mistake["type"] == "rule":
        return Mistake(where, mistake["ctx"]["rule"], mistake["ctx"]["problem"], mistake["ctx"]["offset"])
    if mistake["type"] == "enum" and entry is not None and entry.enum is not None:
        listed = ", ".join(repr(value) for value in entry.enum)
        return Mistake(where, "enum", f"expected one of {listed}, got {kind_of(value)}")
    expected = _EXPECTED.get(entry.type, "another value") if entry is not None else "another value"
    return Mistake(where, "type", f"expected {expected}, got {type(value).__name__}")
