"""One breaker for calls from any thread or task: the state machine under a lock, and what is said of its changes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from surefoot import scope
from surefoot.errors import BreakerOpen
from surefoot.limits.breakers.circuit import Circuit
from surefoot.limits.breakers.phases import Change, Closed, HalfOpen, Open, Phase, Refusal, State
from surefoot.limits.breakers.rules import Counts
from surefoot.limits.breakers.trials import Probe, Trial
from surefoot.locks import ForkSafeLock

logger = scope.logger("surefoot.limits")

Listener = Callable[[Change], None]
Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Reading:
    """A breaker at one moment: what is in its window while it is closed, else why it opened.

    `since` is when (seconds since the Unix epoch), `retry_after` the seconds until it is tried, `failures` how many
    trials failed since. `is_shared`: its state is that of all processes, by Redis.
    """

    breaker: str
    state: State
    counts: Counts = Counts(0, 0, 0)
    why: str = ""
    since: float = 0.0
    retry_after: float = 0.0
    failures: int = 0
    is_shared: bool = False


class Breaker:
    """One breaker. `section` is the one of the settings that it goes by, as messages call it."""

    def __init__(
        self,
        circuit: Circuit,
        section: str,
        *,
        clock: Clock = time.monotonic,
        listeners: list[Listener] | None = None,
        rouse: Callable[[], None] = lambda: None,
    ) -> None:
        """`rouse` is called where Redis has something to hear now. `listeners` is read at each change."""
        self.circuit = circuit
        self.section = section
        self.clock = clock
        self.rouse = rouse
        self.lock = ForkSafeLock()
        self.given_back: deque[tuple[Phase, str]] = deque()
        """Permits of probes that were dropped."""
        self._listeners = [] if listeners is None else listeners

    @property
    def name(self) -> str:
        return self.circuit.name

    def enter(self) -> Trial:
        """Let a call through. Raises `BreakerOpen`."""
        phase = self.circuit.phase
        if isinstance(phase, Closed):
            # What every call pays: no lock, as it is one reading of one attribute.
            return Trial(self, phase, self.clock())
        now = self.clock()
        with self.lock:
            self.take_back(now)
            found = self.circuit.probe(now)
        if isinstance(found, Refusal):
            if found.phase.era:
                self.rouse()
            raise self._refused(found)
        phase, token = found
        return Probe(self, phase, now, token) if token else Trial(self, phase, now)

    def take_back(self, now: float) -> None:
        """Give the permits of dropped probes to others. Called under the lock."""
        while self.given_back:
            with suppress(IndexError):
                phase, token = self.given_back.popleft()
                self.circuit.ended(phase, token, "dropped", 0.0, now)

    def reading(self) -> Reading:
        """How it stands now."""
        now = self.clock()
        with self.lock:
            phase = self.circuit.phase
            if isinstance(phase, Closed):
                return Reading(self.name, phase.state, phase.window.counts(now))
            opening = phase.opening
            return Reading(
                self.name,
                phase.state,
                why=opening.why,
                since=opening.since,
                retry_after=max(0.0, phase.until - now) if isinstance(phase, Open) else 0.0,
                failures=opening.failures,
                is_shared=bool(phase.era),
            )

    def tell(self, change: Change) -> None:
        """Log a change, and show it to whoever listens. Called without the lock."""
        self.rouse()
        where = "in all processes" if change.is_shared else ""
        if change.state == "open":
            tried = f", and {_times(change.failures)} to try it again failed" if change.failures else ""
            logger.warning(
                "breaker %r is open%s: %s%s; it is tried again in %.1f s (%s)",
                *(change.breaker, where and f" {where}", change.why, tried, change.retry_after, self.section),
            )
        else:
            logger.info(
                "breaker %r is closed again%s; it was open since %s",
                *(change.breaker, where and f" {where}", _clock_time(change.since)),
            )
        for listener in tuple(self._listeners):
            try:
                listener(change)
            except Exception:
                logger.exception("a listener to breaker %r failed", change.breaker)

    def _refused(self, refusal: Refusal) -> BreakerOpen:
        phase, rules = refusal.phase, self.circuit.rules
        opening = phase.opening
        said = f"breaker {self.name!r} is open since {_clock_time(opening.since)}: {opening.why}"
        if opening.failures:
            said += f", and {_times(opening.failures)} to try it again failed"
        if isinstance(phase, HalfOpen):
            setting = f"probes = {rules.probes}"
            then = "It is being tried now by as many calls as may"
        else:
            setting = "cooldown"
            then = f"It is tried again in {refusal.seconds:.1f} s"
        return BreakerOpen(
            f"{said}. {then}; this call was not made ({self.section} {setting})",
            breaker=self.name,
            retry_after=refusal.seconds,
        )


def _times(count: int) -> str:
    return "1 attempt" if count == 1 else f"{count} attempts"


def _clock_time(wall: float) -> str:
    return f"{datetime.fromtimestamp(wall, UTC):%H:%M:%S} UTC"
