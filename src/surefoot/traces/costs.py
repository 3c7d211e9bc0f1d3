"""What model calls have cost, by flow, model, prompt, whom they were for, and time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Literal, TypeAlias, get_args

from surefoot.errors import InvalidInput
from surefoot.ledger import CallColumn, Ledger, RunColumn, Spending, Spent
from surefoot.values import Money, Usage

Facet: TypeAlias = Literal[
    "flow", "model", "provider", "prompt", "tenant", "principal", "session", "day", "month"
]
"""What calls are grouped by. A model is the one that served, as `provider:model`; a prompt is `name@version`."""

FACETS: tuple[Facet, ...] = get_args(Facet)

PRUNED = "(pruned)"
"""Stands for model, provider and prompt of calls that were pruned, of which the sums of their runs are left."""

_S = 1_000_000_000
_DAY_NS = 86_400 * _S
_QUARTER_NS = 900 * _S
"""Days begin at a multiple of this in every time zone of today."""

_COLUMNS: Mapping[Facet, tuple[RunColumn | CallColumn, ...]] = {
    "flow": ("flow",),
    "provider": ("provider",),
    "tenant": ("tenant",),
    "principal": ("principal",),
    "session": ("session",),
    "model": ("provider", "served_model"),
    "prompt": ("prompt_name", "prompt_version"),
    "day": (),
    "month": (),
}
_TIMES = frozenset(("day", "month"))


@dataclass(frozen=True, slots=True)
class CostRow:
    """What a group of calls has used and cost.

    `group` names what its calls have in common; what a call does not have, such as a prompt, is empty there. Failed
    calls are among `calls`, as is what the cache answered (`cached`), which used and cost nothing. `unpriced` are the
    calls whose price is not known: `cost` is without them.
    """

    group: Mapping[Facet, str]
    calls: int = 0
    failed: int = 0
    cached: int = 0
    unpriced: int = 0
    usage: Usage = field(default_factory=Usage)
    cost: Money = field(default_factory=Money)

    @property
    def is_complete(self) -> bool:
        """Whether the price of every call is known."""
        return self.unpriced == 0

    def plus(self, spent: Spent) -> CostRow:
        """This row with some more calls."""
        return CostRow(
            self.group,
            self.calls + spent.calls,
            self.failed + spent.failed,
            self.cached + spent.cached,
            self.unpriced + spent.unpriced,
            self.usage + spent.usage,
            self.cost + spent.cost,
        )


@dataclass(frozen=True, slots=True)
class Costs:
    """Costs in groups, and of all. Days and months in their order, else the dearest group first.

    Of calls that ended at `since_ns` or later and before `until_ns` (nanoseconds since the epoch; None is no bound).
    """

    by: tuple[Facet, ...]
    since_ns: int | None
    until_ns: int | None
    rows: tuple[CostRow, ...]
    total: CostRow


def costs(
    ledger: Ledger,
    by: Facet | Sequence[Facet] = "model",
    *,
    flow: str | None = None,
    tenant: str | None = None,
    principal: str | None = None,
    since_ns: int | None = None,
    until_ns: int | None = None,
    zone: tzinfo = UTC,
) -> Costs:
    """What the calls of a window have cost; days and months are those of the time zone `zone`.

    Raises `InvalidInput` for a facet that there is none of, and `LedgerError`.
    """
    facets = _checked((by,) if isinstance(by, str) else tuple(by))
    columns: list[RunColumn | CallColumn] = [column for facet in facets for column in _COLUMNS[facet]]
    span_ns = None
    if not _TIMES.isdisjoint(facets):
        span_ns = _DAY_NS if zone is UTC else _QUARTER_NS
    where: dict[RunColumn, str | None] = {"flow": flow, "tenant": tenant, "principal": principal}
    spending = Spending(
        columns,
        span_ns=span_ns,
        where={column: value for column, value in where.items() if value is not None},
        since_ns=since_ns,
        until_ns=until_ns,
    )
    total = CostRow({})
    found: dict[tuple[str, ...], CostRow] = {}
    for spent in ledger.spent(spending):
        names = _names(facets, spent, zone)
        row = found.get(names) or CostRow(dict(zip(facets, names, strict=True)))
        found[names] = row.plus(spent)
        total = total.plus(spent)
    rows = sorted(found.items(), key=lambda item: _place(facets, *item))
    return Costs(facets, since_ns, until_ns, tuple(row for _, row in rows), total)


def _checked(facets: tuple[Facet, ...]) -> tuple[Facet, ...]:
    if not facets:
        raise InvalidInput(f"costs by nothing: name one of {', '.join(FACETS)}")
    for facet in facets:
        if facet not in FACETS:
            raise InvalidInput(f"costs are not known by {facet!r}: there are {', '.join(FACETS)}")
    if len(set(facets)) < len(facets):
        raise InvalidInput(f"costs by {', '.join(facets)}: name each of them once")
    return facets


def _place(facets: Sequence[Facet], names: tuple[str, ...], row: CostRow) -> tuple[object, ...]:
    times = tuple(name for facet, name in zip(facets, names, strict=True) if facet in _TIMES)
    return (times, -row.cost.nanos, -row.calls, names)


def _names(facets: Sequence[Facet], spent: Spent, zone: tzinfo) -> tuple[str, ...]:
    keys = iter(spent.keys)
    names: list[str] = []
    for facet in facets:
        if facet in _TIMES:
            began = datetime.fromtimestamp(spent.began_ns // _S, zone)
            names.append(began.strftime("%Y-%m-%d" if facet == "day" else "%Y-%m"))
            continue
        parts = [next(keys) for _ in _COLUMNS[facet]]
        if spent.is_pruned and facet in ("model", "provider", "prompt"):
            names.append(PRUNED)
        elif facet == "model":
            names.append(_model(parts[0] or "", parts[1] or ""))
        elif facet == "prompt":
            names.append("@".join(part for part in parts if part))
        else:
            names.append(parts[0] or "")
    return tuple(names)


def _model(provider: str, model: str) -> str:
    return model if model.startswith(f"{provider}:") else f"{provider}:{model}"
