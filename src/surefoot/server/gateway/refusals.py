"""What a client is told where it is given no answer: the status, a code for programs, and a sentence for people."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from starlette.exceptions import HTTPException

from surefoot import scope
from surefoot.errors import (
    AccessDenied,
    BreakerOpen,
    BudgetExceeded,
    ConfigError,
    ContextOverflow,
    CredentialRefused,
    DeadlineExceeded,
    GuardRefused,
    InvalidInput,
    LedgerError,
    MissingExtra,
    ModelError,
    ModelTimeout,
    NotData,
    QuotaExceeded,
    RateLimited,
    RequestRefused,
    RunBusy,
    RunStopped,
    StepFailed,
    UnboundedCall,
    UnknownModel,
)

_log = scope.logger("surefoot.gateway")

_MAY_RETRY = frozenset({409, 429, 503})
"""A client may ask again by itself: nothing was asked of a model, or it refused."""
_NOT_SET_UP = "not_configured"
"""What somebody has to mend first: clients of OpenAI and Anthropic would wait for it as long as `retry-after` says."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Why there is no answer. `retry_after` is in seconds; `code` is a word that does not change."""

    status: int
    code: str
    message: str
    retry_after: float | None = None

    @property
    def headers(self) -> dict[str, str]:
        """The headers that clients go by."""
        may_retry = self.status in _MAY_RETRY and self.code != _NOT_SET_UP
        headers = {} if may_retry else {"x-should-retry": "false"}
        if self.retry_after is not None:
            headers["retry-after"] = str(max(1, math.ceil(self.retry_after)))
        if self.status == 401:
            headers["www-authenticate"] = "Bearer"
        return headers


OVERLOADED = Refused(503, "overloaded", "too many calls are under way; ask again in a moment", 1.0)


def refused(error: BaseException) -> Refused:
    """What a client is told of an error. What only whoever keeps the server can mend is logged, and not told."""
    if isinstance(error, StepFailed) and error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, HTTPException):
        kind = getattr(error, "kind", "") or "refused"
        return Refused(error.status_code, str(kind).replace("-", "_"), error.detail)
    found = _of_request(error) or _of_limits(error) or _of_run(error)
    if found is None and isinstance(error, ModelError):
        found = _of_model(error)
    return found if found is not None else _own_fault(error)


def _of_request(error: BaseException) -> Refused | None:
    """What whoever asks can mend."""
    match error:
        case AccessDenied():
            return Refused(403, "permission_denied", str(error))
        case UnknownModel():
            return Refused(404, "model_not_found", str(error))
        case GuardRefused():
            return Refused(400, "content_policy", str(error))
        case ContextOverflow():
            return Refused(400, "context_length_exceeded", str(error))
        case UnboundedCall():
            return Refused(400, "unbounded_call", str(error))
        case InvalidInput() | NotData():
            return Refused(400, "invalid_request", str(error))
        case _:
            return None


def _of_limits(error: BaseException) -> Refused | None:
    match error:
        case BudgetExceeded():
            return _of_budget(error)
        case QuotaExceeded():
            said = "the account at the provider has no credit left: whoever keeps this server can add some"
            return Refused(402, "provider_quota_exceeded", said)
        case RateLimited():
            wait = 1.0 if error.retry_after is None else error.retry_after
            return Refused(429, "rate_limit_exceeded", str(error), wait)
        case BreakerOpen():
            said = "this model has failed again and again, and is not asked for a while"
            return Refused(503, "breaker_open", said, error.retry_after)
        case _:
            return None


def _of_budget(error: BudgetExceeded) -> Refused:
    """Whose budget it is, and when it renews; what others have spent of it is not told."""
    whose = f" of {error.whose}" if error.whose else ""
    wait = None if error.renews_ns is None else max(0.0, error.renews_ns / 1e9 - time.time())
    renews = "" if wait is None else f"; it begins anew in {math.ceil(wait):,} s"
    said = (
        f"the budget {error.budget!r}{whose} has too little left for this call{renews}. The model was not asked: "
        "ask for fewer tokens (max_tokens), or have the budget raised"
    )
    return Refused(402, "budget_exceeded", said, wait)


def _of_run(error: BaseException) -> Refused | None:
    match error:
        case RunBusy():
            return Refused(409, "in_progress", "a request of this Idempotency-Key is under way", 1.0)
        case DeadlineExceeded():
            return Refused(504, "timeout", "the call was not over by its deadline")
        case RunStopped():
            return Refused(503, "stopped", "the call was stopped before it was over", 1.0)
        case LedgerError():
            _log.error("the gateway cannot record calls: %s", error)
            return Refused(503, "unavailable", "calls cannot be recorded now, so that none are made", 1.0)
        case _:
            return None


def _of_model(error: ModelError) -> Refused:
    of = f"{error.provider}:{error.model}" if error.provider else "the model"
    match error:
        case CredentialRefused():
            _log.error("the key of a connection is refused: %s", error)
            said = f"{of} refuses the key of this server: whoever keeps it has to look after it"
            return Refused(502, "provider_refused_key", said)
        case ModelTimeout():
            return Refused(504, "timeout", f"{of} did not answer in time; ask for less, or stream")
        case RequestRefused() if error.status is not None and error.status // 100 == 4:
            return Refused(error.status, "request_refused", f"{of} refuses this request")
        case _:
            _log.warning("a call of the gateway failed: %s", error)
            return Refused(502, "provider_unavailable", f"{of} gave no whole answer; ask again later")


def _own_fault(error: BaseException) -> Refused:
    if isinstance(error, ConfigError | MissingExtra):
        _log.error("the gateway lacks something: %s", error)
        said = "this model is not set up here yet; the log of the server says what it lacks"
        return Refused(503, _NOT_SET_UP, said)
    _log.error("a request to the gateway failed", exc_info=error)
    return Refused(500, "internal_error", "something went wrong; the log of the server has the details")
