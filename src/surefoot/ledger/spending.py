"""What model calls have used, added up by the engine: the query, and its rows. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from surefoot.ledger.listing import Query
from surefoot.ledger.rows import Row
from surefoot.values import Money, Usage

RunColumn: TypeAlias = Literal["flow", "tenant", "principal", "session"]
CallColumn: TypeAlias = Literal["provider", "served_model", "prompt_name", "prompt_version"]

_OF_RUN = frozenset(("flow", "tenant", "principal", "session"))

# A call that was answered from the cache used and cost nothing.
_USED = "sum(CASE WHEN c.is_cached = 0 THEN coalesce({}, 0) ELSE 0 END)"
_COUNTED = "sum(CASE WHEN {} THEN 1 ELSE 0 END)"
_OF_CALLS = (
    "count(*)",
    _COUNTED.format("c.status = 'failed'"),
    _COUNTED.format("c.is_cached <> 0"),
    _COUNTED.format("c.is_cached = 0 AND c.cost_nanos IS NULL"),
    *map(
        _USED.format, ("c.tokens_in", "c.tokens_cached", "c.tokens_out", "c.tokens_reasoning", "c.cost_nanos")
    ),
)
# Of a run that was pruned its sums are left; they do not say how many of its calls had no price.
_OF_PRUNED = (
    "sum(runs.calls)",
    "0",
    "0",
    _COUNTED.format("runs.is_cost_complete = 0"),
    "sum(runs.tokens_in)",
    "sum(runs.tokens_cached)",
    "sum(runs.tokens_out)",
    "sum(runs.tokens_reasoning)",
    "sum(runs.cost_nanos)",
)


@dataclass(frozen=True, slots=True)
class Spent:
    """What one group of calls has used.

    `keys` are the columns that were asked for, in order; those of a call are None where `is_pruned`: these are the
    sums of runs whose calls were pruned. `began_ns` is where the group's span of time begins (nanoseconds since the
    epoch), 0 where none was asked for. `unpriced` are calls whose price is not known, `cached` those that were
    answered from the cache.
    """

    keys: tuple[str | None, ...]
    began_ns: int
    calls: int
    failed: int
    cached: int
    unpriced: int
    usage: Usage
    cost: Money
    is_pruned: bool = False


@dataclass(frozen=True, slots=True)
class Spending:
    """Calls that are asked for: grouped by `columns` and, where `span_ns` is given, by spans of time of that length.

    `where` are columns of the run that have to be equal to these. A call counts when it ended, at `since_ns` or later
    and before `until_ns` (nanoseconds since the epoch).
    """

    columns: Sequence[RunColumn | CallColumn] = ()
    span_ns: int | None = None
    where: Mapping[RunColumn, str] = field(default_factory=dict[RunColumn, str])
    since_ns: int | None = None
    until_ns: int | None = None

    def of_calls(self, join: str) -> Query:
        """The calls that are there; `join` is how the engine is told to go from a call to its run."""
        keys = [f"runs.{name}" if name in _OF_RUN else f"c.{name}" for name in self.columns]
        is_joined = bool(self.where) or any(name in _OF_RUN for name in self.columns)
        source = f"outcomes c {join} runs ON runs.id = c.run_id" if is_joined else "outcomes c"
        # No other words for the kind: they are how the index is found.
        return self._query(keys, "c.ended_ns", _OF_CALLS, source, "c.kind = 'call' AND c.status <> 'running'")

    def of_pruned(self) -> Query:
        """The sums of runs whose calls are gone."""
        keys = [f"runs.{name}" if name in _OF_RUN else "NULL" for name in self.columns]
        return self._query(
            keys, "runs.ended_ns", _OF_PRUNED, "runs", "runs.pruned = 'run' AND runs.calls > 0"
        )

    def spent(self, row: Row, *, is_pruned: bool = False) -> Spent | None:
        """A group from a row of either query; None for the row that stands for no calls at all."""
        width = len(self.columns)
        if not row[width + 1]:
            return None
        began, calls, failed, cached, unpriced, tokens, read, output, reasoning, cost = row[width:]
        return Spent(
            keys=tuple(row[:width]),
            began_ns=began * (self.span_ns or 0),
            calls=calls,
            failed=failed,
            cached=cached,
            unpriced=unpriced,
            usage=Usage(tokens, read, output, reasoning),
            cost=Money(cost),
            is_pruned=is_pruned,
        )

    def _query(self, keys: Sequence[str], at: str, sums: Sequence[str], source: str, term: str) -> Query:
        terms, values = [term], list[object]()
        for bound, sign in ((self.since_ns, ">="), (self.until_ns, "<")):
            if bound is not None:
                terms.append(f"{at} {sign} ?")
                values.append(bound)
        for name, value in self.where.items():
            terms.append(f"runs.{name} = ?")
            values.append(value)
        asked = [f"CAST({one} AS text)" if one == "NULL" else one for one in keys]
        asked.append(f"{at} / {self.span_ns}" if self.span_ns is not None else "0")
        selected = ", ".join([*asked, *(f"CAST({one} AS bigint)" for one in sums)])
        statement = f"SELECT {selected} FROM {source} WHERE {' AND '.join(terms)}"
        if keys or self.span_ns is not None:
            statement += f" GROUP BY {', '.join(map(str, range(1, len(asked) + 1)))}"
        return statement, tuple(values)
