"""Whether a judge is swayed by how long an answer is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from surefoot.errors import InvalidInput
from surefoot.evals.statistics import Interval
from surefoot.evals.statistics.columns import Numbers, column
from surefoot.evals.statistics.intervals import t_quantile
from surefoot.values import Json

if TYPE_CHECKING:
    from surefoot.evals.statistics.columns import Floats

_FEWEST = 10
_SAME = 1e-12


@dataclass(frozen=True, slots=True)
class LengthBias:
    """How a judge's error (verdict - label) goes with the length of the answer, over `n` labelled cases.

    `slope`: by how much the judge is more lenient for an answer of twice the length, in the unit of the score (of
    verdicts: as a share); `interval` is its. `correlation`: Pearson's, of the error and the logarithm of the length;
    None where all errors are the same.
    """

    n: int
    slope: float
    interval: Interval
    correlation: float | None

    @property
    def is_shown(self) -> bool:
        """Whether the interval leaves no doubt that length sways the judge."""
        return self.interval.is_beyond_zero

    def __str__(self) -> str:
        low, high = self.interval.low, self.interval.high
        told = "length sways it" if self.is_shown else "no sway of length is shown"
        return (
            f"{self.slope:+.3f} for twice the length ({low:+.3f} to {high:+.3f}) over {self.n} cases: {told}"
        )

    def to_json(self) -> dict[str, Json]:
        return {
            "n": self.n,
            "slope": self.slope,
            "interval": self.interval.to_json(),
            "correlation": self.correlation,
            "is_shown": self.is_shown,
        }


def length_bias(
    lengths: Numbers, verdicts: Numbers, labels: Numbers, *, confidence: float = 0.95
) -> LengthBias:
    """The regression of a judge's errors on the logarithm (base 2) of the answers' lengths.

    lengths: of the answers, above 0, in characters or tokens. verdicts, labels: bools or scores of one scale, one for
        each answer, in the same order.

    A long answer that is better is no bias: only what the judge says beyond the label counts. The interval holds where
    errors spread more for some lengths than for others: MacKinnon and White, "Some Heteroskedasticity-Consistent
    Covariance Matrix Estimators with Improved Finite Sample Properties", Journal of Econometrics 29 (1985), HC3.

    Raises `InvalidInput` for fewer than 10 cases, columns of different lengths, and answers all of one length.
    """
    import numpy as np

    sizes, said, true = column(lengths, "lengths"), column(verdicts, "verdicts"), column(labels, "labels")
    if not len(sizes) == len(said) == len(true):
        raise InvalidInput(
            f"there are {len(sizes)} lengths, {len(said)} verdicts and {len(true)} labels: give one of each for every "
            "case"
        )
    if len(sizes) < _FEWEST:
        raise InvalidInput(f"{len(sizes)} labelled cases show no bias by length: give at least {_FEWEST}")
    if sizes.min() <= 0:
        raise InvalidInput("an answer of the length 0 cannot be judged by its length: leave it out")
    x: Floats = np.log2(sizes)
    x = x - x.mean()
    squares = float((x**2).sum())
    if squares < _SAME:
        raise InvalidInput("all answers are of one length, so that its influence cannot be seen")
    error: Floats = said - true
    slope = float((x * error).sum()) / squares
    rest: Floats = error - error.mean() - slope * x
    leverage: Floats = 1 / len(x) + x**2 / squares
    # Where one answer alone is of another length, its own error says nothing of itself.
    deleted: Floats = rest / np.maximum(1 - leverage, _SAME)
    half = math.sqrt(float((x**2 * deleted**2).sum())) / squares
    half *= t_quantile((1 + confidence) / 2, len(x) - 2)
    spread = float(error.std())
    correlation = slope * float(x.std()) / spread if spread > 0 else None
    return LengthBias(len(x), slope, Interval(slope - half, slope + half), correlation)
