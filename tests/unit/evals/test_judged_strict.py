"""Metrics by strict rules: what each asks, what it makes of the answers, and which answers it does not take."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from surefoot.errors import InvalidInput, MalformedResponse
from surefoot.evals.judged.conversation import Ask, Talk, hold
from surefoot.evals.judged.shapes import read
from surefoot.evals.judged.strict import answers, arithmetic, contexts, grades
from surefoot.evals.scores import Score

VECTORS = {
    "q": [1.0, 0.0],
    "near": [0.6, 0.8],
    "away": [-1.0, 0.0],
    "r": [3.0, 4.0],
    "e": [1.0, 0.0],
    "o": [0.0, 0.0],
}


class Bench:
    """A judge whose answers are written down: by question, one after another, or by a function of what is asked."""

    def __init__(self, **said: Sequence[object] | Callable[[Ask], object]) -> None:
        self.said = {name: said if callable(said) else list(said) for name, said in said.items()}
        self.asked: list[Ask] = []

    def score(self, talk: Talk[Score | None]) -> Score | None:
        return hold(talk, answer=self._answer, embed=lambda texts: [VECTORS[text] for text in texts])

    def value(self, talk: Talk[Score | None]) -> object:
        score = self.score(talk)
        return None if score is None else score.value

    def _answer(self, asked: Ask) -> object:
        self.asked.append(asked)
        said: Any = self.said[asked.question]
        return read(asked, said(asked) if callable(said) else said.pop(0))


def stating(*statements: str) -> dict[str, Any]:
    return {"claims_nothing": not statements, "statements": list(statements)}


def claiming(*claims: str) -> dict[str, Any]:
    return {"claims_nothing": not claims, "claims": list(claims)}


def judging(**verdicts: object) -> dict[str, Any]:
    return {"statements": [{"statement": name, "reason": "so", "verdict": v} for name, v in verdicts.items()]}


def by_context(table: Mapping[str, Mapping[str, bool]]) -> Callable[[Ask], object]:
    def said(asked: Ask) -> object:
        row = table[str(asked.inputs["context"])]
        return judging(**{name: row[name] for name in asked.inputs["statements"]})  # type: ignore[union-attr]

    return said


def test_faithfulness_is_the_share_of_the_statements() -> None:
    bench = Bench(statements=[stating("a", "b", "c")], verdicts=[judging(a=True, b=False, c=True)])
    score = bench.score(answers.faithfulness("q", "r", ["one", "two"]))
    assert score is not None
    assert (score.value, score.reason) == (pytest.approx(2 / 3), "not supported: b")
    assert bench.asked[1].inputs == {"context": "one\n\ntwo", "statements": ["a", "b", "c"]}


def test_a_response_that_states_nothing_has_no_faithfulness() -> None:
    assert Bench(statements=[stating()]).score(answers.faithfulness("q", "r", ["c"])) is None


HOSTILE = {
    "too few verdicts": judging(a=True),
    "too many verdicts": judging(a=True, b=True, c=True),
    "a verdict on something else": judging(a=True, c=True),
    "one statement twice": {"statements": [*judging(a=True)["statements"], *judging(a=True)["statements"]]},
    "a verdict of 2": judging(a=2, b=0),
    "a verdict as text": judging(a="1", b="0"),
    "a verdict of a half": judging(a=0.5, b=0),
    "no verdict": judging(a=None, b=True),
    "nothing": {"statements": []},
    "prose": "All of it is well supported.",
    "another field": {"verdicts": []},
    "one field too many": {**judging(a=True, b=True), "score": 10},
}


@pytest.mark.parametrize("said", HOSTILE.values(), ids=HOSTILE.keys())
def test_an_answer_that_does_not_fit_the_statements_is_no_score(said: object) -> None:
    bench = Bench(statements=[stating("a", "b")], verdicts=[said])
    with pytest.raises(MalformedResponse, match="'verdicts' does not fit"):
        bench.score(answers.faithfulness("q", "r", ["c"]))


def test_verdicts_are_matched_by_their_text() -> None:
    """Case, Unicode's forms, spaces, a full stop and the order make no difference."""
    said = judging(**{"  \uff22 is  HERE": 0, "a is here.": 1})
    bench = Bench(statements=[stating("A is here.", "B is here.")], verdicts=[said])
    score = bench.score(answers.faithfulness("q", "r", ["c"]))
    assert score is not None
    assert (score.value, score.reason) == (0.5, "not supported: B is here.")


