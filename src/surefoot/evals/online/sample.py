"""What of production is scored: runs of a flow, a share of them, by which scorers, for how much."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from surefoot.errors import InvalidInput
from surefoot.evals.backtesting.choosing import since_of
from surefoot.evals.datasets.drawing import place_of
from surefoot.evals.scoring.binding import Scorer
from surefoot.evals.scoring.readings import Reader
from surefoot.values import Money

_SEED = 0
"""Of the draw: the same as of a dataset made of runs, so that what is scored is what people are shown first."""
_LAST_NS = (1 << 63) - 1
"""The last moment that a ledger can hold."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A share of the runs of a flow, and what they are scored by.

    name: names its experiment, `online-NAME`, to which scores are added for as long as there are runs.
    flow: the name of the flow in the ledger.
    share: how much of the runs, above 0 to 1. A run is in it by the digest of its id: wherever and whenever that is
        asked, and in every larger share.
    since: `last 7 days`, or a date, from which on runs are scored.
    max_cost: what judging may cost in a day (UTC).
    """

    name: str
    flow: str
    scorers: Sequence[Scorer] | Mapping[str, Scorer]
    share: float = 0.1
    reads: Mapping[str, Reader] = field(default_factory=dict[str, Reader])
    since: str = "last day"
    max_cost: Money | None = None

    def __post_init__(self) -> None:
        """Raises `InvalidInput`."""
        if not 0 < self.share <= 1:
            raise InvalidInput(f"online.{self.name}: the share is {self.share:g}: give one above 0, up to 1")
        self.since_ns()

    @property
    def experiment(self) -> str:
        """The id of its experiment."""
        return f"online-{self.name}"

    def has(self, run_id: str) -> bool:
        """Whether a run is in it, if it is one of the flow."""
        return place_of(run_id, _SEED) < self.share

    def since_ns(self) -> int:
        """From when on runs are scored, by now; in ns since the epoch. Raises `InvalidInput`."""
        if "last" in self.since.lower():
            return since_of(self.since)
        try:
            began = datetime.fromisoformat(self.since.strip())
        except ValueError:
            raise InvalidInput(
                f"online.{self.name}: since is {self.since!r}: write 'last 7 days', or a date as in 2026-11-24"
            ) from None
        began = began if began.tzinfo is not None else began.replace(tzinfo=UTC)
        return min(max(round(began.timestamp() * 1e9), 0), _LAST_NS)


def day_ns() -> int:
    """When this day (UTC) began."""
    day = 86_400_000_000_000
    return time.time_ns() // day * day
