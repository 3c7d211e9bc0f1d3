"""Runs that this process lets go of before their flow is through: somebody else, or a later hour, goes on with them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from surefoot.flows.stopping import Suspended, Suspension

if TYPE_CHECKING:
    from surefoot.flows.claims import StepClaim


@dataclass(slots=True)
class Patience:
    """How long a wait goes on in this process before the run is parked, where whoever runs it wants that.

    `due_ns` is when the wait is over at the latest (nanoseconds since the epoch); None where only a message ends it.
    """

    claim: StepClaim
    due_ns: int | None
    began: float

    @classmethod
    def of(cls, claim: StepClaim, seconds: float | None) -> Patience:
        """The patience of a wait that begins now and lasts for at most so many seconds."""
        due_ns = None if seconds is None else time.time_ns() + round(seconds * 1e9)
        return cls(claim, due_ns, time.monotonic())

    def most(self, seconds: float) -> float:
        """For how long nobody needs to ask again whether the run is to be parked."""
        parks = self.claim.run.parks
        return seconds if parks is None else min(seconds, max(0.1, self.began + parks - time.monotonic()))

    def check(self) -> None:
        """Raise `Suspended` where the run does nothing but wait, and has for long enough."""
        run, claim = self.claim.run, self.claim
        if run.parks is None or time.monotonic() < self.began + run.parks:
            return
        if not run.has_looked:
            # What it waits for may have been sent before it was taken into these hands.
            return
        run.waits[claim.key] = self.due_ns
        # A wait inside of a step would let that step begin anew; beside other work it would cut that off.
        if claim.here.path or not run.pending.keys() <= run.waits.keys():
            return
        dues = [run.waits[key] for key in run.pending]
        due_ns = min((due for due in dues if due is not None), default=None)
        run.brake.suspend(Suspension(is_waiting=True, due_ns=due_ns))
        run.brake.check()


__all__ = ["Patience", "Suspended", "Suspension"]
