"""Judges against labels: agreement, what sways them, and their error in a comparison."""

from __future__ import annotations

import math

import numpy as np
import pytest

from surefoot.errors import InvalidInput
from surefoot.evals import agreement_of
from surefoot.evals.calibrating import (
    Carried,
    Confusion,
    JudgeAccuracy,
    carried,
    length_bias,
    position_bias,
    prediction_powered,
)
from surefoot.evals.statistics import Pairs, compare_pairs

# Agreement


def graded(cases: int = 120) -> list[tuple[float, float]]:
    rng = np.random.default_rng(2)
    labels = rng.integers(1, 6, cases)
    verdicts = np.clip(labels + rng.integers(-1, 2, cases), 1, 5)
    return [(float(label), float(verdict)) for label, verdict in zip(labels, verdicts, strict=True)]


@pytest.mark.parametrize("weights", ["none", "linear", "quadratic"])
def test_kappa_is_that_of_statsmodels(weights) -> None:
    from statsmodels.stats.inter_rater import cohens_kappa

    found = Confusion.of(graded())
    theirs = cohens_kappa(
        np.array(found.counts), wt=None if weights == "none" else weights, return_results=True
    )
    assert found.kappa(weights) == pytest.approx(float(theirs.kappa))
    interval = found.kappa_interval(weights)
    assert interval.low == pytest.approx(float(theirs.kappa_low), abs=0.03)
    assert interval.high == pytest.approx(float(theirs.kappa_upp), abs=0.03)


def test_the_confusion_of_verdicts_says_what_the_agreement_says() -> None:
    pairs = [(True, True)] * 11 + [(True, False)] * 3 + [(False, True)] * 2 + [(False, False)] * 7
    pairs += [(True, None), (False, None)]
    agreement, found = agreement_of(pairs), Confusion.of(pairs)
    assert (found.n, found.right, found.failed) == (agreement.n, agreement.right, (1, 1))
    assert found.kappa() == pytest.approx(agreement.kappa)
    assert found.accuracy == agreement.accuracy
    assert found.labels == (False, True)
    assert found.counts[1][1] == agreement.true_positive
    assert found.counts[0][1] == agreement.false_positive


def test_labels_of_any_kind_are_counted_and_a_failed_verdict_agrees_with_nothing() -> None:
    found = Confusion.of([("fire", "fire"), ("flood", "fire"), ("flood", None), ("hail", "hail")])
    assert found.labels == ("fire", "flood", "hail")
    assert found.counts == ((1, 0, 0), (1, 0, 0), (0, 0, 1))
    assert found.failed == (0, 1, 0)
    assert found.to_json()["accuracy"] == 0.5


def test_a_verdict_far_from_the_label_in_the_order_is_a_worse_one() -> None:
    order = ("poor", "fair", "good")
    right = [(label, label) for label in order] * 10
    near, far = ([*right, *[("poor", verdict)] * 5] for verdict in ("fair", "good"))
    kappas = [Confusion.of(pairs, order=order).kappa("quadratic") for pairs in (near, far)]
    assert kappas[0] is not None
    assert kappas[1] is not None
    assert kappas[0] > kappas[1] + 0.1


def test_kappa_is_nothing_where_chance_alone_always_agrees() -> None:
    assert Confusion.of([(True, True)] * 5).kappa() is None
    assert Confusion.of([(True, True)] * 5).kappa_interval().low == -math.inf
    assert Confusion.of([(True, True), (False, False)] * 20).kappa() == 1.0


def test_labels_that_cannot_be_counted_are_refused() -> None:
    with pytest.raises(InvalidInput, match="no labelled case"):
        Confusion.of([])
    with pytest.raises(InvalidInput, match="'great' is none of the labels"):
        Confusion.of([("good", "great")], order=("poor", "good"))


# Position


