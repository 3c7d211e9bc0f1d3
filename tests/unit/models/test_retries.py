from __future__ import annotations

import email.utils

import httpx
import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.models.retries import (
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
        assert 0 <= delay <= policy.cap
        assert elapsed + delay <= policy.deadline
        if asked is not None:
            assert delay >= min(asked, policy.cap)


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


@pytest.mark.parametrize("library", [httpx, httpx2])
def test_which_errors_are_tried_again(library: object) -> None:
    for name in ("ConnectError", "ConnectTimeout", "PoolTimeout", "ReadError", "RemoteProtocolError"):
        assert is_retryable_error(getattr(library, name)("x"))
    for name in ("ReadTimeout", "WriteTimeout", "DecodingError", "UnsupportedProtocol", "TooManyRedirects"):
        assert not is_retryable_error(getattr(library, name)("x"))
    assert not is_retryable_error(ValueError())
