"""A share of the calls that may be made again, so that an outage is not answered with a multiple of the load.

Retries help where few calls fail. Where most of them fail they are the load that keeps a provider down, and money
spent on waiting. So all calls of a process to one provider share a budget of retries, as Finagle's clients do.

Source: the "retry budget" of Twitter's Finagle (`RetryBudget`, 2015), and "Addressing Cascading Failures" in
B. Beyer et al., Site Reliability Engineering, O'Reilly, 2016.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from surefoot.locks import ForkSafeLock

WINDOW = 60
"""Seconds over which calls and retries are counted."""

_SLOTS = 10
_SLOT_SECONDS = WINDOW / _SLOTS
_MOST = 256


class Tally:
    """Calls and retries of the last `WINDOW` seconds, in slots of a tenth of it. It is told the time."""

    __slots__ = ("_calls", "_newest", "_retries")

    def __init__(self) -> None:
        self._calls = [0] * _SLOTS
        self._retries = [0] * _SLOTS
        self._newest = 0

    def count_call(self, now: float) -> None:
        """A call begins: its first attempt. `now` is in seconds of a clock that nobody sets back."""
        self._calls[self._slot(now)] += 1

    def take(self, now: float, *, share: float, reserve: int) -> bool:
        """Whether one more retry is within `reserve` plus `share` of the calls; if so, it is counted."""
        slot = self._slot(now)
        if sum(self._retries) + 1 > reserve + share * sum(self._calls):
            return False
        self._retries[slot] += 1
        return True

    def _slot(self, now: float) -> int:
        """The slot of this moment, after those that have become too old were emptied."""
        newest = int(now / _SLOT_SECONDS)
        for slot in range(max(self._newest + 1, newest - _SLOTS + 1), newest + 1):
            self._calls[slot % _SLOTS] = self._retries[slot % _SLOTS] = 0
        self._newest = max(self._newest, newest)
        return self._newest % _SLOTS


class RetryBudget:
    """The retries that a process has for each provider: `reserve`, and `share` of the calls of the last minute."""

    def __init__(
        self, share: float = 0.2, reserve: int = 10, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.share = share
        self.reserve = reserve
        self._clock = clock
        self._tallies: dict[str, Tally] = {}
        self._lock = ForkSafeLock()

    def count_call(self, provider: str) -> None:
        """A call to a provider begins. `provider` is whatever fails as a whole: a provider at one host."""
        with self._lock:
            self._tally(provider).count_call(self._clock())

    def take(self, provider: str) -> bool:
        """Take one retry; False if there is none left now."""
        with self._lock:
            return self._tally(provider).take(self._clock(), share=self.share, reserve=self.reserve)

    def _tally(self, provider: str) -> Tally:
        known = self._tallies.get(provider)
        if known is None:
            # Whoever calls ever new hosts must not fill the memory: the one that came first goes.
            while len(self._tallies) >= _MOST:
                del self._tallies[next(iter(self._tallies))]
            known = self._tallies[provider] = Tally()
        return known
