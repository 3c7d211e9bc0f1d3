"""What is given again under an SDK client: recorded outcomes, and the failure of a call that is sent once more."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, cast

from surefoot.errors import ConfigError
from surefoot.models.chain.operations import Request
from surefoot.models.chain.record import Answer, replayed
from surefoot.models.sdk.telling import Telling
from surefoot.scope import Claim, Recorded, Scope

if TYPE_CHECKING:
    import httpx2


@dataclass(frozen=True, slots=True)
class Call:
    """A model call as the patched `send` of a client received it."""

    asked: Request
    request: httpx2.Request
    library: ModuleType
    scope: Scope
    is_streaming: bool
    is_async: bool


@dataclass(frozen=True, slots=True)
class Failure:
    """How the last call in this context failed, for an SDK that sends the same call once more."""

    scope: Scope
    digest: bytes
    outcome: Recorded


# The retries of an SDK run in the context of the call that failed, so one place in each context is enough.
_last_failure: ContextVar[Failure | None] = ContextVar("surefoot_last_failure", default=None)


def repeated(call: Call) -> Recorded | None:
    """How a call failed that the SDK sends once more; None for one that is new."""
    failure = _last_failure.get()
    if failure is None:
        return None
    if _is_retry(call.request) and failure.scope is call.scope and failure.digest == call.asked.digest:
        return failure.outcome
    _last_failure.set(None)
    return None


def remember(call: Call, outcome: Recorded) -> None:
    """That a call failed so, should it be sent once more."""
    _last_failure.set(Failure(call.scope, call.asked.digest, outcome))


def replay(call: Call, recorded: Recorded, claim: Claim | None = None) -> httpx2.Response:
    """The recorded answer of a call. Raises what it failed with, and `ConfigError` for a record that is none."""
    answer = Answer.from_record(recorded.output)
    error = recorded.error or (None if answer is None else answer.error)
    if isinstance(error, call.library.RequestError):
        cast("httpx2.RequestError", error).request = call.request
    response = None
    if answer is not None:
        response = replayed(answer, call.request, call.library, is_streaming=call.is_streaming)
    if claim is not None and recorded.status == "failed":
        claim.handed_over(error or response)
    if response is not None:
        if claim is not None and answer is not None and call.is_streaming and answer.is_event_stream:
            telling = Telling.of(claim, call.asked.operation.name, is_replayed=True)
            if telling is not None:
                telling.whole(answer.handed_on)
        return response
    if error is not None:
        raise error
    raise ConfigError(
        f"the recorded outcome of {call.asked.operation.name} is no answer of a model: other code recorded it "
        "under the same name; rename that step, or fork the run before it"
    )


def _is_retry(request: httpx2.Request) -> bool:
    return request.headers.get("x-stainless-retry-count", "0") not in ("0", "")
