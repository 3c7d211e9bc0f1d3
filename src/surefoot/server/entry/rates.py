"""How often somebody may ask, each by himself, in a bounded memory."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from surefoot.limits.rates.gcra import Gcra
from surefoot.locks import ForkSafeLock

_MOST_KNOWN = 10_000


@dataclass(frozen=True, slots=True)
class Turn:
    """What came of asking: `wait` is how many seconds to wait, 0 where it may be done now."""

    wait: float
    limit: float
    remaining: int
    reset: float
    until: float = 0.0

    def headers(self) -> Mapping[str, str]:
        """What the answer says of it; times in seconds."""
        said = {
            "ratelimit-limit": f"{self.limit:.0f}",
            "ratelimit-remaining": str(self.remaining),
            "ratelimit-reset": str(math.ceil(self.reset)),
        }
        return said if self.wait <= 0 else {**said, "retry-after": str(max(1, math.ceil(self.wait)))}


class Pace(Protocol):
    """How often each of many may ask."""

    @property
    def blocks(self) -> bool:
        """Whether asking takes so long that it is done in a thread."""
        ...

    def take(self, name: str) -> Turn:
        """Take one for somebody, where one is left. Safe to call from any thread; may block."""
        ...


class Bounding(Pace, Protocol):
    """A rate for each name, of which what was taken can be given back."""

    def give_back(self, name: str, turn: Turn) -> None:
        """Give back what `take` gave, as if it had not been asked for."""
        ...


Rating: TypeAlias = Callable[[str, float, float], Bounding]
"""Makes rates: what they are of, as `requests`; how many a minute; and the part of these that may come at once."""


def taken(rate: Gcra, now: float, limit: float) -> Turn:
    """What comes of taking one of a rate, of `limit` a minute."""
    wait = max(0.0, rate.wait(now, 1))
    until = rate.take(now, 1) if wait <= 0 else 0.0
    fills_in = max(0.0, rate.drained_at - now)
    spare = math.floor(rate.burst - fills_in / rate.interval + 1e-9)
    return Turn(wait, limit, max(0, spare), fills_in, until)


def returned(rate: Gcra, now: float, turn: Turn) -> None:
    """Give back what `taken` gave."""
    if turn.wait <= 0:
        rate.give_back(now, 1, turn.until)


class Rates:
    """A rate for each name. Safe to use from any thread; the names that were silent longest are forgotten first.

    One that is forgotten begins anew, so that a flood of names gives each of them no more than it would have had.
    """

    blocks = False

    def __init__(
        self,
        per_minute: float,
        *,
        share: float,
        most: int = _MOST_KNOWN,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """share: the part of a minute's number that may come at once."""
        self._per_minute = per_minute
        self._share = share
        self._most = most
        self._clock = clock
        self._lock = ForkSafeLock()
        self._known: OrderedDict[str, Gcra] = OrderedDict()

    def take(self, name: str) -> Turn:
        """Take one, where one is left."""
        now = self._clock()
        with self._lock:
            rate = self._known.get(name)
            if rate is None:
                rate = self._known[name] = Gcra(self._per_minute, self._share)
                if len(self._known) > self._most:
                    self._known.popitem(last=False)
            self._known.move_to_end(name)
            return taken(rate, now, self._per_minute)

    def give_back(self, name: str, turn: Turn) -> None:
        """Give back what `take` gave, as if it had not been asked for."""
        with self._lock:
            if (rate := self._known.get(name)) is not None:
                returned(rate, self._clock(), turn)

    def __len__(self) -> int:
        return len(self._known)
