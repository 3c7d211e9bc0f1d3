"""When a failed step is tried again."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

Backoff = Callable[[int], float]
"""Seconds to wait after the given number of failures (1, 2, ...)."""


def exponential(base: float = 0.2, cap: float = 30.0) -> Backoff:
    """Full jitter: uniform between 0 and `min(cap, base * 2 ** failures)` seconds.

    Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """
    return lambda failures: random.uniform(0.0, min(cap, base * 2.0**failures))


@dataclass(frozen=True, slots=True)
class Retry:
    """Up to `times` further attempts after a failure that is one of `on`."""

    times: int = 0
    backoff: Backoff = exponential()
    on: tuple[type[Exception], ...] = (Exception,)

    def next_delay(self, error: BaseException, failures: int) -> float | None:
        """Seconds until the next attempt after this many failures; None if there is to be none."""
        if failures > self.times or not isinstance(error, self.on):
            return None
        return max(0.0, self.backoff(failures))
