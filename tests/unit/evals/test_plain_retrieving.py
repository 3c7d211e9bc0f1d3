"""Rankings: tables by hand, formulas written a second time, and what the data may hold."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.errors import InvalidInput
from surefoot.evals import Case, Score
from surefoot.evals.plain import (
    average_precision,
    hit_at,
    mrr,
    ndcg_at,
    precision_at,
    quoted_spans,
    recall_at,
    text_precision,
    text_recall,
)
from surefoot.evals.plain.ranking import ndcg
from surefoot.evals.plain.retrieving import Retrieval

IDS = st.lists(st.integers(0, 12), max_size=10)
RELEVANT = st.lists(st.integers(0, 12), min_size=1, max_size=6, unique=True)
GRADES = st.dictionaries(st.integers(0, 12).map(str), st.integers(0, 4), max_size=8)


def case(relevant: object) -> Case:
    return Case("1", {}, metadata={"relevant": relevant})


def value(scorer: Retrieval, retrieved: Sequence[object], relevant: object) -> float | bool:
    said = scorer(retrieved, case(relevant))
    assert said is not None
    assert not isinstance(said.value, str)
    return said.value


@pytest.mark.parametrize(
    ("scorer", "by_hand"),
    [
        # Relevant are b, d and x; retrieved are a b c d e.
        (recall_at(1), 0),
        (recall_at(2), 1 / 3),
        (recall_at(4), 2 / 3),
        (recall_at(), 2 / 3),
        (precision_at(1), 0),
        (precision_at(2), 1 / 2),
        (precision_at(5), 2 / 5),
        (precision_at(10), 2 / 10),
        (precision_at(), 2 / 5),
        (hit_at(1), False),
        (hit_at(2), True),
        (mrr(), 1 / 2),
        (mrr(1), 0),
        (average_precision(), (1 / 2 + 2 / 4) / 3),
        (ndcg_at(1), 0),
        (ndcg_at(4), (1 / math.log2(3) + 1 / math.log2(5)) / (1 + 1 / math.log2(3) + 1 / math.log2(4))),
        (ndcg_at(2), (1 / math.log2(3)) / (1 + 1 / math.log2(3))),
    ],
)
def test_a_ranking_by_hand(scorer: Retrieval, by_hand: float) -> None:
    assert value(scorer, list("abcde"), ["b", "d", "x"]) == pytest.approx(by_hand, abs=1e-12)


def test_graded_relevance_by_hand() -> None:
    grades = {"a": 3, "b": 2, "c": 0, "d": 1}
    gained = 2 / 1 + 3 / math.log2(4)
    best = 3 + 2 / math.log2(3) + 1 / math.log2(4)
    assert value(ndcg_at(3), ["b", "c", "a", "d"], grades) == pytest.approx(gained / best, abs=1e-12)
    gained, best = 3 / 1 + 7 / math.log2(4), 7 + 3 / math.log2(3) + 1 / math.log2(4)
    exponential = ndcg_at(3, gain="exponential")
    assert value(exponential, ["b", "c", "a", "d"], grades) == pytest.approx(gained / best, abs=1e-12)
    # A grade of 0 is not relevant.
    assert value(recall_at(), ["c"], grades) == 0


@given(IDS, RELEVANT, st.integers(1, 8))
def test_the_formulas_written_a_second_time(retrieved: list[int], relevant: list[int], k: int) -> None:
    unique = sorted(set(retrieved), key=retrieved.index)
    hits = [item in relevant for item in unique]
    assert value(recall_at(k), retrieved, relevant) == pytest.approx(
        len(set(unique[:k]) & set(relevant)) / len(relevant)
    )
    assert value(precision_at(k), retrieved, relevant) == pytest.approx(
        len(set(unique[:k]) & set(relevant)) / k
    )
    assert value(hit_at(k), retrieved, relevant) is any(hits[:k])
    ranks = [rank for rank, is_hit in enumerate(hits[:k], 1) if is_hit]
    assert value(mrr(k), retrieved, relevant) == pytest.approx(1 / ranks[0] if ranks else 0)
    # The area under precision by recall, step by step.
    area, before = 0.0, 0.0
    for rank in range(1, len(hits) + 1):
        recall = sum(hits[:rank]) / len(relevant)
        area += (recall - before) * sum(hits[:rank]) / rank
        before = recall
    assert value(average_precision(), retrieved, relevant) == pytest.approx(area)


@given(st.lists(st.integers(0, 5), max_size=8), st.lists(st.integers(0, 5), max_size=8), st.integers(1, 8))
def test_ndcg_is_that_of_its_definition(grades: list[int], others: list[int], k: int) -> None:
    def gained(ranked: list[int]) -> float:
        return sum(grade / (math.log(rank + 2) / math.log(2)) for rank, grade in enumerate(ranked[:k]))

    every = grades + others
    best = gained(sorted(every, reverse=True))
    assert ndcg(grades, every, k) == pytest.approx(gained(grades) / best if best else 0)


@given(RELEVANT, st.integers(1, 8))
def test_the_best_ranking_has_the_best_value(relevant: list[int], k: int) -> None:
    for scorer in (recall_at(), precision_at(), mrr(k), average_precision(), ndcg_at(k)):
        assert value(scorer, relevant, relevant) == pytest.approx(1)
    assert value(hit_at(k), relevant, relevant) is True


@given(IDS, GRADES, st.integers(1, 8))
def test_all_are_between_0_and_1(retrieved: list[int], grades: dict[str, int], k: int) -> None:
    scorers = (recall_at(k), precision_at(k), hit_at(k), mrr(k), average_precision(), ndcg_at(k))
    for scorer in scorers:
        said = scorer(retrieved, case(grades))
        if not any(grades.values()):
            assert said is None
        else:
            assert said is not None
            assert 0 <= float(said.value) <= 1 + 1e-12


def test_what_was_retrieved_twice_counts_once() -> None:
    assert value(precision_at(2), ["a", "a", "b"], ["a", "b"]) == 1
    assert value(mrr(), ["x", "x", "a"], ["a"]) == 1 / 2


def test_ids_that_read_the_same_are_the_same_and_texts_are_folded() -> None:
    assert value(recall_at(1), [7], ["7"]) == 1
    assert value(recall_at(1), ["7"], 7) == 1
    assert value(recall_at(1, by="text"), ["The  Pager\nrings."], ["the pager rings."]) == 1
    assert value(recall_at(1), ["The pager"], ["the pager"]) == 0


def test_a_case_without_anything_to_find_has_no_score() -> None:
    assert recall_at(5)(["a"], Case("1", {})) is None
    assert recall_at(5)(["a"], case([])) is None
    assert recall_at(5)(["a"], case({"a": 0})) is None


def test_what_is_relevant_may_be_what_is_expected() -> None:
    said = recall_at(1, relevant="expected")(["a"], Case("1", {}, expected=["a", "b"]))
    assert said == Score(0.5, "not in the first 1: 'b'")
    assert recall_at(1, relevant="gold")(["a"], Case("1", {}, metadata={"gold": "a"})) == Score(1.0)


def test_reasons_name_what_is_missing() -> None:
    def reason(scorer: Retrieval, retrieved: list[object]) -> str:
        said = scorer(retrieved, case(["b", *range(8)]))
        assert said is not None
        return said.reason

    assert reason(recall_at(), ["b"]) == "not in what was retrieved: '0', '1', '2', '3', '4' and 3 more"
    assert reason(precision_at(2), ["b", "z"]) == "not relevant: 'z'"
    assert reason(precision_at(2), []) == "nothing was retrieved"
    assert reason(mrr(), ["z", "b"]) == "the first is at rank 2"


@pytest.mark.parametrize("k", [0, -1, True])
def test_a_k_below_1_is_refused(k: int) -> None:
    for make in (recall_at, precision_at, hit_at, mrr, ndcg_at):
        with pytest.raises(InvalidInput, match="count the first places from 1"):
            make(k)


@pytest.mark.parametrize(
    ("retrieved", "relevant", "said"),
    [
        ("a", ["a"], "retrieved is str: say where the list stands"),
        (None, ["a"], "retrieved is NoneType"),
        ([{"id": 1, "text": "x"}], ["a"], r"retrieved holds dict with id, text and no id: name the field"),
        ([1.5], ["a"], "retrieved holds float"),
        (["a"], [["a"]], "the column 'relevant' holds list"),
        (["a"], 1.5, "the column 'relevant' is float"),
        (["a"], {"a": "high"}, "the grade of 'a'"),
        (["a"], {"a": -1}, "the grade of 'a'"),
        (["a"], {"a": True}, "the grade of 'a'"),
        (["a"], {"a": 1e6}, "the grade of 'a'"),
    ],
)
def test_data_that_are_wrong_are_refused(retrieved: object, relevant: object, said: str) -> None:
    for scorer in (recall_at(3), ndcg_at(3), average_precision()):
        with pytest.raises(InvalidInput, match=said):
            scorer(retrieved, case(relevant))  # type: ignore[arg-type]


# By likeness


def referring(*texts: str) -> Case:
    return Case("1", {}, metadata={"reference_contexts": list(texts)})


def test_texts_are_alike_from_the_threshold_on() -> None:
    # Similarities of 0.5, of which ragas' recall says no and its precision yes.
    assert text_recall()(["ab"], referring("ac")) == Score(1.0)
    assert text_precision()(["ab"], referring("ac")) == Score(1.0)
    assert text_recall(compat="ragas")(["ab"], referring("ac")) == Score(0.0)
    ragas = text_precision(compat="ragas")(["ab"], referring("ac"))
    assert ragas is not None
    assert ragas.value == pytest.approx(1 / (1 + 1e-10), abs=1e-12)
    strict = text_recall(threshold=0.51)(["ab"], referring("ac", "ab"))
    assert strict == Score(0.5, "like nothing in the context: 'ac'")


def test_precision_by_likeness_goes_by_place() -> None:
    said = text_precision()(["zzzz", "ab", "yyyy", "cd"], referring("ab", "cd"))
    assert said == Score((1 / 2 + 2 / 4) / 2, "like no reference text: 'zzzz'; 'yyyy'")
    assert text_precision()(["zzzz"], referring("ab")) == Score(0.0, "like no reference text: 'zzzz'")
    assert text_precision()([], referring("ab")) == Score(0.0)
    assert text_recall()([], referring("ab")) == Score(0.0, "like nothing in the context: 'ab'")


def test_likeness_without_references_does_not_apply() -> None:
    for scorer in (text_recall(), text_precision()):
        assert scorer(["ab"], Case("1", {})) is None
        assert scorer(["ab"], referring()) is None
        with pytest.raises(InvalidInput, match="write a list of texts"):
            scorer(["ab"], Case("1", {}, metadata={"reference_contexts": [1]}))
        with pytest.raises(InvalidInput, match="the context is int"):
            scorer(7, referring("ab"))  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="ragas fails here"):
        text_recall(compat="ragas")([], referring("ab"))
    with pytest.raises(InvalidInput, match="from 0 to 1"):
        text_recall(threshold=1.5)


# Quotations

CONTEXT = ["The pager rings within 15 minutes.", "Ruhe bewahren und warten.", "東京は大きいです"]


@pytest.mark.parametrize(
    ("response", "value"),
    [
        ("nothing quoted", None),
        ('too "short here"', None),
        ('He said "rings within 15 minutes".', 1.0),
        ('He said "Rings  within 15\nminutes."', 1.0),
        ('He said "ings within 15 minutes".', 0.0),
        ('"rings within 15 minutes" and "rings within 50 minutes"', 0.5),
        ("\u201eRuhe bewahren und warten\u201c", 1.0),
        ("\u00abRuhe bewahren und warten\u00bb", 1.0),
        ("\u300c東京は大きい\u300d", 0.0),
        ("\u300c東京は大きいです\u300d", 1.0),
        # An apostrophe is no mark, and nothing is read on from one text into the next.
        ("it's the pager that isn't there", None),
        ('"15 minutes. Ruhe bewahren"', 0.0),
    ],
)
def test_quotations_stand_in_one_text(response: str, value: float | None) -> None:
    said = quoted_spans()(response, CONTEXT)
    assert (None if said is None else said.value) == value


def test_quotations_as_ragas_counts_them() -> None:
    ragas = quoted_spans(compat="ragas")
    assert ragas("nothing quoted", CONTEXT) == Score(1.0)
    assert ragas('"15 minutes. Ruhe bewahren"', CONTEXT) == Score(1.0)
    assert ragas("it's the pager that isn't there", CONTEXT) == Score(0.0)
    said = quoted_spans()('"rings within 50 minutes"', CONTEXT)
    assert said is not None
    assert said.reason == "not in the context: 'rings within 50 minutes'"
    with pytest.raises(InvalidInput, match="least_words"):
        quoted_spans(least_words=0)
    with pytest.raises(InvalidInput, match="holds int"):
        quoted_spans()('"a b c"', [1])  # type: ignore[list-item]
