"""Gates: their files, and what they say of comparisons."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from experiments import Told, experiment, numbered
from surefoot import Gate
from surefoot.errors import ConfigError, InvalidInput
from surefoot.evals import Experiment
from surefoot.evals.comparing import FigureRules, MetricRules, SliceRules, Verdict
from surefoot.evals.comparing.gatefile import read

N = 40
FULL = """\
name: answers
alpha: 0.01
coverage: 0.98
min_cases: 30
unpaired: pass
on_too_few: pass
margin: 0.01
slices:
  topic: {min_cases: 5, values: [billing], rules: all}
metrics:
  faithfulness:
    at_least: 0.85
    non_inferior: 0.03
  complaints: {direction: lower, no_worse: true, at_most: 0.2}
  tone:
    labels:
      rude: {at_most: 0.0}
cost:
  max_ratio: 1.1
latency: {at_most: 2}
"""


def test_a_gate_is_read_with_its_lines() -> None:
    gate = read(FULL, where="gate.yaml")
    assert (gate.name, gate.alpha, gate.coverage, gate.min_cases) == ("answers", 0.01, 0.98, 30)
    assert (gate.unpaired, gate.on_too_few, gate.margin) == ("pass", "pass", 0.01)
    faithfulness = gate.metrics["faithfulness"]
    assert (faithfulness.at_least, faithfulness.non_inferior, gate.margin_of("faithfulness")) == (
        0.85,
        0.03,
        0.03,
    )
    assert faithfulness.lines == {"at_least": 12, "non_inferior": 13}
    assert gate.metrics["complaints"].direction == "lower"
    assert gate.slices["topic"] == SliceRules(rules="all", min_cases=5, values=("billing",))
    assert gate.figures["cost"] == FigureRules(max_ratio=1.1)
    assert gate.figures["cost"].lines == {"max_ratio": 19}


def test_what_is_not_written_is_strict() -> None:
    gate = read("metrics: {q: {no_worse: true}}", where="gate.yaml", stem="mine")
    assert (gate.name, gate.alpha, gate.coverage, gate.min_cases) == ("mine", 0.05, 1.0, 20)
    assert (gate.unpaired, gate.on_too_few) == ("fail", "fail")


def test_the_digest_is_that_of_the_rules_and_of_nothing_else() -> None:
    gate = read(FULL, where="gate.yaml")
    other = read("# said otherwise\n" + FULL.replace("name: answers\n", ""), where="elsewhere.yaml")
    assert gate.digest == other.digest
    assert gate.digest != read(FULL.replace("0.85", "0.86"), where="gate.yaml").digest
    assert gate.digest != read(FULL.replace("max_ratio: 1.1", "max_ratio: 1.2"), where="gate.yaml").digest
    assert (
        gate.digest != read(FULL.replace("rude: {at_most: 0.0", "rude: {at_most: 0.1"), where="g.yaml").digest
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "metrics: {q: {at_last: 1}}",
            r"gate.yaml:1:15: metrics.q.at_last is no key .* did you mean at_least\?",
        ),
        ("metrics: {q: {threshold: 1}}", r"did you mean at_least\?"),
        ("metrics: {q: {xyz: 1}}", "there are at_least, at_most"),
        ("metric: {q: {at_least: 1}}", r"gate.yaml:1:1: metric is no key .* did you mean metrics\?"),
        ("metrics:\n  q:\n    at_least: high", "gate.yaml:3:5: metrics.q.at_least is 'high': write a number"),
        ("metrics: {q: {at_least: true}}", "is True: write a number"),
        ("metrics: {q: {non_inferior: 0}}", "has to be more than 0"),
        ("metrics: {q: {non_inferior: -0.1}}", "has to be more than 0"),
        ("metrics: {q: {improved: maybe}}", "write true or false"),
        ("metrics: {q: {no_worse: true, direction: up}}", "write one of higher, lower"),
        ("metrics: {q: {no_worse: true, direction: lowr}}", r"did you mean lower\?"),
        ("metrics: {q: {no_worse: true, min_cases: 0}}", "a whole number from 1 up"),
        ("metrics: {q: {no_worse: true, min_cases: 2.5}}", "a whole number from 1 up"),
        ("metrics: {q: {at_least: 0.9, at_most: 0.1}}", "can never hold"),
        ("metrics: {q: {margin: 0.1}}", "has no rule: give it one of at_least"),
        ("metrics: {q: }", "metrics.q is empty"),
        ("metrics: [q]", "metrics is a list: write keys and values"),
        ("metrics: {q: {labels: {rude: {at_most: 2}}}}", "between 0 and 1"),
        ("metrics: {q: {labels: {rude: {}}}}", "has no bound"),
        ("alpha: 0.7\nmetrics: {q: {no_worse: true}}", "between 0 and 0.5"),
        ("coverage: 90\nmetrics: {q: {no_worse: true}}", "between 0 and 1"),
        ("on_too_few: pas\nmetrics: {q: {no_worse: true}}", r"did you mean pass\?"),
        ("slices: {topic: {values: billing}}\nmetrics: {q: {no_worse: true}}", "write a list of values"),
        ("slices: [1]\nmetrics: {q: {no_worse: true}}", "list of keys"),
        ("cost: {}", "has no rule: give it max_ratio"),
        ("", "has no rule, so that everything would pass"),
        ("metrics: {q: {no_worse: false}}", "has no rule, so that everything would pass"),
        ("- a", "expected keys and values"),
        ("metrics: {q: {at_least: 1, at_least: 2}}", "stands twice"),
        ("a: &a [*a]", "gate.yaml:1"),
        ("metrics: {q: {at_least: !!python/object:os.system 1}}", "gate.yaml:1:25: "),
        ("metrics: {q: {at_least: .nan}}", "gate.yaml:1:25: "),
        ("[" * 5_000, "gate.yaml:1"),
    ],
)
def test_what_is_wrong_is_told_with_file_line_and_the_nearest_key(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read(text, where="gate.yaml")


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        read("alpha: x\nmetrics:\n  q: {at_last: 1}\n  r: {at_least: yes}\n", where="gate.yaml")
    assert [line.split(" ")[0] for line in str(caught.value).splitlines()] == [
        "gate.yaml:3:7:",
        "gate.yaml:4:7:",
        "gate.yaml:1:1:",
    ]


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no gate"):
        Gate.load(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9")
    with pytest.raises(ConfigError, match="is not UTF-8"):
        Gate.load(tmp_path / "latin.yaml")
    (tmp_path / "large.yaml").write_bytes(b"#" * 1_000_001)
    with pytest.raises(ConfigError, match="larger than"):
        Gate.load(tmp_path / "large.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        Gate.load(tmp_path)


def arms(
    now: float, was: float, *, n: int = N, jitter: float = 0.05, **rest: object
) -> tuple[Experiment, Experiment]:
    """Two experiments whose metric `q` is about so high, each case a little off."""
    draws = random.Random(11)
    ours = [now + draws.uniform(-jitter, jitter) for _ in range(n)]
    theirs = [was + draws.uniform(-jitter, jitter) for _ in range(n)]
    return (
        experiment("A", numbered(ours, metric="q", **rest)),
        experiment("B", numbered(theirs, metric="q", **rest)),
    )


def said(gate: str, pair: tuple[Experiment, Experiment]) -> Verdict:
    return read(gate, where="gate.yaml").judge(*pair)


@pytest.mark.parametrize(
    ("rules", "now", "was", "passes", "why"),
    [
        ("{at_least: 0.7}", 0.8, 0.5, True, ""),
        ("{at_least: 0.7}", 0.6, 0.5, False, "q: at_least 0.7: it is 0.6"),
        ("{at_most: 0.7}", 0.8, 0.5, False, "at_most 0.7: it is 0.8"),
        ("{improved: true}", 0.8, 0.5, True, ""),
        ("{improved: true}", 0.5, 0.8, False, "it is worse"),
        ("{improved: true}", 0.5, 0.5, False, "improved"),
        ("{non_inferior: 0.1}", 0.5, 0.5, True, ""),
        ("{non_inferior: 0.1}", 0.3, 0.5, False, "it is worse by more than that"),
        ("{no_worse: true}", 0.5, 0.5, True, ""),
        ("{no_worse: true}", 0.3, 0.5, False, "it is worse"),
        ("{no_worse: true}", 0.7, 0.5, True, ""),
        ("{no_worse: true, direction: lower}", 0.7, 0.5, False, "it is worse"),
        ("{improved: true, direction: lower}", 0.3, 0.5, True, ""),
        ("{non_inferior: 0.1, direction: lower}", 0.7, 0.5, False, "it is worse by more than that"),
        ("{non_inferior: 0.1, direction: lower}", 0.55, 0.5, True, ""),
    ],
)
def test_each_rule_holds_or_says_why_not(rules: str, now: float, was: float, passes: bool, why: str) -> None:
    verdict = said(f"metrics: {{q: {rules}}}", arms(now, was))
    assert verdict.has_passed is passes, verdict.reasons
    assert why in "\n".join(verdict.reasons)


def test_too_few_cases_fail_unless_the_gate_says_otherwise() -> None:
    few = arms(0.5, 0.5, n=10)
    for rules in ("{no_worse: true}", "{non_inferior: 0.5}", "{improved: true}", "{at_least: 0.1}"):
        verdict = said(f"metrics: {{q: {rules}}}", few)
        assert not verdict.has_passed
        assert "too few cases: 10, and min_cases is 20" in verdict.reasons[0]
        open_ = said(f"on_too_few: pass\nmetrics: {{q: {rules}}}", few)
        assert open_.has_passed
        assert open_.headline.endswith("1 not judged")


def test_what_cannot_be_shown_is_too_few_cases_and_says_how_many_would_do() -> None:
    wide = arms(0.5, 0.52, jitter=0.4)
    verdict = said("metrics: {q: {non_inferior: 0.02}}", wide)
    assert not verdict.has_passed
    assert "it may be worse by more than that" in verdict.reasons[0]
    assert said("on_too_few: pass\nmetrics: {q: {non_inferior: 0.02}}", wide).has_passed


def test_coverage_is_asked_of_both_arms_where_they_are_compared() -> None:
    whole, broken = numbered([1.0] * N, metric="q"), numbered([1.0] * (N - 1) + ["!mute"], metric="q")
    pair = (experiment("A", whole), experiment("B", broken))
    assert said("metrics: {q: {at_least: 0.5}}", pair).has_passed
    verdict = said("metrics: {q: {no_worse: true}}", pair)
    assert "q: coverage of the baseline at least 1: 39 of 40 rows of the baseline" in verdict.reasons[0]
    assert "mute" in verdict.reasons[0]
    assert said("coverage: 0.9\nmetrics: {q: {no_worse: true}}", pair).has_passed
    assert said("metrics: {q: {no_worse: true, coverage: 0.9}}", pair).has_passed


def test_cases_that_the_candidate_lacks_fail() -> None:
    pair = (
        experiment("A", numbered([1.0] * 30, metric="q")),
        experiment("B", numbered([1.0] * 34, metric="q")),
    )
    verdict = said("metrics: {q: {no_worse: true}}", pair)
    assert (
        "every case of the baseline is in the candidate: 4 are not (c030, c031, c032, ...)"
        in verdict.reasons[0]
    )
    assert said("unpaired: pass\nmetrics: {q: {no_worse: true}}", pair).has_passed


def test_a_candidate_that_was_stopped_fails() -> None:
    # Two that are run together are stopped at the same case: each has a pair.
    ours, theirs = (experiment(name, numbered([1.0] * 30, metric="q")) for name in "AB")
    pair = (replace(ours, stopped="stopped after 30 of 40 rows"), replace(theirs, stopped="so was this"))
    verdict = said("metrics: {q: {no_worse: true}}", pair)
    assert verdict.reasons == (
        "every case of the candidate is judged: stopped after 30 of 40 rows. Or say `unpaired: pass`",
    )
    assert said("unpaired: pass\nmetrics: {q: {no_worse: true}}", pair).has_passed


def test_a_metric_that_is_not_measured_fails() -> None:
    verdict = said("metrics: {gone: {no_worse: true}}", arms(0.5, 0.5))
    assert verdict.reasons == (
        "gone: is measured in both arms: neither experiment was scored by it; there are q",
    )


def test_labels_have_bounds_and_no_direction() -> None:
    pair = (
        experiment("A", numbered(["rude"] * 4 + ["kind"] * 36, metric="tone")),
        experiment("B", numbered(["kind"] * 40, metric="tone")),
    )
    assert said("metrics: {tone: {labels: {rude: {at_most: 0.2}}}}", pair).has_passed
    verdict = said("metrics: {tone: {labels: {rude: {at_most: 0.05}}}}", pair)
    assert verdict.reasons == ("tone: label rude at_most 0.05: 10.0% of the paired cases have it",)
    assert "labels have no better and no worse" in said("metrics: {tone: {no_worse: true}}", pair).reasons[0]
    assert "has no level" in said("metrics: {tone: {at_least: 0.5}}", pair).reasons[0]


@pytest.mark.parametrize(
    ("rule", "passes"),
    [
        ("{max_ratio: 1.2}", False),
        ("{max_ratio: 1.6}", True),
        ("{at_most: 0.0000014}", False),
        ("{at_most: 1}", True),
    ],
)
def test_cost_keeps_to_its_bounds(rule: str, passes: bool) -> None:
    ours = experiment("A", numbered([1.0] * N, metric="q", cost=1_500))
    theirs = experiment("B", numbered([1.0] * N, metric="q", cost=1_000))
    verdict = said(f"cost: {rule}", (ours, theirs))
    assert verdict.has_passed is passes
    assert passes or "per run" in verdict.reasons[0]


@pytest.mark.parametrize(("now", "was", "passes"), [(0, 0, True), (1, 0, False), (0, 1, True)])
def test_a_cost_of_nothing_has_its_ratio(now: int, was: int, passes: bool) -> None:
    ours = experiment("A", numbered([1.0] * N, metric="q", cost=now))
    theirs = experiment("B", numbered([1.0] * N, metric="q", cost=was))
    assert said("cost: {max_ratio: 1.0}", (ours, theirs)).has_passed is passes


def sliced(worse: float, *, rare: int = 3) -> tuple[Experiment, Experiment]:
    def cases(by: float) -> dict[str, Told]:
        draws, made = random.Random(12), {}
        for i in range(N):
            topic = "refunds" if i < 15 else "rare" if i < 15 + rare else "billing"
            value = 0.8 + draws.uniform(-0.02, 0.02) - (by if topic == "refunds" else 0)
            made[f"c{i}"] = Told({"q": value}, {"topic": topic})
        return made

    return experiment("A", cases(worse)), experiment("B", cases(0.0))


def test_a_slice_that_is_worse_fails_a_gate_that_holds_over_all() -> None:
    gate = "metrics: {q: {non_inferior: 0.3}}\nslices: [topic]\n"
    assert said(gate, sliced(0.0)).has_passed
    verdict = said(gate, sliced(0.4))
    assert [each.name for each in verdict.failed] == ["q [topic=refunds]: no_worse"]
    small = [each for each in verdict.rulings if each.slice == "topic=rare"]
    assert [(each.standing, each.reason) for each in small] == [
        ("not judged", "too few cases: 3, and min_cases of the slice is 10")
    ]


def test_values_that_are_named_have_to_be_judged() -> None:
    gate = "metrics: {q: {no_worse: true}}\nslices:\n  topic: {values: [rare, gone]}\n"
    verdict = said(gate, sliced(0.0))
    assert sorted(each.slice for each in verdict.failed) == ["topic=gone", "topic=rare"]
    assert all(each.line == 3 for each in verdict.failed)
    assert said(gate + "on_too_few: pass\n", sliced(0.0)).has_passed


def test_all_rules_hold_in_slices_where_that_is_asked() -> None:
    gate = "metrics: {q: {at_least: 0.7}}\nslices:\n  topic: {rules: all}\n"
    verdict = said(gate, sliced(0.2))
    assert "q [topic=refunds]: at_least 0.7" in [each.name for each in verdict.failed]
    assert said("metrics: {q: {at_least: 0.7}}\n", sliced(0.2)).has_passed


def test_a_gate_of_values_judges_as_one_of_a_file_and_one_without_rules_is_none() -> None:
    gate = Gate(metrics={"q": MetricRules(at_least=0.7)}, name="values")
    assert gate.judge(*arms(0.8, 0.5)).has_passed
    assert not gate.judge(*arms(0.6, 0.5)).has_passed
    with pytest.raises(InvalidInput, match="has no rule"):
        Gate(metrics={"q": MetricRules()})
