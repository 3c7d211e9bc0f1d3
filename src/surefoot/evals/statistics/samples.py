"""What is resampled: a mean over cases, or the logarithm of the ratio of two."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from surefoot.evals.statistics.columns import Floats

_TINY = 1e-300


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One column, of which the mean is looked at, or two, of which it is log(mean / mean).

    columns: each of shape (n,), n above 0. Of two, all values are 0 or more, and neither mean is 0.
    scale: how far a case may lie from the others: what is assumed while nearly all are the same.
    """

    columns: tuple[Floats] | tuple[Floats, Floats]
    scale: float = 1.0

    @property
    def cases(self) -> int:
        return len(self.columns[0])

    @property
    def value(self) -> float:
        means = [float(column.mean()) for column in self.columns]
        return means[0] if len(means) == 1 else math.log(means[0] / means[1])

    @property
    def hangs_on_one(self) -> bool:
        """Whether a ratio is none without a single case, as all other values of an arm are 0."""
        return len(self.columns) == 2 and any(
            float(column.max()) >= float(column.sum()) for column in self.columns
        )

    @property
    def influence(self) -> Floats:
        """How the value moves with each case, about 0: (n - 1) * (mean of the jackknife's values - each), shape (n,).

        Of a mean it is what each case lies above it. Of a ratio it takes in how unsure the means are, which the first
        derivative does not: that makes the interval of few skewed costs wide enough. Takes two cases or more.
        """
        import numpy as np

        first, *second = self.columns
        if not second:
            above: Floats = first - first.mean()
            return above
        rest = [np.maximum(column.sum() - column, _TINY) for column in (first, second[0])]
        left_out = np.log(rest[0]) - np.log(rest[1])
        moved: Floats = (len(first) - 1) * (left_out.mean() - left_out)
        return moved

    def around(self, means: Floats) -> Floats:
        """The value in each resample less the observed one; `means`: shape (resamples, columns of the sample)."""
        import numpy as np

        if len(self.columns) == 1:
            around: Floats = means[:, 0] - self.value
            return around
        # A resample of zeros alone is further out than any other.
        logs: Floats = np.log(np.maximum(means, _TINY))
        return logs[:, 0] - logs[:, 1] - self.value
