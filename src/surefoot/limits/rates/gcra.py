"""The generic cell rate algorithm, which is all that a rate of requests or tokens needs: one time and no timer."""

from __future__ import annotations


class Gcra:
    """A rate, by the time at which all that was taken will have drained away.

    The virtual scheduling form of the generic cell rate algorithm (ITU-T I.371, annex A; ATM Forum Traffic Management
    4.1, section 4.4.2), with weights. `interval` is how many seconds one unit takes, `burst` how many units may be
    taken at once. From any moment t to t + s no more than burst + s / interval units are taken, but for one that is
    larger than the burst: it waits until everything has drained, and then stands for the burst itself.
    """

    __slots__ = ("burst", "drained_at", "interval")

    def __init__(self, per_minute: float, share: float) -> None:
        self.interval = 60.0 / per_minute
        self.burst = max(1.0, per_minute * share)
        self.drained_at = float("-inf")

    def wait(self, now: float, weight: float, parts: int = 1) -> float:
        """Seconds until so much may be taken, 0 or less if it may now; of one in `parts` equal parts of the rate."""
        if parts == 1:
            spare = self.burst - weight
            return self.drained_at - now - (spare * self.interval if spare > 0 else 0.0)
        spare = max(1.0, self.burst / parts) - weight
        return self.drained_at - now - max(0.0, spare) * self.interval * parts

    def take(self, now: float, weight: float, parts: int = 1) -> float:
        """Take it, for the time at which it will have drained away."""
        drained_at = self.drained_at
        self.drained_at = (max(now, drained_at)) + weight * self.interval * parts
        return self.drained_at

    def give_back(self, now: float, weight: float, until: float, parts: int = 1) -> None:
        """Correct what was taken; `weight` is how much less it was, or more if negative.

        `until` is what `take` gave: what has drained since was there for nobody, and is not given a second time.
        """
        seconds = weight * self.interval * parts
        if seconds < 0:
            self.drained_at = max(self.drained_at, now) - seconds
        elif until > now:
            self.drained_at -= min(seconds, until - now)

    def empty(self, now: float, parts: int = 1) -> None:
        """Let nothing be taken at once, as behind a full burst."""
        burst = max(1.0, self.burst / parts)
        self.drained_at = max(self.drained_at, now + burst * self.interval * parts)
