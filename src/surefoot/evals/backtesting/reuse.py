"""What a fork took of its origin, and what that would have cost: with it, forks and recorded runs can be compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from surefoot.evals.experiments.results import totals_json
from surefoot.flows import FORKED_FROM
from surefoot.ledger import Ledger, Outcome, Totals
from surefoot.values import Json

_WORK = frozenset(("step", "call", "flow"))


@dataclass(frozen=True, slots=True)
class Reuse:
    """What was taken from the record, at the cost that it had when it was made, and what was made anew.

    What happened inside of a step that was taken counts as taken.
    """

    taken: Totals = Totals()
    made: Totals = Totals()

    def __add__(self, other: Reuse) -> Reuse:
        return Reuse(self.taken + other.taken, self.made + other.made)

    @classmethod
    def of(cls, ledger: Ledger, fork: str, origin: str) -> Reuse:
        """What a fork that has ended took and made, its child runs included."""
        found = Reuse()
        rows = newest(ledger.outcomes(fork))
        made, taken = (
            totals_of(row for row in rows if not row.is_cached),
            [row for row in rows if row.is_cached],
        )
        for part in _parts(ledger, origin, taken):
            found += part
        for child in ledger.runs(parent_run=fork, limit=None) if _has_flows(rows) else ():
            found += cls.of(ledger, child.id, child.tags.get(FORKED_FROM, ""))
        return Reuse(made=made) + found

    @property
    def as_if_whole(self) -> Totals:
        """What the fork would have used as a run of its own."""
        return self.made + self.taken

    def to_json(self) -> dict[str, Json]:
        return {"taken": totals_json(self.taken), "made": totals_json(self.made)}


def newest(history: Iterable[Outcome]) -> list[Outcome]:
    """The newest row of each piece of work that is over, in the order in which they were recorded."""
    found: dict[bytes, Outcome] = {}
    for outcome in history:
        if outcome.kind in _WORK and not outcome.is_intent:
            found.pop(outcome.key, None)
            found[outcome.key] = outcome
    return list(found.values())


def totals_of(outcomes: Iterable[Outcome]) -> Totals:
    """What pieces of work have used."""
    totals = Totals()
    for outcome in outcomes:
        totals = totals.plus(outcome)
    return totals


def whole(ledger: Ledger, run_id: str) -> Totals:
    """What a run has used, its child runs included."""
    rows = newest(ledger.outcomes(run_id))
    totals = totals_of(rows)
    for child in ledger.runs(parent_run=run_id, limit=None) if _has_flows(rows) else ():
        totals += whole(ledger, child.id)
    return totals


def _parts(ledger: Ledger, origin: str, taken: Sequence[Outcome]) -> Iterator[Reuse]:
    """What was taken, found again in the origin with its inside."""
    if not taken:
        return
    rows = newest(ledger.outcomes(origin))
    by_key = {outcome.key: outcome for outcome in rows}
    by_work = {(outcome.name, outcome.digest): outcome for outcome in rows}
    children = (
        {child.run_key: child for child in ledger.runs(parent_run=origin, limit=None)}
        if _has_flows(rows)
        else {}
    )
    for outcome in taken:
        own = by_key.get(outcome.key) or by_work.get((outcome.name, outcome.digest))
        if own is None:
            continue
        inside = [own, *(row for row in rows if _is_inside(row, own))]
        totals = totals_of(inside)
        for row in inside:
            child = children.get(f"{origin}/{row.key.hex()}") or children.get(row.user_key)
            if row.kind == "flow" and child is not None:
                totals += whole(ledger, child.id)
        yield Reuse(taken=totals)


def _is_inside(outcome: Outcome, around: Outcome) -> bool:
    return outcome.path.startswith(around.path + around.key)


def _has_flows(rows: Sequence[Outcome]) -> bool:
    return any(outcome.kind == "flow" for outcome in rows)
