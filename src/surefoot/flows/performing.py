"""Doing claimed work: from the record, or attempt by attempt."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from surefoot.errors import Diverged, Fenced, LedgerError, NotData, RunEnded
from surefoot.flows.drive import Body, Durable, Logic, Pause
from surefoot.flows.retry import Retry
from surefoot.flows.running import StepClaim
from surefoot.scope import Ending

_NO_OUTCOME = (Diverged, Fenced, LedgerError, RunEnded)
"""Errors that say that this process must not go on: no outcome of the step, and never retried."""


def perform(
    claim: StepClaim, body: Callable[[], Any], retry: Retry, fallback: Callable[[], Any] | None = None
) -> Logic[Any]:
    """The recorded result or exception of a claim, else those of its body, recorded before the flow goes on.

    Where no attempt is left, `fallback` takes the body's place for one more, whose result is marked degraded.
    """
    if (recorded := claim.recorded) is not None:
        if recorded.error is not None:
            raise recorded.error
        return recorded.output
    if claim.retry_at_ns is not None:
        yield Pause(max(0.0, (claim.retry_at_ns - time.time_ns()) / 1e9))
    try:
        return (yield from _attempts(claim, body, retry, fallback))
    except _NO_OUTCOME:
        claim.abandon()
        raise
    except Exception:
        raise
    except BaseException:
        claim.abandon()
        raise


def _attempts(
    claim: StepClaim, body: Callable[[], Any], retry: Retry, fallback: Callable[[], Any] | None
) -> Logic[Any]:
    """One attempt after the other, until one succeeds or none is left."""
    cause: Exception | None = None
    while True:
        inside = claim.inside()
        try:
            with inside:
                result = yield Body(body)
            ending = Ending("completed", result, is_degraded=cause is not None)
            ticket = claim.finish(ending, prompt=inside.prompt)
        except _NO_OUTCOME:
            raise
        except Exception as error:
            if cause is not None and error.__cause__ is None:
                error.__cause__ = cause
            # A result that is no data will be none the next time; its body has run, so it is not run again.
            is_final = cause is not None or isinstance(error, NotData)
            delay = None if is_final else retry.next_delay(error, claim.attempt)
            if delay is None and fallback is not None and not is_final and isinstance(error, retry.on):
                body, cause, delay = fallback, error, 0.0
            retry_at = None if delay is None else time.time_ns() + round(delay * 1e9)
            failed = Ending("failed", cause=error)
            yield Durable(claim.finish(failed, retry_at_ns=retry_at, prompt=inside.prompt))
            if delay is None:
                raise
        else:
            yield Durable(ticket)
            return result
        if delay > 0:
            yield Pause(delay)
        claim.begin_next_attempt()
