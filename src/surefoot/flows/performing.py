"""Doing claimed work: from the record, or attempt by attempt."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, cast

from surefoot.errors import (
    BreakerOpen,
    Diverged,
    Fenced,
    InDoubt,
    LedgerError,
    NotData,
    RunEnded,
    RunStopped,
    StepTimeout,
)
from surefoot.flows.breaking import entered, tried
from surefoot.flows.claims import StepClaim
from surefoot.flows.concluding import Conclusion
from surefoot.flows.doubts import settle
from surefoot.flows.drive import Body, Durable, Logic, Pause, Timed
from surefoot.flows.retry import Retry
from surefoot.flows.running import Here, inside_of
from surefoot.flows.stopping import stems_from_stop
from surefoot.flows.timing import Overran
from surefoot.limits import Trial
from surefoot.scope import Ending, Recorded
from surefoot.values import Done

_POISON = (Diverged, Fenced, InDoubt, LedgerError)
"""Errors after which the whole run begins nothing more in this process."""

NO_OUTCOME = (*_POISON, RunEnded, RunStopped)
"""Errors that say that this process must not go on: no outcome of the step, and never retried."""


@dataclass(slots=True)
class Plan:
    """What a claim is for: one call, bound to its arguments, and what there is to know of doing it.

    Where no attempt is left, `fallback` takes the body's place for one more, whose result is marked degraded. None is
    made while the `breaker` of that name is open.
    The start of an effect is recorded too; `check` tells by the idempotency key whether it was done, and `stand_in`
    gives its result in a run that suppresses effects. `timeout` bounds each attempt (seconds).
    """

    body: Callable[[], Any]
    retry: Retry = Retry()
    fallback: Callable[[], Any] | None = None
    breaker: str | None = None
    timeout: float | None = None
    is_effect: bool = False
    is_transaction: bool = False
    check: Callable[[str], Any] | None = None
    stand_in: Callable[[], Any] | None = None
    is_async: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether there is nothing more to an attempt than to run the body."""
        return self.timeout is None and self.breaker is None and not self.is_effect


def outcome_of(recorded: Recorded) -> Any:
    """The recorded result; raises the recorded exception."""
    if recorded.error is not None:
        raise recorded.error
    return recorded.output


def perform(claim: StepClaim, plan: Plan) -> Logic[Any]:
    """The recorded result or exception of a claim, else those of its body, recorded before the flow goes on."""
    if claim.recorded is not None:
        return outcome_of(claim.recorded)
    with abandoning(claim):
        if claim.is_in_doubt:
            done = yield from settle(claim, plan.check)
            if done is not None:
                return (yield from _adopt(claim, done))
            yield from _undone(claim)
        elif (plan.is_effect or plan.is_transaction) and claim.run.suppresses_effects:
            return (yield from _suppress(claim, plan))
        if claim.retry_at_ns is not None:
            yield Pause(max(0.0, (claim.retry_at_ns - time.time_ns()) / 1e9), claim.brake)
        return (yield from _Course(claim, plan).run())


class abandoning:  # noqa: N801  (it is used as `contextlib.suppress` is, without the cost of a generator)
    """Give a claim up where what is inside ends in no outcome; after some of that the run begins nothing more."""

    __slots__ = ("_claim",)

    def __init__(self, claim: StepClaim) -> None:
        self._claim = claim

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or (isinstance(error, Exception) and not isinstance(error, NO_OUTCOME)):
            return
        if isinstance(error, _POISON):
            self._claim.run.poisoned(error)
        self._claim.abandon()


