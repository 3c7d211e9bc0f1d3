"""The attempts at one model call, from the first to the one that counts, whatever library carries the requests."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Generic, Protocol, TypeVar

from surefoot import scope
from surefoot.effects import Program, Sleep
from surefoot.errors import SurefootError
from surefoot.models.chain.passage import Passage
from surefoot.models.chain.retries import (
    Retries,
    is_retryable_answer,
    is_retryable_error,
    next_delay,
    retry_after,
)
from surefoot.models.chain.retry_budget import RetryBudget
from surefoot.scope import Scope

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

        It takes no longer than the call has left (`Attempts.seconds_left`). Raises what the library raises;
        `is_retryable_error` judges it by the name of its class.
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
    """The attempts at one call. `made` is how many there were so far.

    `provider` is whose `budget` of retries they share, `scope` is the open run, which they end with. `passage` is told
    how each attempt goes; its transport asks it to be let through. `note` says why there were fewer attempts than the
    policy allows, where that is so.
    """

    transport: Transport[R]
    name: str
    retries: Retries
    provider: str = ""
    budget: RetryBudget | None = None
    scope: Scope | None = None
    passage: Passage | None = None
    is_stream: bool = False
    made: int = 0
    note: str = ""
    _before: str = ""
    _started_ns: int = field(default_factory=time.monotonic_ns)

    @property
    def seconds(self) -> float:
        """Seconds since the call began."""
        return (time.monotonic_ns() - self._started_ns) / 1e9

    @property
    def seconds_left(self) -> float:
        """Seconds until the call has to be over, by its own deadline or that of its run; not above 0 behind it."""
        left = self.retries.deadline - self.seconds
        of_run = None if self.scope is None else self.scope.seconds_left
        return left if of_run is None else min(left, of_run)

    def run(self) -> Program[R]:
        """A response of success, or the failure that no further attempt follows, with its body still to be read.

        Raises the exception of the last attempt, and `RunStopped` where the run stops between two.
        """
        if self.budget is not None:
            self.budget.count_call(self.provider)
        while True:
            self.made += 1
            try:
                response = yield from self.transport.send(self.made)
            except Exception as error:
                if self.passage is not None:
                    self.passage.raised(error)
                delay = self._next_delay(None) if is_retryable_error(error) else None
                if delay is None:
                    self.explain(error)
                    raise
                self._before = f"attempt {self.made} of {self.name} had failed: {error!r}"
                logger.info("attempt %d of %s failed: %r", self.made, self.name, error)
            else:
                head = self.transport.head(response)
                if self.passage is not None:
                    self.passage.answered(head, is_stream=self.is_stream)
                if head.is_success or not is_retryable_answer(head.status, head.headers):
                    return response
                delay = self._next_delay(retry_after(head.headers, time.time()))
                if delay is None:
                    return response
                self._before = f"attempt {self.made} of {self.name} was answered with {head.status}"
                logger.info("attempt %d of %s was answered with %d", self.made, self.name, head.status)
                yield from self.transport.close(response)
                if self.passage is not None:
                    self.passage.refused(head)
            yield Sleep(delay, time.sleep if self.scope is None else self.scope.pause)
            if self.scope is not None:
                self.scope.check()

    def explain(self, error: Exception) -> None:
        """Note on the error of the last attempt, or of reading its answer, why it ended or why none followed."""
        if not self.note and self.seconds_left <= 0:
            self._give_up(f"the deadline of {self._limit} passed")
        if self._before and isinstance(error, SurefootError):
            # It says why there is no further attempt, and not what became of those that were.
            error.add_note(self._before)
        if self.note:
            error.add_note(self.note)

    def _next_delay(self, asked: float | None) -> float | None:
        """Seconds until the next attempt, which is taken out of the budget; None if there is to be none."""
        seconds, left = self.seconds, self.seconds_left
        bounded = replace(self.retries, deadline=seconds + left)
        delay = next_delay(bounded, self.made, asked, elapsed=seconds)
        if delay is None:
            if self.made <= self.retries.count:
                what = "the next attempt"
                if asked is not None and asked > left:
                    what = f"the server asks to wait for {asked:,.0f} s, which"
                self._give_up(f"{what} would be later than the deadline of {self._limit}")
        elif self.budget is not None and not self.budget.take(self.provider):
            self._give_up(
                f"the retries of {self.provider} are used up: over the last minute they were more than "
                f"{self.budget.reserve} and {self.budget.share:.0%} of its calls ([models] retry_reserve, retry_share)"
            )
            return None
        return delay

    @property
    def _limit(self) -> str:
        """The deadline that comes first, as messages call it."""
        of_run = None if self.scope is None else self.scope.seconds_left
        if of_run is None or self.retries.deadline - self.seconds <= of_run:
            return f"the call ({self.retries.deadline:g} s, [models] deadline)"
        return "its run"

    def _give_up(self, reason: str) -> None:
        tried = "1 attempt" if self.made == 1 else f"{self.made} attempts"
        self.note = f"no further attempt after {tried} in {self.seconds:.1f} s: {reason}"
        logger.warning("%s: %s", self.name, self.note)


def is_stopped(here: Scope) -> bool:
    """Whether the run that is open here goes on no further."""
    try:
        here.check()
    except SurefootError:
        return True
    return False
