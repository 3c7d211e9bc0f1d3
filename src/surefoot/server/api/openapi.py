"""The description of the server for programs (OpenAPI 3.1), made of the table of routes and the flows' own schemas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, cast, get_args

from surefoot import flows
from surefoot.server.api.table import RULES
from surefoot.server.entry.refusal import MEDIA_TYPE as PROBLEM
from surefoot.server.entry.rule import Method, Rule
from surefoot.values import RunStatus

if TYPE_CHECKING:
    from surefoot.server.served import ServedFlow
    from surefoot.values import Json

Schema = dict[str, "Json"]
_RUN_ID = "01K5Z0V7W3N2Q8M4T6R1S9XBCD"
_TEXT: Schema = {"type": "string"}
_NUMBER: Schema = {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1e9}
_PAIRS: Schema = {
    "type": "object",
    "maxProperties": 50,
    "additionalProperties": {"type": "string", "maxLength": 1000},
}
_ANY: Schema = {}


def described(served: Iterable[ServedFlow], title: str) -> dict[str, Json]:
    """The description of a server for these flows: each has paths of its own, with the schema of its inputs."""
    schemas = _shared()
    paths: dict[str, Json] = {}
    found = list(served)
    for (method, path), rule in RULES.items():
        if "{flow}" not in path:
            _add(paths, path, method, _operation(method, path, rule))
            continue
        for one in found:
            own = path.replace("{flow}", _pointer(one.name))
            _add(paths, own, method, _operation(method, path, rule, one, schemas))
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version("surefoot")},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token of `surefoot token create`, or of the identity provider.",
                }
            },
        },
        "security": [{"bearer": []}],
    }


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


def _add(paths: dict[str, Json], path: str, method: Method, operation: Schema) -> None:
    own = cast("Schema", paths.setdefault(path, {}))
    own[method.lower()] = operation


def _operation(
    method: Method,
    path: str,
    rule: Rule,
    served: ServedFlow | None = None,
    schemas: Schema | None = None,
) -> Schema:
    told: Schema = {
        "summary": rule.summary if served is None else f"{rule.summary.rstrip('.')} ({served.name}).",
        "operationId": _operation_id(method, path, served),
        "responses": _responses(method, path, served, schemas),
    }
    if served is not None and served.description:
        told["description"] = served.description
    parameters = [_path_parameter(name) for name in ("run", "event") if f"{{{name}}}" in path]
    parameters += _parameters(method, path)
    if parameters:
        told["parameters"] = cast("Json", parameters)
    if (body := _body(method, path, served, schemas)) is not None:
        told["requestBody"] = body
    if rule.is_open:
        told["security"] = []
    elif rule.permission is not None:
        told["x-permission"] = rule.permission
    return told


def _operation_id(method: Method, path: str, served: ServedFlow | None) -> str:
    words = [word.strip("{}") for word in path.split("/") if word]
    if served is not None:
        words = [served.name if word == "flow" else word for word in words]
    return "_".join([method.lower(), *words]).replace(".", "_")


def _path_parameter(name: str) -> Schema:
    schema: Schema = {"type": "string", "minLength": 1}
    if name == "run":
        schema = {"type": "string", "pattern": "^[0-9A-Z]{26}$", "example": _RUN_ID}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _query(name: str, told: str, schema: Schema) -> Schema:
    return {"name": name, "in": "query", "description": told, "schema": schema}


def _parameters(method: Method, path: str) -> list[Schema]:
    wait = _query(
        "wait",
        "For how many seconds the answer waits for the run.",
        {"type": "number", "minimum": 0, "maximum": 1e6},
    )
    match method, path:
        case "POST", "/flows/{flow}/runs":
            return [
                wait,
                _header("Idempotency-Key", "The run key: of several requests with one key there is one run."),
                _header("Prefer", "`respond-async`: the answer comes at once."),
            ]
        case "POST", "/flows/{flow}/batches":
            return [_header("Idempotency-Key", "What the keys of its runs are made of.")]
        case "POST", "/runs/{run}/resume" | "/runs/{run}/fork":
            return [wait]
        case "GET", "/runs":
            texts = ("flow", "principal", "session", "key", "before")
            status: Schema = {"type": "string", "enum": list(get_args(RunStatus))}
            limit: Schema = {"type": "integer", "minimum": 1, "maximum": 500, "default": 50}
            return [
                *(_query(name, f"Only those of this {name}.", _TEXT) for name in texts[:-1]),
                _query("before", "Where a former page ended.", _TEXT),
                _query("status", "Only those of this status.", status),
                _query("limit", "How many at most.", limit),
            ]
        case "GET", "/runs/{run}/steps":
            raw: Schema = {"type": "string", "enum": ["0", "1"]}
            return [_query("raw", "`1`: as it was, which needs trace:read_raw.", raw)]
        case "GET", "/runs/{run}/events":
            return [_header("Last-Event-ID", "The id of the last event that the reader has.")]
        case _:
            return []


def _header(name: str, told: str) -> Schema:
    return {"name": name, "in": "header", "description": told, "schema": {"type": "string", "minLength": 1}}


def _body(method: Method, path: str, served: ServedFlow | None, schemas: Schema | None) -> Schema | None:
    if method != "POST":
        return None
    fields: Schema = {}
    required: list[Json] = []
    example: Json = {}
    match path:
        case "/flows/{flow}/runs" if served is not None and schemas is not None:
            inputs, example = _inputs(served, schemas)
            fields = {"inputs": inputs, **_run_fields(), "key": {"type": "string", "maxLength": 255}}
            required, example = ["inputs"], {"inputs": example}
        case "/flows/{flow}/batches" if served is not None and schemas is not None:
            inputs, example = _inputs(served, schemas)
            one: Schema = {
                "type": "object",
                "properties": {"inputs": inputs, "key": {"type": "string", "maxLength": 255}},
                "required": ["inputs"],
                "additionalProperties": False,
            }
            fields = {"runs": {"type": "array", "items": one, "minItems": 1}, **_run_fields()}
            required, example = ["runs"], {"runs": [{"inputs": example}]}
        case "/runs/{run}/resume":
            fields = {"deadline": _NUMBER, "decisions": {"type": "object"}}
        case "/runs/{run}/cancel":
            fields, example = {"reason": _short()}, {"reason": "the customer has withdrawn"}
        case "/runs/{run}/fork":
            texts: Schema = {"type": "array", "items": _TEXT, "maxItems": 100}
            fields = {
                "from_step": _short(),
                "changes": texts,
                "inputs": {"type": "object"},
                "tags": _PAIRS,
                "deadline": _NUMBER,
            }
            example = {"changes": ["model:openai:gpt-4o=openai:gpt-4o-mini"]}
        case "/runs/{run}/events/{event}":
            fields, example = {"value": _ANY}, {"value": {"approved": True}}
        case "/switches":
            fields = {"what": _short(), "off": {"type": "boolean"}, "reason": _short()}
            required, example = ["what"], {"what": "flow:triage", "reason": "it mails everybody"}
        case "/runs/{run}/approvals":
            fields = {"step": _short(), "deny": {"type": "boolean"}, "reason": _short()}
            example = {"step": "send_mail", "reason": "read and found right"}
        case _:
            return None
    schema: Schema = {"type": "object", "properties": fields, "additionalProperties": False}
    if required:
        schema["required"] = required
    return {
        "required": bool(required),
        "content": {"application/json": {"schema": schema, "example": example}},
    }


def _run_fields() -> Schema:
    return {"tags": _PAIRS, "session": _short(), "deadline": _NUMBER}


def _short() -> Schema:
    return {"type": "string", "maxLength": 1000}


def _inputs(served: ServedFlow, schemas: Schema) -> tuple[Schema, Json]:
    schema = flows.schema_of(served.spec)
    example = example_of(schema)
    name = f"{_component(served.name)}_inputs"
    schemas[name] = _moved(schema, _component(served.name), schemas)
    return {"$ref": f"#/components/schemas/{name}"}, example


def _moved(schema: Schema, prefix: str, schemas: Schema) -> Json:
    """A schema whose definitions stand among those of the description, under names that no other flow has."""
    definitions = cast("Schema", schema.get("$defs") or {})
    for name, part in definitions.items():
        schemas[f"{prefix}_{_component(name)}"] = _redirected(part, prefix)
    return _redirected({key: part for key, part in schema.items() if key != "$defs"}, prefix)


def _redirected(value: Json, prefix: str) -> Json:
    if isinstance(value, list):
        return [_redirected(part, prefix) for part in value]
    if not isinstance(value, dict):
        return value
    told: dict[str, Json] = {}
    for key, part in value.items():
        if key == "$ref" and isinstance(part, str) and part.startswith("#/$defs/"):
            told[key] = f"#/components/schemas/{prefix}_{_component(part.removeprefix('#/$defs/'))}"
        else:
            told[key] = _redirected(part, prefix)
    return told


def _component(name: str) -> str:
    return "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name)


def _pointer(name: str) -> str:
    # Braces in a path name parameters.
    return name.replace("{", "%7B").replace("}", "%7D")


def _responses(method: Method, path: str, served: ServedFlow | None, schemas: Schema | None) -> Schema:
    problem: Schema = {
        "description": "What went wrong, and what to do next.",
        "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    told: Schema = {"default": problem}
    match method, path:
        case "POST", "/flows/{flow}/runs":
            output: Json = _ANY
            if served is not None and schemas is not None:
                output = _moved(
                    flows.schema_of_result(served.spec), f"{_component(served.name)}_out", schemas
                )
            ended: Schema = {
                "allOf": [{"$ref": "#/components/schemas/Ended"}, {"properties": {"output": output}}]
            }
            content: Schema = {
                "application/json": {"schema": ended},
                "text/event-stream": {"schema": _TEXT},
            }
            told["200"] = {"description": "The run has completed.", "content": content}
            told["202"] = _answer("The run is recorded and goes on.", _ref("Accepted"))
        case "POST", "/flows/{flow}/batches":
            told["202"] = _answer("The runs are recorded.", _ref("Batch"))
        case "POST", "/runs/{run}/resume" | "/runs/{run}/fork":
            told["200"] = _answer("The run has completed.", _ref("Ended"))
            told["202"] = _answer("The run goes on.", _ref("Accepted"))
        case "POST", "/runs/{run}/cancel":
            told["200"] = _answer("The run is cancelled.", _ref("Run"))
            told["202"] = _answer("It ends at its next step.", _ref("Run"))
        case "POST", "/switches":
            told["200"] = _answer("It is as was asked.", {"type": "object"})
        case "POST", _:
            told["202"] = _answer("It waits for the run, which takes it.", {"type": "object"})
        case "GET", "/runs/{run}/events":
            told["200"] = {"description": "Events.", "content": {"text/event-stream": {"schema": _TEXT}}}
        case "GET", "/metrics":
            told["200"] = {"description": "Figures.", "content": {"text/plain": {"schema": _TEXT}}}
        case "GET", "/runs/{run}":
            told["200"] = _answer("The run.", _ref("Run"))
        case _:
            told["200"] = _answer(RULES[method, path].summary, {"type": "object"})
    return told


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _answer(told: str, schema: Schema) -> Schema:
    return {"description": told, "content": {"application/json": {"schema": schema}}}


def _shared() -> Schema:
    status: Schema = {"type": "string", "enum": [*get_args(RunStatus), "abandoned"]}
    totals: Schema = {
        "type": "object",
        "properties": {
            "steps": {"type": "integer"},
            "calls": {"type": "integer"},
            "tokens": {"type": "object", "additionalProperties": {"type": "integer"}},
            "cost_usd": {"type": "string"},
            "is_cost_complete": {"type": "boolean"},
            "is_degraded": {"type": "boolean"},
        },
    }
    text_or_none: Schema = {"type": ["string", "null"]}
    run: Schema = {"id": _TEXT, "flow": _TEXT, "status": status}
    return {
        "Problem": {
            "type": "object",
            "required": ["type", "title", "status", "detail", "request_id"],
            "properties": {
                "type": _TEXT,
                "title": _TEXT,
                "status": {"type": "integer"},
                "detail": _TEXT,
                "request_id": _TEXT,
            },
        },
        "Accepted": {"type": "object", "required": ["id", "flow", "status"], "properties": run},
        "Ended": {
            "type": "object",
            "required": ["id", "flow", "status", "output", "totals"],
            "properties": {**run, "output": _ANY, "totals": totals, "created": _TEXT, "ended": text_or_none},
        },
        "Run": {
            "type": "object",
            "required": ["id", "flow", "status", "totals"],
            "properties": {**run, "output": _ANY, "error": text_or_none, "totals": totals},
        },
        "Batch": {
            "type": "object",
            "required": ["flow", "runs"],
            "properties": {
                "flow": _TEXT,
                "runs": {
                    "type": "array",
                    "items": {"type": "object", "properties": {"id": _TEXT, "status": status}},
                },
            },
        },
    }
