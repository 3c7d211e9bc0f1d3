"""Which runs are of production, and which were made to try something: by evaluations, scorers, and as forks."""

from __future__ import annotations

from surefoot.errors import UnknownRun
from surefoot.evals.experiments.recorded import EXPERIMENT
from surefoot.flows import CHANGES, FORKED_FROM
from surefoot.ledger import Ledger, RunRecord

_MOST_KNOWN = 10_000


class Lineage:
    """Whether runs, or those that they are a part of, were made to try something."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._known: dict[str, bool] = {}

    def is_trial(self, run: RunRecord) -> bool:
        """Whether it is no run of production."""
        if not {EXPERIMENT, CHANGES, FORKED_FROM}.isdisjoint(run.tags):
            return True
        parent = run.parent_run
        if parent is None:
            return False
        if parent not in self._known:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            try:
                self._known[parent] = self.is_trial(self._ledger.run(parent))
            except UnknownRun:
                self._known[parent] = False
        return self._known[parent]
