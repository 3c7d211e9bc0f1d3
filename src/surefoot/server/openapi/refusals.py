"""The answers that say why something is not done, by status, and which of them a rule brings with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from surefoot.server.entry.refusal import KIND
from surefoot.server.entry.refusal import MEDIA_TYPE as PROBLEM
from surefoot.server.openapi.components import KNOWN, RATES, RUN_ID
from surefoot.server.openapi.operation import JSON, Schema, headers, ref

if TYPE_CHECKING:
    from surefoot.server.entry.rule import Method, Rule
    from surefoot.values import Json


@dataclass(frozen=True, slots=True)
class Refused:
    """A status: its component, why it comes, an example of its problem and the headers beside those that all have."""

    name: str
    why: str
    kind: str
    example: str
    headers: tuple[str, ...] = ()


REFUSALS: Mapping[str, Refused] = {
    "400": Refused(
        "BadRequest",
        "The request is malformed: no JSON, an unknown key, a value of another kind.",
        "bad-request",
        "deadline is no number of seconds above 0",
    ),
    "401": Refused(
        "Unauthenticated",
        "There is no token, or it opens nothing.",
        "invalid-token",
        "this token opens nothing here: it is unknown, expired or revoked",
        ("WWW-Authenticate",),
    ),
    "402": Refused(
        "BudgetExceeded",
        "Nothing is left of a budget.",
        "budget-exceeded",
        "nothing is left of the budget 'day': runs begin again once it has more, or in the next day",
        (KNOWN,),
    ),
    "403": Refused(
        "Denied",
        "Whoever asks may not do it, it is switched off, or a page of another site asks.",
        "denied",
        "user:ann may not run:cancel acme/shop/run:triage: no role of his allows it",
        RATES,
    ),
    "404": Refused(
        "NotFound",
        "There is no such thing for whoever asks.",
        "not-found",
        f"there is no run {RUN_ID}",
        RATES,
    ),
    "408": Refused(
        "TooSlow", "The request was not here in time.", "too-slow", "the body was not here within 20 seconds"
    ),
    "409": Refused(
        "Conflict",
        "It does not fit how the run stands: it is over, under way elsewhere, or has an effect in doubt.",
        "run-ended",
        f"run {RUN_ID} is completed: it is over",
        RATES,
    ),
    "410": Refused(
        "Gone",
        "What was recorded of the run has been pruned.",
        "run-pruned",
        f"run {RUN_ID} was pruned",
        RATES,
    ),
    "413": Refused(
        "TooLarge", "The body has too many bytes.", "too-large", "a body has at most 4,000,000 bytes here"
    ),
    "415": Refused(
        "UnsupportedMediaType",
        "The body is not sent as JSON.",
        "no-json",
        "send JSON, with `content-type: application/json`",
    ),
    "421": Refused(
        "UnknownHost",
        "The server does not go by this name.",
        "unknown-host",
        "this server does not go by the name 'api.example': name it in [serve] hosts",
    ),
    "422": Refused(
        "Unprocessable",
        "It is well-formed, and does not fit: inputs that the flow does not take, a key with other inputs, "
        "or what a guard refuses.",
        "invalid-input",
        "n: a whole number is asked for",
        RATES,
    ),
    "429": Refused(
        "TooManyRequests",
        "Whoever asks does so too often, or a limit of models is reached.",
        "too-many-requests",
        "user:ann makes more than 6000 requests a minute: try again later",
        (*RATES, "Retry-After"),
    ),
    "431": Refused(
        "HeadersTooLarge",
        "The headers are too many, or too large.",
        "too-many-headers",
        "a request has at most 100 headers here",
    ),
    "500": Refused(
        "Failed",
        "The run has failed, by what its flow has raised, or the server has, whose log says how.",
        "run-failed",
        "the run is failed in step 'look_up': ValueError",
        RATES,
    ),
    "502": Refused(
        "ModelFailed", "A model gave no answer that can be used.", "run-failed", "the run is failed", RATES
    ),
    "503": Refused(
        "Unavailable",
        "The queue is full, the server stops, or the ledger cannot be asked: ask again.",
        "ledger-unavailable",
        "the ledger cannot be asked now: try again",
        (*RATES, "Retry-After"),
    ),
    "504": Refused(
        "TooLate", "It was not over by its deadline.", "run-failed", "the run is failed: its deadline", RATES
    ),
}


def of_rule(method: Method, path: str, rule: Rule) -> frozenset[str]:
    """The statuses that come of what every request is held to, and of the rule of its route."""
    found = {"400", "431"}
    if not (rule.is_open and method == "GET"):
        found |= {"421"}
    if method != "GET":
        found |= {"403", "408", "413", "415"}
    if not rule.is_open:
        found |= {"401", "403", "429", "503"}
    if rule.begins:
        found |= {"402"}
    if "{run}" in path or "{model:path}" in path:
        found |= {"404"}
    return frozenset(found)


def responses() -> Schema:
    """All of them as components."""
    return {told.name: _response(status, told) for status, told in REFUSALS.items()}


def spoken() -> Schema:
    """The same as the gateway tells them: as clients of OpenAI's or Anthropic's know errors."""
    return {f"Gateway{told.name}": _spoken(told) for told in REFUSALS.values()}


def _response(status: str, told: Refused) -> Schema:
    example: Json = {
        "type": f"{KIND}{told.kind}",
        "title": HTTPStatus(int(status)).phrase,
        "status": int(status),
        "detail": told.example,
        "request_id": RUN_ID,
    }
    return {
        "description": told.why,
        "headers": _headers(told.headers),
        "content": {PROBLEM: {"schema": ref("Problem"), "example": example}},
    }


def _spoken(told: Refused) -> Schema:
    error: Json = {
        "message": told.example,
        "type": "invalid_request_error",
        "param": None,
        "code": told.kind.replace("-", "_"),
    }
    return {
        "description": told.why,
        # Of what a run was begun for, the headers name that.
        "headers": {**_headers(told.headers), **headers("X-Surefoot-Run")},
        "content": {JSON: {"schema": ref("GatewayError"), "example": {"error": error}}},
    }


def _headers(names: tuple[str, ...]) -> Schema:
    found = headers("X-Request-Id", *(name for name in names if name != KNOWN))
    if KNOWN in names:
        found["Retry-After"] = ref(KNOWN, "headers")
    return found
