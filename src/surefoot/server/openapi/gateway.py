"""The routes of the gateway, in the languages of OpenAI's and Anthropic's clients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from surefoot.server.openapi.operation import (
    EVENTS,
    JSON,
    TEXT,
    TEXT_OR_NONE,
    Operation,
    Schema,
    answer,
    header,
    headers,
    listed,
    ref,
    trace_headers,
)

if TYPE_CHECKING:
    from surefoot.server.entry.rule import Method
    from surefoot.values import Json

_MODEL: Schema = {
    "type": "string",
    "minLength": 1,
    "description": "As `GET /v1/models` lists them.",
}
_ASKED = listed({"type": "object"}, minItems=1)
_PRINTED: Schema = {"type": "string", "pattern": r"^[\x20-\x7e\xa1-\xac\xae-\xff]*$"}
_VERSION = header(
    "anthropic-version", "Of a client of Anthropic, which is answered in its language.", TEXT, "2023-06-01"
)
_MESSAGES: Json = [{"role": "user", "content": "How high is the tower?"}]
_REFUSED = frozenset(("402", "404", "409", "500", "502", "503", "504"))


def _asking(needed: Mapping[str, Json], example: Mapping[str, Json], told: str, *more: Json) -> Operation:
    """A call of a model: what the gateway looks at is described, and the rest is handed on as it is."""
    body: Schema = {
        "type": "object",
        "properties": {
            "model": _MODEL,
            "stream": {"description": "`true`: the answer comes as events."},
            **needed,
        },
        "required": ["model"],
        "additionalProperties": True,
    }
    content: Schema = {JSON: {"schema": {"type": "object"}}, EVENTS: {"schema": ref("Event")}}
    return Operation(
        {
            "200": {
                "description": "The model's answer, byte for byte; events where `stream` is true.",
                "headers": headers("X-Request-Id", "X-Surefoot-Run"),
                "content": content,
            },
            "4XX": {
                "description": "What the provider refuses, in its own words.",
                "headers": headers("X-Request-Id", "X-Surefoot-Run"),
                "content": {JSON: {"schema": {"type": "object"}}},
            },
            "5XX": {
                "description": "What the provider failed with, in its own words.",
                "headers": headers("X-Request-Id", "X-Surefoot-Run"),
                "content": {JSON: {"schema": {"type": "object"}}},
            },
        },
        parameters=[
            header(
                "Idempotency-Key",
                "Of several requests with one key one is made, and its answer given to all.",
                {**_PRINTED, "maxLength": 255},
            ),
            header(
                "X-Surefoot-Session",
                "Puts calls into one session.",
                {**_PRINTED, "maxLength": 200},
                "chat-17",
            ),
            *trace_headers(),
            *more,
        ],
        taken=(body, {"model": "gpt-4o", **example}),
        refuses=_REFUSED,
        told=told,
        needs_body=True,
    )


_OPENAI = "The body is that of OpenAI's API, and is handed on as it is but for the name of the model."

OPERATIONS: Mapping[tuple[Method, str], Operation] = {
    ("POST", "/v1/chat/completions"): _asking({"messages": _ASKED}, {"messages": _MESSAGES}, _OPENAI),
    ("POST", "/v1/completions"): _asking({}, {"prompt": "The tower is"}, _OPENAI),
    ("POST", "/v1/responses"): _asking(
        {"background": {"enum": [False, None]}},
        {"input": "How high is the tower?"},
        f"{_OPENAI} `background` is refused.",
    ),
    ("POST", "/v1/embeddings"): _asking(
        {}, {"model": "text-embedding-3-small", "input": ["How high is the tower?"]}, _OPENAI
    ),
    ("POST", "/v1/messages"): _asking(
        {"messages": _ASKED},
        {"model": "claude-sonnet-5", "max_tokens": 200, "messages": _MESSAGES},
        "The body is that of Anthropic's API, and is handed on as it is but for the name of the model.",
        _VERSION,
    ),
    ("GET", "/v1/models"): Operation(
        {"200": answer("The models that whoever asks may use.", ref("Models"))}, parameters=[_VERSION]
    ),
    ("GET", "/v1/models/{model:path}"): Operation(
        {"200": answer("The model.", ref("Model"))}, parameters=[_VERSION]
    ),
}

_OF_OPENAI: Schema = {
    "type": "object",
    "properties": {
        "id": TEXT,
        "object": {"const": "model"},
        "created": {"type": "integer"},
        "owned_by": {"type": "string", "description": "The connection that it is asked over."},
    },
    "required": ["id", "object", "created", "owned_by"],
}
_OF_ANTHROPIC: Schema = {
    "type": "object",
    "properties": {
        "id": TEXT,
        "type": {"const": "model"},
        "display_name": TEXT,
        "created_at": {"type": "string", "format": "date-time"},
    },
    "required": ["id", "type", "display_name", "created_at"],
}
_ERROR: Schema = {
    "type": "object",
    "properties": {
        "message": TEXT,
        "type": TEXT,
        "param": TEXT_OR_NONE,
        "code": {**TEXT_OR_NONE, "description": "Of ours: a word that does not change."},
    },
    "required": ["message"],
}

SCHEMAS: Mapping[str, Schema] = {
    "Model": {"anyOf": [_OF_OPENAI, _OF_ANTHROPIC]},
    "Models": {
        "anyOf": [
            {
                "type": "object",
                "properties": {"object": {"const": "list"}, "data": listed(_OF_OPENAI)},
                "required": ["object", "data"],
            },
            {
                "type": "object",
                "properties": {
                    "data": listed(_OF_ANTHROPIC),
                    "has_more": {"const": False},
                    "first_id": TEXT_OR_NONE,
                    "last_id": TEXT_OR_NONE,
                },
                "required": ["data", "has_more", "first_id", "last_id"],
            },
        ]
    },
    "GatewayError": {
        "description": "An error as clients of OpenAI know it, or of Anthropic, whose have a `type` too.",
        "type": "object",
        "properties": {"type": {"const": "error"}, "error": _ERROR},
        "required": ["error"],
    },
}
