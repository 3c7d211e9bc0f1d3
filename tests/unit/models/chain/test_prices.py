from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal

import pytest
from genai_prices import Usage as TableUsage
from genai_prices import calc_price
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelPrice

from surefoot.models.chain.prices import Price, PriceList, Rates, Steps, rates_of
from surefoot.models.chain.prices import _compile as compiled  # pyright: ignore[reportPrivateUsage]
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
    cheap, usual = flex.cost(Usage(1000, 0, 1000)), plain.cost(Usage(1000, 0, 1000))
    assert cheap is not None
    assert usual is not None
    assert cheap.nanos < usual.nanos


def test_a_threshold_changes_the_rate_of_all_tokens() -> None:
    rates = Rates(Steps(1_000_000, ((100, 2_000_000), (200, 3_000_000))), Steps(0))
    costs = [rates.cost(Usage(n)) for n in (100, 101, 200, 201)]
    assert costs == [Money(100), Money(202), Money(400), Money(603)]


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


USAGES = (
    # input, cached, written for five minutes, for an hour, output, reasoning
    (1000, 100, 0, 0, 50, 20),
    (250_001, 5000, 300, 700, 3, 1),
    (333_333, 0, 7, 0, 9, 0),
    (1, 0, 0, 0, 1, 1),
    (5, 5, 0, 0, 0, 0),
)


def test_every_price_of_the_table_is_what_the_table_itself_calculates() -> None:
    """Each model and variant (service tier, batch, speed), at cached, written and reasoning tokens and past tiers."""
    at = datetime(2026, 11, 1, 12, tzinfo=UTC)
    compared = 0
    for provider in get_snapshot().providers:
        for model in provider.models:
            for context in [None, *(dict(variant.when) for variant in model.price_variants or ())]:
                price = model.get_prices(at, context)
                rates = compiled(price)
                for usage in USAGES:
                    cost = None if rates is None else charged(rates, usage)
                    if cost is not None:
                        assert cost.nanos == half_up(tabled(price, usage)), (provider.id, model.id, context)
                        compared += 1
    assert compared > 10_000


def charged(rates: Rates, usage: tuple[int, ...]) -> Money | None:
    tokens, cached, written, long, output, reasoning = usage
    return rates.cost(Usage(tokens, cached, output, reasoning), cache_write=written, cache_write_1h=long)


def tabled(price: ModelPrice, usage: tuple[int, ...]) -> Decimal:
    tokens, cached, written, long, output, reasoning = usage
    return price.calc_price(
        TableUsage(
            input_tokens=tokens,
            cache_read_tokens=cached,
            cache_write_tokens=written + long,
            cache_write_1h_tokens=long,
            output_tokens=output,
            output_reasoning_tokens=reasoning,
        )
    )["total_price"]


def half_up(dollars: Decimal) -> int:
    return int((dollars * 1_000_000_000).to_integral_value(ROUND_HALF_UP))


@pytest.mark.parametrize("tier", ["", "default", "flex", "priority", "batch", "unheard-of"])
@pytest.mark.parametrize("model", ["gpt-5", "gpt-4.1", "gpt-4o-mini"])
def test_tiers_are_the_tables_tiers(model: str, tier: str) -> None:
    at = datetime(2026, 11, 1, 12, 30, tzinfo=UTC)
    context = {"processing": "batch"} if tier == "batch" else {"service_tier": tier}
    usage = TableUsage(input_tokens=1000, cache_read_tokens=10, output_tokens=77)
    expected = calc_price(
        usage,
        model_ref=model,
        provider_id="openai",
        genai_request_timestamp=at,
        price_context=context if tier else None,
    ).total_price
    for _ in range(2):
        rates = rates_of("openai", model, service_tier=tier, at=at)
        assert rates is not None
        assert rates.cost(Usage(1000, 10, 77)) == Money(half_up(expected))


def test_a_price_that_changes_is_that_of_the_time() -> None:
    found = {
        hour: rates_of("deepseek", "deepseek-chat", at=datetime(2025, 6, 1, hour, 35, tzinfo=UTC))
        for hour in (12, 16)
    }
    assert found[12] != found[16]
    assert found[12] == rates_of("deepseek", "deepseek-chat", at=datetime(2025, 6, 1, 12, 35, tzinfo=UTC))


def test_tokens_without_a_rate_have_no_silent_price() -> None:
    embedding = rates_of("openai", "text-embedding-3-small")
    assert embedding is not None
    assert embedding.cost(Usage(1_000_000)) == Money.dollars("0.02")
    assert Rates(Steps(1), None).cost(Usage(10, 0, 1)) is None
    assert Rates(None, Steps(1)).cost(Usage(10)) is None
    # In the table, but charged by the hour.
    assert rates_of("groq", "whisper-large-v3") is None


def test_a_snapshot_and_a_fine_tune_resolve() -> None:
    base = rates_of("openai", "gpt-4o")
    assert rates_of("openai", "gpt-4o-2099-12-31") == base
    assert rates_of("google", "models/gemini-2.5-pro") == rates_of("google", "gemini-2.5-pro")
    tuned = rates_of("openai", "ft:gpt-4o-2024-08-06:acme::abc")
    assert tuned is not None
    assert tuned != base
    # A fine-tune that the table does not know does not pass for its base.
    assert rates_of("openai", "ft:gpt-4.1-2025-04-14:acme::abc") is None


def test_own_prices_are_exact_and_go_first() -> None:
    prices = PriceList(
        {
            "openai:gpt-4o": Price(
                Decimal("2.10"), Decimal("8.40"), reasoning=Decimal(9), request=Decimal("0.001")
            )
        }
    )
    rates = prices.rates("openai", "gpt-4o")
    assert rates is not None
    assert rates.cost(Usage(1000, 100, 50, 20)) == Money.dollars("0.003532")
    # Dated names are the model's, other models are the table's.
    assert prices.rates("openai", "GPT-4o-2024-08-06") == rates
    assert prices.rates("openai", "gpt-4o-mini") == rates_of("openai", "gpt-4o-mini")
    assert prices.rates("azure", "gpt-4o") == rates_of("azure", "gpt-4o")


def test_the_most_exact_key_holds() -> None:
    def price(dollars: int) -> Price:
        return Price(Decimal(dollars), Decimal(dollars))

    prices = PriceList(
        {
            "vllm:*": price(0),
            "vllm:big-*": price(1),
            "vllm:big-model": price(2),
            "gpu:big-model": price(3),
            "llama-3": price(4),
            "openai:ft:gpt-4.1": price(5),
        }
    )

    def dollars(provider: str, model: str, connection: str = "") -> int | None:
        rates = prices.rates(provider, model, connection=connection)
        return None if rates is None or rates.input is None else rates.input.base // 1_000_000_000

    assert dollars("vllm", "small") == 0
    assert dollars("vllm", "big-2") == 1
    assert dollars("vllm", "big-model") == 2
    assert dollars("vllm", "big-model", "gpu") == 3
    assert dollars("openai-compatible", "llama-3") == 4
    assert dollars("openai", "ft:gpt-4.1-2025-04-14:acme::abc") == 5
    assert dollars("openai-compatible", "llama-4") is None
