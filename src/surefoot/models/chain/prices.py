"""What a call costs, in integer nano-dollars: prices of the settings, else the list prices of `genai-prices`."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from surefoot.locks import ForkSafeLock
from surefoot.models.chain.vendors import LOCAL
from surefoot.values import Money, Usage

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, TieredPrices

_NANOS = 1_000_000_000
_MUCH = 10**9
_lock = ForkSafeLock()
_rates: dict[tuple[str, str, str, int], Rates | None] = {}
"""By provider, model, service tier, and the minute since the epoch where the price depends on the time."""
_ALWAYS = -1
_MOST_RATES = 4096
"""How many are remembered: models are named by answers, so there may be any number of them."""

_DATE = re.compile(r"[-@](\d{4}-\d{2}-\d{2}|\d{8})$")
_LEADS = ("models/",)


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

    def most(self, input_tokens: int) -> int:
        """The dearest rate for a call of up to that many input tokens."""
        if not self.above:
            return self.base
        return max([self.base, *(rate for threshold, rate in self.above if input_tokens > threshold)])


@dataclass(frozen=True, slots=True)
class Rates:
    """The token rates of one model, and nano-dollars for each `request`.

    A kind of token without its own rate is charged as the kind that it is a part of; where that has none either, as
    the output of an embedding model, its price is unknown.
    """

    input: Steps | None
    output: Steps | None
    cached: Steps | None = None
    cache_write: Steps | None = None
    cache_write_1h: Steps | None = None
    reasoning: Steps | None = None
    request: int = 0

    def cost(self, usage: Usage, *, cache_write: int = 0, cache_write_1h: int = 0) -> Money | None:
        """The price of a call; `cache_write` and `cache_write_1h` are parts of `usage.input`, as `cached` is.

        None where there are tokens whose price is not known. Rounded once, half a nano-dollar upwards.
        """
        length = usage.input
        write = self.cache_write or self.input
        charges = (
            (length - usage.cached - cache_write - cache_write_1h, self.input),
            (usage.cached, self.cached or self.input),
            (cache_write, write),
            (cache_write_1h, self.cache_write_1h or write),
            (usage.output - usage.reasoning, self.output),
            (usage.reasoning, self.reasoning or self.output),
        )
        total = 0
        for tokens, rate in charges:
            if tokens:
                if rate is None:
                    return None
                total += tokens * rate.at(length)
        return Money((total + 500_000) // 1_000_000 + self.request)

    @property
    def is_free(self) -> bool:
        """Whether nothing that has a rate costs anything."""
        kinds = (
            *(self.input, self.output, self.cached),
            *(self.cache_write, self.cache_write_1h, self.reasoning),
        )
        return not self.request and not _dearest(kinds, _MUCH)

    def worst(
        self, read: int, written: int, *, writes_cache: bool = True, is_long: bool = True
    ) -> Money | None:
        """The most that a call of up to so many tokens may cost, at the dearest rate that each of them may have.

        `writes_cache` says whether input may be written to the provider's cache, `is_long` whether for an hour. None
        where there may be tokens whose price is not known.
        """
        if (read and self.input is None) or (written and self.output is None):
            return None
        reads = [self.input, self.cached]
        if writes_cache:
            reads += [self.cache_write, self.cache_write_1h if is_long else None]
        total = read * _dearest(reads, read) + written * _dearest([self.output, self.reasoning], read)
        return Money(-(-total // 1_000_000) + self.request)


def _dearest(kinds: Sequence[Steps | None], input_tokens: int) -> int:
    dearest = 0
    for rate in kinds:
        if rate is not None and (most := rate.most(input_tokens)) > dearest:
            dearest = most
    return dearest


_FREE = Rates(Steps(0), Steps(0))


@dataclass(frozen=True, slots=True)
class Price:
    """A price of the settings: dollars per million tokens, and per request; None is charged as what it is a part of."""

    input: Decimal | None = None
    output: Decimal | None = None
    cached: Decimal | None = None
    cache_write: Decimal | None = None
    cache_write_1h: Decimal | None = None
    reasoning: Decimal | None = None
    request: Decimal | None = None

    def rates(self) -> Rates:
        """The same in integers."""
        return Rates(
            input=_steps(self.input),
            output=_steps(self.output),
            cached=_steps(self.cached),
            cache_write=_steps(self.cache_write),
            cache_write_1h=_steps(self.cache_write_1h),
            reasoning=_steps(self.reasoning),
            request=_nanos(self.request or Decimal(0)),
        )


@dataclass(frozen=True, slots=True)
class PriceList:
    """Prices by model: `own` ones, which are asked first, and the list prices behind them.

    `own` is by `NAME:MODEL`, NAME a connection or a provider, or by `MODEL` alone; a key that ends in `*` stands for
    all that begin so. The most exact key holds. `names` are connections by the address (`host:port`) that they lead to.
    """

    own: Mapping[str, Price] = field(default_factory=dict[str, Price])
    names: Mapping[str, str] = field(default_factory=dict[str, str])
    _compiled: dict[str, Rates] = field(init=False, repr=False, compare=False)
    _found: dict[tuple[str, str, str], Rates | None] = field(
        default_factory=dict[tuple[str, str, str], "Rates | None"], init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        compiled = {key.lower(): price.rates() for key, price in self.own.items()}
        object.__setattr__(self, "_compiled", compiled)

    def rates(
        self,
        provider: str,
        model: str,
        *,
        connection: str = "",
        address: str = "",
        service_tier: str = "",
        at: datetime | None = None,
    ) -> Rates | None:
        """The rates of a model at a time (default: now), or None if no price is known.

        The connection is given by its name, or as the `address` of its server, `host:port`.
        """
        if self._compiled:
            connection = connection or self.names.get(address, "")
            asked = provider, model, connection
            if asked not in self._found:
                if len(self._found) >= _MOST_RATES:
                    self._found.clear()
                # Two threads that ask for it at once find the same.
                self._found[asked] = self._own(*asked)
            own = self._found[asked]
            if own is not None:
                return own
        return rates_of(provider, model, service_tier=service_tier, at=at)

    def dearest(
        self, provider: str, model: str, *, connection: str = "", address: str = "", service_tier: str = ""
    ) -> tuple[Rates, ...]:
        """The rates by which a call may be charged, whichever of them it will be; none if no price is known.

        A provider chooses the tier of a request that names none, and serves one that names `flex` by default rates
        where it is out of the others.
        """
        tiers = [""]
        if provider == "openai":
            tiers = ["", "default", service_tier]
            if service_tier in ("", "auto", "priority"):
                tiers.append("priority")
        found = [
            self.rates(provider, model, connection=connection, address=address, service_tier=tier)
            for tier in dict.fromkeys(tiers)
        ]
        return tuple(rates for rates in found if rates is not None)

    def _own(self, provider: str, model: str, connection: str) -> Rates | None:
        names = [f"{name}:" for name in dict.fromkeys((connection, provider)) if name]
        wanted = [begin.lower() + known for begin in [*names, ""] for known in _spellings(model)]
        for key in wanted:
            if (found := self._compiled.get(key)) is not None:
                return found
        for begin in sorted((key for key in self._compiled if key.endswith("*")), key=len, reverse=True):
            if any(key.startswith(begin[:-1]) for key in wanted):
                return self._compiled[begin]
        return None


def rates_of(
    provider: str, model: str, *, service_tier: str = "", at: datetime | None = None
) -> Rates | None:
    """The list price of a model at a time (default: now), or None if none is known.

    A dated snapshot that is not in the table has the price of its model; a fine-tuned model has one of its own, never
    that of its base. The table costs 0.2 s of CPU to import, so it is imported at the first question.
    """
    if provider == LOCAL:
        return _FREE
    minute = int((time.time() if at is None else at.timestamp()) // 60)
    asked = provider, model, service_tier, minute
    with _lock:
        for key in ((*asked[:3], _ALWAYS), asked):
            if key in _rates:
                return _rates[key]
        if len(_rates) >= _MOST_RATES:
            _rates.clear()
        try:
            info = _find(provider, model)
        except ImportError:
            if "genai_prices" not in sys.modules:
                raise
            # The garbage collector has closed a stream in the midst of this very import.
            return None
        if info is None:
            _rates[*asked[:3], _ALWAYS] = None
            return None
        when = at or datetime.fromtimestamp(minute * 60, UTC)
        rates = _compile(info.get_prices(when, _context(service_tier, info)))
        _rates[*asked[:3], minute if _is_changing(info) else _ALWAYS] = rates
        return rates


def _is_changing(info: ModelInfo) -> bool:
    """Whether the price depends on the day or the time of day, which change with the minute at the most."""
    return isinstance(info.prices, list) or any(
        variant.constraint is not None for variant in info.price_variants or ()
    )


def _context(service_tier: str, info: ModelInfo) -> dict[str, str] | None:
    if not service_tier or not info.price_variants:
        return None
    # The table knows batches by how they are processed.
    return {"processing": "batch"} if service_tier == "batch" else {"service_tier": service_tier}


def _spellings(model: str) -> Iterator[str]:
    """A model's name, then what it is a variant of, the nearest first."""
    name = model.lower()
    for lead in _LEADS:
        name = name.removeprefix(lead)
    yield model.lower()
    if name.startswith("ft:"):
        # ft:BASE:ORGANIZATION:NAME:ID
        name = ":".join(name.split(":")[:2])
    yield name
    if (undated := _DATE.sub("", name)) != name:
        yield undated


