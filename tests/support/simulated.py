"""Experiments drawn from populations of which the truth is known: two arms on the same cases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from surefoot.evals.statistics import Kind

Floats = NDArray[np.float64]
Arms = tuple[Floats, Floats, Floats]
"""Candidate and baseline, shape (experiments, cases), and the true difference of each experiment."""


@dataclass(frozen=True, slots=True)
class Population:
    """How a metric's values come about; `draw(rng, experiments, cases, is_same)`: both arms alike, or not."""

    name: str
    kind: Kind
    draw: Callable[[np.random.Generator, int, int, bool], Arms]
    most: float = 0.96
    """How often an interval for 95 % may hold the truth: more where few cases differ, and all in one direction."""


def _verdicts(rng: np.random.Generator, experiments: int, cases: int, is_same: bool) -> Arms:
    """Pass/fail; 15 to 60 % of the verdicts change, up to 60 % of those in one direction more than in the other."""
    changing = rng.uniform(0.15, 0.6, (experiments, 1))
    delta = changing * (0.0 if is_same else rng.uniform(-0.6, 0.6, (experiments, 1)))
    drawn = rng.random((experiments, cases))
    better = drawn < (changing + delta) / 2
    worse = ~better & (drawn < changing)
    passed = rng.random((experiments, cases)) < 0.7
    return (better | passed & ~worse) * 1.0, (worse | passed & ~better) * 1.0, delta[:, 0]


def _scores(rng: np.random.Generator, experiments: int, cases: int, is_same: bool) -> Arms:
    """0 to 1, most near 1: a case's difficulty and noise through the logistic function."""
    difficulty = rng.normal(1.5, 1.2, (experiments, cases))
    shift = 0.0 if is_same else 0.4
    arms = [difficulty + rng.normal(0, 1, (experiments, cases)) + each for each in (shift, 0.0)]
    candidate, baseline = (1 / (1 + np.exp(-each)) for each in arms)
    return candidate, baseline, np.full(experiments, _sigmoid_mean(1.5 + shift) - _sigmoid_mean(1.5))


def _sigmoid_mean(middle: float) -> float:
    """Of 1 / (1 + exp(-x)), x normal around the middle with variance 1.2**2 + 1, by quadrature."""
    points, weights = np.polynomial.hermite_e.hermegauss(80)
    spread = np.sqrt(1.2**2 + 1)
    return float((weights / (1 + np.exp(-(middle + spread * points)))).sum() / weights.sum())


def _ratings(rng: np.random.Generator, experiments: int, cases: int, is_same: bool) -> Arms:
    """A rubric's 1 to 5, many ties: half of the ratings stay, a third goes by one, a sixth by two."""
    moves = rng.choice([-2, -1, 0, 1, 2], p=[1 / 12, 1 / 6, 1 / 2, 1 / 6, 1 / 12], size=(experiments, cases))
    delta = 0.0
    if not is_same:
        up = rng.random((experiments, cases)) < 0.2
        moves, delta = np.where(up, np.abs(moves), moves), 0.2 * (2 / 6 + 4 / 12)
    baseline = np.full((experiments, cases), 3.0)
    return baseline + moves, baseline, np.full(experiments, delta)


def _skewed(rng: np.random.Generator, experiments: int, cases: int, is_same: bool) -> Arms:
    """Differences of one sign for the most part: a few cases gain much. Alike, they gain and lose as much."""
    gained = np.where(rng.random((experiments, cases)) < 0.4, rng.beta(2, 3, (experiments, cases)), 0.0)
    if is_same:
        gained *= rng.choice([-1.0, 1.0], size=(experiments, cases))
    baseline = np.full((experiments, cases), 1.0)
    return baseline + gained, baseline, np.full(experiments, 0.0 if is_same else 0.4 * 0.4)


def _costs(rng: np.random.Generator, experiments: int, cases: int, is_same: bool) -> Arms:
    """Log-normal, as dear for the one arm as for the other where the case is: compared by the ratio."""
    case = rng.normal(0, 0.6, (experiments, cases))
    arms = [np.exp(case + rng.normal(0, 0.4, (experiments, cases))) for _ in range(2)]
    ratio = 1.0 if is_same else 0.8
    return arms[0] * ratio, arms[1], np.full(experiments, ratio - 1)


POPULATIONS = (
    Population("verdicts", "rate", _verdicts),
    Population("scores", "mean", _scores),
    Population("ratings", "mean", _ratings),
    Population("skewed", "mean", _skewed, most=0.99),
    Population("costs", "ratio", _costs),
)
