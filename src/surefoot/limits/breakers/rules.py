"""When a breaker opens and for how long, decided from numbers alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple


class Counts(NamedTuple):
    """Calls in a window of time, and how many of them failed and were slow. A failed one may be slow too."""

    calls: int
    failed: int
    slow: int


@dataclass(frozen=True, slots=True)
class Rules:
    """How one breaker is set. Times are seconds, rates are shares of the calls in the window.

    It opens once there were `minimum` calls in the window of which `error_rate` failed or `slow_rate` took
    `slow_seconds` or longer. It is tried again after `cooldown`, twice as long after each time that fails and never
    longer than `cooldown_cap`, by `probes` calls, as many of which have to succeed for it to close. One that has said
    nothing after `lease` does not keep others from trying.
    """

    error_rate: float = 0.5
    slow_rate: float = 1.0
    slow_seconds: float | None = None
    window: float = 30.0
    minimum: int = 10
    cooldown: float = 5.0
    cooldown_cap: float = 120.0
    probes: int = 1
    lease: float = 60.0

    def is_slow(self, seconds: float) -> bool:
        """Whether a call that took so long was slow."""
        return self.slow_seconds is not None and seconds >= self.slow_seconds

    def reason(self, counts: Counts) -> str | None:
        """Why these counts open it, in words; None if they do not."""
        calls, failed, slow = counts
        if calls < self.minimum:
            return None
        if failed >= self.error_rate * calls:
            return f"{failed} of {calls} calls failed in {self.window:g} s"
        if self.slow_seconds is not None and slow >= self.slow_rate * calls:
            return f"{slow} of {calls} calls took {self.slow_seconds:g} s or longer in {self.window:g} s"
        return None

    def is_too_slow(self, slow: int, succeeded: int) -> bool:
        """Whether so many slow ones among the probes that succeeded keep it open."""
        return self.slow_seconds is not None and slow >= self.slow_rate * succeeded

    def rest(self, failures: int, chance: float) -> float:
        """Seconds until it is tried, after so many trials in a row that failed: between 80 and 100 % of what is set.

        `chance` is between 0 and 1, at random, so that what opened together is not tried together.
        """
        # Beyond any cap, and short of what a float can hold.
        doubled = math.ldexp(self.cooldown, min(failures, 64))
        return min(self.cooldown_cap, doubled) * (0.8 + 0.2 * chance)
