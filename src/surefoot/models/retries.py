"""When a failed attempt at a model call is made again: pure decisions, no clock and no sleep."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

RETRYABLE_STATUSES = frozenset({408, 409, 429, 500, 502, 503, 504, 529})

# By name, as both generations of httpx have them. A read timeout is missing on purpose: the answer may be on its
# way and paid for, and the caller's own limit has been used up.
RETRYABLE_ERRORS = frozenset(
    {
        "ConnectError",
        "ConnectTimeout",
        "PoolTimeout",
        "ReadError",
        "WriteError",
        "CloseError",
        "RemoteProtocolError",
        "ProxyError",
    }
)


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and how patiently a call is tried again.

    `count` attempts follow the first; the n-th of them waits for a random time up to `base * 2**(n-1)` seconds,
    at most `cap`; none starts later than `deadline` seconds after the first.
    """

    count: int = 2
    base: float = 0.5
    cap: float = 20.0
    deadline: float = 600.0


def next_delay(
    policy: Retries,
    failures: int,
    retry_after: float | None = None,
    *,
    elapsed: float = 0.0,
    jitter: Callable[[], float] = random.random,
) -> float | None:
    """Seconds to wait before the next attempt after `failures` failed ones, or None if there is none.

    Full jitter (a uniform share of the exponential delay) keeps clients that failed together from returning
    together. What the server asks for in `retry_after` is the least wait, bounded by `policy.cap`.
    """
    if failures > policy.count:
        return None
    ceiling = min(policy.cap, policy.base * 2.0 ** min(failures - 1, 60))
    delay = jitter() * ceiling
    if retry_after is not None and retry_after > 0:
        delay = min(policy.cap, max(delay, retry_after))
    return delay if elapsed + delay <= policy.deadline else None


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that a response asks to wait: `retry-after-ms`, `retry-after` in seconds or as an HTTP date.

    `now` is the wall clock in seconds since the epoch. None if nothing sensible is said.
    """
    for name, divisor in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        value = headers.get(name)
        if value is None:
            continue
        try:
            seconds = float(value) / divisor
        except ValueError:
            seconds = _until(value, now)
        if math.isfinite(seconds) and seconds >= 0:
            return seconds
    return None


def is_retryable_answer(status: int, headers: Mapping[str, str]) -> bool:
    """Whether a failure answer is worth another attempt; a server that says so itself is believed."""
    asked = headers.get("x-should-retry")
    if asked in ("true", "false"):
        return asked == "true"
    return status in RETRYABLE_STATUSES


def is_retryable_error(error: BaseException) -> bool:
    """Whether an exception of httpx from before the response's headers is worth another attempt."""
    return any(cls.__name__ in RETRYABLE_ERRORS for cls in type(error).__mro__)


def _until(date: str, now: float) -> float:
    from email.utils import parsedate_to_datetime  # 7 ms to import, for a form that is rare

    try:
        return max(0.0, parsedate_to_datetime(date).timestamp() - now)
    except (ValueError, OverflowError):
        return math.nan
