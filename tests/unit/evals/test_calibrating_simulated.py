"""The error of a judge in a comparison, against simulated cases of which the truth is known; all with `make stats`."""

from __future__ import annotations

import os

import numpy as np
import pytest

from surefoot.evals.calibrating import JudgeAccuracy, carried, prediction_powered
from surefoot.evals.statistics import tango_interval
from surefoot.evals.statistics.intervals import student

IS_FULL = os.environ.get("SUREFOOT_TEST_STATISTICS") == "all"
EXPERIMENTS = 4_000 if IS_FULL else 300
NOISE = 0 if IS_FULL else 3.5 * (0.05 * 0.95 / EXPERIMENTS) ** 0.5
CHANGING, DELTA = 0.3, 0.15


def tell(what: str, *shares: float) -> None:
    if IS_FULL:
        print(f"\n{what}: {', '.join(f'{share:.2%}' for share in shares)}", end="")  # noqa: T201


@pytest.mark.parametrize(("cases", "labels"), [(50, 100), (200, 40), (200, 100), (1000, 100), (1000, 400)])
@pytest.mark.parametrize(("sensitivity", "specificity"), [(0.9, 0.8), (0.95, 0.9), (0.8, 0.75)])
def test_the_corrected_interval_holds_the_truth_and_the_naive_one_does_not(
    cases: int, labels: int, sensitivity: float, specificity: float
) -> None:
    rng = np.random.default_rng([cases, labels, round(100 * sensitivity)])
    held = naive = rates = told = 0
    for _ in range(EXPERIMENTS):
        drawn, passed = rng.random(cases), rng.random(cases) < 0.7
        better = drawn < (CHANGING + DELTA) / 2
        worse = ~better & (drawn < CHANGING)
        truths = better | passed & ~worse, worse | passed & ~better
        seen = [
            np.where(truth, rng.random(cases) < sensitivity, rng.random(cases) >= specificity) * 1.0
            for truth in truths
        ]
        positives = int(rng.binomial(labels, 0.6))
        negatives = labels - positives
        judge = JudgeAccuracy(
            positives,
            int(rng.binomial(positives, sensitivity)),
            negatives,
            int(rng.binomial(negatives, specificity)),
        )
        if min(positives, negatives) < 10 or judge.telling <= 1.96 * sum(judge.variances) ** 0.5:
            continue
        found = carried(*seen, judge)
        told += 1
        held += found.interval.low <= DELTA <= found.interval.high
        rate = 0.7 * (1 - CHANGING) + (CHANGING + DELTA) / 2
        rates += found.candidate_interval.low <= rate <= found.candidate_interval.high
        plain = tango_interval(int((seen[0] > seen[1]).sum()), int((seen[0] < seen[1]).sum()), cases)
        naive += plain.low <= DELTA <= plain.high
    what = f"judge {sensitivity}/{specificity}, {labels} labels, n = {cases}"
    tell(f"{what}: difference, rate, naive", held / told, rates / told, naive / told)
    assert told > 0.9 * EXPERIMENTS
    assert 0.94 - NOISE <= held / told <= 0.96 + NOISE
    # With 40 labels the error of the judge itself is coarse: the rate's interval is rather too wide than too narrow.
    assert 0.94 - NOISE <= rates / told <= (0.99 if labels < 100 else 0.97) + NOISE
    if cases >= 1000 or (cases >= 200 and sensitivity < 0.95):
        assert naive / told < 0.9


@pytest.mark.parametrize(("cases", "labels"), [(200, 30), (1000, 100)])
@pytest.mark.parametrize("noise", [0.1, 0.4])
def test_corrected_scores_hold_the_truth_though_the_judge_is_lenient(
    cases: int, labels: int, noise: float
) -> None:
    rng = np.random.default_rng([cases, labels, round(10 * noise)])
    held = naive = 0
    for _ in range(EXPERIMENTS):
        true = rng.beta(3, 2, cases + labels)
        # It gives a little more than people do, and more to what is bad.
        said = 0.15 + 0.85 * true + rng.normal(0, noise, cases + labels)
        _, interval = prediction_powered(said[labels:], said[:labels], true[:labels])
        held += interval.low <= 0.6 <= interval.high
        plain = student(said[labels:].tolist())
        assert plain is not None
        naive += plain[0] <= 0.6 <= plain[1]
    tell(
        f"scores, {labels} labels, n = {cases}, noise {noise}: corrected, naive",
        held / EXPERIMENTS,
        naive / EXPERIMENTS,
    )
    assert 0.94 - NOISE <= held / EXPERIMENTS <= 0.96 + NOISE
    assert naive / EXPERIMENTS < 0.9
