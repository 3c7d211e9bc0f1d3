from __future__ import annotations

import json
from typing import Any

import aiohttp
import httpx2
import pytest

from surefoot import ledger as records
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
from surefoot.models.chain.failures import (
    Failed,
    complaint_of,
    error_from,
    error_in_stream,
    error_of,
    malformation,
    malformed,
)

NOW = 1_800_000_000.0
FAILED = Failed("openai", "gpt-4o", attempts=3, seconds=4.25)


def openai(message: str, kind: str = "", code: str | None = None) -> bytes:
    return json.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}}).encode()


def anthropic(message: str, kind: str) -> bytes:
    return json.dumps(
        {"type": "error", "error": {"type": kind, "message": message}, "request_id": "r"}
    ).encode()


def google(message: str, status: str, code: int) -> bytes:
    return json.dumps({"error": {"code": code, "message": message, "status": status}}).encode()


def refused(status: int, body: bytes, **headers: str) -> SurefootError:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return error_of(FAILED, status=status, headers=named, body=body, now=NOW)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (
            401,
            openai("Incorrect API key provided: sk-x", "invalid_request_error", "invalid_api_key"),
            CredentialRefused,
        ),
        (401, anthropic("invalid x-api-key", "authentication_error"), CredentialRefused),
        (403, openai("Country, region, or territory not supported"), CredentialRefused),
        (402, b"", QuotaExceeded),
        (
            429,
            openai("You exceeded your current quota", "insufficient_quota", "insufficient_quota"),
            QuotaExceeded,
        ),
        (
            400,
            anthropic("Your credit balance is too low to access the API", "invalid_request_error"),
            QuotaExceeded,
        ),
        (429, openai("Rate limit reached for gpt-4o", "tokens", "rate_limit_exceeded"), RateLimited),
        (429, anthropic("This request would exceed the limit", "rate_limit_error"), RateLimited),
        (429, google("Quota exceeded for metric: x", "RESOURCE_EXHAUSTED", 429), RateLimited),
        (
            400,
            openai("This model's maximum context length is 8192 tokens", "invalid_request_error"),
            ContextOverflow,
        ),
        (400, openai("too long", "invalid_request_error", "context_length_exceeded"), ContextOverflow),
        (
            400,
            anthropic("prompt is too long: 210000 tokens > 200000 maximum", "invalid_request_error"),
            ContextOverflow,
        ),
        (400, openai("filtered", "", "content_filter"), ContentRefused),
        (
            400,
            json.dumps(
                {"error": {"message": "x", "innererror": {"code": "ResponsibleAIPolicyViolation"}}}
            ).encode(),
            ContentRefused,
        ),
        (400, openai("Unrecognized request argument supplied: nonsense"), RequestRefused),
        (404, openai("The model `gpt-9` does not exist", "", "model_not_found"), RequestRefused),
        (413, b"<html><title>413 Request Entity Too Large</title></html>", RequestRefused),
        (422, b'{"detail": [{"loc": ["body"], "msg": "field required"}]}', RequestRefused),
        (408, b"", ModelTimeout),
        (504, b"<html><title>504 Gateway Time-out</title></html>", ModelTimeout),
        (409, b"", ModelUnavailable),
        (500, openai("The server had an error"), ModelUnavailable),
        (503, b'{"error": "model is loading"}', ModelUnavailable),
        (529, anthropic("Overloaded", "overloaded_error"), ModelUnavailable),
        (307, b"", RequestRefused),
    ],
)
def test_which_error_a_refusal_is(status: int, body: bytes, kind: type[SurefootError]) -> None:
    error = refused(status, body)
    assert type(error) is kind
    assert str(error).startswith(f"gpt-4o at openai answered with {status}")
    assert "3 attempts in 4.2 s" in str(error)
    assert str(error).endswith(".")


def test_an_error_says_what_where_and_what_to_do() -> None:
    error = refused(429, openai("Rate limit reached"), retry_after="20", x_request_id="req_7")
    assert str(error) == (
        "gpt-4o at openai answered with 429: Rate limit reached (3 attempts in 4.2 s, request req_7). It asks to wait "
        "for 20 s. Make fewer calls at a time, or raise [models] retries; resuming the run goes on from here."
    )
    assert isinstance(error, RateLimited)
    assert (error.provider, error.model, error.status, error.attempts) == ("openai", "gpt-4o", 429, 3)
    assert (error.request_id, error.retry_after) == ("req_7", 20.0)