@pytest.mark.parametrize(
    "said",
    [
        {"claims_nothing": False, "statements": []},
        {"claims_nothing": True, "statements": ["a"]},
        {"statements": []},
        {"claims_nothing": False, "statements": ["a", "  "]},
    ],
    ids=["empty without a word", "both", "empty", "a blank one"],
)
def test_an_empty_list_counts_only_where_the_judge_means_it(said: object) -> None:
    with pytest.raises(MalformedResponse):
        Bench(statements=[said]).score(answers.faithfulness("q", "r", ["c"]))


@pytest.mark.parametrize(
    ("talk", "missing"),
    [
        (lambda: answers.faithfulness("q", " \n", ["c"]), "response is blank"),
        (lambda: answers.faithfulness("q", "r", []), "context is blank"),
        (lambda: answers.faithfulness("q", "r", [" "]), "context is blank"),
        (lambda: answers.answer_relevancy("", "r"), "question is blank"),
        (lambda: contexts.context_precision("q", ["c"], ""), "answer is blank"),
        (lambda: contexts.context_recall(["c"], ""), "expected is blank"),
        (lambda: contexts.context_entity_recall([], "e"), "context is blank"),
        (lambda: answers.noise_sensitivity("q", "r", [], "e"), "context is blank"),
        (lambda: answers.factual_correctness("", "e"), "response is blank"),
        (lambda: answers.answer_correctness("q", "", "e"), "response is blank"),
        (lambda: answers.semantic_similarity("r", ""), "expected is blank"),
        (lambda: grades.answer_accuracy("q", "", "e"), "response is blank"),
        (lambda: grades.context_relevance("q", []), "context is blank"),
        (lambda: grades.response_groundedness("", ["c"]), "response is blank"),
        (lambda: grades.summary_score("r", []), "context is blank"),
        (lambda: grades.preference("q", "r", ""), "other is blank"),
    ],
)
def test_what_is_blank_is_refused_without_asking(
    talk: Callable[[], Talk[Score | None]], missing: str
) -> None:
    with pytest.raises(InvalidInput, match=missing):
        Bench().score(talk())


def test_the_majority_of_an_odd_number_of_votes_counts_for_each_statement() -> None:
    votes = [judging(a=True, b=False), judging(a=False, b=False), judging(a=True, b=True)]
    bench = Bench(statements=[stating("a", "b")], verdicts=votes)
    assert bench.value(answers.faithfulness("q", "r", ["c"], votes=3)) == 0.5
    assert [asked.question for asked in bench.asked] == ["statements", *["verdicts"] * 3]


def test_answer_relevancy_is_a_mean_of_cosines_that_is_cut_at_zero() -> None:
    said = [{"question": question, "noncommittal": False} for question in ("q", "near", "away")]
    assert Bench(relevance=said).value(answers.answer_relevancy("q", "r")) == pytest.approx((1 + 0.6 + 0) / 3)


def test_most_of_the_judges_say_whether_it_is_noncommittal() -> None:
    said = [{"question": "q", "noncommittal": flag} for flag in (True, True, False)]
    assert Bench(relevance=said).value(answers.answer_relevancy("q", "r")) == 0.0
    said = [{"question": "q", "noncommittal": flag} for flag in (True, False, False)]
    assert Bench(relevance=said).value(answers.answer_relevancy("q", "r")) == 1.0


def test_a_zero_vector_and_an_empty_question_are_no_score() -> None:
    with pytest.raises(InvalidInput, match="vector is zero"):
        Bench(relevance=[{"question": "o", "noncommittal": False}]).score(
            answers.answer_relevancy("q", "r", strictness=1)
        )
    with pytest.raises(MalformedResponse):
        Bench(relevance=[{"question": "", "noncommittal": False}]).score(
            answers.answer_relevancy("q", "r", strictness=1)
        )


@pytest.mark.parametrize(
    ("flags", "value"),
    [([1, 1, 1], 1.0), ([0, 0, 0], 0.0), ([0, 1, 1], (1 / 2 + 2 / 3) / 2), ([1, 0, 1], (1 + 2 / 3) / 2)],
)
def test_context_precision_of_a_perfect_ranking_is_one(flags: list[int], value: float) -> None:
    said = [{"reason": "so", "verdict": flag} for flag in flags]
    found = Bench(usefulness=said).value(contexts.context_precision("q", ["x", "y", "z"], "e"))
    assert found == (value if value in (0, 1) else pytest.approx(value))


