"""The JSON Schema of what a flow takes, for whoever calls it from outside."""

from __future__ import annotations

import inspect
from typing import Any, cast

from surefoot.flows.declared import hints_of
from surefoot.flows.flow import FlowSpec
from surefoot.flows.signature import adapter_of
from surefoot.values import Json


def schema_of(spec: FlowSpec) -> dict[str, Json]:
    """The inputs of a flow as JSON Schema (draft 2020-12): types, lengths, patterns, bounds, defaults.

    A parameter without an annotation, or of a type that says nothing of its form, takes anything. Raises `UsageError`
    where a declaration cannot be read.
    """
    hints = hints_of(spec.function, has_extras=True)
    properties: dict[str, Json] = {}
    definitions: dict[str, Json] = {}
    required: list[Json] = []
    rest: Json = False
    for name, parameter in spec.arguments.signature.parameters.items():
        told = _schema(hints[name], definitions) if name in hints else {}
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            continue
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            rest = told or True
            continue
        if parameter.default is inspect.Parameter.empty:
            required.append(name)
        elif (default := _as_json(parameter.default)) is not None:
            told = {**told, "default": default[0]}
        properties[name] = told
    schema: dict[str, Json] = {"title": spec.name, "type": "object", "properties": properties}
    if required:
        schema["required"] = required
    if said := inspect.getdoc(spec.function):
        schema["description"] = said.partition("\n\n")[0].replace("\n", " ")
    return {**schema, "additionalProperties": rest, **({"$defs": definitions} if definitions else {})}


def schema_of_result(spec: FlowSpec) -> dict[str, Json]:
    """The output of a flow as JSON Schema (draft 2020-12), empty where nothing is said of its form."""
    hints = hints_of(spec.function, has_extras=True)
    definitions: dict[str, Json] = {}
    told = _schema(hints["return"], definitions) if "return" in hints else {}
    return {**told, **({"$defs": definitions} if definitions else {})}


def _schema(hint: Any, definitions: dict[str, Json]) -> dict[str, Json]:
    from pydantic.errors import PydanticInvalidForJsonSchema, PydanticUserError

    adapter = adapter_of(hint)
    if adapter is None:
        return {}
    try:
        told = cast("dict[str, Json]", adapter.json_schema())
    except (PydanticInvalidForJsonSchema, PydanticUserError):
        return {}
    definitions |= cast("dict[str, Json]", told.pop("$defs", {}))
    return told


def _as_json(value: object) -> tuple[Json] | None:
    """A default as JSON, in a tuple, since it may be null; None where it has no such form."""
    from pydantic_core import PydanticSerializationError, to_jsonable_python

    try:
        return (cast("Json", to_jsonable_python(value)),)
    except (PydanticSerializationError, ValueError):
        return None
