"""What a call costs at list price, in integer nano-dollars, from the table of `genai-prices`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from surefoot.locks import ForkSafeLock
from surefoot.values import Money, Usage

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, TieredPrices

_lock = ForkSafeLock()
_models: dict[tuple[str, str], ModelInfo | None] = {}
_rates: dict[int, tuple[ModelPrice, Rates]] = {}


@dataclass(frozen=True, slots=True)
class Steps:
    """A rate in nano-dollars per million tokens that changes with the length of the whole input.

    Above a threshold the new rate applies to all tokens of the call, not only to those beyond it.
    """

    base: int
    above: tuple[tuple[int, int], ...] = ()

    def at(self, input_tokens: int) -> int:
        """The rate for a call of that many input tokens."""
        rate = self.base
        for threshold, higher in self.above:
            if input_tokens > threshold:
                rate = higher
        return rate


@dataclass(frozen=True, slots=True)
class Rates:
    """The token rates of one model; a kind of token without its own rate is charged as plain input."""

    input: Steps
    output: Steps
    cached: Steps | None = None
    cache_write: Steps | None = None
    cache_write_1h: Steps | None = None

    def cost(self, usage: Usage, *, cache_write: int = 0, cache_write_1h: int = 0) -> Money:
        """The price of a call; `cache_write` and `cache_write_1h` are parts of `usage.input`, as `cached` is."""
        length = usage.input
        plain = length - usage.cached - cache_write - cache_write_1h
        write = self.cache_write or self.input
        charges = (
            (plain, self.input),
            (usage.cached, self.cached or self.input),
            (cache_write, write),
            (cache_write_1h, self.cache_write_1h or write),
            (usage.output, self.output),
        )
        micro = sum(tokens * rate.at(length) for tokens, rate in charges)
        return Money((micro + 500_000) // 1_000_000)


def rates_of(
    provider: str, model: str, *, service_tier: str = "", at: datetime | None = None
) -> Rates | None:
    """The rates of a model at a time (default: now), or None if no price is known.

    The table costs 0.2 s of CPU to import, so it is imported at the first question.
    """
    if provider == "local":
        return Rates(Steps(0), Steps(0))
    key = provider, model
    with _lock:
        if key not in _models:
            try:
                _models[key] = _find(provider, model)
            except ImportError:
                if "genai_prices" not in sys.modules:
                    raise
                # The garbage collector has closed a stream in the midst of this very import.
                return None
        info = _models[key]
        if info is None:
            return None
        context = {"service_tier": service_tier} if service_tier and info.price_variants else None
        price = info.get_prices(at or datetime.now(UTC), context)
        if context is not None:  # a fresh object at every question
            return _compile(price)
        known = _rates.get(id(price))
        if known is None:
            known = _rates[id(price)] = (price, _compile(price))
        return known[1]


def _find(provider: str, model: str) -> ModelInfo | None:
    from genai_prices.data_snapshot import get_snapshot

    try:
        return get_snapshot().find_provider_model(model, None, provider, None)[1]
    except LookupError:
        return None


def _compile(price: ModelPrice) -> Rates:
    return Rates(
        input=_steps(price.input_mtok) or Steps(0),
        output=_steps(price.output_mtok) or Steps(0),
        cached=_steps(price.cache_read_mtok),
        cache_write=_steps(price.cache_write_mtok),
        cache_write_1h=_steps(price.cache_write_1h_mtok),
    )


def _steps(price: Decimal | TieredPrices | None) -> Steps | None:
    if price is None:
        return None
    if isinstance(price, Decimal):
        return Steps(_nanos(price))
    return Steps(_nanos(price.base), tuple((tier.start, _nanos(tier.price)) for tier in price.tiers))


def _nanos(dollars: Decimal) -> int:
    return round(dollars * 1_000_000_000)