def test_verdicts_that_follow_the_position() -> None:
    found = position_bias(
        [("first", "second")] * 10
        + [("first", "first")] * 9
        + [("second", "second")]
        + [("tie", "first")] * 4
    )
    assert (found.n, found.consistent, found.first, found.second, found.wavering) == (24, 10, 9, 1, 4)
    assert found.follows == pytest.approx(10 / 24)
    assert found.interval.low < 10 / 24 < found.interval.high
    assert found.p < 0.05
    assert "10 of 24 verdicts follow the position (42%" in str(found)


def test_a_judge_of_content_follows_no_position() -> None:
    found = position_bias([("first", "second"), ("second", "first"), ("tie", "tie")] * 10)
    assert (found.follows, found.consistent, found.p) == (0.0, 30, 1.0)


def test_pairs_that_were_not_judged_are_refused() -> None:
    with pytest.raises(InvalidInput, match="no pair"):
        position_bias([])
    with pytest.raises(InvalidInput, match="'A' is no place"):
        position_bias([("A", "B")])  # type: ignore[list-item]


# Length


def test_the_sway_of_length_is_that_of_a_robust_regression_in_statsmodels() -> None:
    import statsmodels.api as sm

    rng = np.random.default_rng(4)
    lengths = np.exp(rng.normal(6, 1, 90))
    labels = rng.random(90) < 0.5
    verdicts = rng.random(90) < 0.15 + 0.6 * labels + 0.03 * np.log2(lengths)
    found = length_bias(lengths, verdicts, labels)
    error = verdicts.astype(float) - labels
    theirs = sm.OLS(error, sm.add_constant(np.log2(lengths))).fit(cov_type="HC3", use_t=True)
    low, high = theirs.conf_int()[1]
    assert (found.slope, found.interval.low, found.interval.high) == pytest.approx(
        (float(theirs.params[1]), float(low), float(high))
    )
    assert found.correlation == pytest.approx(float(np.corrcoef(np.log2(lengths), error)[0, 1]))


def test_only_what_the_judge_says_beyond_the_label_is_bias() -> None:
    lengths = [100.0 * 1.1**place for place in range(40)]
    is_good = [place >= 20 for place in range(40)]
    right = length_bias(lengths, is_good, is_good)
    assert (right.slope, right.correlation, right.is_shown) == (0.0, None, False)
    swayed = length_bias(lengths, is_good, [place % 2 == 0 for place in range(40)])
    assert swayed.is_shown
    assert "length sways it" in str(swayed)


