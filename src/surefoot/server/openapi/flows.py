"""The routes of a flow, with the flow's own schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from surefoot import flows
from surefoot.server.api.keys import PRINTED, PRINTED_IN_HEADER
from surefoot.server.openapi.components import TAGS, with_links
from surefoot.server.openapi.example import example_of
from surefoot.server.openapi.operation import (
    ANY,
    EVENTS,
    JSON,
    SHORT,
    TEXT,
    Operation,
    Schema,
    answer,
    header,
    headers,
    listed,
    query,
    ref,
    thing,
    trace_headers,
)

if TYPE_CHECKING:
    from surefoot.server.entry.rule import Method
    from surefoot.server.served import ServedFlow
    from surefoot.values import Json

SECONDS: Schema = {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1e9}
WAIT = query(
    "wait",
    "For how many seconds the answer waits for the run; at most `[serve] sync_seconds`.",
    {"type": "number", "minimum": 0, "maximum": 1e6},
)
MADE = frozenset(("409", "410", "422", "500", "502", "504"))
"""What comes of making a run, and waiting for it."""
_KEY: Schema = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": PRINTED_IN_HEADER}
_OWN_KEY: Schema = {**_KEY, "type": ["string", "null"], "pattern": PRINTED}
_BATCH_KEY: Schema = {**_KEY, "maxLength": 240}
_ABOUT: Schema = {
    "tags": {**TAGS, "type": ["object", "null"]},
    "session": {**SHORT, "type": ["string", "null"]},
    "deadline": {**SECONDS, "type": ["number", "null"], "description": "Seconds from now on."},
}


def operations_of(
    served: ServedFlow, name: str, schemas: Schema, *, max_batch: int
) -> dict[tuple[Method, str], Operation]:
    """What can be asked of a flow. Its schemas are put among `schemas`, under a name that no other flow has."""
    schema = flows.schema_of(served.spec)
    inputs = _put(schema, f"{name}.inputs", schemas)
    output = _put(flows.schema_of_result(served.spec), f"{name}.output", schemas)
    example: Json = {"inputs": example_of(schema)}
    is_needed = bool(schema.get("required"))
    given: Schema = {"inputs": inputs if is_needed else {"anyOf": [inputs, {"type": "null"}]}}
    needed, optional = (given, {}) if is_needed else ({}, given)
    return {
        ("GET", "/flows/{flow}"): Operation({"200": answer("The flow.", ref("FlowInFull"))}),
        ("POST", "/flows/{flow}/runs"): Operation(
            {"200": _ended(output), "202": _accepted()},
            parameters=[
                WAIT,
                header(
                    "Idempotency-Key",
                    "The run key: of several requests with one key there is one run.",
                    _KEY,
                ),
                header("Prefer", "`respond-async`: the answer comes at once.", TEXT, "respond-async"),
                *trace_headers(),
            ],
            taken=(thing(needed, **optional, **_ABOUT, key=_OWN_KEY), example),
            refuses=MADE,
            told="`Accept: text/event-stream` has it told as it happens.",
            needs_body=is_needed,
        ),
        ("POST", "/flows/{flow}/batches"): Operation(
            {"202": answer("The runs are recorded, and get made.", ref("Batch"))},
            parameters=[
                header(
                    "Idempotency-Key",
                    "What the keys of its runs are made of: `K/0`, `K/1`, ...",
                    _BATCH_KEY,
                ),
                *trace_headers(),
            ],
            taken=(
                thing(
                    {"runs": listed(thing(needed, **optional, key=_OWN_KEY), minItems=1, maxItems=max_batch)},
                    **_ABOUT,
                ),
                {"runs": [example]},
            ),
            refuses=frozenset(("409", "422")),
            told="All are checked first: one that does not fit refuses the batch.",
            needs_body=True,
        ),
    }


def accepted(told: str) -> Schema:
    """202 for a run, and where it can be looked at."""
    return with_links(answer(told, ref("Accepted"), "Location", "Retry-After", "Idempotency-Replayed"))


def _accepted() -> Schema:
    return accepted("The run is recorded, and gets made.")


def _ended(output: Json) -> Schema:
    schema: Schema = {"allOf": [ref("Ended"), {"type": "object", "properties": {"output": output or ANY}}]}
    told: Schema = {
        "description": "The run has completed.",
        "headers": headers("X-Request-Id", "Idempotency-Replayed"),
        "content": {JSON: {"schema": schema}, EVENTS: {"schema": ref("Event")}},
    }
    return with_links(told)


def _put(schema: Schema, name: str, schemas: Schema) -> Schema:
    """A reference to a schema, which stands among those of the description with all that it is made of."""
    definitions = cast("Schema", schema.get("$defs") or {})
    for part, own in definitions.items():
        schemas[f"{name}.{_component(part)}"] = _redirected(own, name)
    schemas[name] = _redirected({key: part for key, part in schema.items() if key != "$defs"}, name)
    return ref(name)


def _redirected(value: Json, name: str) -> Json:
    if isinstance(value, list):
        return [_redirected(part, name) for part in value]
    if not isinstance(value, dict):
        return value
    told: dict[str, Json] = {}
    for key, part in value.items():
        if key == "$ref" and isinstance(part, str) and part.startswith("#/$defs/"):
            told[key] = f"#/components/schemas/{name}.{_component(part.removeprefix('#/$defs/'))}"
        elif key == "mapping" and isinstance(part, dict):
            # That of a discriminator names schemas too, as values of other keys.
            told[key] = {one: _leading(where, name) for one, where in part.items()}
        else:
            told[key] = _redirected(part, name)
    return told


def _leading(where: Json, name: str) -> Json:
    found = _redirected({"$ref": where}, name)
    return found["$ref"] if isinstance(found, dict) else where


def _component(name: str) -> str:
    return "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name)
