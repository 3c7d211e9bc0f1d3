"""What an evaluation may use, before it begins: by former runs of its flow and of its judges."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Self

from surefoot.evals.experiments.ordering import Order
from surefoot.evals.statistics import minimum_detectable_rate
from surefoot.flows.changes import CHANGES, Changes
from surefoot.ledger import Ledger, RunRecord
from surefoot.values import Json, Money

_RUNS = 50
_P95 = 1.6448536269514722
"""The 95 % quantile of the normal distribution."""

DISCORDANCE = 0.2
"""The share of cases whose verdict changes, where nobody knows better: a change of a prompt rarely reaches more."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """A sum over runs that are still to be made: half of the time it is no more than `p50`, in 95 % than `p95`.

    For n runs by a sample of m with mean x and standard deviation s: p50 = n x, p95 = n x + 1.645 s sqrt(n + n²/m), the
    second term under the root being that the mean itself is known from a sample only.
    """

    p50: float
    p95: float

    @classmethod
    def of(cls, sample: Sequence[float], n: int) -> Self:
        """Of a sample that is not empty."""
        m = len(sample)
        mean = math.fsum(sample) / m
        variance = math.fsum((value - mean) ** 2 for value in sample) / (m - 1) if m > 1 else 0.0
        return cls(n * mean, n * mean + _P95 * math.sqrt(variance * (n + n * n / m)))

    def plus(self, other: Expectation) -> Expectation:
        """Both together, as independent sums."""
        spread = math.hypot(self.p95 - self.p50, other.p95 - other.p50)
        p50 = self.p50 + other.p50
        return Expectation(p50, p50 + spread)


@dataclass(frozen=True, slots=True)
class Part:
    """The runs of one flow in an evaluation: `runs` to be made, known by `sample` former ones.

    Calls, tokens and nano-dollars are sums over all of them, `seconds` is the mean of one run; None where nothing is
    recorded (`unknown` says why), the cost also where some call's price is not known.
    """

    flow: str
    judge: str
    runs: int
    sample: int
    calls: Expectation | None = None
    tokens: Expectation | None = None
    cost_nanos: Expectation | None = None
    seconds: float | None = None
    unknown: str = ""

    @property
    def title(self) -> str:
        return f"judge {self.judge}" if self.judge else f"flow {self.flow}"

    def to_json(self) -> dict[str, Json]:
        return {
            "flow": self.flow,
            "judge": self.judge,
            "runs": self.runs,
            "sample": self.sample,
            "calls": _json(self.calls),
            "tokens": _json(self.tokens),
            "cost_nanos": _json(self.cost_nanos),
            "seconds_per_run": self.seconds,
            "unknown": self.unknown,
        }


@dataclass(frozen=True, slots=True)
class Forecast:
    """What an evaluation may use. A sum of which some part is unknown is None: nothing is guessed.

    `rows` are still to be judged, cases times repeats, of each experiment that it consists of. `paired` cases are to be
    compared by so many `metrics`; none where there is nothing to compare with. What is known of the other parts stands
    in `known` and, of their cost, in `priced`.
    """

    parts: tuple[Part, ...]
    rows: int
    concurrency: int
    paired: int = 0
    metrics: int = 1

    @property
    def calls(self) -> Expectation | None:
        return _sum([part.calls for part in self.parts])

    @property
    def tokens(self) -> Expectation | None:
        return _sum([part.tokens for part in self.parts])

    @property
    def cost_nanos(self) -> Expectation | None:
        return _sum([part.cost_nanos for part in self.parts])

    @property
    def seconds(self) -> float | None:
        """How long it takes if no limit slows it down: the judges of a case follow its run."""
        each = [part.seconds for part in self.parts]
        if any(seconds is None for seconds in each):
            return None
        total = math.fsum(part.runs * (part.seconds or 0.0) for part in self.parts)
        return total / max(self.concurrency, 1)

    @property
    def known(self) -> Forecast:
        """The same for the parts alone of which runs are recorded: less than all where something is `without`."""
        return replace(self, parts=tuple(part for part in self.parts if part.sample))

    @property
    def priced(self) -> Forecast:
        """The same for the parts alone whose cost is known."""
        return replace(self, parts=tuple(part for part in self.parts if part.cost_nanos is not None))

    @property
    def without(self) -> tuple[str, ...]:
        """The parts of which no run is recorded: `judge faithfulness`, `flow answer`."""
        return self.beyond(self.known)

    def beyond(self, less: Forecast) -> tuple[str, ...]:
        """The titles of the parts that are here and not in `less`."""
        return tuple(dict.fromkeys(part.title for part in self.parts if part not in less.parts))

    @property
    def unknown(self) -> tuple[str, ...]:
        """Why something is not known."""
        return tuple(dict.fromkeys(part.unknown for part in self.parts if part.unknown))

    @property
    def detectable(self) -> float | None:
        """The smallest difference of pass rates (0 to 1) that the paired cases show in 4 of 5 comparisons.

        It takes the verdict of one case in five to change. Infinite where they show none, None where nothing is
        compared.
        """
        if not self.paired:
            return None
        return minimum_detectable_rate(DISCORDANCE, self.paired, tests=max(self.metrics, 1))

    def to_json(self) -> dict[str, Json]:
        detectable, known = self.detectable, self.known
        return {
            "rows": self.rows,
            "concurrency": self.concurrency,
            "calls": _json(self.calls),
            "tokens": _json(self.tokens),
            "cost_nanos": _json(self.cost_nanos),
            "seconds": self.seconds,
            "parts": [part.to_json() for part in self.parts],
            "unknown": list(self.unknown),
            "known": {
                "calls": _json(known.calls),
                "tokens": _json(known.tokens),
                "cost_nanos": _json(known.cost_nanos),
                "seconds": known.seconds,
            },
            "without": list(self.without),
            "paired": self.paired,
            "detectable": None if detectable is None or math.isinf(detectable) else detectable,
        }


def forecast(orders: Iterable[tuple[Order, int]]) -> Forecast:
    """What experiments may use together, each with so many rows left. Raises `LedgerError`."""
    parts: list[Part] = []
    rows = concurrency = 0
    for order, left in orders:
        rows, concurrency = rows + left, order.concurrency
        parts.append(
            _part(order.app.ledger, order.spec.name, "", left, Changes.of(order.changes).tags.get(CHANGES))
        )
        parts += [
            _part(order.app.ledger, bound.spec.name, bound.name, left, None)
            for bound in order.scorers
            if bound.spec is not None
        ]
    return Forecast(tuple(parts), rows, concurrency)


def _part(ledger: Ledger, flow: str, judge: str, runs: int, changes: str | None) -> Part:
    what = f"judge {judge}" if judge else f"flow {flow}"
    found = [run for run in ledger.runs(flow=flow, limit=_RUNS * 4) if run.status == "completed"]
    same = [run for run in found if run.tags.get(CHANGES) == changes]
    if changes is not None and "model:" in changes and not same:
        return Part(flow, judge, runs, 0, unknown=f"no run of {what} is recorded with {changes}")
    sample = (same or found)[:_RUNS]
    if not sample:
        return Part(flow, judge, runs, 0, unknown=f"no completed run of {what} is recorded")
    is_priced = all(run.totals.is_cost_complete for run in sample)
    times = [seconds for run in sample if (seconds := _seconds(run)) is not None]
    return Part(
        flow,
        judge,
        runs,
        len(sample),
        calls=Expectation.of([run.totals.calls for run in sample], runs),
        tokens=Expectation.of([run.totals.usage.total for run in sample], runs),
        cost_nanos=Expectation.of([run.totals.cost.nanos for run in sample], runs) if is_priced else None,
        seconds=math.fsum(times) / len(times) if times else None,
        unknown="" if is_priced else f"the price of some calls of {what} was not known then: set [prices]",
    )


def _seconds(run: RunRecord) -> float | None:
    return None if run.ended_ns is None or run.epoch > 1 else (run.ended_ns - run.created_ns) / 1e9


def _sum(parts: Sequence[Expectation | None]) -> Expectation | None:
    total = Expectation(0.0, 0.0)
    for part in parts:
        if part is None:
            return None
        total = total.plus(part)
    return total


def _json(found: Expectation | None) -> Json:
    return None if found is None else {"p50": found.p50, "p95": found.p95}


def money_of(nanos: float) -> Money:
    """Nano-dollars as money."""
    return Money(round(nanos))
