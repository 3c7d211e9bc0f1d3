"""Which recorded runs are backtested: those of production, by when they were made, by tags, or by their ids."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from surefoot.errors import InvalidInput
from surefoot.evals.datasets.drawing import place_of
from surefoot.evals.lineage import Lineage, runs_of
from surefoot.ledger import Ledger, RunRecord

_PERIOD = re.compile(r"\s*(?:the\s+)?last\s+(?:(\d+)\s+)?(minute|hour|day|week|month)s?\s*", re.IGNORECASE)
_SECONDS = {"minute": 60, "hour": 3_600, "day": 86_400, "week": 604_800, "month": 2_592_000}
_ENDED = ("completed", "failed")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which runs of a flow: those with these ids, else those that began in a time and have these tags.

    since_ns, until_ns: in ns since the epoch. tags: those that a run must have. limit: the newest so many. size: so
    many of these, drawn by the digest of their ids and `seed`. with_failed: runs that failed too.
    """

    ids: Sequence[str] = ()
    since_ns: int | None = None
    until_ns: int | None = None
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    limit: int | None = None
    size: int | None = None
    seed: int = 0
    with_failed: bool = False

    @classmethod
    def of(cls, runs: Wanted | str | Sequence[str]) -> Wanted:
        """Ids, or a period as in `last 7 days`. Raises `InvalidInput`."""
        if isinstance(runs, Wanted):
            return runs
        if not isinstance(runs, str):
            return cls(ids=tuple(runs))
        return cls(since_ns=since_of(runs))


@dataclass(frozen=True, slots=True)
class Chosen:
    """The runs that were chosen, the oldest first, and how many were left out for which reason."""

    runs: tuple[RunRecord, ...]
    left_out: Mapping[str, int]


def since_of(period: str) -> int:
    """When a period began, in ns since the epoch: `last 7 days`, `last hour`. Raises `InvalidInput`."""
    found = _PERIOD.fullmatch(period)
    if found is None:
        raise InvalidInput(
            f"{period!r} is no period: write 'last 7 days', with minutes, hours, days, weeks or months"
        )
    seconds = int(found[1] or 1) * _SECONDS[found[2].lower()]
    return max(0, time.time_ns() - seconds * 1_000_000_000)


def chosen(ledger: Ledger, flow: str, wanted: Wanted) -> Chosen:
    """The runs of a flow that are wanted. Raises `InvalidInput` where there is none, `UnknownRun` and `LedgerError`."""
    left_out: Counter[str] = Counter()
    if wanted.ids:
        # What was named is meant, whatever it is.
        runs = [_named(ledger, flow, run_id) for run_id in dict.fromkeys(wanted.ids)]
    else:
        runs = list(_found(ledger, flow, wanted, left_out))
    if wanted.size is not None and wanted.size < len(runs):
        runs = sorted(runs, key=lambda run: place_of(run.id, wanted.seed))[: wanted.size]
    if not runs:
        why = "; ".join(f"{count} {reason}" for reason, count in left_out.items())
        raise InvalidInput(
            f"no run of {flow} is there to be backtested{f' ({why})' if why else ''}: choose a longer time, or name "
            "runs"
        )
    return Chosen(tuple(sorted(runs, key=lambda run: run.id)), dict(left_out))


def _named(ledger: Ledger, flow: str, run_id: str) -> RunRecord:
    run = ledger.run(run_id)
    if run.flow != flow:
        raise InvalidInput(f"run {run.id} is one of {run.flow}, and {flow} is to be backtested: leave it out")
    if run.status not in _ENDED:
        raise InvalidInput(
            f"run {run.id} is {run.status}: it can be backtested once it has completed or failed"
        )
    return run


def _found(ledger: Ledger, flow: str, wanted: Wanted, left_out: Counter[str]) -> Iterator[RunRecord]:
    lineage, count = Lineage(ledger), 0
    runs = runs_of(ledger, flow, tags=wanted.tags, since_ns=wanted.since_ns, until_ns=wanted.until_ns)
    for run in runs:
        if wanted.limit is not None and count >= wanted.limit:
            return
        if run.status not in _ENDED:
            left_out["have not ended"] += 1
        elif run.status == "failed" and not wanted.with_failed:
            left_out["failed"] += 1
        elif run.pruned_ns is not None:
            left_out["were pruned"] += 1
        elif lineage.is_trial(run):
            left_out["belong to evaluations or are forks"] += 1
        else:
            count += 1
            yield run