def test_why_there_were_no_more_attempts_is_said() -> None:
    failed = Failed(
        "openai", "gpt-4o", note="no further attempt after 1 attempt in 0.1 s: the retries are used up"
    )
    error = error_of(failed, status=503, headers={}, body=b"", now=NOW)
    assert "(no further attempt after 1 attempt in 0.1 s: the retries are used up)" in str(error)


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (anthropic("Overloaded", "overloaded_error"), ModelUnavailable),
        (anthropic("Too fast", "rate_limit_error"), RateLimited),
        (anthropic("Slow", "timeout_error"), ModelTimeout),
        (openai("The server had an error", "server_error"), ModelUnavailable),
        (openai("You exceeded your quota", "insufficient_quota"), QuotaExceeded),
        (openai("too long", "invalid_request_error", "context_length_exceeded"), ContextOverflow),
        (openai("bad", "invalid_request_error"), RequestRefused),
        (google("Resource has been exhausted", "RESOURCE_EXHAUSTED", 429), RateLimited),
        (google("API key not valid", "UNAUTHENTICATED", 401), CredentialRefused),
        (b'{"error": "cut"}', ModelUnavailable),
        (b"", ModelUnavailable),
    ],
)
def test_which_error_an_event_is(event: bytes, kind: type[SurefootError]) -> None:
    error = error_in_stream(FAILED, event)
    assert type(error) is kind
    assert str(error).startswith("gpt-4o at openai broke off its answer with an error: ")
    assert str(error).endswith(".")


def test_an_error_survives_its_record() -> None:
    error = refused(429, openai("Rate limit reached"), retry_after="20")
    again: Any = records.decode(records.encode(error, name="error"))
    assert type(again) is RateLimited
    assert str(again) == str(error)
    assert vars(again) == vars(error)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", ""),
        (b"null", "null"),
        (b"[]", "[]"),
        (b'[{"error": {"message": "in a list"}}]', "in a list"),
        (b'{"object": "error", "message": "vllm"}', "vllm"),
        (b'{"detail": "fastapi"}', "fastapi"),
        (b'{"error": {"message": 7}}', ""),
        (b'{"error": null}', ""),
        (b"\xff\xfe broken", "\ufffd\ufffd broken"),
        (b"<html><head><title>Bad\n gateway</title></head><body>x</body></html>", "Bad gateway"),
        (b"<p>only <b>text</b></p><script>var x</script>", "only text"),
        (b"x" * 1000, "x" * 297 + "..."),
    ],
)
def test_what_a_body_says(body: bytes, text: str) -> None:
    assert complaint_of(body).text == text


@pytest.mark.parametrize(
    ("raised", "kind", "said"),
    [
        (httpx2.ReadTimeout("slow"), ModelTimeout, "did not answer in time"),
        (TimeoutError(), ModelTimeout, "did not answer in time"),
        (aiohttp.SocketTimeoutError(), ModelTimeout, "did not answer in time"),
        (httpx2.ConnectTimeout("x"), ModelUnavailable, "cannot be reached"),
        (httpx2.PoolTimeout("x"), ModelUnavailable, "cannot be reached"),
        (aiohttp.ConnectionTimeoutError(), ModelUnavailable, "cannot be reached"),
        (httpx2.ConnectError("[Errno 111] refused"), ModelUnavailable, "ConnectError: [Errno 111] refused"),
        (aiohttp.ServerDisconnectedError(), ModelUnavailable, "cannot be reached"),
        (aiohttp.ClientPayloadError("cut"), ModelUnavailable, "broke off"),
    ],
)
def test_which_error_an_exception_becomes(raised: Exception, kind: type[ModelError], said: str) -> None:
    error = error_from(FAILED, raised)
    assert type(error) is kind
    assert said in str(error)
    assert "3 attempts in 4.2 s" in str(error)
    assert (error.status, error.attempts) == (None, 3)


@pytest.mark.parametrize(
    ("headers", "body", "reason"),
    [
        ({}, b"", "an empty body"),
        ({"content-type": "application/json"}, b" \n", "an empty body"),
        ({"content-type": "text/html; charset=utf-8"}, b"hello", "a web page"),
        ({"content-type": "application/json"}, b"<!doctype html>", "a web page"),
        ({"content-type": "application/json"}, b'{"choices": [', "a body that is no JSON object"),
        ({}, b"[1]", "a body that is no JSON object"),
        ({}, b"null", "a body that is no JSON object"),
        ({}, openai("upstream"), "an error in place of an answer"),
        ({}, anthropic("upstream", "api_error"), "an error in place of an answer"),
        ({"content-type": "application/json; charset=utf-8"}, b'{"choices": []}', ""),
        ({"content-type": "text/plain"}, b'{"choices": []}', ""),
        ({}, b'{"status": "failed", "error": {"code": "x"}, "output": [{}]}', ""),
        ({}, b'{"error": null, "output": []}', ""),
    ],
)
def test_what_is_wrong_with_an_answer(headers: dict[str, str], body: bytes, reason: str) -> None:
    assert malformation(headers, body) == reason


def test_a_malformed_answer_says_how_it_begins() -> None:
    body = b"<html><title>Sign in</title>"
    error = malformed(FAILED, "a web page", status=200, headers={"request-id": "r"}, body=body)
    assert type(error) is MalformedResponse
    assert str(error) == (
        "gpt-4o at openai answered with 200, but with a web page, which begins with 'Sign in' (3 attempts in 4.2 s, "
        "request r). Look whether base_url leads to the API and whether a proxy stands between; a retry of the step "
        "makes the call again."
    )
