"""What an evaluation may cost: it does not begin where it would cost more, and ends where it has."""

from __future__ import annotations

from collections.abc import Sequence

from surefoot.errors import TooDear
from surefoot.evals.experiments.arm import Arm
from surefoot.evals.experiments.forecasting import forecast, money_of
from surefoot.values import Money


def refuse_too_dear(arms: Sequence[Arm]) -> None:
    """Raise `TooDear` where the record of former runs says that it will cost more than it may."""
    limit = arms[0].order.max_cost
    if limit is None:
        return
    found = forecast([(arm.order, arm.left) for arm in arms])
    # What is known of may be too dear by itself.
    expected = found.priced.cost_nanos
    if expected is not None and expected.p50 > limit.nanos:
        low, high = money_of(expected.p50), money_of(expected.p95)
        others = ", ".join(found.beyond(found.priced))
        rest = f", without {others} (not known)" if others else ""
        raise TooDear(
            f"by the record of former runs this costs {low} (up to {high}){rest}, and it may cost {limit}: take fewer "
            "cases (limit=, --limit), or let it cost more (max_cost=, --max-cost). Nothing was run"
        )


class Purse:
    """What all arms may spend together, in this part of their experiments."""

    def __init__(self, arms: Sequence[Arm]) -> None:
        self._arms = arms
        self._limit = arms[0].order.max_cost

    def is_empty(self) -> bool:
        """Whether no further case may begin; every arm knows why, then."""
        limit = self._limit
        if limit is None:
            return False
        spent = sum((arm.spent for arm in self._arms), Money())
        reason = ""
        if spent.nanos >= limit.nanos:
            reason = f"it has cost {spent}, and may cost {limit}"
        elif not all(arm.is_cost_complete for arm in self._arms):
            reason = "the price of some calls is not known, so that what it may cost cannot be held to: set [prices]"
        for arm in self._arms:
            if reason:
                arm.stop(reason)
        return bool(reason)
