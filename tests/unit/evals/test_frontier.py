"""The frontier of cost and quality: its statistics against known values, and that its choice is not optimistic."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from surefoot.evals.statistics.intervals import (
    evidence_for_mean,
    evidence_for_share,
    mean_at_least,
    share_at_least,
    student,
    t_quantile,
)
from surefoot.evals.tiering.frontier import (
    CONFIDENCE,
    Climb,
    Finding,
    Option,
    Target,
    Tried,
    judged,
    ladder,
    of_models,
    of_tiers,
    recommended,
    shown,
    signal_in,
)

# Intervals


@pytest.mark.parametrize(
    ("share", "freedom", "value"),
    [
        # Tables of Student's t, as in scipy.stats.t.ppf.
        (0.975, 1, 12.7062047362),
        (0.975, 2, 4.3026527297),
        (0.975, 3, 3.1824463053),
        (0.975, 10, 2.2281388520),
        (0.975, 29, 2.0452296421),
        (0.95, 30, 1.6972608865),
        (0.995, 100, 2.6258905214),
        (0.975, 1000, 1.9623390808),
    ],
)
def test_quantiles_of_students_t(share: float, freedom: int, value: float) -> None:
    assert t_quantile(share, freedom) == pytest.approx(value, rel=1e-8)


def test_students_interval() -> None:
    # Student's own data on sleep, group 2: R's t.test gives 0.8976775 to 3.7623225 around 2.33.
    sleep = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    assert student(sleep) == pytest.approx((0.8976775, 3.7623225), abs=1e-6)
    assert student([1.0]) is None


def test_evidence_is_the_capital_of_a_gambler() -> None:
    # By hand: the mean over bets b from 0 to 1 of (1 + b)^k (1 - b)^(n - k), for k of n that passed.
    assert evidence_for_mean([1.0], 0.5) == pytest.approx(1.5, rel=1e-3)
    assert evidence_for_mean([0.0], 0.5) == pytest.approx(0.5, rel=1e-3)
    assert evidence_for_mean([1.0, 1.0], 0.5) == pytest.approx(7 / 3, rel=1e-3)
    assert evidence_for_mean([1.0, 0.0], 0.5) == pytest.approx(2 / 3, rel=1e-3)
    # Of a share of the same, what remains is the share.
    assert evidence_for_share([1.0], [1.0], 0.5) == pytest.approx(1.5, rel=1e-3)
    # It does not depend on the order of the cases.
    values = [0.2, 0.9, 1.0, 0.4]
    assert evidence_for_mean(values, 0.5) == pytest.approx(evidence_for_mean(values[::-1], 0.5))


def test_evidence_falls_as_more_is_claimed() -> None:
    others, references = [1.0, 0.5, 1.0, 1.0] * 20, [1.0, 1.0, 1.0, 0.5] * 20
    shares = [0.5, 0.7, 0.9, 1.0, 1.2]
    found = [evidence_for_share(others, references, share) for share in shares]
    assert all(one > other for one, other in pairwise(found))
    bound = share_at_least(others, references)
    assert (
        evidence_for_share(others, references, bound - 1e-6)
        >= 20
        > evidence_for_share(others, references, bound + 1e-6)
    )
    assert 0.7 < bound < 1
    assert share_at_least([0.0] * 50, [1.0] * 50) == pytest.approx(0, abs=1e-6)
    assert mean_at_least([1.0] * 5) < mean_at_least([1.0] * 50) < 1


@pytest.mark.parametrize("rate", [0.5, 0.8, 0.95, 0.99])
def test_the_bound_of_a_mean_covers_it(rate: float) -> None:
    """Of 600 samples no more than 5 % (and what chance adds to that) have a bound above the truth."""
    draw = random.Random(f"mean {rate}")
    wrong = sum(
        evidence_for_mean([float(draw.random() < rate) for _ in range(40)], rate) >= 1 / (1 - CONFIDENCE)
        for _ in range(600)
    )
    assert wrong / 600 <= 1 - CONFIDENCE + 3 * (0.05 * 0.95 / 600) ** 0.5


# What a ladder would have done


def tried(
    score: float, cost: int, *, value: float | None = None, others: bool = True, rest: int = 0
) -> Tried:
    """A case that a tier has answered at a cost, with a measured confidence, beside another check."""
    findings = [Finding("is_cited", others, None, 0)]
    if value is not None:
        findings.append(Finding("confidence", value >= 0.9, value, 0))
    return Tried(score, cost + rest, (Climb(cost, tuple(findings)),))


CHEAP = [
    tried(1, 10, value=0.99, rest=5),
    tried(0, 10, value=0.6, rest=5),
    tried(1, 10, value=0.8, rest=5),
    tried(0, 10, value=0.95, others=False, rest=5),
]
STRONG = [tried(1, 100, rest=5) for _ in CHEAP]


def test_a_ladder_at_a_threshold() -> None:
    option = ladder([CHEAP, STRONG], "at 0.9", signal="confidence", threshold=0.9)
    assert option.escalated == (False, True, True, True)
    # What the flow costs beside its tiers is paid once.
    assert option.costs == (15, 115, 115, 115)
    assert option.scores == (1, 1, 1, 1)
    lower = ladder([CHEAP, STRONG], "at 0.5", signal="confidence", threshold=0.5)
    # The other check refuses the last case at every threshold.
    assert lower.escalated == (False, False, False, True)
    assert lower.scores == (1, 0, 1, 1)


def test_the_options_of_a_ladder_from_the_most_careful_on() -> None:
    assert signal_in([CHEAP, STRONG]) == "confidence"
    options = of_tiers([CHEAP, STRONG], ["mini", "large"], signal="confidence")
    assert [option.name for option in options] == [
        *(
            "large",
            "confidence >= 0.999",
            "confidence >= 0.99",
            "confidence >= 0.8",
            "confidence >= 0.6",
            "mini",
        )
    ]
    assert [option.cost for option in options] == [105, 115, 90, 65, 40, 15]
    assert [option.quality for option in options] == [1, 1, 1, 1, 0.75, 0.5]
    assert [option.is_best for option in judged(options, Target(), order="sequence")] == [
        *(False, False, False, True, True, True)
    ]


def test_dear_checks_behind_one_that_fails_cost_nothing() -> None:
    findings = (Finding("confidence", is_passed=True, value=0.7, cost=0), Finding("judge", True, 0.9, 40))
    climb = Climb(10, findings)
    assert climb.at("confidence", 0.8) == (False, 10)
    assert climb.at("confidence", 0.6) == (True, 50)
    assert climb.at("judge", 0.95) == (False, 50)
    assert climb.cost == 50


def test_a_run_that_failed_goes_up_and_costs_what_it_did() -> None:
    failed = Tried(0.0, 7)
    option = ladder([[failed], [tried(1, 100)]], "x", signal="", threshold=None)
    assert (option.costs, option.scores, option.escalated) == ((107,), (1,), (True,))


def test_an_unknown_price_is_no_price() -> None:
    option = ladder([[Tried(1, None, (Climb(None),))], [tried(1, 100)]], "x", signal="", threshold=None)
    assert option.cost is None
    options = judged([option], Target(), order="sequence")
    assert recommended(options) is None
    assert not options[0].is_best


# The choice


def flat(name: str, cost: int, scores: list[float]) -> Option:
    return Option(name, (cost,) * len(scores), tuple(scores))


def test_the_cheapest_that_is_shown_is_recommended() -> None:
    count = 200
    options = [
        flat("strong", 100, [1.0] * count),
        flat("careful", 60, [1.0] * count),
        flat("bold", 40, [1.0] * (count - 2) + [0.0] * 2),
        flat("cheap", 10, [1.0] * 120 + [0.0] * 80),
    ]
    found = judged(options, Target(0.95), order="sequence")
    assert [option.is_shown for option in found] == [True, True, True, False]
    chosen = recommended(found)
    assert chosen is not None
    assert chosen.name == "bold"
    # Absolutely, too.
    assert [one.is_shown for one in judged(options, Target(0.9, is_absolute=True), order="sequence")] == [
        *(True, True, True, False)
    ]


def test_few_cases_show_nothing_and_say_how_many_would() -> None:
    target = Target(0.95)
    options = judged([flat("strong", 9, [1.0] * 10), flat("cheap", 1, [1.0] * 10)], target, order="sequence")
    assert [option.is_shown for option in options] == [True, False]
    least = target.least_cases
    assert 59 <= least < 120
    enough = judged(
        [flat("strong", 9, [1.0] * least), flat("cheap", 1, [1.0] * least)], target, order="sequence"
    )
    assert enough[1].is_shown


def test_a_sequence_ends_where_one_is_not_shown() -> None:
    good, bad = [1.0] * 150, [0.0] * 150
    options = [flat("strong", 9, good), flat("bad", 5, bad), flat("good", 1, good)]
    assert [one.is_shown for one in judged(options, Target(), order="sequence")] == [True, False, False]
    assert [one.is_shown for one in judged(options, Target(), order="any")] == [True, False, True]


def test_models_in_any_order_share_the_level() -> None:
    """Evidence that is enough for one of one is not enough for one of ten."""
    count = Target(0.95).least_cases
    one = [flat("strong", 9, [1.0] * count), flat("a", 1, [1.0] * count)]
    ten = [*one, *(flat(f"{number}", 1, [0.0] * count) for number in range(9))]
    assert judged(one, Target(0.95), order="any")[1].is_shown
    assert not judged(ten, Target(0.95), order="any")[1].is_shown


def test_of_models_the_last_is_the_reference() -> None:
    options = of_models([[Tried(1.0, 1)], [Tried(0.5, 9)]], ["mini", "large"])
    assert [(option.name, option.cost, option.quality) for option in options] == [
        ("large", 9, 0.5),
        ("mini", 1, 1.0),
    ]


@pytest.mark.parametrize("is_calibrated", [True, False])
def test_the_choice_is_not_optimistic(is_calibrated: bool) -> None:
    """Golden sets by the hundred, of which the truth is known: hardly more than 5 % of the choices miss the target.

    A cheap tier says from 0.5 to 1 how sure it is, and is right as often as it says, or in 85 % whatever it says; the
    strong one is right in 95 %. Whoever takes the cheapest threshold that looks good enough misses it far more often.
    """
    draw, rounds, count, target = random.Random(f"choice {is_calibrated}"), 100, 100, Target(0.95)

    def truth(option: Option) -> float:
        """Its share of the strong one's quality."""
        if option.threshold is None:
            return 1.0 if option.name == "strong" else (0.75 if is_calibrated else 0.85) / 0.95
        taken = 2 * (1 - option.threshold)
        right = (1 + option.threshold) / 2 if is_calibrated else 0.85
        return (taken * right + (1 - taken) * 0.95) / 0.95

    def case() -> tuple[Tried, Tried]:
        value = draw.uniform(0.5, 1.0)
        right = draw.random() < (value if is_calibrated else 0.85)
        cheap = Tried(float(right), 1, (Climb(1, (Finding("confidence", True, value, 0),)),))
        return cheap, Tried(float(draw.random() < 0.95), 10, (Climb(10),))

    missed = naive = 0
    for _ in range(rounds):
        cheap, strong = zip(*(case() for _ in range(count)), strict=True)
        options = of_tiers([cheap, strong], ["cheap", "strong"], signal="confidence")
        places = shown(options, target, order="sequence")
        chosen = min((options[place] for place in places), key=lambda option: option.cost or 0)
        missed += truth(chosen) < target.at_least
        looking_good = [one for one in options if one.quality >= target.at_least * options[0].quality]
        naive += truth(min(looking_good, key=lambda option: option.cost or 0)) < target.at_least
    assert missed / rounds <= 1 - CONFIDENCE + 3 * (0.05 * 0.95 / rounds) ** 0.5
    # The correction is needed.
    assert naive / rounds > 0.25
