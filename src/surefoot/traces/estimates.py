"""What the runs of a flow may cost, by the record of those that were: their calls at today's prices, and the truth."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from surefoot.errors import RunPruned, UnboundedCall
from surefoot.ledger import Account, Ledger, Outcome, RunRecord, decode
from surefoot.models import Load
from surefoot.traces.stats import percentile
from surefoot.values import Money

Weigh = Callable[[Load], Money]
"""What a call may cost at most by the settings and prices of today. Raises `UnboundedCall`."""

_REASONS = 3


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure of runs: of half of them it is no more than `median`, of 95 % no more than `p95`, of none above `most`.

    Counts, or nano-dollars.
    """

    median: float
    p95: float
    most: int

    @classmethod
    def of(cls, values: Sequence[int]) -> Spread:
        """The spread of figures in any order; of none it is 0."""
        if not values:
            return cls(0, 0, 0)
        ordered = sorted(values)
        return cls(percentile(ordered, 0.5), percentile(ordered, 0.95), ordered[-1])


@dataclass(frozen=True, slots=True)
class Expected:
    """What the calls of a run come to: those to one `model` (`provider:model`), or all of them.

    `worst` is what may be charged for the calls of a run at the most, at today's prices; `spent` what they have cost.
    `caution` is the share of the first that the second leaves over, from 0 to 1, None where there is nothing to
    compare. `unpriced` are calls of which nobody knows what they have cost, `unbounded` those that a budget would
    refuse today.
    """

    model: str
    calls: Spread
    worst: Spread
    spent: Spread
    caution: float | None
    unpriced: int = 0
    unbounded: int = 0


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run of a flow may be expected to hold and to cost, by its newest completed runs.

    runs: how many of them were looked at; without any nothing can be told.
    others: runs of the flow that have not completed, or whose requests are gone.
    at_once: what budgets would have held at one moment of a run, for the calls that were under way together.
    reasons: why calls cannot be bounded, and what would bound them.
    budgets: the accounts that a run would draw from, as they stand; its own, which is new, is whole.
    """

    flow: str
    runs: int
    others: int
    total: Expected
    at_once: Spread
    models: tuple[Expected, ...]
    reasons: tuple[str, ...] = ()
    budgets: tuple[Account, ...] = ()


@dataclass(slots=True)
class _Tally:
    """What one run has of one model."""

    calls: int = 0
    worst: int = 0
    spent: int = 0
    weighed_spent: int = 0
    """Of the calls whose worst case and cost are known both."""
    weighed_worst: int = 0
    unpriced: int = 0
    unbounded: int = 0

    def add(self, worst: Money | None, cost: Money | None) -> None:
        self.calls += 1
        self.worst += 0 if worst is None else worst.nanos
        self.spent += 0 if cost is None else cost.nanos
        self.unbounded += worst is None
        self.unpriced += cost is None
        if worst is not None and cost is not None:
            self.weighed_worst += worst.nanos
            self.weighed_spent += cost.nanos


@dataclass(slots=True)
class _Run:
    models: dict[str, _Tally] = field(default_factory=dict[str, _Tally])
    spans: list[tuple[int, int, int]] = field(default_factory=list[tuple[int, int, int]])
    """When each call began and ended, and what it may have cost at most."""

    @property
    def at_once(self) -> int:
        """The most that was held at one moment."""
        changes = [(begun, worst) for begun, _, worst in self.spans]
        changes += [(ended, -worst) for _, ended, worst in self.spans]
        held = most = 0
        # Where one ends as another begins, the first has been settled.
        for _, change in sorted(changes):
            held += change
            most = max(most, held)
        return most


def estimate(
    ledger: Ledger, flow: str, weigh: Weigh, *, runs: int = 50, budgets: Sequence[Account] = ()
) -> Estimate:
    """What a run of the flow may cost, by its newest `runs` completed ones, calls of child runs included.

    Raises `LedgerError`.
    """
    found: list[_Run] = []
    reasons: dict[str, None] = {}
    others = 0
    for record in ledger.runs(flow=flow, limit=runs):
        run = _read(ledger, record, weigh, reasons) if record.status == "completed" else None
        if run is None:
            others += 1
        else:
            found.append(run)
    names = sorted({name for run in found for name in run.models})
    models = [_expected(name, [run.models.get(name, _Tally()) for run in found]) for name in names]
    total = _expected("", [_sum(run.models.values()) for run in found])
    return Estimate(
        *(flow, len(found), others, total),
        at_once=Spread.of([run.at_once for run in found]),
        models=tuple(sorted(models, key=lambda each: -each.worst.median)),
        reasons=tuple(reasons)[:_REASONS],
        budgets=tuple(budgets),
    )


def _read(ledger: Ledger, record: RunRecord, weigh: Weigh, reasons: dict[str, None]) -> _Run | None:
    """The calls of a run, None where its requests are gone."""
    run = _Run()
    for outcome in _calls(ledger, record):
        facts = outcome.call
        if facts is None:
            continue
        model = facts.requested_model
        if facts.served_model.startswith(f"{facts.provider}:"):
            model = facts.served_model.removeprefix(f"{facts.provider}:")
        load = _load(ledger, outcome, facts.provider, model)
        if load is None:
            return None
        worst = None
        try:
            worst = weigh(load)
        except UnboundedCall as unbounded:
            reasons[str(unbounded)] = None
        run.models.setdefault(f"{facts.provider}:{model}", _Tally()).add(worst, facts.cost)
        run.spans.append((outcome.started_ns, outcome.ended_ns, 0 if worst is None else worst.nanos))
    return run


def _calls(ledger: Ledger, record: RunRecord) -> Iterator[Outcome]:
    for outcome in ledger.outcomes(record.id):
        if outcome.kind == "call" and outcome.status in ("completed", "failed"):
            yield outcome
    for child in ledger.runs(parent_run=record.id, limit=None):
        yield from _calls(ledger, child)


def _load(ledger: Ledger, outcome: Outcome, provider: str, model: str) -> Load | None:
    try:
        inputs = decode(ledger.exact(outcome.run_id, outcome.inputs))
    except RunPruned:
        return None
    body = cast("Mapping[str, Any]", inputs).get("body") if isinstance(inputs, Mapping) else None
    if not isinstance(body, Mapping):
        return None
    request = cast("Mapping[str, object]", body)
    raw = json.dumps(request, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    return Load(outcome.name, provider, model, request, raw)


def _sum(tallies: Iterable[_Tally]) -> _Tally:
    whole = _Tally()
    for one in tallies:
        for name in _Tally.__slots__:
            setattr(whole, name, getattr(whole, name) + getattr(one, name))
    return whole


def _expected(model: str, tallies: Sequence[_Tally]) -> Expected:
    whole = _sum(tallies)
    caution = None
    if whole.weighed_worst:
        caution = 1 - whole.weighed_spent / whole.weighed_worst
    return Expected(
        model,
        Spread.of([one.calls for one in tallies]),
        Spread.of([one.worst for one in tallies]),
        Spread.of([one.spent for one in tallies]),
        caution,
        whole.unpriced,
        whole.unbounded,
    )
