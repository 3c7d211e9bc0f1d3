from __future__ import annotations

import email.utils
import math
import ssl
from types import SimpleNamespace
from typing import Any

import aiohttp
import httpx
import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.models.chain.retries import (
    Retries,
    is_retryable_answer,
    is_retryable_error,
    next_delay,
    retry_after,
)

NOW = 1_800_000_000.0


@given(
    count=st.integers(0, 10),
    failures=st.integers(1, 2000),
    asked=st.none() | st.floats(allow_nan=False),
    share=st.floats(0, 1),
    elapsed=st.floats(0, 1000),
)
def test_a_delay_is_within_the_policy(
    count: int, failures: int, asked: float | None, share: float, elapsed: float
) -> None:
    policy = Retries(count=count, base=0.5, cap=20.0, deadline=600.0)
    delay = next_delay(policy, failures, asked, elapsed=elapsed, jitter=lambda: share)
    if failures > count:
        assert delay is None
    if delay is not None:
        assert elapsed + delay <= policy.deadline
        assert 0 <= delay <= max(policy.cap, asked or 0.0)
        assert asked is None or delay >= asked
    elif failures <= count:
        # The only other reason to give up is that the wait would be too long.
        assert elapsed + max(policy.cap, asked or 0.0) > policy.deadline


def test_the_delay_doubles_up_to_the_cap() -> None:
    policy = Retries(count=9, base=0.5, cap=3.0)
    assert [next_delay(policy, n, jitter=lambda: 1.0) for n in range(1, 6)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    assert next_delay(policy, 3, jitter=lambda: 0.25) == 0.5


def test_no_attempt_starts_after_the_deadline() -> None:
    assert next_delay(Retries(deadline=10), 1, 6.0, elapsed=5.0) is None
    assert next_delay(Retries(deadline=10), 1, 4.0, elapsed=5.0, jitter=lambda: 0.0) == 4.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "30", "retry-after-ms": "250"}, 0.25),
        ({"retry-after": email.utils.formatdate(NOW + 90, usegmt=True)}, 90.0),
        ({"retry-after": email.utils.formatdate(NOW - 90, usegmt=True)}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-4"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after-ms": "x", "retry-after": "2"}, 2.0),
        ({"retry-after": "4233600000"}, 4233600000.0),
        ({"retry-after": "Fri, 15 Jan 2027 08:01:00"}, 60.0),  # without a zone, which is always GMT
        ({"retry-after": "Fri, 15 Jan 2027 08:01:00 -0000"}, 60.0),
        ({"retry-after": "Mon, 01 Jan 0001 00:00:00 GMT"}, 0.0),
        ({"retry-after": "Fri, 99 Foo 2027 08:01:00 GMT"}, None),
        ({"retry-after": "1e999"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after-ms": "-1", "retry-after": "2"}, 2.0),
        ({"retry-after-ms": "nan"}, None),
    ],
)
def test_what_a_server_asks_for(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, NOW) == seconds


def test_which_answers_are_tried_again() -> None:
    assert {s for s in range(300, 600) if is_retryable_answer(s, {})} == {
        408, 409, 429, 500, 502, 503, 504, 529,
    }  # fmt: skip
    assert is_retryable_answer(400, {"x-should-retry": "true"})
    assert not is_retryable_answer(500, {"x-should-retry": "false"})


def test_what_asks_for_longer_than_is_left_is_given_up_at_once() -> None:
    patient = Retries(count=2, base=0.0, cap=1.0, deadline=60.0)
    assert next_delay(patient, 1, 59.0) == 59.0  # the cap is for our own waits, not for what the server asks
    assert next_delay(patient, 1, 61.0) is None
    assert next_delay(patient, 1, 4_233_600.0) is None
    assert next_delay(patient, 1, math.inf) is None
    assert next_delay(patient, 1, math.nan) == 0.0


@pytest.mark.parametrize("library", [httpx, httpx2])
def test_which_errors_are_tried_again(library: object) -> None:
    for name in ("ConnectError", "ConnectTimeout", "PoolTimeout", "ReadError", "RemoteProtocolError"):
        assert is_retryable_error(getattr(library, name)("x"))
    for name in ("ReadTimeout", "WriteTimeout", "DecodingError", "UnsupportedProtocol", "TooManyRedirects"):
        assert not is_retryable_error(getattr(library, name)("x"))
    assert not is_retryable_error(ValueError())


def test_which_errors_of_aiohttp_are_tried_again() -> None:
    key: Any = SimpleNamespace(ssl=True, host="h", port=443, is_ssl=True)
    refused = ConnectionRefusedError(111, "refused")
    assert is_retryable_error(aiohttp.ClientConnectorError(key, refused))
    assert is_retryable_error(aiohttp.ClientConnectorDNSError(key, OSError("no name")))
    assert is_retryable_error(aiohttp.ServerDisconnectedError())
    assert is_retryable_error(aiohttp.ClientOSError(104, "reset"))
    assert is_retryable_error(aiohttp.ConnectionTimeoutError())
    assert not is_retryable_error(aiohttp.SocketTimeoutError())
    assert not is_retryable_error(aiohttp.ServerTimeoutError())
    assert not is_retryable_error(aiohttp.ClientPayloadError("cut"))
    assert not is_retryable_error(aiohttp.InvalidURL("x"))
    assert not is_retryable_error(TimeoutError())


def test_a_wrong_certificate_is_not_tried_again() -> None:
    wrong = ssl.SSLCertVerificationError(1, "self-signed")
    key: Any = SimpleNamespace(ssl=True, host="h", port=443, is_ssl=True)
    assert not is_retryable_error(aiohttp.ClientConnectorCertificateError(key, wrong))
    assert not is_retryable_error(aiohttp.ClientConnectorError(key, wrong))
    error = httpx2.ConnectError("x")
    error.__cause__ = OSError("around it")
    error.__cause__.__context__ = wrong
    assert not is_retryable_error(error)
    # A ring of causes has an end.
    error.__cause__.__context__ = error
    assert is_retryable_error(error)


def test_python_s_own_connection_errors_are_tried_again() -> None:
    for kind in (ConnectionResetError, ConnectionRefusedError, ConnectionAbortedError, BrokenPipeError):
        assert is_retryable_error(kind())
    assert not is_retryable_error(OSError())