def entry_of(provider: str, model: str) -> ModelInfo | None:
    """What the table of list prices knows of a model; None where it is not in it."""
    with _lock:
        try:
            return _find(provider, model)
        except ImportError:
            if "genai_prices" not in sys.modules:
                raise
            # The garbage collector has closed a stream in the midst of this very import.
            return None


def search_fee(provider: str, model: str, kind: str) -> Money | None:
    """What one search of a tool that the provider runs costs; `kind` is `web` or `storage`. None where nobody knows."""
    info = entry_of(provider, model)
    if info is None:
        return None
    given = vars(info.get_prices(datetime.fromtimestamp(time.time(), UTC), None))
    thousand = given.get(f"{kind}_searches_kcount")
    return Money(-(-_nanos(thousand) // 1000)) if isinstance(thousand, Decimal) else None


def _find(provider: str, model: str) -> ModelInfo | None:
    from genai_prices.data_snapshot import get_snapshot

    for name in dict.fromkeys(_spellings(model)):
        try:
            return get_snapshot().find_provider_model(name, None, provider, None)[1]
        except LookupError:
            continue
    return None


def _compile(price: ModelPrice) -> Rates | None:
    """None for a model that is in the table, but not with a price by tokens or requests."""
    # Asked for by name, a price that is not there would be looked for in a table of units.
    given = vars(price)
    requests: Decimal | TieredPrices | None = given.get("requests_kcount")
    rates = Rates(
        input=_steps(given.get("input_mtok")),
        output=_steps(given.get("output_mtok")),
        cached=_steps(given.get("cache_read_mtok")),
        cache_write=_steps(given.get("cache_write_mtok")),
        cache_write_1h=_steps(given.get("cache_write_1h_mtok")),
        reasoning=_steps(given.get("output_reasoning_mtok")),
        request=_nanos(requests / 1000) if isinstance(requests, Decimal) else 0,
    )
    return None if rates.input is None and rates.output is None and not rates.request else rates


def _steps(price: Decimal | TieredPrices | None) -> Steps | None:
    if price is None:
        return None
    if isinstance(price, Decimal):
        return Steps(_nanos(price))
    return Steps(_nanos(price.base), tuple((tier.start, _nanos(tier.price)) for tier in price.tiers))


def _nanos(dollars: Decimal) -> int:
    return round(dollars * _NANOS)
