"""The schemas, headers and links that several routes share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast, get_args

from surefoot.server.openapi.operation import (
    ANY,
    MOMENT,
    MOMENT_OR_NONE,
    SHORT,
    TEXT,
    TEXT_OR_NONE,
    Schema,
    listed,
    ref,
)
from surefoot.values import RunStatus, StepKind, StepStatus

if TYPE_CHECKING:
    from surefoot.values import Json

RUN_ID = "01K5Z0V7W3N2Q8M4T6R1S9XBCD"
ID: Schema = {"type": "string", "pattern": "^[0-9A-HJKMNP-TV-Z]{26}$", "example": RUN_ID}
STATUS: Schema = {"type": "string", "enum": [*get_args(RunStatus), "abandoned"]}
TAGS: Schema = {
    "type": "object",
    "maxProperties": 50,
    "propertyNames": {"pattern": r"^[^\x00]*$"},
    "additionalProperties": SHORT,
}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_YES: Schema = {"type": "boolean"}
_DOLLARS: Schema = {"type": "string", "description": "US dollars, exact.", "pattern": r"^\d+\.\d{9}$"}


def _open(fields: Mapping[str, Json], *optional: str) -> Schema:
    """An object of an answer, which may have more keys one day."""
    return {
        "type": "object",
        "properties": dict(fields),
        "required": [name for name in fields if name not in optional],
    }


_ABOUT: Schema = {"id": ID, "flow": TEXT, "status": STATUS}
_RUN: Schema = {
    **_ABOUT,
    "version": TEXT_OR_NONE,
    "created": MOMENT,
    "ended": MOMENT_OR_NONE,
    "deadline": MOMENT_OR_NONE,
    "key": TEXT_OR_NONE,
    "principal": TEXT,
    "session": TEXT,
    "tags": {"type": "object", "additionalProperties": TEXT},
    "parent": TEXT_OR_NONE,
    "failed_step": TEXT_OR_NONE,
    "error": TEXT_OR_NONE,
    "totals": ref("Totals"),
}
_STEP: Schema = {
    "id": TEXT,
    "parent": TEXT_OR_NONE,
    "name": TEXT,
    "kind": {"type": "string", "enum": list(get_args(StepKind))},
    "status": {"type": "string", "enum": list(get_args(StepStatus))},
    "attempt": {"type": "integer"},
    "started": MOMENT_OR_NONE,
    "ended": MOMENT_OR_NONE,
    "is_degraded": _YES,
    "is_cached": _YES,
    "inputs": ANY,
    "output": ANY,
    "error": TEXT_OR_NONE,
    "totals": ref("Totals"),
    "children": listed(ref("Step")),
    "call": {
        "description": "Of a call of a model.",
        **_open(
            {"provider": TEXT, "requested_model": TEXT, "served_model": TEXT_OR_NONE, "tokens": ref("Tokens")}
        ),
    },
}
_APPROVAL: Schema = {
    "step": TEXT,
    "key": TEXT,
    "digest": TEXT,
    "arguments": ANY,
    "asked": MOMENT,
    "is_answered": _YES,
}
_PROBLEM: Schema = {
    "type": {"type": "string", "pattern": "^urn:surefoot:problem:[a-z0-9-]+$"},
    "title": TEXT,
    "status": {"type": "integer", "minimum": 400, "maximum": 599},
    "detail": TEXT,
    "request_id": TEXT,
    "mistakes": {
        **listed(_open({"field": TEXT, "rule": TEXT, "problem": TEXT})),
        "description": "What is wrong with the inputs, by field and rule; never the values.",
    },
    "index": {**_COUNT, "description": "Which run of a batch it is about."},
    "run": {"description": "The run that was begun and has failed.", **ref("Run")},
    "budget": {"type": "string", "description": "The budget of which nothing is left."},
    "principal": {"type": "string", "description": "Who may not do it."},
    "permission": {"type": "string", "description": "What he would need."},
    "resource": {"type": "string", "description": "For which thing he would need it."},
    "because": {"type": "string", "description": "What says so."},
}
_STATED = ("type", "title", "status", "detail", "request_id")

SCHEMAS: Mapping[str, Schema] = {
    "Problem": _open(_PROBLEM, *(name for name in _PROBLEM if name not in _STATED)),
    "Tokens": _open(dict.fromkeys(("input", "cached", "output", "reasoning"), _COUNT)),
    "Totals": _open(
        {
            "steps": _COUNT,
            "calls": _COUNT,
            "tokens": ref("Tokens"),
            "cost_usd": _DOLLARS,
            "is_cost_complete": {**_YES, "description": "Whether the price of each call is known."},
            "is_degraded": _YES,
        }
    ),
    "Accepted": _open(_ABOUT),
    "Ended": _open(
        {**_ABOUT, "output": ANY, "totals": ref("Totals"), "created": MOMENT, "ended": MOMENT_OR_NONE}
    ),
    "Run": _open({**_RUN, "output": ANY}, "output"),
    "Runs": _open(
        {"runs": listed(ref("Run")), "before": {**TEXT_OR_NONE, "description": "For the next page."}}
    ),
    "Event": {
        "description": "One event of a stream, by its fields.",
        "type": "object",
        "properties": {
            "id": {"type": "string", "description": "For `Last-Event-ID`."},
            "event": TEXT,
            "data": {"type": "string", "description": "JSON on one line."},
        },
        "required": ["data"],
    },
    "Batch": _open({"flow": TEXT, "runs": listed(_open({"id": ID, "status": STATUS}))}),
    "Step": _open(_STEP, "call"),
    "Steps": _open({"id": ID, "inputs": ANY, "steps": listed(ref("Step")), "is_chain_whole": _YES}),
    "Approval": _open(_APPROVAL),
    "Approvals": _open({"approvals": listed(ref("Approval"))}),
    "Answered": _open({**_APPROVAL, "is_approved": _YES}),
    "Sent": _open({"id": ID, "event": TEXT}),
    "Flow": _open({"name": TEXT, "version": TEXT_OR_NONE, "description": TEXT}),
    "Flows": _open({"flows": listed(ref("Flow"))}),
    "FlowInFull": _open(
        {
            "name": TEXT,
            "version": TEXT_OR_NONE,
            "description": TEXT,
            "is_async": _YES,
            "uses": {"type": ["array", "null"], "items": TEXT},
            "inputs": {"type": "object", "description": "A JSON Schema (draft 2020-12)."},
            "output": {"type": "object", "description": "A JSON Schema (draft 2020-12)."},
            "example": _open({"inputs": ANY}),
        }
    ),
    "Switches": _open({"switched_off": listed(_open({"what": TEXT, "reason": TEXT, "by": TEXT}))}),
    "Switched": _open({"what": TEXT, "off": _YES, "cancelled": listed(ID)}),
}


def _header(told: str, schema: Schema, *, is_there: bool = False) -> Schema:
    return {"description": told, "schema": schema, **({"required": True} if is_there else {})}


KNOWN = "Retry-After-Known"
"""The same header where it need not be there."""

HEADERS: Mapping[str, Schema] = {
    "X-Request-Id": _header("The id of the request: the caller's own, or a new one.", TEXT, is_there=True),
    "Location": _header(
        "Where the run can be looked at.", {"type": "string", "format": "uri-reference"}, is_there=True
    ),
    "Retry-After": _header(
        "Seconds after which to ask again.", {"type": "integer", "minimum": 1}, is_there=True
    ),
    KNOWN: _header("Seconds after which to ask again, where that helps.", {"type": "integer", "minimum": 1}),
    "Idempotency-Replayed": _header(
        "`true`: the run of this key was there before.", {"type": "string", "enum": ["true"]}
    ),
    "WWW-Authenticate": _header("How to show who one is.", TEXT, is_there=True),
    "RateLimit-Limit": _header("How many requests whoever asks may make in a minute.", _COUNT),
    "RateLimit-Remaining": _header("How many of them he may make now.", _COUNT),
    "RateLimit-Reset": _header("Seconds until all of them are back.", _COUNT),
    "X-Surefoot-Run": _header("The run that the call is recorded in.", ID),
}
RATES = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")


def _link(told: str, operation: str) -> Schema:
    parameters: Schema = {"run": "$response.body#/id"}
    return {"description": told, "operationId": operation, "parameters": parameters}


LINKS: Mapping[str, Schema] = {
    "Run": _link("The run.", "get_runs_run"),
    "Steps": _link("Its steps.", "get_runs_run_steps"),
    "Events": _link("What happens in it.", "get_runs_run_events"),
    "Cancel": _link("Ends it.", "post_runs_run_cancel"),
    "Resume": _link("Goes on with it.", "post_runs_run_resume"),
    "Fork": _link("Runs it once more with something changed.", "post_runs_run_fork"),
    "Approvals": _link("What waits for approval in it.", "get_runs_run_approvals"),
}
"""What can be done with a run that an answer names."""

SECURITY: Mapping[str, Schema] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token of `surefoot token create`, or of the identity provider.",
    },
    "key": {
        "type": "apiKey",
        "in": "header",
        "name": "x-api-key",
        "description": "The same token, as clients of Anthropic send it.",
    },
}


def links() -> Schema:
    """References to all of them."""
    return {name: ref(name, "links") for name in LINKS}


def with_links(answer: Schema) -> Schema:
    """An answer that names a run, with what can be done with that."""
    return {**answer, "links": cast("Json", links())}
