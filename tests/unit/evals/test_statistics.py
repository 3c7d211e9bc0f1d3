"""The statistics against scipy and statsmodels, and on data that have little to say."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
import scipy  # which loads its parts when they are used

from surefoot.errors import InvalidInput, MissingExtra
from surefoot.evals.statistics import (
    EVERYTHING,
    Interval,
    Pairs,
    bca_interval,
    bootstrap_interval,
    cases_needed,
    compare_pairs,
    discordance_sd,
    effect_of,
    holm,
    mcnemar_p,
    minimum_detectable,
    minimum_detectable_rate,
    non_inferior,
    permutation_p,
    power_of,
    ratio_interval,
    tango_interval,
)
from surefoot.evals.statistics.intervals import t_quantile

# Against scipy and statsmodels


@pytest.mark.parametrize("draw", ["normal", "exponential"])
@pytest.mark.parametrize("cases", [15, 80])
def test_bca_is_that_of_scipy(draw: str, cases: int) -> None:
    rng = np.random.default_rng(cases)
    values = getattr(rng, draw)(size=cases)
    ours = bca_interval(values, resamples=40_000)
    theirs = scipy.stats.bootstrap((values,), np.mean, n_resamples=40_000, rng=1).confidence_interval
    # What two different sets of 40,000 resamples may differ by, in standard errors of the mean.
    error = values.std() / math.sqrt(cases)
    assert ours.low == pytest.approx(float(theirs.low), abs=0.06 * error)
    assert ours.high == pytest.approx(float(theirs.high), abs=0.06 * error)


def test_few_differences_are_flipped_in_all_ways_as_in_scipy() -> None:
    rng = np.random.default_rng(5)
    for cases in (2, 5, 9, 12):
        values = rng.normal(0.4, 1, cases)
        theirs = scipy.stats.permutation_test(
            (values,), np.mean, permutation_type="samples", n_resamples=np.inf
        )
        assert permutation_p(values) == pytest.approx(float(theirs.pvalue), abs=1e-12)


def test_equal_sums_of_differences_count_as_equal() -> None:
    values = [0.1, 0.2, 0.3, -0.1, 0.1, 0.2]
    theirs = scipy.stats.permutation_test(
        (np.array(values),), np.mean, permutation_type="samples", n_resamples=np.inf
    )
    assert permutation_p(values) == pytest.approx(float(theirs.pvalue), abs=1e-12)
    assert permutation_p([1e9 * value for value in values]) == permutation_p(values)


@pytest.mark.parametrize("shift", [0.05, 0.2, 0.45])
def test_many_differences_are_flipped_at_random_as_in_scipy(shift: float) -> None:
    values = np.random.default_rng(8).normal(shift, 1, 60)
    theirs = scipy.stats.permutation_test(
        (values,), np.mean, permutation_type="samples", n_resamples=30_000, rng=2
    ).pvalue
    # Two hundred extreme flips: known to about 7 % of itself.
    assert permutation_p(values) == pytest.approx(float(theirs), rel=0.3, abs=2e-4)


def test_the_least_p_is_no_zero_and_is_small_enough_for_many_tests() -> None:
    p = permutation_p(np.full(400, 0.5))
    assert 0 < p < 0.05 / 500


@pytest.mark.parametrize(("better", "worse"), [(0, 3), (8, 1), (10, 20), (150, 210), (0, 12), (1, 1)])
def test_the_mid_p_is_the_exact_p_of_statsmodels_less_half_of_what_was_seen(better: int, worse: int) -> None:
    from statsmodels.stats.contingency_tables import mcnemar

    exact = float(mcnemar([[50, better], [worse, 7]], exact=True).pvalue)
    point = float(scipy.stats.binom.pmf(min(better, worse), better + worse, 0.5))
    assert mcnemar_p(better, worse) == pytest.approx(1.0 if better == worse else exact - point, abs=1e-10)
    assert mcnemar_p(worse, better) == mcnemar_p(better, worse)


def test_mcnemar_stands_thousands_of_changed_verdicts() -> None:
    assert mcnemar_p(4_800, 5_200) == pytest.approx(
        float(scipy.stats.binomtest(4_800, 10_000).pvalue - scipy.stats.binom.pmf(4_800, 10_000, 0.5)),
        rel=1e-6,
    )


@pytest.mark.parametrize("ps", [[0.01, 0.04, 0.03, 0.005], [0.5], [], [0.02, 0.02, 0.02], [1.0, 0.0, 0.9]])
def test_holm_is_that_of_statsmodels(ps: list[float]) -> None:
    from statsmodels.stats.multitest import multipletests

    theirs = list(multipletests(ps, method="holm")[1]) if ps else []
    assert holm(ps) == pytest.approx(theirs)


@pytest.mark.parametrize(
    ("cases", "effect"),
    [(2, 0.5), (2, 5.0), (5, 0.1), (5, 1.5), (30, 0.1), (30, 0.5), (400, 0.1), (400, 0.15)],
)
def test_the_power_is_that_of_statsmodels(cases: int, effect: float) -> None:
    from statsmodels.stats.power import TTestPower

    theirs = float(TTestPower().power(effect, cases, 0.05))
    assert power_of(effect * 3, 3.0, cases) == pytest.approx(theirs, abs=2e-6)


@pytest.mark.parametrize("cases", [8, 50, 1000])
def test_what_is_detectable_is_that_of_statsmodels_and_so_many_cases_are_needed(cases: int) -> None:
    from statsmodels.stats.power import TTestPower

    found = minimum_detectable(2.0, cases)
    theirs = TTestPower().solve_power(nobs=cases, alpha=0.05, power=0.8)
    assert found == pytest.approx(2.0 * float(theirs), rel=1e-4)
    assert cases_needed(found * 1.000_01, 2.0) == cases


def test_a_detectable_difference_of_rates_is_within_what_changes() -> None:
    found = minimum_detectable_rate(0.2, 400)
    assert power_of(found, discordance_sd(0.2, difference=found), 400) == pytest.approx(0.8, abs=1e-6)
    assert minimum_detectable_rate(0.05, 20) == math.inf
    assert minimum_detectable_rate(0.05, 1) == math.inf


def test_more_tests_need_more_cases() -> None:
    assert cases_needed(0.1, 0.3, tests=12) > cases_needed(0.1, 0.3) > cases_needed(0.2, 0.3)
    assert minimum_detectable(0.3, 100, tests=12) > minimum_detectable(0.3, 100)


@pytest.mark.parametrize("share", [0.6, 0.975, 0.99999])
def test_quantiles_of_t_go_over_into_their_expansion(share: float) -> None:
    for freedom in (299, 300, 301, 5_000):
        assert t_quantile(share, freedom) == pytest.approx(float(scipy.stats.t.ppf(share, freedom)), rel=1e-8)


@pytest.mark.parametrize(("better", "worse", "cases"), [(12, 5, 100), (0, 3, 20), (40, 0, 44), (7, 7, 30)])
def test_tangos_interval_ends_where_the_score_test_refuses(better: int, worse: int, cases: int) -> None:
    z = scipy.stats.norm.ppf(0.975)

    def score(difference: float) -> float:
        """The likelihood maximised by search, in place of the closed form."""
        shares = np.linspace(max(0.0, -difference), (1 - difference) / 2, 400_001)[1:-1]
        logs = better * np.log(shares + difference) + worse * np.log(shares)
        logs += (cases - better - worse) * np.log(np.maximum(1 - 2 * shares - difference, 1e-300))
        share = shares[logs.argmax()]
        variance = cases * (2 * share + difference - difference**2)
        return (better - worse - cases * difference) / math.sqrt(variance)

    found = tango_interval(better, worse, cases)
    assert score(found.low) == pytest.approx(z, abs=2e-3)
    assert score(found.high) == pytest.approx(-z, abs=2e-3)


# What is the same every time


def test_equal_inputs_give_equal_numbers_whatever_stands_beside_them() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.normal(0.1, 1, 100), rng.normal(0, 1, 100)
    nothing = np.zeros(100)
    alone = compare_pairs([Pairs(first, nothing)])[0]
    assert compare_pairs([Pairs(second, nothing), Pairs(first, nothing)])[1] == alone
    assert compare_pairs([Pairs(first, nothing)], seed=1)[0] != alone
    assert alone.interval == bootstrap_interval(first)
    assert alone.p == permutation_p(first)


def test_draws_are_pinned() -> None:
    # Were they others on another machine or with another numpy, gates would decide otherwise there.
    values = np.sin(np.arange(40.0))
    assert permutation_p(values) == PINNED_P
    found = bootstrap_interval(values + 0.3)
    assert (found.low, found.high) == pytest.approx(PINNED_INTERVAL, rel=1e-9)


PINNED_P = 200 / 253
PINNED_INTERVAL = (0.09495464845251622, 0.5569841989776609)

# Little to say


def test_one_case_says_nothing_and_none_neither() -> None:
    for values in ([], [0.4]):
        assert bootstrap_interval(values) == EVERYTHING
        found = compare_pairs([Pairs(values, values)])[0]
        assert (found.n, found.interval, found.p) == (len(values), EVERYTHING, 1.0)
    assert compare_pairs([Pairs([], [], "rate")])[0].delta is None
    assert tango_interval(0, 0, 0) == EVERYTHING
    assert minimum_detectable(0.3, 1) == math.inf


@pytest.mark.parametrize("kind", ["mean", "rate"])
def test_a_few_cases_without_a_difference_do_not_show_that_there_is_none(kind: str) -> None:
    for cases in (2, 5, 20):
        found = compare_pairs([Pairs([1.0] * cases, [1.0] * cases, kind)])[0]  # type: ignore[arg-type]
        assert effect_of(found.interval, margin=0.05, p=found.p) == "too few cases"
    many = compare_pairs([Pairs([1.0] * 200, [1.0] * 200, kind)])[0]  # type: ignore[arg-type]
    assert effect_of(many.interval, margin=0.05, p=many.p) == "equivalent"


def test_two_cases_are_too_few_for_anything() -> None:
    found = compare_pairs([Pairs([0.9, 0.91], [0.1, 0.1])])[0]
    assert effect_of(found.interval, margin=0.05, p=found.p) == "too few cases"


def test_a_constant_difference_is_an_improvement_once_there_are_enough_cases() -> None:
    classes = []
    for cases in (3, 50):
        found = compare_pairs([Pairs([0.6] * cases, [0.5] * cases)])[0]
        classes.append(effect_of(found.interval, margin=0.02, p=found.p))
    assert classes == ["too few cases", "improved"]


def test_a_single_difference_among_ties_does_not_make_the_interval_narrow() -> None:
    found = bootstrap_interval([0.0] * 29 + [0.1])
    assert found.width > 0.1
    # Where enough of them differ, those tell.
    assert bootstrap_interval([0.0] * 300 + [0.1, -0.1] * 5).width < 0.02


def test_values_that_are_none_are_refused_by_their_place() -> None:
    for call in (bootstrap_interval, permutation_p, bca_interval):
        with pytest.raises(InvalidInput, match="nan at place 1"):
            call([0.1, math.nan, 0.2])
    with pytest.raises(InvalidInput, match="inf"):
        compare_pairs([Pairs([math.inf], [0.0])])
    with pytest.raises(InvalidInput, match="shape"):
        bootstrap_interval(np.zeros((2, 2)))


def test_an_arm_that_is_missing_is_refused() -> None:
    with pytest.raises(InvalidInput, match="3 values and the baseline 0"):
        compare_pairs([Pairs([1.0, 0.0, 1.0], [])])


@pytest.mark.parametrize(
    "call",
    [
        lambda: holm([0.1, 1.2]),
        lambda: mcnemar_p(-1, 3),
        lambda: tango_interval(3, 3, 5),
        lambda: effect_of(EVERYTHING, margin=-0.1, p=0.1),
        lambda: effect_of(EVERYTHING, margin=math.nan, p=0.1),
        lambda: bootstrap_interval([0.1, 0.2], confidence=95),
        lambda: cases_needed(0.0, 0.3),
        lambda: cases_needed(1e-9, 0.3),
        lambda: minimum_detectable(-1.0, 10),
        lambda: minimum_detectable([0.1], 10),
        lambda: minimum_detectable(0.1, 10, power=1.0),
        lambda: discordance_sd(0.1, difference=0.2),
        lambda: ratio_interval([-1.0, 2.0], [1.0, 2.0]),
    ],
)
def test_what_cannot_be_is_refused(call) -> None:
    with pytest.raises(InvalidInput):
        call()


def test_without_numpy_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.raises(MissingExtra, match=r"surefoot\[eval\]"):
        bootstrap_interval([0.1, 0.2])
    # What needs none goes on.
    assert mcnemar_p(3, 9) < 1
    assert minimum_detectable(0.3, 20) > 0


# Ratios


def test_a_ratio_is_of_means_and_has_no_unit() -> None:
    rng = np.random.default_rng(3)
    baseline = np.exp(rng.normal(0, 0.5, 80))
    candidate = baseline * np.exp(rng.normal(-0.3, 0.2, 80))
    found = compare_pairs([Pairs(candidate, baseline, "ratio")])[0]
    assert found.delta == pytest.approx(candidate.mean() / baseline.mean() - 1)
    assert found.interval.low < found.delta < found.interval.high < 0
    ratio = ratio_interval(candidate, baseline)
    assert (ratio.low - 1, ratio.high - 1) == pytest.approx((found.interval.low, found.interval.high))
    in_cents = compare_pairs([Pairs(candidate * 100, baseline * 100, "ratio")])[0]
    assert in_cents.interval.low == pytest.approx(found.interval.low)
    turned = ratio_interval(baseline, candidate)
    assert turned.low == pytest.approx(1 / ratio.high, rel=0.02)


def test_what_cost_nothing_has_no_ratio() -> None:
    assert ratio_interval([0.0, 0.0], [1.0, 2.0]) == Interval(0.0, math.inf)
    assert compare_pairs([Pairs([1.0, 2.0], [0.0, 0.0], "ratio")])[0].delta is None
    # All of the cost in one case: leaving that one out leaves nothing.
    one = [0.0] * 19 + [3.0]
    assert ratio_interval(one, one[::-1]) == Interval(0.0, math.inf)


# Classes


@pytest.mark.parametrize(
    "case",
    [
        (0.03, 0.09, 0.001, 0.02, "higher", "improved"),
        (0.03, 0.09, 0.001, 0.02, "lower", "worse"),
        (-0.09, -0.03, 0.001, 0.02, "higher", "worse"),
        (-0.09, -0.03, 0.001, 0.02, "lower", "improved"),
        (0.005, 0.015, 0.001, 0.02, "higher", "equivalent"),
        (-0.015, 0.018, 0.6, 0.02, "higher", "equivalent"),
        (0.03, 0.09, 0.2, 0.02, "higher", "too few cases"),
        (-0.001, 0.09, 0.04, 0.02, "higher", "too few cases"),
        (0.0, 0.0, 1.0, 0.0, "higher", "too few cases"),
        (-math.inf, math.inf, 1.0, 0.5, "higher", "too few cases"),
    ],
)
def test_classes(case: tuple) -> None:
    low, high, p, margin, direction, effect = case
    assert effect_of(Interval(low, high), margin=margin, p=p, direction=direction) == effect


def test_no_worse_than_the_margin() -> None:
    assert non_inferior(Interval(-0.01, 0.2), margin=0.02)
    assert not non_inferior(Interval(-0.03, 0.2), margin=0.02)
    assert non_inferior(Interval(-0.9, 0.01), margin=0.02, direction="lower")
    assert not non_inferior(EVERYTHING, margin=0.02)


def test_an_interval_without_an_end_is_json() -> None:
    assert EVERYTHING.to_json() == [None, None]
    assert (
        compare_pairs([Pairs([True, False], [True, True], "rate")])[0].to_json()["method"]
        == "Tango, McNemar mid-p"
    )


def test_a_comparison_of_many_metrics_and_slices_is_quick() -> None:
    import time

    rng = np.random.default_rng(0)
    pairs: list[Pairs] = []
    for metric in range(10):
        baseline = rng.random(1000)
        candidate = np.clip(baseline + rng.normal(0.01, 0.2, 1000), 0, 1)
        kind = "ratio" if metric == 0 else "mean"
        pairs.append(Pairs(candidate, baseline, kind))
        pairs += [Pairs(candidate[part::5], baseline[part::5], kind) for part in range(5)]
    begun = time.process_time()
    assert len(compare_pairs(pairs)) == 60
    # 0.5 s on a quiet machine; this is only to see that nobody made it a loop over cases.
    assert time.process_time() - begun < 15
