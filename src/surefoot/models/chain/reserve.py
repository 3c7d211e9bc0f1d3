"""What the calls of a ladder may cost together, held before the first of them is sent."""

from __future__ import annotations

from dataclasses import dataclass

from surefoot.effects import Program, handed_over
from surefoot.models.chain.limits import Budgets, Hold
from surefoot.values import Caller, Money


@dataclass(slots=True)
class Reserve:
    """Money for calls that follow one another, out of which each takes its part.

    `ahead` is the most that all of them may cost which may still be made. It is held when the first of them is about to
    be sent, and not before: what a resume finds recorded needs no money. What a call needs beyond that (a further turn,
    another attempt) is set aside when it comes to it.
    """

    budgets: Budgets
    caller: Caller
    what: str
    ahead: Money
    _hold: Hold | None = None

    def part(self, worst: Money, *, patience: float) -> Program[Hold]:
        """So much for one call. Raises `BudgetExceeded`."""
        if self._hold is None:
            most = max(self.ahead, worst)
            self._hold = yield from self.budgets.hold(self.caller, most, what=self.what, patience=patience)
        return (yield from self._hold.part(worst))

    def end(self) -> Program[None]:
        """No further call is made: what none has taken is free."""
        hold, self._hold = self._hold, None
        if hold is not None:
            yield from hold.settle(Money())

    def abandon(self) -> None:
        """`end` for code that was cancelled: waits for nothing."""
        hold, self._hold = self._hold, None
        if hold is not None:
            handed_over(hold.settle(Money()))