class _Course:
    """The attempts at one claim, one after the other, until one succeeds or none is left."""

    def __init__(self, claim: StepClaim, plan: Plan) -> None:
        self._claim = claim
        self._plan = plan
        self._body = plan.body
        # The failure that the fallback answers, once it has come to that.
        self._cause: Exception | None = None
        self._overrun: Overran | None = None
        # That of the attempt under way, where the step has a breaker.
        self._trial: Trial | None = None
        # The refusal of the breaker, behind which there are no more attempts.
        self._refusal: BreakerOpen | None = None

    def run(self) -> Logic[Any]:
        claim = self._claim
        while True:
            claim.brake.check()
            inside, self._overrun = inside_of(claim, is_async=self._plan.is_async), None
            try:
                if self._plan.is_plain:
                    with inside:
                        result = yield Body(self._body)
                else:
                    result = yield from self._guarded(inside)
                if isinstance(result, Conclusion):
                    return (yield from result.perform(claim, inside.prompt))
                ending = Ending("completed", result, is_degraded=self._cause is not None)
                ticket = claim.finish(ending, prompt=inside.prompt)
            except NO_OUTCOME:
                raise
            except Exception as error:
                self._check_going(error)
                delay = yield from self._next_delay(error)
                retry_at = None if delay is None else time.time_ns() + round(delay * 1e9)
                failed = Ending("failed", cause=error)
                yield Durable(claim.finish(failed, retry_at_ns=retry_at, prompt=inside.prompt))
                if delay is None:
                    raise
            else:
                yield Durable(ticket)
                return result
            if delay > 0:
                yield Pause(delay, claim.brake)
            claim.begin_next_attempt()

    def _guarded(self, inside: Here) -> Logic[Any]:
        """One attempt, if the breaker of the step lets it through."""
        breaker = self._plan.breaker
        if breaker is None or self._cause is not None:
            return (yield from self._attempt(inside))
        try:
            self._trial = entered(breaker)
        except BreakerOpen as refusal:
            self._refusal = refusal
            raise
        with tried(self._trial):
            return (yield from self._attempt(inside))

    def _attempt(self, inside: Here) -> Logic[Any]:
        """One attempt: the body's result. The start of an effect is durable before its body runs."""
        claim, plan = self._claim, self._plan
        is_effect = plan.is_effect and self._cause is None
        if is_effect:
            yield Durable(claim.intend())
        if plan.timeout is None:
            with inside:
                return (yield Body(self._body))
        try:
            return (yield Timed(self._body, inside, plan.timeout))
        except Overran as late:
            self._overrun = late
            error = _given_up(claim, plan, inside)
            if self._trial is not None:
                self._trial.failed()
            if is_effect and (done := (yield from self._settle_late(late))) is not None:
                return done.result
            raise error from late.__cause__
        except Exception:
            raise
        except BaseException:
            # The attempt's thread cannot be interrupted with the one that waits for it.
            inside.refuse(StepTimeout(f"step {claim.name!r} was interrupted"))
            raise

    def _settle_late(self, overrun: Overran) -> Logic[Done | None]:
        """Whether an effect that was given up was done. Nobody can say of one that still runs."""
        check = self._plan.check
        is_over = check is not None and (yield from self._comes_to_rest(overrun))
        return (yield from settle(self._claim, check if is_over else None))

    def _comes_to_rest(self, overrun: Overran) -> Logic[bool]:
        """Whether nothing of an attempt that was given up runs any more, which may take it as long again."""
        if overrun.is_at_rest:
            return True
        return bool((yield Body(lambda: overrun.has_ended(within=self._plan.timeout or 0.0))))

    def _check_going(self, error: Exception) -> None:
        """Raise what stops the run: a failure that comes of it is no outcome of the step."""
        if stems_from_stop(error):
            self._claim.brake.check()
        if (poison := self._claim.run.stopped_by) is not None:
            raise poison from error

    def _next_delay(self, error: Exception) -> Logic[float | None]:
        """Seconds until the next attempt, which may be the fallback's; None where this failure is the last."""
        plan = self._plan
        if self._cause is not None:
            error.__cause__ = error.__cause__ or self._cause
            return None
        if isinstance(error, NotData):
            # A result that is no data will be none the next time; its body has run, so it is not run again.
            return None
        is_refused = error is self._refusal
        delay = None if is_refused else plan.retry.next_delay(error, self._claim.attempt)
        late = self._overrun
        if delay is not None and late is not None and not (yield from self._comes_to_rest(late)):
            delay = None
        is_answered = is_refused or isinstance(error, plan.retry.on)
        if delay is None and plan.fallback is not None and is_answered:
            self._body, self._cause, delay = plan.fallback, error, 0.0
        return delay


def _given_up(claim: StepClaim, plan: Plan, inside: Here) -> StepTimeout:
    """The failure of an attempt that was not through in time, of which nothing more is recorded from here on."""
    error = StepTimeout(
        f"run {claim.run.id}: attempt {claim.attempt} of step {claim.name!r} took longer than its timeout of "
        f"{plan.timeout:g} s: give it more time, or retries="
    )
    inside.refuse(error)
    return error


def _adopt(claim: StepClaim, done: Done) -> Logic[Any]:
    """Record the result of an effect that turned out to be done."""
    yield Durable(claim.finish(Ending("completed", done.result)))
    return done.result


def _undone(claim: StepClaim) -> Logic[None]:
    """Record that an attempt at an effect came to nothing, and go on to the next."""
    yield Durable(claim.finish(Ending("cancelled"), retry_at_ns=time.time_ns()))
    claim.begin_next_attempt()


def _suppress(claim: StepClaim, plan: Plan) -> Logic[Any]:
    """Record what stands in for an effect that is not meant to happen in this run.

    In a fork that is what the origin has recorded of it, where it was done with these inputs.
    """
    twin = claim.twin
    if twin is not None and twin.is_done:
        claim.replay(twin.outcome)
        recorded = cast("Recorded", claim.recorded)
        is_failed = recorded.error is not None
        ending = (
            Ending("failed", cause=recorded.error) if is_failed else Ending("suppressed", recorded.output)
        )
        yield Durable(claim.finish(ending))
        return outcome_of(recorded)
    give = plan.stand_in or plan.fallback
    result = None if give is None else (yield Body(give))
    yield Durable(claim.finish(Ending("suppressed", result)))
    return result
