"""Figures as words."""

from __future__ import annotations

from datetime import datetime

import pytest

from surefoot.ledger import Totals
from surefoot.server import figures
from surefoot.values import Money

S = 1_000_000_000


@pytest.mark.parametrize(
    ("nanos", "words"),
    [
        (0, "0 µs"),
        (999_999, "999 µs"),
        (8_140_000, "8.1 ms"),
        (999_999_999, "999 ms"),
        (2_412_000_000, "2.41 s"),
        (59 * S, "59.0 s"),
        (185 * S, "3 min 05 s"),
        (7_380 * S, "2 h 03 min"),
        (100 * 3600 * S, "4 d 4 h"),
    ],
)
def test_durations(nanos: int, words: str) -> None:
    assert figures.duration(nanos) == words


@pytest.mark.parametrize(
    ("nanos", "words"),
    [
        (0, "0"),
        (500, "0 µs"),
        (200_000, "200 µs"),
        (200_000_000, "200 ms"),
        (1_500_000_000, "1.5 s"),
        (180 * S, "3 min"),
    ],
)
def test_ticks(nanos: int, words: str) -> None:
    assert figures.round_duration(nanos) == words


def test_moments_name_the_day_where_it_is_not_today() -> None:
    def at(*parts: int) -> int:
        return round(datetime(*parts).astimezone().timestamp()) * S

    now = at(2026, 11, 24, 12, 0, 0)
    assert figures.moment(at(2026, 11, 24, 2, 31, 11), now) == "02:31:11"
    assert figures.moment(at(2026, 11, 3, 2, 31, 11), now) == "3 Nov 02:31:11"
    assert figures.moment(at(2025, 11, 24, 2, 31, 11), now) == "24 Nov 2025 02:31"


def test_costs_never_claim_more_than_is_known() -> None:
    assert figures.cost(None) == "unknown"
    assert figures.cost(Money(0), is_complete=False) == "unknown"
    assert figures.cost(Money(1_200_000)) == "$0.0012"
    assert figures.total_cost(Totals(cost=Money(1_200_000), is_cost_complete=False)) == "$0.0012 or more"
