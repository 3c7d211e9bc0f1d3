from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from genai_prices import Usage as TableUsage
from genai_prices import calc_price

from surefoot.models.prices import Rates, Steps, rates_of
from surefoot.values import Money, Usage


@pytest.mark.parametrize(
    ("provider", "model", "tokens", "cached", "output"),
    [
        ("openai", "gpt-4o", 1000, 100, 50),
        ("openai", "gpt-4o-mini", 123_457, 0, 7),
        ("openai", "gpt-4.1", 1, 1, 1),
        ("openai", "text-embedding-3-small", 999, 0, 0),
        ("anthropic", "claude-sonnet-4-5", 1000, 10, 50),
        ("anthropic", "claude-sonnet-4-5", 300_000, 10, 50),
        ("google", "gemini-2.5-pro", 250_000, 5000, 3),
        ("deepseek", "deepseek-chat", 1000, 500, 10),
    ],
)
def test_the_compiled_price_is_the_tables_price(
    provider: str, model: str, tokens: int, cached: int, output: int
) -> None:
    at = datetime(2026, 11, 1, 12, tzinfo=UTC)
    rates = rates_of(provider, model, at=at)
    assert rates is not None
    expected = calc_price(
        TableUsage(input_tokens=tokens, cache_read_tokens=cached, output_tokens=output),
        model_ref=model,
        provider_id=provider,
        genai_request_timestamp=at,
    ).total_price
    assert rates.cost(Usage(tokens, cached, output)) == Money(round(expected * 1_000_000_000))


def test_cache_writes_have_their_own_price() -> None:
    rates = rates_of("anthropic", "claude-sonnet-4-5")
    assert rates is not None
    dollars = Decimal(3 * 700 + Decimal("0.3") * 100 + Decimal("3.75") * 150 + 6 * 50 + 15 * 10) / 1_000_000
    cost = rates.cost(Usage(input=1000, cached=100, output=10), cache_write=150, cache_write_1h=50)
    assert cost == Money.dollars(dollars)


def test_what_is_not_known_has_no_price() -> None:
    assert rates_of("openai", "nonsense-9") is None
    assert rates_of("no-such-provider", "gpt-4o") is None


def test_the_embedded_model_is_free() -> None:
    rates = rates_of("local", "local:smollm2")
    assert rates is not None
    assert rates.cost(Usage(10**9, 0, 10**9)) == Money(0)


def test_service_tiers_have_their_prices() -> None:
    plain = rates_of("openai", "gpt-5")
    flex = rates_of("openai", "gpt-5", service_tier="flex")
    assert plain is not None
    assert flex is not None
    assert flex.cost(Usage(1000, 0, 1000)).nanos < plain.cost(Usage(1000, 0, 1000)).nanos


def test_a_threshold_changes_the_rate_of_all_tokens() -> None:
    rates = Rates(Steps(1_000_000, ((100, 2_000_000), (200, 3_000_000))), Steps(0))
    assert [rates.cost(Usage(n)).nanos for n in (100, 101, 200, 201)] == [100, 202, 400, 603]


def test_amounts_are_rounded_once() -> None:
    assert Rates(Steps(500_000), Steps(0)).cost(Usage(1)) == Money(1)
    assert Rates(Steps(499_999), Steps(0)).cost(Usage(1)) == Money(0)
    assert Rates(Steps(400_000), Steps(400_000)).cost(Usage(1, 0, 1)) == Money(1)


def test_the_table_is_not_imported_before_a_price_is_asked_for() -> None:
    code = (
        "import sys, surefoot.models as m; m.install(); "
        "heavy = {'genai_prices', 'httpx2', 'httpx', 'openai', 'anthropic', 'asyncio', 'numpy'}; "
        "print(sorted(heavy & set(sys.modules))); m.rates_of('openai', 'gpt-4o'); print('genai_prices' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["[]", "True"]