def test_a_useful_context_is_not_counted_twice() -> None:
    with pytest.raises(MalformedResponse, match="true or false, and not 2"):
        Bench(usefulness=[{"reason": "so", "verdict": 2}]).score(contexts.context_precision("q", ["x"], "e"))


def test_context_precision_votes_on_each_context() -> None:
    said = [{"reason": "so", "verdict": flag} for flag in (1, 1, 0, 0, 0, 1)]
    assert Bench(usefulness=said).value(contexts.context_precision("q", ["x", "y"], "e", votes=3)) == 1.0


def test_context_recall_asks_about_the_sentences_of_the_reference() -> None:
    said = judging(**{"Rome is old.": True, "It lies in Italy.": False})
    bench = Bench(verdicts=[said])
    assert bench.value(contexts.context_recall(["c"], "Rome is old. It lies in Italy.")) == 0.5
    assert bench.asked[0].inputs["statements"] == ["Rome is old.", "It lies in Italy."]


def test_entities_are_compared_without_case_and_doubles() -> None:
    said = [
        {"names_nothing": False, "entities": ["Rome", "ROME", "Tiber.", "Ostia"]},
        {"names_nothing": False, "entities": ["rome", "tiber"]},
    ]
    score = Bench(entities=list(said)).score(contexts.context_entity_recall(["c"], "e"))
    assert score is not None
    assert (score.value, score.reason) == (pytest.approx(2 / 3), "not in the context: Ostia")
    assert Bench(entities=list(said)).value(contexts.context_entity_recall(["c"], "e", is_exact=True)) == 0.0
    nothing = {"names_nothing": True, "entities": []}
    assert Bench(entities=[nothing, said[1]]).score(contexts.context_entity_recall(["c"], "e")) is None
    assert Bench(entities=[said[0], nothing]).value(contexts.context_entity_recall(["c"], "e")) == 0.0


def test_factual_correctness_takes_recall_from_the_reference() -> None:
    def bench() -> Bench:
        return Bench(
            claims=lambda asked: (
                claiming("a", "b", "c") if asked.inputs["response"] == "r" else claiming("x", "y")
            ),
            verdicts=by_context({"e": {"a": True, "b": True, "c": False}, "r": {"x": True, "y": False}}),
        )

    assert bench().value(answers.factual_correctness("r", "e", mode="precision")) == pytest.approx(2 / 3)
    assert bench().value(answers.factual_correctness("r", "e", mode="recall")) == 0.5
    assert bench().value(answers.factual_correctness("r", "e")) == pytest.approx(4 / 7)
    assert bench().value(answers.factual_correctness("r", "e", beta=2.0)) == pytest.approx(10 / 19)


def test_claims_that_are_not_there_are_no_perfect_score() -> None:
    def bench(response: dict[str, Any], reference: dict[str, Any]) -> Bench:
        return Bench(claims=lambda asked: response if asked.inputs["response"] == "r" else reference)

    assert bench(claiming(), claiming("x")).value(answers.factual_correctness("r", "e")) == 0.0
    assert bench(claiming("a"), claiming()).score(answers.factual_correctness("r", "e")) is None
    assert (
        bench(claiming(), claiming("x")).score(answers.factual_correctness("r", "e", mode="precision"))
        is None
    )


def test_semantic_similarity_keeps_a_threshold_of_zero() -> None:
    assert Bench().value(answers.semantic_similarity("r", "e")) == pytest.approx(0.6)
    assert Bench().value(answers.semantic_similarity("r", "e", threshold=0.7)) is False
    assert Bench().value(answers.semantic_similarity("away", "e", threshold=0.0)) is False
    with pytest.raises(InvalidInput, match="vector is zero"):
        Bench().score(answers.semantic_similarity("o", "e"))


def classes(tp: str, fp: str, fn: str) -> dict[str, Any]:
    return {
        name: [{"statement": each, "reason": "so"} for each in texts]
        for name, texts in (("TP", tp), ("FP", fp), ("FN", fn))
    }


