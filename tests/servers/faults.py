"""What can go wrong between an SDK and its provider, one by one, and what is to come of it.

`FAULTS` is the table: for each fault how many attempts there are, and what the code that called the SDK sees. It holds
for the official SDKs of OpenAI and Anthropic, sync and async; where the two differ, the entry says so.
"""

from __future__ import annotations

import email.utils
import time
from dataclasses import dataclass

from wire import Fault, WireServer

RETRIES = 2
"""How often a call is tried again where the table says so."""

ONE = 1
ALL = 1 + RETRIES


@dataclass(frozen=True)
class Expected:
    """How many calls reach the provider while the fault lasts, and the class of what the user's code sees then.

    Without an error there is an answer. `anthropic` is the error of that SDK where it is another one. `is_unfit` says
    that the SDK makes nothing of what it got and says nothing of it, so that the failure is only in the record.
    """

    calls: int
    error: str = ""
    anthropic: str = ""
    is_unfit: bool = False

    def error_in(self, sdk: str) -> str:
        return self.anthropic if sdk == "anthropic" and self.anthropic else self.error

    @property
    def status(self) -> str:
        """How the call is recorded."""
        return "failed" if self.error or self.is_unfit else "completed"


@dataclass(frozen=True)
class Case:
    """One fault, and what comes of it for a buffered and for a streamed answer."""

    fault: Fault
    buffered: Expected
    streamed: Expected
    timeout: float | None = None
    """Seconds that the client waits while the fault lasts."""


def _alike(fault: Fault, calls: int, error: str = "", anthropic: str = "") -> Case:
    expected = Expected(calls, error, anthropic)
    return Case(fault, expected, expected)


def _status(status: int, calls: int, error: str, anthropic: str = "", **headers: str) -> Case:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return _alike(Fault(status=status, headers=named), calls, error, anthropic)


def _http_date(ahead: float) -> str:
    return email.utils.formatdate(time.time() + ahead, usegmt=True)


# What is no event is not seen by an SDK that reads a stream: to it, such a stream has no events.
_OVERHEARD = Expected(ONE, is_unfit=True)

FAULTS: dict[str, Case] = {
    # Refusals
    "400": _status(400, ONE, "BadRequestError"),
    "401": _status(401, ONE, "AuthenticationError"),
    "403": _status(403, ONE, "PermissionDeniedError"),
    "404": _status(404, ONE, "NotFoundError"),
    "422": _status(422, ONE, "UnprocessableEntityError"),
    # Failures that may pass
    "408": _status(408, ALL, "APIStatusError", "RequestTimeoutError"),
    "409": _status(409, ALL, "ConflictError"),
    "429": _status(429, ALL, "RateLimitError"),
    "500": _status(500, ALL, "InternalServerError"),
    "503": _status(503, ALL, "InternalServerError", "ServiceUnavailableError"),
    "529": _status(529, ALL, "InternalServerError", "OverloadedError"),
    # What the server says about it
    "500, not to be retried": _status(500, ONE, "InternalServerError", x_should_retry="false"),
    "400, to be retried": _status(400, ALL, "BadRequestError", x_should_retry="true"),
    # Each form of Retry-After
    "retry-after, seconds": _status(429, ALL, "RateLimitError", retry_after="0.01"),
    "retry-after, nothing": _status(429, ALL, "RateLimitError", retry_after="0"),
    "retry-after, milliseconds": _status(429, ALL, "RateLimitError", retry_after_ms="10", retry_after="4000"),
    "retry-after, a date": _status(429, ALL, "RateLimitError", retry_after=_http_date(-60)),
    # Absurd ones: what is no wait is not heeded, what is beyond the deadline ends the call
    "retry-after, negative": _status(429, ALL, "RateLimitError", retry_after="-5"),
    "retry-after, not a number": _status(429, ALL, "RateLimitError", retry_after="nan"),
    "retry-after, endless": _status(429, ALL, "RateLimitError", retry_after="inf"),
    "retry-after, words": _status(429, ALL, "RateLimitError", retry_after="soon"),
    "retry-after, 49 days": _status(429, ONE, "RateLimitError", retry_after="4233600"),
    "retry-after, 49 days in ms": _status(429, ONE, "RateLimitError", retry_after_ms="4233600000"),
    "retry-after, in a year": _status(429, ONE, "RateLimitError", retry_after=_http_date(365 * 86400)),
    # The connection
    "reset": _alike(Fault("reset"), ALL, "APIConnectionError"),
    "hang": Case(
        Fault("hang"), Expected(ONE, "APITimeoutError"), Expected(ONE, "APITimeoutError"), timeout=2.0
    ),
    "cut": Case(
        Fault("cut", after=200),
        Expected(ONE, "APIConnectionError"),
        Expected(ONE, "APIConnectionError", "RemoteProtocolError"),
    ),
    "drip": _alike(Fault("drip", delay=0.001), ONE),
    # Answers that are none. They were paid for, so nobody asks again behind the back of the user
    "half of the JSON": Case(Fault("malformed"), Expected(ONE, "JSONDecodeError"), _OVERHEARD),
    "web page": Case(Fault("html"), Expected(ONE, "AttributeError"), _OVERHEARD),
    "empty": Case(Fault("empty"), Expected(ONE, "JSONDecodeError"), _OVERHEARD),
    "200 with an error": Case(Fault("error_object"), Expected(ONE, "TypeError"), _OVERHEARD),
    "error event": Case(Fault("error_event"), Expected(ONE), Expected(ONE, "APIError", "APIStatusError")),
    # Odd ones that are answers all the same
    "ended early": _alike(Fault("ended"), ONE),
    "gzip": _alike(Fault("gzip"), ONE),
    "mislabelled": _alike(Fault("mislabelled"), ONE),
}


class FaultServer(WireServer):
    """A wire server whose faults last until they are mended."""

    def break_down(self, fault: Fault) -> None:
        """Fail every coming call."""
        self._faults.extend([fault] * 100)

    def mend(self) -> None:
        """Answer properly from here on."""
        self._faults.clear()
