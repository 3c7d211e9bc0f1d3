"""What one pass over the runs of a sample came to. Plain data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from surefoot.evals.experiments.results import Metric, Row, metric_of, totals_json
from surefoot.ledger import Totals
from surefoot.values import Json


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass: `rows` are the runs that were scored in it, each once.

    `runs` of production were looked at (those that are new since the pass before), `sampled` of them have completed and
    are in the sample, and `known` of these had been scored before. `busy` are being judged by another process.
    `left_out` counts what cannot be scored here by its reason. `judging` is what judges have used in it. `stopped` says
    why it ended before it was through.
    """

    name: str
    experiment: str
    flow: str
    runs: int = 0
    sampled: int = 0
    known: int = 0
    busy: int = 0
    rows: tuple[Row, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict[str, int])
    judging: Totals = Totals()
    stopped: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def scored(self) -> int:
        return len(self.rows)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Over the runs of this pass; of the ledger's all, see `surefoot trend`."""
        names = dict.fromkeys(name for row in self.rows for name in (*row.scores, *row.failures))
        return tuple(metric_of(name, self.rows) for name in names)

    @property
    def failures(self) -> Mapping[str, int]:
        """Why scores are missing, and how often, the most frequent first."""
        found = Counter(f"{name}: {reason}" for row in self.rows for name, reason in row.failures.items())
        return dict(found.most_common())

    def to_json(self) -> dict[str, Json]:
        return {
            "name": self.name,
            "experiment": self.experiment,
            "flow": self.flow,
            "runs": self.runs,
            "sampled": self.sampled,
            "known": self.known,
            "scored": self.scored,
            "busy": self.busy,
            "left_out": dict(self.left_out),
            "metrics": [metric.to_json() for metric in self.metrics],
            "judging": totals_json(self.judging),
            "stopped": self.stopped,
            "warnings": list(self.warnings),
        }
