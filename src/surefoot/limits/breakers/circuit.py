"""The state machine of a breaker: told the time, without locks and without I/O."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from surefoot.limits.breakers.phases import (
    Change,
    Closed,
    Grant,
    HalfOpen,
    Open,
    Opening,
    Phase,
    Refusal,
    State,
    Verdict,
)
from surefoot.limits.breakers.rules import Counts, Rules
from surefoot.limits.breakers.window import Window

HOLD_SECONDS = 2.0
"""For how long a process keeps a permit of Redis that it does not use, before others may have it."""
SOON = 0.5
"""After how many seconds to ask again where a permit of Redis is on its way."""
PATIENCE = 5.0
"""For how many seconds beyond its cooldown one that opened by itself waits to hear of the others, where Redis is not
known to be down: else each process would try what all have found to be down."""
_MOST_REPORTS = 1_000


class Report(NamedTuple):
    """What became of a permit of Redis. One that Redis does not know, or not any more, changes nothing."""

    token: str
    verdict: Verdict
    is_slow: bool = False


@dataclass(slots=True)
class Outbox:
    """What Redis has not been told yet: calls of this process, and what became of permits.

    `demand` is how many permits are wanted; it stays until the breaker closes, so that whoever comes next finds one.
    """

    counts: Counts = Counts(0, 0, 0)
    reports: list[Report] = field(default_factory=list[Report])
    demand: int = 0


@dataclass(frozen=True, slots=True)
class Shared:
    """What Redis says of a breaker. `seconds` is how long it stays open, `grants` are the tokens of new permits."""

    era: str
    state: State
    seconds: float = 0.0
    opening: Opening = Opening("", 0.0)
    grants: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """What Redis is told and asked of a breaker. `tokens` name the permits that are wanted.

    `mode` is `own` where this process has opened it by itself, `kept` where the state came from Redis, which may have
    forgotten it since; then `opening` is why, and `seconds` for how long still.
    """

    era: str
    counts: Counts
    reports: tuple[Report, ...] = ()
    tokens: tuple[str, ...] = ()
    mode: Literal["", "own", "kept"] = ""
    opening: Opening | None = None
    seconds: float = 0.0


class Circuit:
    """One breaker: closed, open, or half-open with counted permits.

    With an `outbox` it is shared: a phase with an era is a copy of the one in Redis, which then gives out the permits.
    A circuit that opened by what this process alone saw has no era, and neither has any while Redis is down.
    `chance` gives numbers between 0 and 1, `wall` seconds since the Unix epoch, `token` names of permits, no two alike.
    """

    def __init__(
        self,
        name: str,
        rules: Rules,
        *,
        outbox: Outbox | None = None,
        chance: Callable[[], float] = random.random,
        wall: Callable[[], float] = lambda: 0.0,
        token: Callable[[], str] = lambda: os.urandom(8).hex(),
    ) -> None:
        self.name = name
        self.rules = rules
        self.outbox = outbox
        self.phase: Phase = Closed(Window(rules.window))
        self.is_attached = outbox is not None
        """Whether Redis may have something to say: there is one, and it is not known to be down."""
        self.lost_era = ""
        """The era of a phase that was shared until Redis went down."""
        self._chance = chance
        self._wall = wall
        self._token = token
        self._given = 0

    # Calls

    def probe(self, now: float) -> tuple[Phase, str] | Refusal:
        """Let a call through: the phase that it belongs to, and the token of its permit (empty where it needs none)."""
        phase = self.phase
        if isinstance(phase, Closed):
            return phase, ""
        if phase.era:
            return self._shared_probe(phase, now)
        if isinstance(phase, Open):
            if now < phase.until:
                return Refusal(phase, phase.until - now)
            if phase.is_asking and now < phase.until + PATIENCE:
                return Refusal(phase, SOON)
            phase = self.phase = HalfOpen(phase.opening)
        leases = phase.leases = {token: ends for token, ends in phase.leases.items() if ends > now}
        if len(leases) + phase.succeeded >= self.rules.probes:
            return Refusal(phase, min(leases.values(), default=now + SOON) - now)
        self._given += 1
        token = str(self._given)
        leases[token] = now + self.rules.lease
        return phase, token

    def ended(self, phase: Phase, token: str, verdict: Verdict, seconds: float, now: float) -> Change | None:
        """Learn how a call went that took so many seconds. One of another phase tells nothing."""
        if isinstance(phase, Closed):
            is_news = phase is self.phase and verdict != "dropped"
            return self._count(phase, verdict, seconds, now) if is_news else None
        if isinstance(phase, Open):
            return None
        is_slow = verdict == "succeeded" and self.rules.is_slow(seconds)
        # To Redis the permit may be in use still, whatever happened here since.
        self._report(Report(token, verdict, is_slow))
        if phase is not self.phase:
            return None
        phase.leases.pop(token, None)
        if verdict == "failed":
            return self._reopen(phase, now)
        if verdict == "succeeded":
            phase.succeeded += 1
            phase.slow += is_slow
        return None if phase.era else self._settled(phase, now)

    def _count(self, phase: Closed, verdict: Verdict, seconds: float, now: float) -> Change | None:
        is_failed, is_slow = verdict == "failed", self.rules.is_slow(seconds)
        counts = phase.window.count(now, is_failed=is_failed, is_slow=is_slow)
        if (outbox := self.outbox) is not None:
            calls, failed, slow = outbox.counts
            outbox.counts = Counts(calls + 1, failed + is_failed, slow + is_slow)
        why = self.rules.reason(counts)
        if why is None:
            return None
        return self._open(Opening(why, self._wall()), now)

    def _settled(self, phase: HalfOpen, now: float) -> Change | None:
        """Close it if as many probes have succeeded as there are permits, or open it where they were too slow."""
        if phase.succeeded < self.rules.probes:
            return None
        if self.rules.is_too_slow(phase.slow, phase.succeeded):
            return self._reopen(phase, now)
        return self._close()

    def _open(self, opening: Opening, now: float, era: str = "") -> Change:
        if not era:
            # It was found out here, whatever Redis knew before it went down.
            self.lost_era = ""
        seconds = self.rules.rest(opening.failures, self._chance())
        is_asking = not era and self.is_attached
        return self._become(Open(opening, now, now + seconds, era, is_asking), seconds)

    def _reopen(self, phase: HalfOpen, now: float) -> Change:
        return self._open(replace(phase.opening, failures=phase.opening.failures + 1), now, phase.era)

    def _close(self) -> Change:
        before = self.phase
        self._give_back()
        self.phase = Closed(Window(self.rules.window))
        self.lost_era = ""
        if self.outbox is not None:
            self.outbox.demand = 0
        opening = Opening("", 0.0) if isinstance(before, Closed) else before.opening
        return Change(
            *(self.name, "closed", opening.why, opening.since, opening.failures),
            is_shared=not isinstance(before, Closed) and bool(before.era),
        )

    def _become(self, phase: Open, seconds: float) -> Change:
        self._give_back()
        self.phase = phase
        opening = phase.opening
        return Change(
            *(self.name, "open", opening.why, opening.since, opening.failures, seconds),
            is_shared=bool(phase.era),
        )

    # Shared over Redis

    def _shared_probe(self, phase: Open | HalfOpen, now: float) -> tuple[Phase, str] | Refusal:
        self._demand()
        if isinstance(phase, Open):
            return Refusal(phase, max(phase.until - now, SOON))
        while phase.grants:
            grant, *left = phase.grants
            phase.grants = tuple(left)
            if grant.expires > now:
                phase.leases[grant.token] = grant.expires
                return phase, grant.token
        return Refusal(phase, SOON)

    def _give_back(self) -> None:
        """Others may have the permits that nobody has used here."""
        if isinstance(self.phase, HalfOpen):
            for grant in self.phase.grants:
                self._report(Report(grant.token, "dropped"))
            self.phase.grants = ()

    def _demand(self) -> None:
        if self.outbox is not None:
            self.outbox.demand = min(self.rules.probes, self.outbox.demand + 1)

    def _report(self, report: Report) -> None:
        # While Redis is down they are kept, as a permit is given back by its report, but not for ever.
        if self.outbox is not None and len(self.outbox.reports) < _MOST_REPORTS:
            self.outbox.reports.append(report)

    def request(self, now: float) -> Request:
        """What to tell Redis, and to ask it; what is told is told once, unless it is `returned`."""
        outbox = self.outbox or Outbox()
        phase = self.phase
        wanted = 0
        if isinstance(phase, HalfOpen) and phase.era:
            fresh = tuple(grant for grant in phase.grants if now - grant.taken < HOLD_SECONDS)
            unused = len(phase.grants) - len(fresh)
            for grant in phase.grants[:unused]:
                self._report(Report(grant.token, "dropped"))
            phase.grants = fresh
            # Whoever gives one back asks for none in the same breath: others are to have it.
            wanted = 0 if unused else max(0, outbox.demand - len(fresh))
        elif isinstance(phase, Open) and phase.era and now >= phase.until:
            wanted = outbox.demand
        counts, outbox.counts = outbox.counts, Counts(0, 0, 0)
        reports, outbox.reports = tuple(outbox.reports), []
        tokens = tuple(self._token() for _ in range(wanted))
        if isinstance(phase, Closed):
            return Request("", counts, reports)
        era = phase.era or self.lost_era
        seconds = max(0.0, phase.until - now) if isinstance(phase, Open) else 0.0
        return Request(era, counts, reports, tokens, "kept" if era else "own", phase.opening, seconds)

    def returned(self, request: Request) -> None:
        """No answer came: keep what is to be told about permits. Counts are of no use any more later on.

        Redis may have given the permits that were asked for, and they are not used.
        """
        if self.outbox is not None:
            unused = (Report(token, "dropped") for token in request.tokens)
            self.outbox.reports = [*request.reports, *unused, *self.outbox.reports][:_MOST_REPORTS]

    def heed(self, shared: Shared, asked: float, now: float) -> Change | None:
        """Take over what Redis says, which was asked at `asked`."""
        phase = self.phase
        self.is_attached = True
        if isinstance(phase, Open) and phase.made < asked:
            phase.is_asking = False
        if shared.state == "closed":
            # What this process alone has seen is its own affair.
            is_known = not isinstance(phase, Closed) and (phase.era or self.lost_era)
            return self._close() if is_known else None
        if isinstance(phase, HalfOpen) and self.lost_era == shared.era:
            # Nothing has changed while Redis was away: what is under way belongs to it still.
            phase.era = shared.era
        self.lost_era = ""
        if shared.state == "open":
            if not isinstance(phase, Closed) and phase.era == shared.era:
                return None
            opened = Open(shared.opening, now, now + shared.seconds, shared.era)
            was_open = isinstance(phase, Open)
            change = self._become(opened, shared.seconds)
            return None if was_open else change
        if isinstance(phase, Open) and phase.era == shared.era and asked <= phase.made:
            # A probe of ours failed while this was on its way.
            return None
        if not isinstance(phase, HalfOpen) or phase.era != shared.era:
            self._give_back()
            phase = self.phase = HalfOpen(shared.opening, shared.era)
        grants = (Grant(token, now, asked + self.rules.lease) for token in shared.grants)
        phase.grants = (*phase.grants, *grants)
        return None

    def detach(self, now: float) -> Change | None:
        """Redis is down: decide for oneself from here on, with the permits that are in use."""
        phase = self.phase
        self.is_attached = False
        if isinstance(phase, Open):
            phase.is_asking = False
        if isinstance(phase, Closed) or not phase.era:
            return None
        self.lost_era, phase.era = phase.era, ""
        if isinstance(phase, Open):
            return None
        self._give_back()
        return self._settled(phase, now)

    def forked(self) -> None:
        """In a forked child: the calls under way are the parent's, and so are its permits."""
        if self.outbox is not None:
            self.outbox = Outbox()
        if isinstance(self.phase, HalfOpen):
            self.phase = replace(self.phase, leases={}, grants=())
