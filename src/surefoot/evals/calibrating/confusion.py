"""What a judge says of cases of which people say something: counts of verdict by label, and Cohen's kappa."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from surefoot.errors import InvalidInput
from surefoot.evals.scores import Value
from surefoot.evals.statistics.columns import require_numpy
from surefoot.evals.statistics.draws import Draws
from surefoot.evals.statistics.interval import EVERYTHING, Interval
from surefoot.values import Json

if TYPE_CHECKING:
    from surefoot.evals.statistics.columns import Floats

Weights = Literal["none", "linear", "quadratic"]
"""How much a wrong verdict disagrees: wholly, or by its distance (or the square of it) in the order of the labels."""

_RESAMPLES = 2_000


@dataclass(frozen=True, slots=True)
class Confusion:
    """Verdicts by labels: `counts[i][j]` cases are labelled `labels[i]` and judged `labels[j]`.

    `failed[i]` cases labelled `labels[i]` have no verdict: they agree with nothing. The order of the labels matters for
    weighted kappa only.
    """

    labels: tuple[Value, ...]
    counts: tuple[tuple[int, ...], ...]
    failed: tuple[int, ...]

    @classmethod
    def of(cls, pairs: Sequence[tuple[Value, Value | None]], *, order: Sequence[Value] = ()) -> Confusion:
        """Of (label, verdict) pairs; a verdict of None is one that failed.

        order: of the labels, from the least to the most, each of them named. Without it numbers and verdicts are
            ordered by their size, texts by their alphabet.

        Raises `InvalidInput` for no pair, and for a label or verdict that is not in the order.
        """
        if not pairs:
            raise InvalidInput("there is no labelled case: give at least one pair of label and verdict")
        seen = Counter[Value](value for pair in pairs for value in pair if value is not None)
        labels = tuple(order) or tuple(sorted(seen, key=lambda value: (isinstance(value, str), value)))
        if strange := [value for value in seen if value not in labels]:
            raise InvalidInput(f"{strange[0]!r} is none of the labels {', '.join(map(repr, labels))}")
        counted = Counter[tuple[Hashable, Hashable]](pairs)
        return cls(
            labels,
            tuple(tuple(counted[label, verdict] for verdict in labels) for label in labels),
            tuple(counted[label, None] for label in labels),
        )

    @property
    def n(self) -> int:
        return sum(map(sum, self.counts)) + sum(self.failed)

    @property
    def right(self) -> int:
        return sum(row[place] for place, row in enumerate(self.counts))

    @property
    def accuracy(self) -> float:
        """The share of the labelled cases on which the judge agrees; 0 to 1."""
        return self.right / self.n

    def kappa(self, weights: Weights = "none") -> float | None:
        """Cohen's kappa: 1 - disagreement / disagreement by chance; None where chance alone would always agree.

        Cohen, "A Coefficient of Agreement for Nominal Scales", Educational and Psychological Measurement 20 (1960);
        with weights "Weighted Kappa", Psychological Bulletin 70 (1968). A verdict that failed is a category of its own,
        and as far from each label as can be.
        """
        cells = [float(count) for row in self._cells() for count in row]
        costs = _costs(len(self.labels), weights)
        width = len(self.labels) + 1
        rows = [sum(cells[width * i : width * (i + 1)]) for i in range(len(self.labels))]
        columns = [sum(cells[j::width]) for j in range(width)]
        flat = [cost for row in costs for cost in row]
        observed = math.fsum(cost * cell for cost, cell in zip(flat, cells, strict=True))
        chance = (
            math.fsum(
                costs[i][j] * rows[i] * columns[j] for i in range(len(rows)) for j in range(len(columns))
            )
            / self.n
        )
        return None if chance == 0 else 1 - observed / chance

    def kappa_interval(
        self, weights: Weights = "none", *, confidence: float = 0.95, seed: int = 0
    ) -> Interval:
        """Between which values kappa lies, by the percentiles of 2,000 resamples of the labelled cases.

        Resamples in which chance alone would always agree are left out; everything where all are. Needs numpy.
        """
        require_numpy()
        import numpy as np

        cells: Floats = np.array(self._cells(), dtype=np.float64).reshape(-1)
        cases = np.repeat(np.arange(len(cells)), cells.astype(np.int64))
        which: Floats = np.zeros((len(cases), len(cells)))
        which[np.arange(len(cases)), cases] = 1.0
        drawn = (Draws(seed, len(cases)).resamples(_RESAMPLES) @ which).reshape(
            _RESAMPLES, len(self.labels), -1
        )
        costs: Floats = np.array(_costs(len(self.labels), weights))
        observed = (drawn * costs).sum(axis=(1, 2))
        chance = np.einsum("ri,rj,ij->r", drawn.sum(axis=2), drawn.sum(axis=1), costs) / self.n
        told = chance > 0
        if not told.any():
            return EVERYTHING
        low, high = np.quantile(
            1 - observed[told] / chance[told], [(1 - confidence) / 2, (1 + confidence) / 2]
        )
        return Interval(float(low), float(high))

    def to_json(self) -> dict[str, Json]:
        return {
            "n": self.n,
            "right": self.right,
            "accuracy": self.accuracy,
            "kappa": self.kappa(),
            "labels": list(self.labels),
            "counts": [list(row) for row in self.counts],
            "failed": list(self.failed),
        }

    def _cells(self) -> list[list[int]]:
        """The counts with the failed verdicts as the last column."""
        return [[*row, failed] for row, failed in zip(self.counts, self.failed, strict=True)]


def _costs(labels: int, weights: Weights) -> list[list[float]]:
    """How far each verdict (columns; the last is a failed one) is from each label (rows), 0 to 1."""
    power = {"none": 0, "linear": 1, "quadratic": 2}[weights]
    farthest = max(labels - 1, 1)
    return [
        [*(0.0 if i == j else (abs(i - j) / farthest) ** power for j in range(labels)), 1.0]
        for i in range(labels)
    ]
