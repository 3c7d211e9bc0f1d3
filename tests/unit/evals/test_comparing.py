"""Two experiments made by hand, compared: pairing, failures, directions, labels, slices, cost, cases that moved."""

from __future__ import annotations

import json
import math
import random

import pytest

from experiments import Told, experiment, numbered
from surefoot import compare
from surefoot.errors import InvalidInput
from surefoot.evals.comparing import headline

N = 60


def noisy(mean: float, *, seed: int, n: int = N) -> list[float]:
    draws = random.Random(seed)
    return [min(1.0, max(0.0, mean + draws.uniform(-0.1, 0.1))) for _ in range(n)]


def test_what_is_better_worse_and_the_same_is_told() -> None:
    base = noisy(0.5, seed=1)
    jitter = random.Random(2)
    better = [value + 0.2 + jitter.uniform(-0.05, 0.05) for value in base]
    same = [value + jitter.uniform(-0.02, 0.02) for value in base]
    candidate = {f"c{i}": Told({"up": better[i], "down": base[i], "still": same[i]}) for i in range(N)}
    baseline = {f"c{i}": Told({"up": base[i], "down": better[i], "still": base[i]}) for i in range(N)}
    found = compare(experiment("A", candidate), experiment("B", baseline))
    assert {each.metric: each.effect for each in found.contrasts} == {
        "up": "improved",
        "down": "worse",
        "still": "equivalent",
    }
    up = found["up"]
    assert up.delta == pytest.approx(sum(better) / N - sum(base) / N)
    assert up.interval is not None
    assert 0.15 < up.interval.low < up.delta < up.interval.high < 0.25
    assert headline(found).startswith("worse: down \N{MINUS SIGN}0.")
    assert "improved: up +0." in headline(found)


def test_a_coin_is_no_effect_and_says_how_many_cases_would_tell() -> None:
    draws = random.Random(3)
    ours = [draws.random() < 0.55 for _ in range(N)]
    theirs = [draws.random() < 0.5 for _ in range(N)]
    each = compare(experiment("A", numbered(ours)), experiment("B", numbered(theirs)))["quality"]
    assert each.kind == "rate"
    assert each.effect == "too few cases"
    assert each.detectable is not None
    assert 0.1 < each.detectable < 0.4
    assert each.needed is None or each.needed > N


def test_a_pass_fail_metric_is_tested_by_mcnemar() -> None:
    # 10 of 12 changed verdicts are for the better: the mid-p of a binomial with one half.
    ours = [True] * 10 + [False] * 2 + [True] * 28
    theirs = [False] * 10 + [True] * 2 + [True] * 28
    each = compare(experiment("A", numbered(ours)), experiment("B", numbered(theirs)))["quality"]
    tail = sum(math.comb(12, k) for k in range(3)) / 2**12
    assert each.p == pytest.approx(2 * tail - math.comb(12, 2) / 2**12)


def test_cases_of_one_arm_alone_are_listed_and_not_in_the_difference() -> None:
    ours = {**numbered([1.0] * 30), "new": Told({"quality": 0.0})}
    theirs = {**numbered([0.0] * 30), "old": Told({"quality": 1.0}), "older": Told({"quality": 1.0})}
    found = compare(experiment("A", ours), experiment("B", theirs))
    assert (found.pairs, found.only_candidate, found.only_baseline) == (30, ("new",), ("old", "older"))
    each = found["quality"]
    assert each.delta == 1.0
    assert each.candidate.paired == 1.0
    assert each.candidate.overall == pytest.approx(30 / 31)


def test_other_versions_of_the_dataset_are_paired_with_a_warning_and_nothing_in_common_is_refused() -> None:
    ours = experiment("A", numbered([1.0] * 5), version="v2")
    found = compare(ours, experiment("B", numbered([1.0] * 5), version="v1"))
    assert any("versions of golden differ (v2 and v1)" in warning for warning in found.warnings)
    with pytest.raises(InvalidInput, match="no case in common"):
        compare(ours, experiment("B", {"other": Told({"quality": 1.0})}))
    with pytest.raises(InvalidInput, match="compared with itself"):
        compare(ours, ours)


