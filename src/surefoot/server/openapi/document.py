"""The description of a server: made of the table of routes, what each takes and answers, and the flows' own schemas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, cast
from urllib.parse import quote

from surefoot.errors import UsageError
from surefoot.server.openapi import gateway, own, runs
from surefoot.server.openapi.components import HEADERS, ID, LINKS, RATES, SCHEMAS, SECURITY
from surefoot.server.openapi.flows import operations_of
from surefoot.server.openapi.operation import JSON, Operation, Schema, headers, ref
from surefoot.server.openapi.refusals import REFUSALS, of_rule, responses, spoken

if TYPE_CHECKING:
    from surefoot.server.entry.rule import Method, Rule, Rules
    from surefoot.server.served import ServedFlow
    from surefoot.values import Json

_OPERATIONS: Mapping[tuple[Method, str], Operation] = {
    **own.OPERATIONS,
    **runs.OPERATIONS,
    **gateway.OPERATIONS,
}
_GATEWAY = "/v1/"
_ABOUT = (
    "Each request for a flow is a durable run. Errors are problem details (RFC 9457), under `/v1` those that clients "
    "of OpenAI and Anthropic know. A method that a path does not have is answered 405, with those it has in `Allow`."
)
_NAMED: Mapping[str, Json] = {
    "run": {"description": "The id of a run.", "schema": ID},
    "event": {
        "description": "The name of an event, as `wait_for` has it.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 256, "pattern": r"^[^\x00-\x1f\x7f/\\]+$"},
        "example": "approval",
    },
    "model": {
        "description": "The name of a model, as `GET /v1/models` lists it.",
        "schema": {
            "type": "string",
            "minLength": 1,
            "maxLength": 200,
            "pattern": r"^[A-Za-z0-9_][A-Za-z0-9_.:@/+-]*$",
        },
        "example": "gpt-4o",
    },
}


def described(
    served: Iterable[ServedFlow], rules: Rules, *, title: str, max_batch: int, is_open: bool = False
) -> dict[str, Json]:
    """The description of a server with these routes, for these flows: each has paths of its own.

    max_batch: how many runs a batch may begin.
    is_open: whoever shows no token is taken for the owner of this machine's account. Raises `UsageError` for a route
    of which nothing is said.
    """
    schemas: Schema = {**SCHEMAS}
    paths: dict[str, Json] = {}
    found = list(served)
    names = _names(found)
    of_flows = {one.name: operations_of(one, names[one.name], schemas, max_batch=max_batch) for one in found}
    for (method, path), rule in rules.items():
        if "{flow}" in path:
            for one in found:
                at = path.replace("{flow}", quote(one.name, safe="~!$&'()*+,;=:@"))
                operation = _operation_of(of_flows[one.name], method, path)
                told = _told(operation, (method, path), rule, is_open=is_open, name=names[one.name])
                told["summary"] = f"{rule.summary.rstrip('.')} ({one.name})."
                if one.description:
                    told["description"] = " ".join(filter(None, (one.description, operation.told)))
                _add(paths, at, method, told)
        else:
            operation = _operation_of(_OPERATIONS, method, path)
            _add(
                paths,
                path.replace(":path}", "}"),
                method,
                _told(operation, (method, path), rule, is_open=is_open),
            )
    has_gateway = any(path.startswith(_GATEWAY) for _, path in rules)
    components: Schema = {
        "schemas": {**schemas, **(gateway.SCHEMAS if has_gateway else {})},
        "responses": {**responses(), **(spoken() if has_gateway else {})},
        "headers": {**HEADERS},
        "links": {**LINKS},
        "securitySchemes": {name: one for name, one in SECURITY.items() if has_gateway or name == "bearer"},
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version("surefoot"), "description": _ABOUT},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": components,
        "security": _security("", is_open=is_open),
    }


def _add(paths: dict[str, Json], path: str, method: Method, operation: Schema) -> None:
    own = cast("Schema", paths.setdefault(path, {}))
    own[method.lower()] = operation


def _operation_of(known: Mapping[tuple[Method, str], Operation], method: Method, path: str) -> Operation:
    if (found := known.get((method, path))) is None:
        raise UsageError(f"nothing is said of {method} {path}: tell it in surefoot.server.openapi")
    return found


def _told(
    operation: Operation, route: tuple[Method, str], rule: Rule, *, is_open: bool, name: str = ""
) -> Schema:
    method, path = route
    parameters: list[Json] = [
        {"name": one, "in": "path", "required": True, **cast("Schema", about)}
        for one, about in _NAMED.items()
        if f"{{{one}}}" in path or f"{{{one}:path}}" in path
    ]
    parameters += operation.parameters
    told: Schema = {
        "summary": rule.summary,
        "operationId": _operation_id(method, path, name),
        "tags": [_tag(path)],
        "responses": _responses(operation, of_rule(method, path, rule), path, has_rates=not rule.is_open),
    }
    if operation.told:
        told["description"] = operation.told
    if parameters:
        told["parameters"] = parameters
    if operation.taken is not None:
        schema, example = operation.taken
        content: Schema = {JSON: {"schema": schema, "example": example}}
        told["requestBody"] = {"required": operation.needs_body, "content": content}
    if rule.is_open:
        told["security"] = []
    elif rule.key_header:
        told["security"] = _security(rule.key_header, is_open=is_open)
    if rule.permission is not None:
        told["x-permission"] = rule.permission
    return told


def _responses(operation: Operation, ruled: frozenset[str], path: str, *, has_rates: bool) -> Schema:
    prefix = "Gateway" if path.startswith(_GATEWAY) else ""
    told: Schema = {}
    for status, one in operation.answers.items():
        answer = {**cast("Schema", one)}
        if has_rates:
            answer["headers"] = {**cast("Schema", answer["headers"]), **headers(*RATES)}
        told[status] = answer
    for status in ruled | operation.refuses:
        told[status] = ref(f"{prefix}{REFUSALS[status].name}", "responses")
    return {status: told[status] for status in sorted(told)}


def _security(key_header: str, *, is_open: bool) -> Json:
    ways: list[Json] = [{"bearer": []}]
    if key_header:
        ways.append({"key": []})
    if is_open:
        ways.append({})
    return ways


def _tag(path: str) -> str:
    first = path.split("/")[1]
    return {"flows": "flows", "runs": "runs", "v1": "gateway"}.get(first, "server")


def _operation_id(method: Method, path: str, name: str) -> str:
    words = [word.strip("{}").partition(":")[0] for word in path.split("/") if word]
    if name:
        words = [name if word == "flow" else word for word in words]
    return "_".join([method.lower(), *words]).replace(".", "_")


def _names(found: Iterable[ServedFlow]) -> dict[str, str]:
    """A name of letters, digits and low lines for each flow, which no other has."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for one in found:
        name = first = "".join(
            letter if letter.isascii() and letter.isalnum() else "_" for letter in one.name
        )
        number = 1
        while name in taken:
            number += 1
            name = f"{first}_{number}"
        taken.add(name)
        names[one.name] = name
    return names
