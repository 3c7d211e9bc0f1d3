"""What of the cost of a call is for what was read."""

from __future__ import annotations

import pytest

from surefoot.traces.shares import shares
from surefoot.values import CallFacts, Money, Usage


def facts(cost: int | None, usage: Usage, model: str = "gpt-4o-mini") -> CallFacts:
    return CallFacts("openai", model, model, usage, None if cost is None else Money(cost))


def test_what_was_read_is_at_list_prices_and_the_rest_was_written() -> None:
    # $0.15 and $0.60 for a million tokens, $0.075 for those from the cache.
    used = Usage(1_000, 400, 100)
    found = shares(facts(600 * 150 + 400 * 75 + 100 * 600, used))
    assert found == (Money(600 * 150 + 400 * 75), Money(100 * 600))


def test_where_nothing_was_written_all_was_read() -> None:
    assert shares(facts(7, Usage(5), "a-model-of-our-own")) == (Money(7), Money(0))


@pytest.mark.parametrize(
    "unknown",
    [
        facts(None, Usage(5, 0, 5)),
        facts(7, Usage(5, 0, 5), "a-model-of-our-own"),
        # A price of the settings, below that of the list.
        facts(1, Usage(1_000, 0, 5)),
    ],
)
def test_where_nobody_knows(unknown: CallFacts) -> None:
    assert shares(unknown) is None