def test_a_failed_row_counts_as_nothing_in_both_arms_and_coverage_stands_beside() -> None:
    ours = numbered([1.0] * 8 + ["!the judge answered nothing"] * 2)
    theirs = numbered([1.0] * 10)
    each = compare(experiment("A", ours), experiment("B", theirs))["quality"]
    assert each.delta == pytest.approx(-0.2)
    assert (each.candidate.coverage, each.baseline.coverage) == (0.8, 1.0)
    assert each.candidate.reasons == {"the judge answered nothing": 2}
    left = compare(experiment("A", ours), experiment("B", theirs), counts_failures=False)["quality"]
    assert (left.delta, left.n, left.candidate.coverage) == (0.0, 8, 0.8)


@pytest.mark.parametrize(("seen", "worst"), [([0.1, 0.2], 1.0), ([0.1, 40.0], 40.0)])
def test_where_lower_is_better_a_failure_is_not_the_best(seen: list[float], worst: float) -> None:
    ours = numbered([*seen, "!no"], metric="noise_sensitivity")
    theirs = numbered([*seen, seen[0]], metric="noise_sensitivity")
    each = compare(experiment("A", ours), experiment("B", theirs))["noise_sensitivity"]
    assert each.direction == "lower"
    assert each.candidate.paired == pytest.approx((sum(seen) + worst) / 3)


def test_below_zero_a_failure_is_the_least_that_was_seen() -> None:
    found = compare(experiment("A", numbered([-0.5, "!no"])), experiment("B", numbered([0.5, 0.5])))
    assert found["quality"].candidate.paired == -0.5


@pytest.mark.parametrize(
    ("metric", "directions", "effect"),
    [
        ("noise_sensitivity", {}, "worse"),
        ("noise_sensitivity_irrelevant", {}, "worse"),
        ("complaints", {}, "improved"),
        ("complaints", {"complaints": "lower"}, "worse"),
        ("noise_sensitivity", {"noise_sensitivity": "higher"}, "improved"),
    ],
)
def test_the_direction_is_that_of_the_name_unless_it_is_given(
    metric: str, directions: dict[str, str], effect: str
) -> None:
    base = noisy(0.3, seed=4)
    ours = experiment("A", numbered([value + 0.3 for value in base], metric=metric))
    theirs = experiment("B", numbered(base, metric=metric))
    found = compare(ours, theirs, directions=directions)  # type: ignore[arg-type]
    assert found[metric].effect == effect
    assert [bool(found.better), bool(found.worse)] == [effect == "improved", effect == "worse"]


def test_repeats_are_averaged_and_a_case_counts_once() -> None:
    # Ten repeats of one case must not outvote nine other cases.
    ours = [("often", Told({"quality": True}, repeat=number)) for number in range(1, 11)]
    ours += [(f"c{number}", Told({"quality": False})) for number in range(9)]
    theirs = [("often", Told({"quality": number % 2 == 0}, repeat=number)) for number in range(1, 11)]
    theirs += [(f"c{number}", Told({"quality": False})) for number in range(9)]
    each = compare(experiment("A", ours, repeats=10), experiment("B", theirs, repeats=10))["quality"]
    assert each.n == 10
    assert (each.candidate.paired, each.baseline.paired) == (0.1, 0.05)
    assert each.candidate.applicable == 19


def test_a_metric_that_applies_in_one_arm_alone_is_counted_and_warned_of() -> None:
    ours = {**numbered([1.0] * 5), "c005": Told({})}
    found = compare(experiment("A", ours), experiment("B", numbered([1.0] * 6)))
    assert (found["quality"].n, found["quality"].only_baseline) == (5, 1)
    assert any(
        "quality applies to 0 cases in the candidate alone and to 1" in each for each in found.warnings
    )


def test_what_cannot_be_compared_says_why_and_has_no_figures() -> None:
    ours = {f"c{i}": Told({"mixed": 1.0, "ours": 1.0}) for i in range(3)}
    theirs = {f"c{i}": Told({"mixed": "good", "theirs": 1.0}) for i in range(3)}
    found = compare(experiment("A", ours), experiment("B", theirs))
    assert {each.metric: each.omitted for each in found.contrasts} == {
        "mixed": "it is labels in one arm and numbers in the other",
        "ours": "the baseline was not scored by it",
        "theirs": "the candidate was not scored by it",
    }
    assert all(each.delta is None and each.effect is None for each in found.contrasts)
    assert headline(found) == "nothing can be compared"


