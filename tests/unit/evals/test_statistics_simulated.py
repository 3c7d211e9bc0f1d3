"""The statistics against simulated experiments of which the truth is known; all of them with `make stats`."""

from __future__ import annotations

import os

import numpy as np
import pytest

from simulated import POPULATIONS, Population
from surefoot.evals.statistics import (
    Paired,
    Pairs,
    compare_pairs,
    effect_of,
    holm,
    minimum_detectable,
    minimum_detectable_rate,
)
from surefoot.traces import wilson

IS_FULL = os.environ.get("SUREFOOT_TEST_STATISTICS") == "all"
ALPHA = 0.05

EXPERIMENTS = 3_000 if IS_FULL else 300
"""Of each population and number of cases."""

ALIKE = 6_000 if IS_FULL else 300
"""Of those whose arms are alike: the more, the nearer the upper bound is to the rate itself."""

FAMILIES = 2_000 if IS_FULL else 300
"""Experiments with several metrics and slices."""

CASES = (20, 50, 200, 1000) if IS_FULL else (40,)

NOISE = 0 if IS_FULL else 3.5 * (0.05 * 0.95 / EXPERIMENTS) ** 0.5
"""What 300 experiments may lie off by chance; the bounds of the full simulation hold without."""

each_population = pytest.mark.parametrize("population", POPULATIONS, ids=lambda each: each.name)
each_number = pytest.mark.parametrize("cases", CASES)


def compared(
    population: Population, cases: int, experiments: int, *, is_same: bool
) -> tuple[list[Paired], np.ndarray]:
    """The findings of every experiment, and the truth."""
    rng = np.random.default_rng([cases, is_same, *population.name.encode()])
    found: list[Paired] = []
    truths: list[np.ndarray] = []
    for start in range(0, experiments, 500):
        candidate, baseline, truth = population.draw(rng, min(500, experiments - start), cases, is_same)
        pairs = [Pairs(*arms, population.kind) for arms in zip(candidate, baseline, strict=True)]
        found += compare_pairs(pairs)
        truths.append(truth)
    return found, np.concatenate(truths)


def upper(hits: int, count: int) -> float:
    """The one-sided 99 % bound of a share."""
    return wilson(hits, count, confidence=0.98)[1]


def tell(what: str, figure: float) -> None:
    if IS_FULL:
        print(f"\n{what}: {figure:.2%}", end="")  # noqa: T201  (the figures that `make stats` shows)


@each_number
@each_population
def test_intervals_hold_the_truth_as_often_as_they_say(population: Population, cases: int) -> None:
    found, truths = compared(population, cases, EXPERIMENTS, is_same=False)
    share = float(
        np.mean(
            [
                each.interval.low <= true <= each.interval.high
                for each, true in zip(found, truths, strict=True)
            ]
        )
    )
    tell(f"coverage of {population.name}, n = {cases}", share)
    assert 0.94 - NOISE <= share <= population.most + NOISE


@each_number
@each_population
def test_arms_that_are_alike_are_called_different_no_more_often_than_alpha(
    population: Population, cases: int
) -> None:
    found, _ = compared(population, cases, ALIKE, is_same=True)
    ps = sum(each.p < ALPHA for each in found)
    called = sum(
        effect_of(each.interval, margin=0, p=each.p, alpha=ALPHA) in ("improved", "worse") for each in found
    )
    tell(f"false positives of {population.name}, n = {cases}, by p alone", ps / len(found))
    tell(f"false positives of {population.name}, n = {cases}", called / len(found))
    assert upper(called, len(found)) <= ALPHA + 0.012 + NOISE
    # By theory p alone is right to the last digit, or below: this many tests may lie 3.5 standard errors off by chance.
    assert ps / len(found) <= ALPHA + 3.5 * (ALPHA * (1 - ALPHA) / len(found)) ** 0.5


@pytest.mark.parametrize("cases", (60, 200) if IS_FULL else (60,))
def test_an_experiment_with_metrics_and_slices_has_a_false_positive_no_more_often_than_alpha(
    cases: int,
) -> None:
    rng = np.random.default_rng(cases)
    drawn = [(each.kind, *each.draw(rng, FAMILIES, cases, True)[:2]) for each in POPULATIONS]
    slices = [slice(None), slice(0, None, 3), slice(1, None, 3), slice(2, None, 3)][: 4 if IS_FULL else 2]
    wrong = 0
    for start in range(0, FAMILIES, 50):
        # Many at a time share their draws; what each says is the same as alone.
        pairs = [
            Pairs(candidate[place, part], baseline[place, part], kind)
            for place in range(start, start + 50)
            for kind, candidate, baseline in drawn
            for part in slices
        ]
        found, size = compare_pairs(pairs), len(drawn) * len(slices)
        for family in (found[first : first + size] for first in range(0, len(found), size)):
            adjusted = holm([each.p for each in family])
            wrong += any(
                effect_of(each.interval, margin=0, p=p, alpha=ALPHA) in ("improved", "worse")
                for each, p in zip(family, adjusted, strict=True)
            )
    tell(f"experiments of 5 metrics and their slices, n = {cases}, with a false positive", wrong / FAMILIES)
    assert upper(wrong, FAMILIES) <= ALPHA + 0.012 + NOISE


@each_number
@pytest.mark.parametrize("kind", ["scores", "verdicts"])
def test_the_power_is_near_the_forecast(kind: str, cases: int) -> None:
    rng = np.random.default_rng([cases, 7])
    if kind == "scores":
        delta = minimum_detectable(0.2, cases)
        baseline = rng.random((EXPERIMENTS, cases))
        pairs = [Pairs(b + rng.normal(delta, 0.2, cases), b) for b in baseline]
    else:
        changing = 0.6
        delta = minimum_detectable_rate(changing, cases)
        moves = rng.random((EXPERIMENTS, cases))
        better, worse = moves < (changing + delta) / 2, moves >= 1 - (changing - delta) / 2
        pairs = [Pairs(b, w, "rate") for b, w in zip(better * 1.0, worse * 1.0, strict=True)]
    shown = sum(each.p < ALPHA and each.interval.low > 0 for each in compare_pairs(pairs))
    tell(f"power of {kind}, n = {cases}, where 80 % was forecast", shown / EXPERIMENTS)
    # The forecast is that of Student's test: of few verdicts, which are coarse, McNemar's shows less than that.
    slack = 0.08 if kind == "verdicts" and cases <= 50 else 0.03
    assert shown / EXPERIMENTS == pytest.approx(0.8, abs=slack + 2 * NOISE)
