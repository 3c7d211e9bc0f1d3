"""Calls that a breaker has let through, and what their ends say about what was called."""

from __future__ import annotations

from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self

from surefoot.errors import (
    BudgetExceeded,
    ContextOverflow,
    Diverged,
    Fenced,
    InDoubt,
    LedgerError,
    RunEnded,
    RunStopped,
    StepTimeout,
    Throttled,
    TransactionInDoubt,
    UsageError,
)
from surefoot.limits.breakers.phases import Phase, Verdict

if TYPE_CHECKING:
    from surefoot.limits.breakers.breaker import Breaker

_OWN = (
    *(UsageError, RunStopped, RunEnded, BudgetExceeded, Throttled, ContextOverflow),
    *(Diverged, Fenced, InDoubt, LedgerError),
)
_NOT_OWN = (StepTimeout, TransactionInDoubt)


def is_failure(error: BaseException) -> bool:
    """Whether an exception says that what was called has failed.

    Not where code or settings have to change, a limit or the ledger of this project refused, or the run was stopped
    or cancelled: then nothing was learned about what was called.
    """
    if isinstance(error, _NOT_OWN):
        return True
    return isinstance(error, Exception) and not isinstance(error, _OWN)


class Trial:
    """One call that was let through; it takes from then until the first word on it.

    `with` says the word by how the block ends. Words may come from any thread.
    """

    __slots__ = ("_answered", "_breaker", "_is_over", "_permit", "_phase", "_started")

    def __init__(self, breaker: Breaker, phase: Phase, started: float, permit: str = "") -> None:
        self._breaker = breaker
        self._phase = phase
        self._started = started
        self._permit = permit
        self._answered: float | None = None
        self._is_over = False

    def answered(self) -> None:
        """It has begun to answer, with a stream: how long that takes is no matter of its health. No word yet."""
        if self._answered is None:
            self._answered = self._breaker.clock()

    def succeeded(self) -> None:
        """What was called did its part."""
        self._end("succeeded")

    def failed(self) -> None:
        """It did not."""
        self._end("failed")

    def dropped(self) -> None:
        """Nothing was learned about it."""
        self._is_over = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.succeeded()
        elif is_failure(error):
            self.failed()
        else:
            self.dropped()

    def _end(self, verdict: Verdict) -> None:
        breaker = self._breaker
        now = breaker.clock()
        with breaker.lock:
            if self._is_over:
                return
            self._is_over = True
            ended = now if self._answered is None else self._answered
            change = breaker.circuit.ended(self._phase, self._permit, verdict, ended - self._started, now)
        if change is not None:
            breaker.tell(change)


class Probe(Trial):
    """One call that has a permit while its breaker is half-open. Nobody has to give it back: it gives itself back."""

    __slots__ = ()

    def succeeded(self) -> None:
        """What was called did its part."""
        super().succeeded()
        self._breaker.rouse()

    def failed(self) -> None:
        """It did not."""
        super().failed()
        self._breaker.rouse()

    def dropped(self) -> None:
        """Nothing was learned about it, and another call may try it."""
        with self._breaker.lock:
            if self._is_over:
                return
            self._is_over = True
        # The garbage collector may come in the midst of what the lock guards: the next call takes the permit back.
        self._breaker.given_back.append((self._phase, self._permit))
        self._breaker.rouse()

    def __del__(self) -> None:
        # At the end of the interpreter there may be nothing left to give it back to.
        with suppress(Exception):
            self.dropped()
