"""Errors as answers: `application/problem+json`, with a status, what went wrong and the id of the request."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING

import orjson
from starlette.exceptions import HTTPException
from starlette.responses import Response

from surefoot import scope
from surefoot.errors import (
    AccessDenied,
    BreakerOpen,
    BudgetExceeded,
    Compensated,
    ConfigError,
    DeadlineExceeded,
    Diverged,
    GuardRefused,
    InDoubt,
    InvalidInput,
    LedgerCorrupt,
    LedgerError,
    MissingExtra,
    ModelError,
    ModelTimeout,
    NotData,
    QuotaExceeded,
    RateLimited,
    RunBusy,
    RunCancelled,
    RunEnded,
    RunLimit,
    RunPruned,
    StepFailed,
    StepTimeout,
    SurefootError,
    UnknownFlow,
    UnknownRun,
    UsageError,
)
from surefoot.server.entry.refusal import KIND, MEDIA_TYPE, of_denied, of_http
from surefoot.server.working.executor import Unavailable

if TYPE_CHECKING:
    from starlette.requests import Request

    from surefoot.values import Json

log = scope.logger("surefoot.server")

# The first that fits counts: kin stands before its parent.
_STATUSES: tuple[tuple[type[BaseException], int], ...] = (
    (AccessDenied, 403),
    (BudgetExceeded, 402),
    (QuotaExceeded, 402),
    (RateLimited, 429),
    (GuardRefused, 422),
    (InvalidInput, 422),
    (NotData, 422),
    (UnknownRun, 404),
    (RunBusy, 409),
    (RunCancelled, 409),
    (RunEnded, 409),
    (RunPruned, 410),
    (Compensated, 409),
    (InDoubt, 409),
    (Diverged, 409),
    (DeadlineExceeded, 504),
    (StepTimeout, 504),
    (ModelTimeout, 504),
    (RunLimit, 422),
    (BreakerOpen, 503),
    (ModelError, 502),
    (LedgerError, 503),
    (UnknownFlow, 404),
    (UsageError, 422),
)


class Problem(Exception):
    """What is answered in place of what was asked for."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        kind: str = "",
        headers: Mapping[str, str] | None = None,
        **more: Json,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.kind = kind
        self.headers = headers or {}
        self.more = more


def status_of(error: BaseException) -> int:
    """The status that an error is answered with. Of a failed run it is that of what its flow raised."""
    if isinstance(error, StepFailed) and error.__cause__ is not None:
        known = status_of(error.__cause__)
        # What the flow got wrong by itself is no mistake of whoever asked.
        return known if known in (402, 403, 409, 429, 502, 503, 504) or _is_refusal(error.__cause__) else 500
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)


def again_of(error: BaseException | None, status: int) -> dict[str, str]:
    """When it may be asked again (`Retry-After`), where that is known, or worth trying."""
    if isinstance(error, StepFailed) and error.__cause__ is not None:
        error = error.__cause__
    seconds: float | None = 1.0 if status in (429, 503) else None
    if isinstance(error, RateLimited | BreakerOpen):
        seconds = error.retry_after or seconds
    elif isinstance(error, BudgetExceeded) and error.renews_ns is not None:
        seconds = error.renews_ns / 1e9 - time.time()
    return {} if seconds is None else {"retry-after": str(max(1, math.ceil(seconds)))}


def answer_to(request: Request, error: Exception) -> Response:
    """What is answered where an error was raised."""
    request_id = getattr(request.state, "request_id", "")
    if isinstance(error, AccessDenied):
        return of_denied(error).answer(request_id)
    if isinstance(error, HTTPException):
        return of_http(error).answer(request_id)
    return _answer(request_id, problem_of(error))


def _answer(request_id: str, problem: Problem) -> Response:
    kind = problem.kind or HTTPStatus(problem.status).phrase.lower().replace(" ", "-")
    body = {
        "type": f"{KIND}{kind}",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "request_id": request_id,
        **problem.more,
    }
    return Response(
        orjson.dumps(body),
        status_code=problem.status,
        media_type=MEDIA_TYPE,
        headers=dict(problem.headers),
    )


def problem_of(error: BaseException) -> Problem:
    """An error as a problem. What is none of ours tells nothing of itself: it is in the log."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, Unavailable):
        return Problem(
            503, str(error), kind=f"server-{error.reason}", headers={"retry-after": str(error.retry_after)}
        )
    if not isinstance(error, SurefootError):
        log.error("a request failed", exc_info=error)
        return Problem(
            500, "something went wrong in the server; its log says what, under the id of this request"
        )
    if isinstance(error, LedgerError | ConfigError | MissingExtra):
        return _kept(error)
    status = status_of(error)
    kind = _kebab(type(error).__name__)
    headers = again_of(error, status)
    if isinstance(error, InvalidInput) and error.mistakes:
        mistakes: list[Json] = [
            {"field": one.field, "rule": one.rule, "problem": one.problem} for one in error.mistakes
        ]
        return Problem(status, str(error), kind=kind, headers=headers, mistakes=mistakes)
    return Problem(status, str(error), kind=kind, headers=headers)


def _kept(error: SurefootError) -> Problem:
    """What only whoever keeps the server can mend: it may name hosts, files and settings, and stands in the log."""
    log.error("a request failed: %s", error)
    kind = _kebab(type(error).__name__)
    if isinstance(error, LedgerCorrupt):
        return Problem(500, "what is recorded of it is damaged; the log of the server says where", kind=kind)
    if isinstance(error, LedgerError):
        told = "the ledger cannot be asked now: try again; the log of the server says why"
        return Problem(503, told, kind=kind, headers={"retry-after": "5"})
    return Problem(500, "the server lacks something; its log says what", kind=kind)


def _is_refusal(error: BaseException) -> bool:
    return isinstance(error, GuardRefused | RunLimit)


def _kebab(name: str) -> str:
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("-")
