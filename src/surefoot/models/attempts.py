"""The attempts at one model call, from the first to the one that counts, whatever library carries the requests."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from surefoot import scope
from surefoot.models.effects import Program, Sleep
from surefoot.models.retries import (
    Retries,
    is_retryable_answer,
    is_retryable_error,
    next_delay,
    retry_after,
)

R = TypeVar("R")

logger = scope.logger("surefoot.models")


@dataclass(frozen=True, slots=True)
class Head:
    """What an answer begins with. The names of `headers` are found in small letters."""

    status: int
    headers: Mapping[str, str]

    @property
    def is_success(self) -> bool:
        """Whether the status is one of success (2xx)."""
        return self.status // 100 == 2


class Transport(Protocol[R]):
    """How one attempt is made with the responses of one library."""

    def send(self, number: int, /) -> Program[R]:
        """Make attempt `number` (1, 2, ...): the response as soon as its headers are there.

        Raises what the library raises; `is_retryable_error` judges it by the name of its class.
        """
        ...

    def head(self, response: R, /) -> Head:
        """The status and the headers of a response."""
        ...

    def close(self, response: R, /) -> Program[None]:
        """Give up a response that another attempt follows."""
        ...


@dataclass(slots=True)
class Attempts(Generic[R]):
    """The attempts at one call. `made` and `seconds` say how many there were and how long they have taken so far."""

    transport: Transport[R]
    name: str
    retries: Retries
    made: int = 0
    _started_ns: int = field(default_factory=time.monotonic_ns)

    @property
    def seconds(self) -> float:
        """Seconds since this was made."""
        return (time.monotonic_ns() - self._started_ns) / 1e9

    def run(self) -> Program[R]:
        """A response of success, or the failure that no further attempt follows, with its body still to be read.

        Raises the exception of the last attempt.
        """
        while True:
            self.made += 1
            try:
                response = yield from self.transport.send(self.made)
            except Exception as error:
                delay = self._next_delay() if is_retryable_error(error) else None
                if delay is None:
                    raise
                logger.info("attempt %d of %s failed: %r", self.made, self.name, error)
            else:
                head = self.transport.head(response)
                if head.is_success or not is_retryable_answer(head.status, head.headers):
                    return response
                delay = self._next_delay(retry_after(head.headers, time.time()))
                if delay is None:
                    return response
                logger.info("attempt %d of %s was answered with %d", self.made, self.name, head.status)
                yield from self.transport.close(response)
            yield Sleep(delay)

    def _next_delay(self, asked: float | None = None) -> float | None:
        return next_delay(self.retries, self.made, asked, elapsed=self.seconds)