def test_answer_correctness_weighs_statements_and_similarity() -> None:
    def bench(said: object) -> Bench:
        return Bench(
            statements=lambda asked: (
                stating("a", "b") if asked.inputs["answer"] == "r" else stating("x", "y")
            ),
            classification=[said],
        )

    value = bench(classes("a", "b", "y")).value(answers.answer_correctness("q", "r", "e"))
    assert value == pytest.approx(0.75 * 0.5 + 0.25 * 0.6)
    value = bench(classes("ab", "", "")).value(answers.answer_correctness("q", "r", "e", weights=(1, 0)))
    assert value == 1.0
    for wrong in (
        classes("a", "", ""),
        classes("ab", "b", ""),
        classes("ac", "", ""),
        classes("", "", ""),
        classes("ab", "", "z"),
    ):
        with pytest.raises(MalformedResponse, match="'classification' does not fit"):
            bench(wrong).score(answers.answer_correctness("q", "r", "e"))


def test_a_response_that_states_nothing_is_not_correct() -> None:
    def bench(response: dict[str, Any], reference: dict[str, Any]) -> Bench:
        return Bench(statements=lambda asked: response if asked.inputs["answer"] == "r" else reference)

    found = bench(stating(), stating("x")).value(answers.answer_correctness("q", "r", "e", weights=(1, 0)))
    assert found == 0.0
    assert bench(stating("a"), stating()).score(answers.answer_correctness("q", "r", "e")) is None


def test_noise_sensitivity_counts_what_a_context_misleads_to() -> None:
    """The first context is relevant, the second is not; b is wrong and from the first, c wrong and from the second."""
    table = {
        "one": {"x": True, "a": True, "b": True, "c": False, "d": False},
        "two": {"x": False, "a": False, "b": True, "c": True, "d": False},
        "e": {"a": True, "b": False, "c": False, "d": False},
    }

    def bench() -> Bench:
        return Bench(
            statements=lambda asked: (
                stating("a", "b", "c", "d") if asked.inputs["answer"] == "r" else stating("x")
            ),
            verdicts=by_context(table),
        )

    score = bench().score(answers.noise_sensitivity("q", "r", ["one", "two"], "e"))
    assert score is not None
    assert (score.value, score.reason) == (0.25, "wrong, from relevant contexts: b")
    score = bench().score(answers.noise_sensitivity("q", "r", ["one", "two"], "e", mode="irrelevant"))
    assert score is not None
    assert (score.value, score.reason) == (0.25, "wrong, from irrelevant contexts: c")


RUBRIC = {"1": "wrong", "3": "partly right", "5": "right"}


def test_a_rubric_has_no_score_beside_its_levels() -> None:
    fields = {"response": "r"}
    score = Bench(rubric=[{"feedback": "good", "score": 5}]).score(grades.rubric(fields, RUBRIC))
    assert score == Score(5.0, "good")
    for wrong in (9, 0, 2, "5", 5.0, True):
        with pytest.raises(MalformedResponse, match="'rubric' does not fit"):
            Bench(rubric=[{"feedback": "good", "score": wrong}]).score(grades.rubric(fields, RUBRIC))


def test_the_middle_of_several_grades_counts_with_its_own_reason() -> None:
    said = [{"feedback": f"level {score}", "score": score} for score in (5, 1, 3)]
    assert Bench(rubric=said).score(grades.rubric({"response": "r"}, RUBRIC, votes=3)) == Score(
        3.0, "level 3"
    )


def test_rubrics_are_read_by_number_too() -> None:
    assert grades.levels_of({"score2_description": "good", "score1_description": "bad"}) == {
        1: "bad",
        2: "good",
    }
    for wrong in ({"1": "bad"}, {"bad": "1", "good": "2"}, {"1": "bad", "score1_description": "worse"}):
        with pytest.raises(InvalidInput, match="the rubric has"):
            grades.levels_of(wrong)


def test_an_aspect_is_decided_by_a_vote_that_is_held() -> None:
    said = [{"reason": f"vote {n}", "verdict": verdict} for n, verdict in enumerate((False, True, True))]
    bench = Bench(aspect=said)
    assert bench.score(grades.aspect_critic({"response": "r"}, "polite", votes=3)) == Score(
        value=True, reason="vote 1"
    )
    assert len(bench.asked) == 3


def test_criteria_have_a_scale() -> None:
    score = Bench(criteria=[{"reason": "so", "score": 7}]).score(
        grades.simple_criteria({"response": "r"}, "short")
    )
    assert score == Score(7.0, "so")
    with pytest.raises(MalformedResponse, match=r"the score is 11: give one of 0, 1, \.\.\., 10"):
        Bench(criteria=[{"reason": "so", "score": 11}]).score(
            grades.simple_criteria({"response": "r"}, "short")
        )


