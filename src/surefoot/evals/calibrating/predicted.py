"""A mean of scores by a judge that errs, corrected by the cases that people have scored, too."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from surefoot.errors import InvalidInput
from surefoot.evals.statistics import Interval
from surefoot.evals.statistics.columns import Numbers, column
from surefoot.evals.statistics.intervals import t_quantile

if TYPE_CHECKING:
    from surefoot.evals.statistics.columns import Floats

FEWEST = 20
"""Labelled cases below which the judge's error is not known well enough."""


def prediction_powered(
    judged: Numbers, judged_of_labelled: Numbers, labels: Numbers, *, confidence: float = 0.95
) -> tuple[float, Interval]:
    """What people would say on average, and its interval, in the unit of the labels.

    judged: the judge's scores, or its differences (candidate - baseline), of the cases that nobody has labelled.
    judged_of_labelled, labels: the judge's scores (or differences) and people's of the labelled cases.

    Nothing is assumed of the judge, not even that it errs alike in both arms; the labelled cases have to be drawn from
    the same cases at random. The worse the judge, the nearer the result is to that of the labels alone. Angelopoulos et
    al., "Prediction-powered inference", Science 382 (2023), with the weight of Angelopoulos, Duchi and Zrnic, "PPI++:
    Efficient Prediction-Powered Inference" (2023).

    Raises `InvalidInput` for fewer than 20 labelled cases, fewer than 2 others, and columns that do not fit.
    """
    import numpy as np

    others, seen = column(judged, "judge's scores"), column(judged_of_labelled, "scores of labelled cases")
    true = column(labels, "labels")
    if len(seen) != len(true):
        raise InvalidInput(f"there are {len(seen)} scores of labelled cases and {len(true)} labels")
    if len(true) < FEWEST or len(others) < 2:
        raise InvalidInput(
            f"{len(true)} labelled cases and {len(others)} others are too few to correct a judge: "
            f"label at least {FEWEST}"
        )
    cases, labelled = len(others), len(true)
    spread = float(np.concatenate([others, seen]).var(ddof=1))
    together = float(((seen - seen.mean()) * (true - true.mean())).sum()) / (labelled - 1)
    weight = min(max(together / (spread * (1 + labelled / cases)), 0.0), 1.0) if spread > 0 else 0.0
    errors: Floats = true - weight * seen
    mean = weight * float(others.mean()) + float(errors.mean())
    variance = weight**2 * float(others.var(ddof=1)) / cases + float(errors.var(ddof=1)) / labelled
    # One degree of freedom more is spent on the weight.
    half = t_quantile((1 + confidence) / 2, labelled - 2) * math.sqrt(variance)
    return mean, Interval(mean - half, mean + half)
