"""Figures as words."""

from __future__ import annotations

import pytest

from surefoot.ledger import Totals
from surefoot.traces import figures
from surefoot.values import CallFacts, Money, Usage

S = 1_000_000_000


@pytest.mark.parametrize(
    ("nanos", "words"),
    [
        (0, "0 µs"),
        (45_999, "45 µs"),
        (999_999, "999 µs"),
        (8_140_000, "8.1 ms"),
        (90_400_000, "90 ms"),
        (499_000_000, "499 ms"),
        (900_000_000, "0.90 s"),
        (2_412_000_000, "2.41 s"),
        (12_340_000_000, "12.3 s"),
        (59 * S, "59.0 s"),
        (119_900_000_000, "1 min 59 s"),
        (185 * S, "3 min 05 s"),
        (7_380 * S, "2 h 03 min"),
        (24 * 3600 * S - 1, "23 h 59 min"),
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
def test_round_durations(nanos: int, words: str) -> None:
    assert figures.round_duration(nanos) == words


def test_counts() -> None:
    assert figures.counted(1, "step") == "1 step"
    assert figures.counted(0, "step") == "0 steps"
    assert figures.counted(2_000, "step") == "2,000 steps"


def test_tokens() -> None:
    assert figures.tokens(Usage(1200, 0, 5)) == "1,200 in, 5 out"
    assert figures.tokens(Usage(1200, 200, 5, 3)) == "1,200 in (200 cached), 5 out (3 reasoning)"


def test_costs_never_claim_more_than_is_known() -> None:
    assert figures.cost(Money(1_200_000)) == "$0.0012"
    assert figures.cost(None) == "unknown cost"
    assert figures.cost(None, unknown="unknown") == "unknown"
    assert figures.cost(Money(), is_complete=False) == "unknown cost"
    assert figures.total_cost(Totals(cost=Money(S), is_cost_complete=False)) == "$1.00 or more"


def test_calls() -> None:
    facts = CallFacts("openai", "gpt-4o", "local:smollm2", Usage(1_612, 1_024, 41, 0), Money(386_000))
    assert figures.model(facts) == "gpt-4o → local:smollm2"
    assert figures.call(facts) == "gpt-4o → local:smollm2 · 1,612 in (1,024 cached), 41 out · $0.000386"
    assert figures.call(CallFacts("openai", "gpt-4o", "gpt-4o")) == "gpt-4o"


def test_totals_name_tokens_only_where_there_were_calls() -> None:
    assert figures.totals(Totals(1)) == "1 step"
    assert figures.totals(Totals(2, 1, Usage(7, 0, 3))) == "2 steps · 1 model call · 7 in, 3 out tokens · $0"
