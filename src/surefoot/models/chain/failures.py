"""What a failed model call is called, and what is said of it: pure functions from what came back to an error."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from surefoot.errors import (
    ContentRefused,
    ContextOverflow,
    CredentialRefused,
    MalformedResponse,
    ModelError,
    ModelTimeout,
    ModelUnavailable,
    QuotaExceeded,
    RateLimited,
    RequestRefused,
    SurefootError,
)
from surefoot.models.chain.answers import is_complaint
from surefoot.models.chain.operations import parse_json
from surefoot.models.chain.retries import retry_after

_SHOWN = 300
_REQUEST_IDS = ("x-request-id", "request-id", "apim-request-id")
_TOO_LONG = re.compile(
    r"context_length_exceeded|maximum context length|context window|prompt is too long"
    r"|input length and .?max_tokens.? exceed|exceeds the maximum number of tokens|exceed_context_size_error"
)
_QUOTA = re.compile(r"insufficient_quota|billing_error|credit balance is too low|insufficient.balance")
_CONTENT = re.compile(
    r"content_filter|content_policy_violation|responsibleaipolicyviolation|content management policy|prohibited_content"
)
_STATUSES = {
    "invalid_request_error": 400,
    "context_length_exceeded": 400,
    "content_filter": 400,
    "invalid_argument": 400,
    "authentication_error": 401,
    "unauthenticated": 401,
    "billing_error": 402,
    "permission_error": 403,
    "permission_denied": 403,
    "not_found_error": 404,
    "not_found": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "resource_exhausted": 429,
    "timeout_error": 504,
    "deadline_exceeded": 504,
}
"""The statuses that errors of OpenAI, Anthropic and Google have by their names; any other is the provider's own."""