def test_labels_are_compared_by_their_distribution() -> None:
    ours = experiment("A", numbered(["yes"] * 10 + ["no"] * 28 + ["!mute"] * 2))
    theirs = experiment("B", numbered(["yes"] * 35 + ["no"] * 5))
    each = compare(ours, theirs)["quality"]
    assert each.candidate.labels == {"no": 0.7, "yes": 0.25, "(failed)": 0.05}
    assert each.has_shifted
    assert (each.effect, each.delta) == (None, None)
    assert "other labels: quality" in headline(compare(ours, theirs))
    same = compare(theirs, experiment("C", numbered(["yes"] * 34 + ["no"] * 6)))["quality"]
    assert not same.has_shifted


def test_slices_are_compared_where_they_are_large_enough_and_count_among_the_tests() -> None:
    def cases(worse: float) -> dict[str, Told]:
        draws, made = random.Random(5), {}
        for i in range(40):
            topic = "refunds" if i < 15 else "rare" if i < 18 else "billing"
            value = 0.8 + draws.uniform(-0.02, 0.02) - (worse if topic == "refunds" else 0)
            made[f"c{i}"] = Told({"quality": value}, {"topic": topic, "tags": ["a", "b"] if i % 2 else ["a"]})
        return made

    ours, theirs = experiment("A", cases(0.4)), experiment("B", cases(0.0))
    found = compare(ours, theirs, slices=["topic"])
    slices = {each.value: each for each in found.slices}
    assert list(slices) == ["billing", "refunds", "rare"]
    assert slices["rare"].is_too_small
    assert slices["rare"].n == 3
    assert slices["refunds"].contrasts[0].effect == "worse"
    assert slices["billing"].contrasts[0].delta == 0.0
    assert slices["billing"].contrasts[0].effect != "worse"
    assert "worse in slices: quality (topic=refunds)" in headline(found)
    assert [each.value for each in compare(ours, theirs, slices=["tags"]).slices] == ["a", "b"]
    # Three tests: the whole and two slices. Holm's largest factor is three.
    assert slices["refunds"].contrasts[0].adjusted_p == pytest.approx(
        3 * (slices["refunds"].contrasts[0].p or 1)
    )
    with pytest.raises(
        InvalidInput, match=r"no case has the metadata 'topik' to cut slices by: there are tags, topic"
    ):
        compare(ours, theirs, slices=["topik"])


def test_cost_and_latency_are_ratios_over_the_same_cases() -> None:
    draws = random.Random(6)
    costs = [draws.randint(900, 1_100) for _ in range(30)]
    ours = {
        f"c{i}": Told({"quality": 1.0}, cost=2 * cost, latency_ns=150_000_000 if i else None)
        for i, cost in enumerate(costs)
    }
    theirs = {f"c{i}": Told({"quality": 1.0}, cost=cost) for i, cost in enumerate(costs)}
    theirs["c1"] = Told({"quality": "!failed"}, error="boom", cost=costs[1], latency_ns=1)
    found = compare(experiment("A", ours), experiment("B", theirs))
    cost, latency = found.ratio("cost"), found.ratio("latency")
    assert cost.ratio == pytest.approx(2.0)
    assert cost.n == 30
    assert latency.ratio == pytest.approx(1.5)
    assert (latency.n, latency.left_out) == (28, 2)
    assert "1 without: the run was interrupted" in latency.note
    assert "1 without: the run failed" in latency.note


def test_what_costs_nothing_has_no_ratio() -> None:
    ours = experiment("A", {"c": Told({"q": 1.0}, cost=0), "d": Told({"q": 1.0}, cost=0)})
    theirs = experiment("B", {"c": Told({"q": 1.0}, cost=0), "d": Told({"q": 1.0}, cost=0)})
    cost = compare(ours, theirs).ratio("cost")
    assert (cost.ratio, cost.interval, cost.candidate) == (None, None, 0.0)


