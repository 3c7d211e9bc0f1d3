"""Labels in answers, and what a classification comes to over all cases."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.errors import InvalidInput
from surefoot.evals import Row, Score
from surefoot.evals.plain import confusion, f1_of, label_match, one_of, predicted
from surefoot.evals.plain.labels import Average, Place, f1_by_label
from surefoot.evals.scoring.subjects import OnExperiment

NAMES = ("spam", "not spam", "unsure")
PAIRS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from([*"abc", "(none)"])), min_size=1, max_size=40
)


def rows_of(pairs: list[tuple[str, str]], failed: int = 0) -> list[Row]:
    metric = "confusion:a,b,c"
    rows = [
        Row(str(at), f"r{at}", "completed", {metric: Score(f"{wanted} -> {found}")})
        for at, (wanted, found) in enumerate(pairs)
    ]
    return rows + [Row(f"f{at}", "r", "failed", failures={metric: "the run failed"}) for at in range(failed)]


def of_all(scorer: OnExperiment, rows: list[Row]) -> Score | None:
    said = scorer.scorer(rows=rows)
    assert said is None or isinstance(said, Score)
    return said


def macro_f1_by_definition(pairs: list[tuple[str, str]]) -> float:
    """Precision and recall of each label, and the mean of their harmonic means."""
    labels = {wanted for wanted, _ in pairs} | {found for _, found in pairs if found != "(none)"}
    values: list[float] = []
    for label in labels:
        right = sum(wanted == found == label for wanted, found in pairs)
        said = sum(found == label for _, found in pairs)
        there = sum(wanted == label for wanted, _ in pairs)
        precision, recall = (right / said if said else 0.0), (right / there if there else 0.0)
        both = precision + recall
        values.append(2 * precision * recall / both if both else 0.0)
    return sum(values) / len(values)


@pytest.mark.parametrize(
    ("answer", "place", "label"),
    [
        ("spam", "whole", "spam"),
        (" Spam!\n", "whole", "spam"),
        ("SPAM", "within", "spam"),
        ("It is spam.", "whole", ""),
        ("It is spam.", "within", "spam"),
        ("It is not spam.", "within", "not spam"),
        ("spam or unsure", "within", ""),
        ("spammy", "within", ""),
        ("", "within", ""),
    ],
)
def test_which_label_an_answer_names(answer: str, place: Place, label: str) -> None:
    assert one_of(*NAMES, place=place)(answer).value is bool(label)
    assert predicted(*NAMES, place=place)(answer).value == (label or "(none)")
    assert confusion(*NAMES, place=place)(answer, "unsure").value == f"unsure -> {label or '(none)'}"
    assert label_match(*NAMES, place=place)(answer, "spam").value is (label == "spam")


def test_a_label_that_differs_is_named() -> None:
    assert label_match(*NAMES)("unsure", "Spam").reason == "'spam' is expected: unsure"
    within = label_match(*NAMES, place="within")
    assert within("spam, unsure", "spam").reason == "'spam' is expected: 'spam, unsure' names unsure and spam"
    assert one_of("yes", "no")("maybe").reason == "'maybe' is none of yes, no"


def test_labels_of_any_script_and_of_signs() -> None:
    assert one_of("はい", "いいえ")("はい。").value is True
    assert one_of("+", "-")("+").value is True
    assert one_of("1", "2")(2).value is True  # type: ignore[arg-type]


@pytest.mark.parametrize("labels", [(), ("one",), ("a", ""), ("a", "A!"), ("a", "b -> c"), ("a", "(none)")])
def test_labels_that_cannot_be_told_apart_are_refused(labels: tuple[str, ...]) -> None:
    for make in (one_of, predicted, label_match, confusion):
        with pytest.raises(InvalidInput, match=r"label|differ"):
            make(*labels)


@pytest.mark.parametrize("expected", ["ham", "", ["spam"], {"a": 1}])
def test_an_expected_label_that_there_is_not_is_refused(expected: object) -> None:
    for scorer in (label_match(*NAMES), confusion(*NAMES)):
        with pytest.raises(InvalidInput, match=r"is none of|no text"):
            scorer("spam", expected)


@given(PAIRS)
def test_macro_f1_is_that_of_its_definition(pairs: list[tuple[str, str]]) -> None:
    said = of_all(f1_of("confusion:a,b,c"), rows_of(pairs))
    assert said is not None
    assert said.value == pytest.approx(macro_f1_by_definition(pairs), abs=1e-12)


@given(PAIRS)
def test_weighted_and_micro_f1(pairs: list[tuple[str, str]]) -> None:
    by_label = f1_by_label(Counter(pairs))
    weighted = of_all(f1_of("confusion:a,b,c", average="weighted"), rows_of(pairs))
    micro = of_all(f1_of("confusion:a,b,c", average="micro"), rows_of(pairs))
    assert weighted is not None
    assert micro is not None
    assert weighted.value == pytest.approx(sum(by_label[wanted] for wanted, _ in pairs) / len(pairs))
    assert micro.value == pytest.approx(sum(wanted == found for wanted, found in pairs) / len(pairs))


def test_macro_f1_by_hand() -> None:
    # a: 2 right, 1 too many, 0 missed: 4/5. b: 1 right, 0, 1 missed: 2/3. c: never right, one missed: 0.
    pairs = [("a", "a"), ("a", "a"), ("b", "a"), ("b", "b"), ("c", "(none)")]
    said = of_all(f1_of("confusion:a,b,c"), rows_of(pairs))
    assert said is not None
    assert said.value == pytest.approx((4 / 5 + 2 / 3 + 0) / 3)
    assert said.reason == "lowest: c 0.000, b 0.667, a 0.800"


def test_failed_cases_do_not_leave_silently() -> None:
    rows = rows_of([("a", "a"), ("b", "b")], failed=1)
    with pytest.raises(InvalidInput, match=r"1 of 3 cases have no score .*--retry-failed"):
        of_all(f1_of("confusion:a,b,c"), rows)
    assert of_all(f1_of("confusion:a,b,c", skips_failed=True), rows) == Score(1.0, "lowest: a 1.000, b 1.000")
    assert of_all(f1_of("confusion:a,b,c", skips_failed=True), rows_of([], failed=1)) is None
    with pytest.raises(InvalidInput, match="add that scorer"):
        of_all(f1_of("other"), rows)
    with pytest.raises(InvalidInput, match="name one that `confusion` made"):
        of_all(f1_of("m"), [Row("1", "r", "completed", {"m": Score(0.5)})])
    with pytest.raises(InvalidInput, match="macro, weighted or micro"):
        f1_of("m", average="mean")  # type: ignore[arg-type]


def test_the_metric_is_called_by_its_average() -> None:
    averages: list[Average] = ["macro", "weighted", "micro"]
    assert [f1_of("c", average=each).name for each in averages] == [
        "macro_f1:c",
        "weighted_f1:c",
        "micro_f1:c",
    ]
