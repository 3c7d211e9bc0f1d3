"""Which runs are of production, and which were made to try something: by evaluations, scorers, and as forks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from surefoot.errors import UnknownRun
from surefoot.evals.run_tags import EXPERIMENT
from surefoot.flows import CHANGES, FORKED_FROM
from surefoot.ledger import Ledger, RunRecord
from surefoot.values import RunStatus

_MOST_KNOWN = 10_000
_PAGE = 500


def runs_of(
    ledger: Ledger,
    flow: str,
    *,
    status: RunStatus | None = None,
    tags: Mapping[str, str] | None = None,
    since_ns: int | None = None,
    until_ns: int | None = None,
) -> Iterator[RunRecord]:
    """All runs of a flow, the newest first, as `Ledger.runs` chooses them, however many there are. Raises
    `LedgerError`."""
    before: str | None = None
    while True:
        page = ledger.runs(
            flow=flow,
            status=status,
            tags=tags,
            since_ns=since_ns,
            until_ns=until_ns,
            before=before,
            limit=_PAGE,
        )
        yield from page
        if len(page) < _PAGE:
            return
        before = page[-1].id


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
