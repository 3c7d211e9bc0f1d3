"""When a failed attempt at a model call is made again: pure decisions, no clock and no sleep."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

RETRYABLE_STATUSES = frozenset({408, 409, 429, 500, 502, 503, 504, 529})

# By name, as both generations of httpx, aiohttp and Python itself have them; they stand for failures from before the
# answer began. A read timeout is missing on purpose: the answer may be on its way and paid for, and the caller's own
# limit has been used up. So is a body that breaks off (aiohttp's ClientPayloadError): it has begun, and is paid for.
RETRYABLE_ERRORS = frozenset(
    {
        # httpx and httpx2
        "ConnectError",
        "ConnectTimeout",
        "PoolTimeout",
        "ReadError",
        "WriteError",
        "CloseError",
        "RemoteProtocolError",
        "ProxyError",
        # aiohttp
        "ClientConnectorError",
        "ClientOSError",
        "ConnectionTimeoutError",
        "ServerDisconnectedError",
        # Python
        "ConnectionError",
    }
)

_UNSENT = frozenset(
    {"ConnectError", "ConnectTimeout", "PoolTimeout", "ClientConnectorError", "ConnectionTimeoutError"}
)

# A server with the wrong certificate has it the next time too.
_LASTING_CAUSES = frozenset({"SSLCertVerificationError", "CertificateError"})
_LINKS = 8
"""How many links of a chain of causes are looked at: such chains are short, but may be rings."""


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and how patiently a call is tried again.

    `count` attempts follow the first; the n-th of them waits for a random time up to `base * 2**(n-1)` seconds,
    at most `cap`, or for as long as the server asks; none starts later than `deadline` seconds after the first.
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
    together. What the server asks for in `retry_after` is the least wait: where that is longer than what is left of
    the deadline, waiting would be of no use, and there is no further attempt.

    Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """
    if failures > policy.count:
        return None
    delay = jitter() * min(policy.cap, policy.base * 2.0 ** min(failures - 1, 60))
    if retry_after is not None and not math.isnan(retry_after):
        delay = max(delay, retry_after)
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
    """Whether an exception from before the response's headers is worth another attempt."""
    if not _names(error) & RETRYABLE_ERRORS:
        return False
    link: BaseException | None = error
    for _ in range(_LINKS):
        if link is None:
            break
        if _names(link) & _LASTING_CAUSES:
            return False
        # aiohttp keeps the reason in an attribute.
        own = getattr(link, "os_error", None)
        link = own if isinstance(own, BaseException) else link.__cause__ or link.__context__
    return True


def is_unsent(error: BaseException | None) -> bool:
    """Whether an exception says that no connection came about, so that nobody can have counted the call."""
    return error is not None and bool(_names(error) & _UNSENT)


def _names(error: BaseException) -> set[str]:
    return {cls.__name__ for cls in type(error).__mro__}


def _until(date: str, now: float) -> float:
    from datetime import UTC  # with `email.utils` 7 ms to import, for a form that is rare
    from email.utils import parsedate_to_datetime

    try:
        moment = parsedate_to_datetime(date)
        # HTTP dates are in GMT, also where that is not said.
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return max(0.0, moment.timestamp() - now)
    except (ValueError, OverflowError):
        return math.nan
