"""Calls over a sliding window of time, in a bounded number of buckets."""

from __future__ import annotations

from surefoot.limits.breakers.rules import Counts

BUCKETS = 10


class Window:
    """Counts over the last so many seconds, forgotten by a tenth at a time. It is told the time.

    What is not of this moment's bucket is added up once for each bucket, so that counting costs the same at any length.
    """

    __slots__ = ("_buckets", "_calls", "_failed", "_past", "_slot", "_slow", "_width")

    def __init__(self, seconds: float) -> None:
        self._width = seconds / BUCKETS
        self._slot = 0
        self._buckets: dict[int, Counts] = {}
        self._past = Counts(0, 0, 0)
        self._calls = self._failed = self._slow = 0

    def count(self, now: float, *, is_failed: bool, is_slow: bool) -> Counts:
        """Count a call that ended at this moment (seconds); what is in the window then."""
        if int(now / self._width) > self._slot:
            self._turn(int(now / self._width))
        self._calls += 1
        self._failed += is_failed
        self._slow += is_slow
        past = self._past
        return Counts(past[0] + self._calls, past[1] + self._failed, past[2] + self._slow)

    def counts(self, now: float) -> Counts:
        """What is in the window at this moment."""
        if int(now / self._width) > self._slot:
            self._turn(int(now / self._width))
        past = self._past
        return Counts(past[0] + self._calls, past[1] + self._failed, past[2] + self._slow)

    def _turn(self, slot: int) -> None:
        """Begin another bucket, and forget those that have become too old."""
        self._buckets[self._slot] = Counts(self._calls, self._failed, self._slow)
        kept = {old: counts for old, counts in self._buckets.items() if old > slot - BUCKETS}
        self._buckets = kept
        self._past = Counts(*(sum(column) for column in zip(*kept.values(), strict=True))) if kept else _NONE
        self._calls = self._failed = self._slow = 0
        self._slot = slot


_NONE = Counts(0, 0, 0)
