"""A judge that errs in a comparison: its error in the interval, the effect and the gate; refused where it guesses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from experiments import FAILS, Told, experiment
from surefoot.evals import Experiment, agreement_of
from surefoot.evals.comparing import Gate, MetricRules, compare, junit_xml, markdown
from surefoot.evals.experiments.results import About

METRIC = "is_faithful"
ABOUT = About("5c04e", "higher", (0.0, 1.0), ("gpt-4o",))


def labelled(positives: int, right: int, negatives: int, rejected: int) -> list[tuple[bool, bool | None]]:
    """So many cases that people call true, of which the judge agrees on `right`, and false ones."""
    return [
        *[(True, place < right) for place in range(positives)],
        *[(False, place >= rejected) for place in range(negatives)],
    ]


def judged(
    id: str,
    verdicts: Sequence[bool | str],
    pairs: Sequence[tuple[bool, bool | None]] = (),
    *,
    about: About = ABOUT,
    groups: int = 1,
) -> Experiment:
    found = experiment(
        id,
        {
            f"c{place}": Told({METRIC: verdict}, metadata={"group": f"g{place % groups}"})
            for place, verdict in enumerate(verdicts)
        },
    )
    agreement = agreement_of(pairs, models=about.models) if pairs else None
    metrics = tuple(replace(metric, agreement=agreement, about=about) for metric in found.metrics)
    return replace(found, metrics=metrics)


SOUND = labelled(60, 54, 40, 32)


def shares(passed: int, cases: int = 200) -> list[bool | str]:
    return [place < passed for place in range(cases)]


def test_the_figures_are_corrected_and_the_naive_ones_stand_beside() -> None:
    comparison = compare(judged("B", shares(150), SOUND), judged("A", shares(122), SOUND))
    found = comparison[METRIC]
    beside = found.as_judged
    assert beside is not None
    assert found.delta is not None
    assert (beside.sensitivity, beside.specificity, beside.labelled) == (0.9, 0.8, 100)
    assert beside.delta == pytest.approx(0.14)
    assert found.delta == pytest.approx(0.14 / 0.7)
    assert found.candidate.paired == pytest.approx((0.75 - 0.2) / 0.7)
    assert found.candidate.overall == found.candidate.paired
    assert found.interval is not None
    assert beside.interval is not None
    assert found.interval.width > beside.interval.width
    assert found.effect == "improved"
    assert found.p is not None
    assert found.p < 0.001, "a judge that errs makes differences smaller, and not more frequent"
    page = markdown(comparison)
    assert "as judged" in page
    said = "corrected for the judge's error: sensitivity 0.90, specificity 0.80 over 100 labelled cases"
    assert said in page.replace("\\", "")
    assert comparison.to_json()["metrics"][0]["as_judged"]["labelled"] == 100  # type: ignore[index, call-overload]


def test_one_arm_with_labels_is_enough_for_the_same_judge_and_no_other() -> None:
    ours, theirs = judged("B", shares(150), SOUND), judged("A", shares(122))
    assert compare(ours, theirs)[METRIC].as_judged is not None
    for other in (replace(ABOUT, scorer="another"), replace(ABOUT, models=("gpt-4o-mini",))):
        comparison = compare(ours, judged("A", shares(122), about=other))
        assert comparison[METRIC].as_judged is None
        assert "not the same" in comparison[METRIC].uncorrected
        assert "a difference may be" in comparison.warnings[0]


def test_a_judge_that_may_be_guessing_is_refused_with_its_figures() -> None:
    comparison = compare(
        judged("B", shares(150), labelled(60, 32, 40, 20)), judged("A", shares(110), labelled(60, 32, 40, 20))
    )
    found = comparison[METRIC]
    assert found.effect is None
    assert found.delta is None
    assert "may well be guessing (sensitivity 53%, specificity 50% over 100 labelled cases)" in found.omitted
    assert comparison.warnings == ()
    gate = Gate({METRIC: MetricRules(no_worse=True)})
    verdict = gate.judge(judged("B", shares(150), labelled(60, 32, 40, 20)), judged("A", shares(110)))
    assert not verdict.has_passed


def test_with_few_labels_the_verdicts_stand_and_it_is_told() -> None:
    found = compare(judged("B", shares(150), labelled(8, 8, 5, 5)), judged("A", shares(110)))[METRIC]
    assert found.effect == "improved"
    assert found.as_judged is None
    assert "8 are true and 5 false: to carry a judge's error label at least 10" in found.uncorrected


def test_a_gate_goes_by_the_corrected_figures() -> None:
    """The judge calls a fifth of what is wrong right, so that its 75 % are 79 %, and a loss that it sees is larger."""
    ours, theirs = judged("B", shares(150), SOUND), judged("A", shares(152), SOUND)
    rules = {METRIC: MetricRules(at_least=0.77, non_inferior=0.05)}
    plain = Gate(rules).judge(judged("B", shares(150)), judged("A", shares(152)))
    carried = Gate(rules).judge(ours, theirs)
    assert [each.rule for each in plain.failed] == ["at_least 0.77"]
    assert carried.has_passed
    # The same drop is told to be worse than the margin only where the judge's share of it is taken out.
    rules = {METRIC: MetricRules(non_inferior=0.2)}
    ours, theirs = judged("B", shares(127), SOUND), judged("A", shares(152), SOUND)
    assert Gate(rules).judge(judged("B", shares(127)), judged("A", shares(152))).has_passed
    failed = Gate(rules).judge(ours, theirs)
    assert [each.rule for each in failed.failed] == ["non_inferior by 0.2"]
    assert "corrected for the judge's error" in failed.failed[0].reason
    assert "corrected for the judge's error" in junit_xml(carried)


def test_rows_that_failed_are_known_to_be_the_worst_whatever_the_judge() -> None:
    """A verdict that is missing is not one that the judge got wrong: 0 stays 0."""
    perfect = labelled(2_000, 2_000, 2_000, 1_600)
    failed: list[bool | str] = [f"{FAILS}no answer"] * 100
    # Of what is false the judge calls a fifth true. All is false in both arms; half of the candidate failed.
    found = compare(
        judged("B", [*[place < 20 for place in range(100)], *failed], perfect),
        judged("A", shares(40), perfect),
    )[METRIC]
    assert found.delta == pytest.approx(0.0, abs=1e-9)
    assert found.candidate.paired == pytest.approx(0.0, abs=1e-9)
    assert found.as_judged is not None
    assert found.as_judged.delta == pytest.approx(-0.1)
    assert found.interval is not None
    assert found.interval.low < 0 < found.interval.high


def test_slices_are_corrected_too() -> None:
    ours, theirs = judged("B", shares(150), SOUND, groups=2), judged("A", shares(110), SOUND, groups=2)
    for each in compare(ours, theirs, slices=["group"]).all_contrasts():
        assert each.as_judged is not None
        assert each.delta == pytest.approx(0.2 / 0.7)


def test_a_biased_judge_alone_misses_the_truth_and_with_its_labels_does_not() -> None:
    """25 comparisons of 500 cases: the candidate is right in 15 points more of them."""
    rng = np.random.default_rng(8)
    sensitivity, specificity, delta, rounds = 0.85, 0.75, 0.15, 25
    held = naive = 0
    for _ in range(rounds):
        drawn, passed = rng.random(500), rng.random(500) < 0.6
        better, worse = drawn < 0.225, (drawn >= 0.225) & (drawn < 0.3)
        arms = [
            np.where(truth, rng.random(500) < sensitivity, rng.random(500) >= specificity)
            for truth in (better | passed & ~worse, worse | passed & ~better)
        ]
        pairs = labelled(100, int(rng.binomial(100, sensitivity)), 100, int(rng.binomial(100, specificity)))
        ours, theirs = (
            judged(name, [bool(said) for said in arm], pairs) for name, arm in zip("BA", arms, strict=True)
        )
        found = compare(ours, theirs)[METRIC]
        assert found.interval is not None
        assert found.as_judged is not None
        assert found.as_judged.interval is not None
        held += found.interval.low <= delta <= found.interval.high
        naive += found.as_judged.interval.low <= delta <= found.as_judged.interval.high
    assert held >= 0.9 * rounds
    assert naive <= 0.6 * rounds
