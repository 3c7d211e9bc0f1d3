"""The circuit breaker of a step: asked before each attempt at its body, told how that went."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from surefoot.flows.host import host
from surefoot.flows.stopping import stems_from_stop
from surefoot.limits import Trial, is_failure


def entered(breaker: str) -> Trial:
    """Let an attempt through. Raises `BreakerOpen`."""
    return host().breakers.enter(breaker)


@contextmanager
def tried(trial: Trial) -> Generator[None]:
    """While the block lasts an attempt is made; how it ends is the word on it, unless one was said before."""
    try:
        yield
    except BaseException as error:
        judge(trial, error)
        raise
    trial.succeeded()


def judge(trial: Trial, error: BaseException) -> None:
    """Say by an exception how an attempt went. What comes of the end of the run says nothing of what was called."""
    if is_failure(error) and not stems_from_stop(error):
        trial.failed()
    else:
        trial.dropped()
