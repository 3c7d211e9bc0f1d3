"""An example of what a schema takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from surefoot.values import Json


def example_of(
    schema: Mapping[str, Json], definitions: Mapping[str, Json] | None = None, depth: int = 0
) -> Json:
    """A value that a schema takes, as far as it says what that is: its own example, its default, or the least one."""
    known = definitions or cast("Mapping[str, Json]", schema.get("$defs") or {})
    for key in ("example", "default", "const"):
        if key in schema:
            return schema[key]
    for key in ("examples", "enum"):
        if isinstance(listed := schema.get(key), list) and listed:
            return listed[0]
    if depth > 8:
        return None
    if isinstance(reference := schema.get("$ref"), str):
        found = known.get(reference.rpartition("/")[2])
        return example_of(found, known, depth + 1) if isinstance(found, dict) else None
    for key in ("anyOf", "oneOf", "allOf"):
        if isinstance(listed := schema.get(key), list) and listed and isinstance(listed[0], dict):
            return example_of(listed[0], known, depth + 1)
    return _least(schema, known, depth)


def _least(schema: Mapping[str, Json], known: Mapping[str, Json], depth: int) -> Json:
    match schema.get("type"):
        case "string":
            length = schema.get("minLength")
            return "text" + "x" * max(0, (length if isinstance(length, int) else 0) - 4)
        case "integer" | "number" as kind:
            least, over = schema.get("minimum"), schema.get("exclusiveMinimum")
            if isinstance(least, int | float):
                return least
            if isinstance(over, int | float):
                return over + 1
            return 1 if kind == "integer" else 1.5
        case "boolean":
            return True
        case "array":
            items = schema.get("items")
            return [example_of(items, known, depth + 1)] if isinstance(items, dict) else []
        case "object":
            properties = schema.get("properties")
            required = schema.get("required")
            names = required if isinstance(required, list) else []
            if not isinstance(properties, dict):
                return {}
            return {
                name: example_of(part, known, depth + 1)
                for name, part in properties.items()
                if name in names and isinstance(part, dict)
            }
        case _:
            return None
