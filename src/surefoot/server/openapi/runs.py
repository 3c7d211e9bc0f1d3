"""The routes of runs that there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, get_args

from surefoot.server.openapi.components import ID, TAGS, with_links
from surefoot.server.openapi.flows import MADE, SECONDS, WAIT, accepted
from surefoot.server.openapi.operation import (
    ANY,
    EVENTS,
    SHORT,
    TEXT,
    Operation,
    Schema,
    answer,
    header,
    query,
    ref,
    thing,
    trace_headers,
)
from surefoot.values import RunStatus

if TYPE_CHECKING:
    from surefoot.server.entry.rule import Method

_SHORT: Schema = {**SHORT, "type": ["string", "null"]}
_CHANGES: Schema = {
    "type": ["array", "null"],
    "items": {"type": "string", "pattern": r"^[^\x00]*$"},
    "maxItems": 100,
}
_SECONDS: Schema = {**SECONDS, "type": ["number", "null"]}
_OBJECT: Schema = {"type": ["object", "null"]}
_DECISION: Schema = {"anyOf": [{"const": "retry"}, thing({"done": ANY})]}
_GOING_ON: Schema = {
    "200": with_links(answer("The run has completed.", ref("Ended"), "Idempotency-Replayed")),
    "202": accepted("The run goes on."),
}

OPERATIONS: Mapping[tuple[Method, str], Operation] = {
    ("GET", "/runs"): Operation(
        {"200": answer("A page of runs.", ref("Runs"))},
        parameters=[
            query("flow", "Only those of this flow.", SHORT),
            query(
                "status", "Only those that stand so.", {"type": "string", "enum": list(get_args(RunStatus))}
            ),
            query("principal", "Only those of this principal.", SHORT),
            query("session", "Only those of this session.", SHORT),
            query("key", "Only that of this key.", SHORT),
            query("before", "Where the page before ended.", ID),
            query(
                "limit", "How many at most.", {"type": "integer", "minimum": 1, "maximum": 500, "default": 50}
            ),
        ],
        told="`tag.NAME=VALUE` in the query: only those with this tag; several have to be there all.",
    ),
    ("GET", "/runs/{run}"): Operation({"200": answer("The run.", ref("Run"))}),
    ("GET", "/runs/{run}/steps"): Operation(
        {"200": answer("Its steps and calls.", ref("Steps"))},
        parameters=[
            query(
                "raw",
                "`1`: as they were, which needs `trace:read_raw`.",
                {"type": "string", "enum": ["0", "1", "false", "true"]},
            )
        ],
        refuses=frozenset(("410",)),
    ),
    ("GET", "/runs/{run}/events"): Operation(
        {"200": answer("Events, until the run has ended.", ref("Event"), media=EVENTS)},
        parameters=[
            header("Last-Event-ID", "The id of the last event that the reader has.", TEXT, "l.17"),
        ],
        told="Events are `run`, `step`, `item`, `gap`, `problem` and `end`; the data of each is an object.",
    ),
    ("POST", "/runs/{run}/resume"): Operation(
        _GOING_ON,
        parameters=[WAIT],
        taken=(
            thing({}, deadline=_SECONDS, decisions={**_OBJECT, "additionalProperties": _DECISION}),
            {"decisions": {"send_mail": "retry"}},
        ),
        refuses=MADE,
        told="Without `wait` it is answered at once.",
    ),
    ("POST", "/runs/{run}/cancel"): Operation(
        {
            "200": answer("The run is cancelled.", ref("Run")),
            "202": answer("It ends at its next step.", ref("Run")),
        },
        taken=(thing({}, reason=_SHORT), {"reason": "the customer has withdrawn"}),
        refuses=frozenset(("409", "422", "500")),
    ),
    ("POST", "/runs/{run}/fork"): Operation(
        _GOING_ON,
        parameters=[WAIT, *trace_headers()],
        taken=(
            thing(
                {},
                from_step=_SHORT,
                changes=_CHANGES,
                inputs=_OBJECT,
                tags={**TAGS, "type": ["object", "null"]},
                deadline=_SECONDS,
            ),
            {"changes": ["model:openai:gpt-4o=openai:gpt-4o-mini"]},
        ),
        refuses=MADE,
        told="Effects do not happen in it. Without `wait` it is answered at once.",
    ),
    ("POST", "/runs/{run}/events/{event}"): Operation(
        {"202": answer("It waits for the run, which takes it.", ref("Sent"))},
        taken=(thing({}, value=ANY), {"value": {"approved": True}}),
        refuses=frozenset(("409", "422")),
    ),
    ("GET", "/runs/{run}/approvals"): Operation({"200": answer("What waits.", ref("Approvals"))}),
    ("POST", "/runs/{run}/approvals"): Operation(
        {"202": answer("It is recorded, and the run takes it.", ref("Answered"))},
        taken=(
            thing({}, step=_SHORT, deny={"type": "boolean"}, reason=_SHORT),
            {"step": "send_mail", "reason": "read and found right"},
        ),
        refuses=frozenset(("409", "422")),
    ),
}
