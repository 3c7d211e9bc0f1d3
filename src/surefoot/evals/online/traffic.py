"""Which runs of production are to be scored: found anew in each pass, and not looked for where all is over."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass, field

from surefoot.errors import UnknownRun
from surefoot.evals.lineage import Lineage, runs_of
from surefoot.evals.online.sample import Sample
from surefoot.ledger import FINAL, Ledger, RunRecord

_OVERLAP_NS = 600_000_000_000
"""Clocks of machines differ, and a run may be in the ledger some time after it has begun."""


@dataclass(slots=True)
class Seen:
    """What a pass has looked at: runs of production, those of them that are in the sample, and what is left out."""

    runs: int = 0
    sampled: int = 0
    left_out: Counter[str] = field(default_factory=Counter[str])


class Traffic:
    """The runs of a sample, the newest first. Of what a former pass has seen only what had not ended comes again."""

    def __init__(self, ledger: Ledger, sample: Sample) -> None:
        self._ledger = ledger
        self._sample = sample
        self._lineage = Lineage(ledger)
        self._from_ns: int | None = None
        self._open: set[str] = set()
        self._over: set[str] = set()

    def runs(self, seen: Seen) -> Generator[RunRecord]:
        """Completed runs of production in the sample. Raises `LedgerError`.

        Once it is gone through, the next call begins where this one did.
        """
        began_ns = time.time_ns()
        since_ns = self._sample.since_ns()
        waiting, self._open = self._open, set()
        again = set(waiting)
        try:
            for run in runs_of(self._ledger, self._sample.flow, since_ns=max(since_ns, self._from_ns or 0)):
                again.discard(run.id)
                if self._is_wanted(run, seen):
                    yield run
            for run_id in sorted(again, reverse=True):
                late = self._found(run_id)
                if late is not None and late.created_ns >= since_ns and self._is_wanted(late, seen):
                    yield late
        except GeneratorExit:
            # It was not gone through.
            self._open |= waiting
            raise
        self._from_ns = began_ns - _OVERLAP_NS

    def begin_anew(self) -> None:
        """Look at everything again: the last pass did not end."""
        self._from_ns = None

    def come_again(self, run_id: str) -> None:
        """A run that could not be scored now."""
        self._open.add(run_id)

    def leave(self, run_id: str) -> None:
        """A run that cannot be scored here, so that it is not tried in each pass."""
        self._over.add(run_id)

    def _found(self, run_id: str) -> RunRecord | None:
        try:
            return self._ledger.run(run_id)
        except UnknownRun:
            return None

    def _is_wanted(self, run: RunRecord, seen: Seen) -> bool:
        if self._lineage.is_trial(run):
            return False
        seen.runs += 1
        if not self._sample.has(run.id):
            return False
        if run.status == "completed":
            if run.pruned_ns is not None:
                seen.left_out["were pruned"] += 1
                return False
            seen.sampled += 1
            return run.id not in self._over
        if run.status not in FINAL:
            self._open.add(run.id)
        return False