def test_the_cases_that_moved_are_listed_with_runs_and_reasons_the_biggest_first() -> None:
    ours = experiment("A", numbered([1.0, 0.2, "!mute", 0.50, 0.9]))
    theirs = experiment("B", numbered([0.5, 0.9, 0.9, 0.51, 0.1]))
    found = compare(ours, theirs)
    assert [(each.case, round(each.change, 3)) for each in found.worse] == [("c002", -0.9), ("c001", -0.7)]
    assert [each.case for each in found.better] == ["c004", "c000"]
    worst = found.worse[0]
    assert worst.metrics == (("quality", 0.9, 0.0),)
    assert (worst.candidate_runs, worst.baseline_runs) == (("A-c002-1",), ("B-c002-1",))
    assert worst.reason == "mute"


def test_a_case_whose_metrics_cancel_is_among_the_worse() -> None:
    ours = experiment("A", {"c": Told({"one": 1.0, "two": 0.0})})
    theirs = experiment("B", {"c": Told({"one": 0.0, "two": 1.0})})
    assert [each.case for each in compare(ours, theirs).worse] == ["c"]


def test_one_case_and_equal_cases_are_no_trouble() -> None:
    one = compare(experiment("A", numbered([1.0])), experiment("B", numbered([0.0])))
    assert one["quality"].effect == "too few cases"
    assert json.loads(json.dumps(one.to_json(), allow_nan=False))["metrics"][0]["interval"] == [None, None]
    same = compare(experiment("A", numbered([True] * 40)), experiment("B", numbered([True] * 40)))
    assert same["quality"].delta == 0.0
    assert same["quality"].p == 1.0
    assert not same.better
    assert not same.worse


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"margins": {"qualty": 0.1}}, "did you mean quality"),
        ({"directions": {"qualty": "lower"}}, "did you mean quality"),
        ({"alpha": 0.0}, "alpha is 0"),
        ({"margins": {"quality": -1.0}}, "margin"),
    ],
)
def test_what_is_asked_wrongly_is_refused(wrong: dict[str, object], said: str) -> None:
    ours, theirs = experiment("A", numbered([1.0, 0.0])), experiment("B", numbered([0.0, 1.0]))
    with pytest.raises(InvalidInput, match=said):
        compare(ours, theirs, **wrong)  # type: ignore[arg-type]


def test_a_metric_beyond_one_has_no_margin_of_its_own() -> None:
    values = [float(i % 5 + 1) for i in range(N)]
    ours, theirs = experiment("A", numbered(values)), experiment("B", numbered(values[::-1]))
    assert compare(ours, theirs)["quality"].margin == 0.0
    assert compare(ours, theirs, margins={"quality": 0.2})["quality"].margin == 0.2
    assert compare(ours, theirs, default_margin=0.3)["quality"].margin == 0.3


def test_the_same_experiments_give_the_same_numbers() -> None:
    ours, theirs = (
        experiment("A", numbered(noisy(0.5, seed=7))),
        experiment("B", numbered(noisy(0.5, seed=8))),
    )
    assert compare(ours, theirs).to_json() == compare(ours, theirs).to_json()


def test_prompts_that_differ_are_named() -> None:
    ours = experiment("A", numbered([1.0]), prompts={"answer": "new", "same": "s", "added": "x"})
    theirs = experiment("B", numbered([1.0]), prompts={"answer": "old", "same": "s", "gone": "y"})
    assert compare(ours, theirs).differing == (
        {"added": "x", "answer": "new", "gone": ""},
        {"added": "", "answer": "old", "gone": "y"},
    )


class Counted(str):
    """An id of a case that counts how often it is looked for."""

    __slots__ = ()
    looked = 0

    def __hash__(self) -> int:
        Counted.looked += 1
        return super().__hash__()


def test_the_work_grows_with_the_cases_and_not_with_their_square() -> None:
    cases = {Counted(f"c{n}"): Told({"m": n / 400}, latency_ns=None) for n in range(400)}
    ours, theirs = (experiment(arm, cases) for arm in "ab")
    Counted.looked = 0
    compare(ours, theirs)
    assert Counted.looked < 100 * len(cases)
