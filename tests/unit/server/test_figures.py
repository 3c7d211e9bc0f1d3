"""Moments and costs."""

from __future__ import annotations

from datetime import datetime

from surefoot.ledger import Totals
from surefoot.server import figures
from surefoot.values import Money

S = 1_000_000_000


def test_moments_name_the_day_where_it_is_not_today() -> None:
    def at(*parts: int) -> int:
        return round(datetime(*parts).astimezone().timestamp()) * S

    now = at(2026, 11, 24, 12, 0, 0)
    assert figures.moment(at(2026, 11, 24, 2, 31, 11), now) == "02:31:11"
    assert figures.moment(at(2026, 11, 3, 2, 31, 11), now) == "3 Nov 02:31:11"
    assert figures.moment(at(2025, 11, 24, 2, 31, 11), now) == "24 Nov 2025 02:31"


def test_a_cost_that_is_not_known_is_said_to_be() -> None:
    assert figures.cost(None) == "unknown"
    assert figures.cost(Money(1_200_000)) == "$0.0012"
    assert figures.total_cost(Totals(cost=Money(0), is_cost_complete=False)) == "unknown"
    assert figures.total_cost(Totals(cost=Money(1_200_000), is_cost_complete=False)) == "$0.0012 or more"