def rating(*ratings: object) -> list[dict[str, object]]:
    return [{"reason": "so", "rating": each} for each in ratings]


def test_ratings_are_asked_for_twice_and_have_to_be_on_the_scale() -> None:
    bench = Bench(accuracy=rating(4, 2))
    score = bench.score(grades.answer_accuracy("q", "r", "e"))
    assert score == Score(0.75, "the two ratings differ: 4 and 2")
    places = [(asked.inputs["user_answer"], asked.inputs["reference_answer"]) for asked in bench.asked]
    assert places == [("r", "e"), ("e", "r")]
    assert Bench(context_relevance=rating(2, 2)).value(grades.context_relevance("q", ["c"])) == 1.0
    assert Bench(groundedness=rating(0, 1)).value(grades.response_groundedness("r", ["c"])) == 0.25
    with pytest.raises(MalformedResponse, match="the rating is 3"):
        Bench(accuracy=rating(3, 4)).score(grades.answer_accuracy("q", "r", "e"))
    with pytest.raises(MalformedResponse, match="the rating is 4"):
        Bench(groundedness=rating(4, 2)).score(grades.response_groundedness("r", ["c"]))


def test_a_summary_answers_each_question_about_its_text() -> None:
    def bench(said: object) -> Bench:
        return Bench(
            keyphrases=[{"keyphrases": ["k"]}], quiz=[{"questions": ["u", "v"]}], quiz_answers=[said]
        )

    def answered(**flags: bool) -> dict[str, Any]:
        return {"answers": [{"question": name, "answered": flag} for name, flag in flags.items()]}

    talk = lambda **more: grades.summary_score("r" * 25, ["t" * 100], **more)  # noqa: E731
    assert bench(answered(u=True, v=False)).value(talk()) == pytest.approx(0.5 * 0.5 + 0.75 * 0.5)
    assert bench(answered(u=True, v=True)).value(talk(length_penalty=False)) == 1.0
    for wrong in (answered(u=True), answered(u=True, w=True), {"answers": []}, {"answers": ["1", "0"]}):
        with pytest.raises(MalformedResponse, match="'quiz_answers' does not fit"):
            bench(wrong).score(talk())
    with pytest.raises(MalformedResponse, match="'quiz' does not fit"):
        Bench(keyphrases=[{"keyphrases": ["k"]}], quiz=[{"questions": []}]).score(talk())
    with pytest.raises(MalformedResponse, match="'keyphrases' does not fit"):
        Bench(keyphrases=[{"keyphrases": []}]).score(talk())


@pytest.mark.parametrize(
    ("forth", "back", "value", "reason"),
    [
        ("first", "second", 1.0, "clear"),
        ("second", "first", 0.0, "clear"),
        ("tie", "tie", 0.5, "clear"),
        ("first", "first", 0.5, "inconsistent: the judge prefers whichever stands first"),
        ("second", "second", 0.5, "inconsistent: the judge prefers whichever stands second"),
        ("first", "tie", 0.5, "inconsistent: a tie in one order, a preference in the other"),
    ],
)
def test_a_preference_that_goes_by_the_place_is_a_tie(
    forth: str, back: str, value: float, reason: str
) -> None:
    said = [{"reason": "clear", "better": better} for better in (forth, back)]
    bench = Bench(preference=said)
    assert bench.score(grades.preference("q", "r", "other")) == Score(value, reason)
    assert [asked.inputs["first"] for asked in bench.asked] == ["r", "other"]


def test_another_word_is_no_preference() -> None:
    with pytest.raises(MalformedResponse):
        Bench(preference=[{"reason": "", "better": "A"}] * 2).score(grades.preference("q", "r", "other"))


def test_the_arithmetic_stays_in_its_range() -> None:
    assert arithmetic.average_precision([True] * 7) == 1.0
    assert arithmetic.average_precision([]) == 0.0
    assert arithmetic.f_beta(0, 0) == 0.0
    assert arithmetic.cosine([1e200, 1e200], [1e-200, 1e-200]) == pytest.approx(1.0)
    assert arithmetic.cosine([0.1] * 3, [0.1] * 3) <= 1.0
    for wrong in ([0.0, 0.0], [math.nan, 1.0], [math.inf, 1.0]):
        with pytest.raises(InvalidInput):
            arithmetic.cosine(wrong, [1.0, 1.0])