_TIMEOUTS = frozenset({"TimeoutException", "TimeoutError"})
_TAG = re.compile(r"<(script|style)\b.*?</\1\s*>|<[^>]*>", re.DOTALL | re.IGNORECASE)
_TITLE = re.compile(r"<title[^>]*>(.*?)</title", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Failed:
    """A call that failed for good: whom it asked for what, after how many attempts and how many seconds.

    `note` says why there were no more attempts, where the policy would have allowed some (`Attempts.note`).
    """

    provider: str
    model: str
    attempts: int = 1
    seconds: float = 0.0
    note: str = ""

    def __str__(self) -> str:
        """As messages call it."""
        return f"{self.model} at {self.provider}"

    @property
    def tried(self) -> str:
        """The attempts, as messages tell them."""
        times = "1 attempt" if self.attempts == 1 else f"{self.attempts} attempts"
        return self.note or f"{times} in {self.seconds:.1f} s"


@dataclass(frozen=True, slots=True)
class Complaint:
    """What the body of a refusal says: the kind of error by the provider's own names, and a text for people."""

    kinds: frozenset[str] = field(default_factory=frozenset[str])
    text: str = ""


def error_of(
    failed: Failed, *, status: int, headers: Mapping[str, str], body: bytes, now: float
) -> SurefootError:
    """The error for an answer that is no success.

    `now` is the wall clock in seconds since the epoch, against which a date in `Retry-After` is read. It is a
    `ModelError`, or `ContextOverflow` where the prompt does not fit.
    """
    complaint = complaint_of(body)
    kind, advice = _kind(status, complaint)
    asked = retry_after(headers, now)
    waiting = "" if asked is None or kind is not RateLimited else f" It asks to wait for {asked:,.0f} s."
    said = f": {complaint.text}" if complaint.text else ""
    request_id = next((headers[name] for name in _REQUEST_IDS if headers.get(name)), "")
    by = f", request {request_id}" if request_id else ""
    message = f"{failed} answered with {status}{said} ({failed.tried}{by}).{waiting} {advice}"
    if kind is ContextOverflow:
        return ContextOverflow(message)
    return cast("type[ModelError]", kind)(
        message,
        provider=failed.provider,
        model=failed.model,
        status=status,
        attempts=failed.attempts,
        request_id=request_id,
        retry_after=asked,
    )


def error_from(failed: Failed, raised: BaseException) -> ModelError:
    """The error for a call that no whole answer came to: for what the HTTP library raised in its last attempt."""
    names = {cls.__name__ for cls in type(raised).__mro__}
    said = " ".join(str(raised).split())[:_SHOWN]
    why = f"{type(raised).__name__}{f': {said}' if said else ''}"
    kind: type[ModelError] = ModelUnavailable
    if names & _TIMEOUTS and not names & {"ConnectTimeout", "ConnectionTimeoutError", "PoolTimeout"}:
        kind = ModelTimeout
        advice = (
            "The answer may have been paid for, so it was not asked for again: give the call more time "
            "([models] deadline, the client's timeout), ask for less, or stream."
        )
        message = f"{failed} did not answer in time ({failed.tried}; {why}). {advice}"
    else:
        advice = "Look whether the address, the network and the provider are in order, then resume the run."
        message = f"{failed} cannot be reached ({failed.tried}; {why}). {advice}"
        if names & {"ClientPayloadError", "DecodingError"}:
            message = f"the answer of {failed} broke off ({failed.tried}; {why}). {advice}"
    return kind(message, provider=failed.provider, model=failed.model, attempts=failed.attempts)


def error_in_stream(failed: Failed, event: bytes) -> SurefootError:
    """The error for a stream whose answer ends in an error event; `event` is its data.

    Such an event has no status of its own: what the provider calls the error stands for it.
    """
    complaint = complaint_of(event)
    status = next((_STATUSES[kind] for kind in sorted(complaint.kinds) if kind in _STATUSES), 500)
    kind, advice = _kind(status, complaint)
    said = complaint.text or " ".join(sorted(complaint.kinds)) or "without a reason"
    message = f"{failed} broke off its answer with an error: {said} ({failed.tried}). {advice}"
    if kind is ContextOverflow:
        return ContextOverflow(message)
    named = cast("type[ModelError]", kind)
    return named(message, provider=failed.provider, model=failed.model, attempts=failed.attempts)


def malformed(
    failed: Failed, reason: str, *, status: int, headers: Mapping[str, str], body: bytes
) -> MalformedResponse:
    """The error for an answer of success that is none; `reason` says what it is instead (`malformation`).

    Such an answer is not asked for again: the provider has counted it, and will count the next one.
    """
    request_id = next((headers[name] for name in _REQUEST_IDS if headers.get(name)), "")
    by = f", request {request_id}" if request_id else ""
    text = _plain(body)
    said = f", which begins with {text[:80]!r}" if text else ""
    return MalformedResponse(
        f"{failed} answered with {status}, but with {reason}{said} ({failed.tried}{by}). Look whether base_url "
        "leads to the API and whether a proxy stands between; a retry of the step makes the call again.",
        provider=failed.provider,
        model=failed.model,
        status=status,
        attempts=failed.attempts,
        request_id=request_id,
    )


def malformation(headers: Mapping[str, str], body: bytes) -> str:
    """What is wrong with a buffered answer of success, in words; empty if it is a JSON object that is no error.

    Whether its content type says so does not matter: what was paid for is not thrown away for its label.
    """
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if not body.strip():
        return "an empty body"
    answer = parse_json(body)
    if not isinstance(answer, dict):
        if kind.endswith("html") or body.lstrip()[:1] == b"<":
            return "a web page"
        return "a body that is no JSON object"
    fields = cast("dict[str, object]", answer)
    if is_complaint(fields):
        return "an error in place of an answer"
    return ""


def complaint_of(body: bytes) -> Complaint:
    """What a refusal says, in the forms of OpenAI, Anthropic, Google and those that follow them; else its text."""
    answer = parse_json(body) if body else None
    if isinstance(answer, list) and answer:
        answer = cast("list[object]", answer)[0]
    if not isinstance(answer, dict):
        return Complaint(text=_shortened(_plain(body)))
    fields = cast("dict[str, object]", answer)
    inner = fields.get("error")
    error = cast("dict[str, object]", inner) if isinstance(inner, dict) else fields
    text = (
        inner
        if isinstance(inner, str)
        else next(
            (
                value
                for value in (error.get(name) for name in ("message", "detail", "msg"))
                if isinstance(value, str)
            ),
            "",
        )
    )
    kinds = {
        value.lower()
        for value in (error.get(name) for name in ("type", "code", "status"))
        if isinstance(value, str)
    }
    deeper = error.get("innererror")
    if isinstance(deeper, dict):
        code = cast("dict[str, object]", deeper).get("code")
        kinds |= {code.lower()} if isinstance(code, str) else set()
    return Complaint(frozenset(kinds), _shortened(text))


def _kind(status: int, complaint: Complaint) -> tuple[type[SurefootError], str]:
    """The class of a refusal, and what to do about it."""
    clues = " ".join([*sorted(complaint.kinds), complaint.text.lower()])
    if status in (400, 413, 422) and _TOO_LONG.search(clues):
        return (
            ContextOverflow,
            "Shorten the prompt, ask for fewer tokens, or take a model with a larger context.",
        )
    if status in (400, 403, 422) and _CONTENT.search(clues):
        return ContentRefused, "Its filter refused what was asked: change the prompt or what was put into it."
    if status == 402 or (status in (400, 403, 429) and _QUOTA.search(clues)):
        return QuotaExceeded, "Waiting does not help: add credit or raise the limit of the account."
    if status == 401:
        return CredentialRefused, "Look whether the API key is right and belongs to this provider."
    if status == 403:
        return CredentialRefused, "Look whether the API key may use this model, from here."
    if status == 429:
        return (
            RateLimited,
            "Make fewer calls at a time, or raise [models] retries; resuming the run goes on from here.",
        )
    if status in (408, 504):
        return ModelTimeout, "Ask for less, or stream; resuming the run makes the call again."
    if status >= 500 or status == 409:
        return (
            ModelUnavailable,
            "Resume the run when the provider is back; `Fallback` asks another one meanwhile.",
        )
    if status == 404:
        return RequestRefused, "Look whether the name of the model and the base_url are right."
    return RequestRefused, "Change what is asked: the same request will be refused again."


def _plain(body: bytes) -> str:
    """The text of a body that is no JSON: of a web page its title, else what is left without its tags."""
    text = body[:20_000].decode("utf-8", "replace")
    if "<" in text:
        title = _TITLE.search(text)
        text = title.group(1) if title else _TAG.sub(" ", text)
    return " ".join(text.split())


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
