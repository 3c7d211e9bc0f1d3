"""The phases of a breaker, and what is known of the time since it opened."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal, NamedTuple

from surefoot.limits.breakers.window import Window

State = Literal["closed", "open", "half-open"]
Verdict = Literal["succeeded", "failed", "dropped"]


@dataclass(frozen=True, slots=True)
class Opening:
    """Why and when (seconds since the Unix epoch) a breaker opened, and how often it was tried in vain since."""

    why: str
    since: float
    failures: int = 0


class Grant(NamedTuple):
    """A permit for a probe that was given by Redis and is not used yet."""

    token: str
    taken: float
    expires: float


# Phases are told apart by being the same object: what began in another one says nothing about this one.
# `era` is which turn of the state in Redis a phase is a copy of; empty where this process decides for itself.
# A phase takes the place of another in one assignment, so that a child that is forked in between finds a whole one.


@dataclass(slots=True, eq=False)
class Closed:
    """All calls go through and are counted."""

    window: Window
    state: ClassVar[State] = "closed"


@dataclass(slots=True, eq=False)
class Open:
    """No call goes through from one moment of the clock to another.

    `is_asking`: this process found it out by itself, and what others have to say of it is not known yet.
    """

    opening: Opening
    made: float
    until: float
    era: str = ""
    is_asking: bool = False
    state: ClassVar[State] = "open"


@dataclass(slots=True, eq=False)
class HalfOpen:
    """Calls go through by counted permits: `leases` are those under way, by token, with when each ends.

    A permit that was used by a success is not given again, so `succeeded` and those under way are never more than
    there are permits, but for successes that come after their lease has ended: they count too. `grants` are permits of
    Redis that nobody has used yet.
    """

    opening: Opening
    era: str = ""
    leases: dict[str, float] = field(default_factory=dict[str, float])
    grants: tuple[Grant, ...] = ()
    succeeded: int = 0
    slow: int = 0
    state: ClassVar[State] = "half-open"


Phase = Closed | Open | HalfOpen


@dataclass(frozen=True, slots=True)
class Change:
    """A breaker has changed its state. `failures` is how many trials failed since it opened.

    `retry_after` is for how many seconds it is not tried, 0 unless it is open. `is_shared`: another process may have
    decided it.
    """

    breaker: str
    state: State
    why: str = ""
    since: float = 0.0
    failures: int = 0
    retry_after: float = 0.0
    is_shared: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """That no call goes through now, for about so many seconds."""

    phase: Open | HalfOpen
    seconds: float
