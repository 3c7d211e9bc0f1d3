"""What a backtest will take from the record and what it will make, before it begins."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from surefoot.errors import RunPruned
from surefoot.evals.backtesting.reuse import newest, totals_of, whole
from surefoot.evals.experiments.results import totals_json
from surefoot.flows.changes import Changes
from surefoot.flows.origin import Origin, origin_of
from surefoot.ledger import Ledger, RunRecord, Totals
from surefoot.values import Json


@dataclass(frozen=True, slots=True)
class Forecast:
    """Of the work of so many runs, what is made anew, at the cost that it had.

    `least` is what the changes touch; `most` is all that may depend on that too, and is made only where the inputs of
    it change. `recorded` is all that there is.
    """

    runs: int = 0
    recorded: Totals = Totals()
    least: Totals = Totals()
    most: Totals = Totals()

    def __add__(self, other: Forecast) -> Forecast:
        return Forecast(
            self.runs + other.runs,
            self.recorded + other.recorded,
            self.least + other.least,
            self.most + other.most,
        )

    def to_json(self) -> dict[str, Json]:
        return {
            "runs": self.runs,
            "recorded": totals_json(self.recorded),
            "least": totals_json(self.least),
            "most": totals_json(self.most),
        }


def forecast(ledger: Ledger, runs: Iterable[RunRecord], changes: Changes) -> Forecast:
    """What forks of these runs come to. Raises `LedgerError`."""
    total = Forecast()
    for run in runs:
        try:
            total += _of(ledger, origin_of(ledger, run, changes), changes)
        except RunPruned:
            # It was pruned since it was chosen: a failed case.
            total += Forecast(1)
    return total


def of_inputs(ledger: Ledger, runs: Iterable[RunRecord]) -> Forecast:
    """What forks with other inputs come to: they may make all of it, or nothing that does not look at these."""
    total = Forecast()
    for run in runs:
        everything = whole(ledger, run.id)
        total += Forecast(1, everything, Totals(), everything)
    return total


def _of(ledger: Ledger, origin: Origin, changes: Changes) -> Forecast:
    rows = newest(origin.history)
    following = origin.following()
    own = Forecast(
        1,
        totals_of(rows),
        totals_of(row for row in rows if row.key in origin.barred),
        totals_of(row for row in rows if row.key in following),
    )
    for key, child in origin.children.items():
        everything = whole(ledger, child.id)
        least = most = Totals()
        if key in following:
            most = everything
        if key in origin.barred and child.pruned_ns is None:
            inside = _of(ledger, origin_of(ledger, child, changes), changes)
            least, most = inside.least, inside.most
        own += Forecast(0, everything, least, most)
    return own
