"""What a route takes and answers, beyond what its rule says of it, and the parts that such are written with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from surefoot.values import Json

Schema: TypeAlias = "dict[str, Json]"

JSON = "application/json"
EVENTS = "text/event-stream"
TEXT: Schema = {"type": "string"}
TEXT_OR_NONE: Schema = {"type": ["string", "null"]}
MOMENT: Schema = {"type": "string", "format": "date-time"}
MOMENT_OR_NONE: Schema = {"type": ["string", "null"], "format": "date-time"}
SHORT: Schema = {"type": "string", "maxLength": 1000, "pattern": r"^[^\x00]*$"}
ANY: Schema = {}


@dataclass(frozen=True, slots=True)
class Operation:
    """What a route takes and answers.

    answers: what it gives, by status. refuses: the statuses of problems that come of the route itself, beside those
    that come of its rule. taken: the schema of its body, with an example; None where it takes none.
    """

    answers: Mapping[str, Json]
    parameters: Sequence[Json] = ()
    taken: tuple[Schema, Json] | None = None
    refuses: frozenset[str] = field(default_factory=frozenset[str])
    told: str = ""
    needs_body: bool = False


def ref(name: str, of: str = "schemas") -> Schema:
    """A reference to a component of the description."""
    return {"$ref": f"#/components/{of}/{name}"}


def headers(*names: str) -> Schema:
    """Headers of an answer, by the names of their components."""
    return {name: ref(name, "headers") for name in names}


def answer(told: str, schema: Schema, *more: str, media: str = JSON, example: Json = None) -> Schema:
    """An answer of one type; `more` are headers beside those that each has."""
    content: Schema = {"schema": schema}
    if example is not None:
        content["example"] = example
    return {"description": told, "headers": headers("X-Request-Id", *more), "content": {media: content}}


def thing(required: Mapping[str, Json], **optional: Json) -> Schema:
    """An object that has no other keys than these."""
    return {
        "type": "object",
        "properties": {**required, **optional},
        **({"required": list(required)} if required else {}),
        "additionalProperties": False,
    }


def listed(items: Json, **more: Json) -> Schema:
    """A list of such."""
    return {"type": "array", "items": items, **more}


def query(name: str, told: str, schema: Schema) -> Schema:
    """A parameter in the query."""
    return {"name": name, "in": "query", "description": told, "schema": schema}


def trace_headers() -> list[Schema]:
    """The headers of W3C Trace Context. Malformed ones are as if there were none."""
    return [
        header(
            "traceparent",
            "The span that asks (W3C Trace Context): the run becomes a part of its trace.",
            TEXT,
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ),
        header("tracestate", "Goes along with `traceparent`.", TEXT),
    ]


def header(name: str, told: str, schema: Schema, example: Json = None) -> Schema:
    """A header of a request that may be left out."""
    one: Schema = {"name": name, "in": "header", "description": told, "schema": schema}
    return one if example is None else {**one, "example": example}