@pytest.mark.parametrize(
    ("lengths", "verdicts", "message"),
    [
        ([100.0] * 12, [True] * 12, "of one length"),
        ([1.0, 2.0], [True, True], "at least 10"),
        ([0.0, *range(1, 12)], [True] * 12, "length 0"),
        ([float(each) for each in range(1, 13)], [True] * 11, "11 verdicts"),
    ],
)
def test_lengths_that_tell_nothing_are_refused(lengths, verdicts, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        length_bias(lengths, verdicts, [True] * len(lengths))


# Carried


def labelled(
    positives: int, right: int, negatives: int, true_negatives: int
) -> list[tuple[bool, bool | None]]:
    return [
        *[(True, place < right) for place in range(positives)],
        *[(False, place >= true_negatives) for place in range(negatives)],
    ]


def both(cases: int = 200) -> tuple[list[float], list[float]]:
    rng = np.random.default_rng(6)
    baseline = rng.random(cases) < 0.6
    candidate = np.where(rng.random(cases) < 0.3, rng.random(cases) < 0.9, baseline)
    return candidate.astype(float).tolist(), baseline.astype(float).tolist()


def test_rates_are_those_of_rogan_and_gladen() -> None:
    candidate, baseline = both()
    found = carried(candidate, baseline, labelled(100, 90, 80, 64))
    judged = float(np.mean(candidate))
    assert (found.judge.sensitivity, found.judge.specificity) == (0.9, 0.8)
    assert found.candidate == pytest.approx((judged + 0.8 - 1) / 0.7)
    assert found.delta == pytest.approx(found.judged_delta / 0.7)
    assert found.interval.low < found.delta < found.interval.high
    assert found.candidate_interval.low < found.candidate < found.candidate_interval.high
    naive = compare_pairs([Pairs(candidate, baseline, "rate")])[0]
    assert found.interval.width > naive.interval.width
    assert found.p == naive.p
    assert found.to_json()["labelled"] == 180


def test_fewer_labels_make_it_less_sure_and_a_judge_that_never_erred_in_few_cases_is_not_sure() -> None:
    candidate, baseline = both(1000)

    def width(found: Carried) -> float:
        return found.interval.width

    few, many = labelled(20, 18, 20, 16), labelled(400, 360, 400, 320)
    assert width(carried(candidate, baseline, few)) > width(carried(candidate, baseline, many))
    perfect = carried(candidate, baseline, labelled(12, 12, 12, 12))
    sure = carried(candidate, baseline, labelled(5000, 5000, 5000, 5000))
    assert perfect.delta == sure.delta
    assert width(perfect) > width(sure)


def test_a_verdict_that_failed_is_no_mistake_and_no_success() -> None:
    pairs = labelled(30, 27, 30, 24)
    assert JudgeAccuracy.of([*pairs, (True, None), (False, None)]) == JudgeAccuracy.of(pairs)


def test_repeats_are_carried_as_their_mean() -> None:
    rng = np.random.default_rng(3)
    candidate, baseline = rng.integers(0, 4, 80) / 3, rng.integers(0, 4, 80) / 3
    found = carried(candidate, baseline, labelled(50, 45, 50, 40))
    assert found.p == compare_pairs([Pairs(candidate, baseline, "rate")])[0].p


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (labelled(100, 52, 100, 50), "may well be guessing"),
        (labelled(100, 20, 100, 30), "may well be guessing"),
        (labelled(200, 190, 9, 9), "label at least 10 of each"),
        ([], "label at least 10 of each"),
    ],
)
def test_a_judge_that_tells_too_little_is_not_carried(pairs, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        carried(*both(), pairs)


def test_what_is_no_verdict_is_not_carried() -> None:
    pairs = labelled(30, 27, 30, 24)
    with pytest.raises(InvalidInput, match="0 or 1"):
        carried([0.5, 3.0], [0.2, 4.0], pairs)
    with pytest.raises(InvalidInput, match="no case"):
        carried([], [], pairs)
    with pytest.raises(InvalidInput, match="2 values and the baseline 1"):
        carried([1.0, 0.0], [1.0], pairs)


def test_rates_stay_between_none_and_all() -> None:
    found = carried([1.0] * 50, [0.0] * 50, labelled(50, 40, 50, 40))
    assert (found.candidate, found.baseline, found.delta) == (1.0, 0.0, 1.0)
    assert found.candidate_interval.high == 1.0
    assert found.baseline_interval.low == 0.0
    assert found.interval.high == 1.0


# Scores


def test_a_judge_that_is_always_right_adds_its_cases_and_one_that_guesses_adds_nothing() -> None:
    rng = np.random.default_rng(9)
    true = rng.normal(0.5, 0.2, 40)
    others = rng.normal(0.5, 0.2, 1000)
    mean, interval = prediction_powered(others, true, true)
    alone = 2 * 2.02 * true.std(ddof=1) / math.sqrt(40)
    assert interval.width < alone / 2
    assert mean == pytest.approx(0.5, abs=0.03)
    mean, interval = prediction_powered(rng.normal(0, 1, 1000), rng.normal(0, 1, 40), true)
    assert mean == pytest.approx(float(true.mean()), abs=0.03)
    assert interval.width < alone * 1.1


def test_few_labelled_scores_are_refused() -> None:
    with pytest.raises(InvalidInput, match="label at least 20"):
        prediction_powered([0.1] * 50, [0.1] * 5, [0.2] * 5)
    with pytest.raises(InvalidInput, match="30 scores of labelled cases and 5 labels"):
        prediction_powered([0.1] * 50, [0.1] * 30, [0.2] * 5)
