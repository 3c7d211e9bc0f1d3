"""Metrics by one grade: rubrics, aspects, criteria, ratings, preferences, summaries."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

from surefoot.errors import InvalidInput
from surefoot.evals.judged.conversation import Ask, Check, Talk, ask, ask_all
from surefoot.evals.judged.strict import arithmetic, checks
from surefoot.evals.judged.strict.asks import joined, listing, need
from surefoot.evals.scores import Score
from surefoot.evals.scoring.biases import PLACE, WAVERING
from surefoot.values import Json

_LEVEL = re.compile(r"(?:score)?_?(-?\d+)(?:_description)?", re.IGNORECASE)


def rubric(fields: Mapping[str, Json], rubrics: Mapping[str, str], *, votes: int = 1) -> Talk[Score | None]:
    """The level of a rubric that fits best, by the median of the votes."""
    levels = levels_of(rubrics)
    described: dict[str, Json] = {str(level): text for level, text in sorted(levels.items())}
    wish = Ask(
        "rubric", {**fields, "rubrics": described}, _with_reason(checks.graded(sorted(levels)), "feedback")
    )
    return (yield from _median(wish, votes))


def levels_of(rubrics: Mapping[str, str]) -> dict[int, str]:
    """What each level of a rubric means; its keys are `1`, `2` ... or ragas' `score1_description`.

    Raises `InvalidInput` for other keys, and for fewer than two levels.
    """
    found: dict[int, str] = {}
    for key, text in rubrics.items():
        level = _LEVEL.fullmatch(str(key).strip())
        if level is None or int(level[1]) in found:
            raise InvalidInput(f"the rubric has the level {key!r}: name levels by whole numbers, each once")
        found[int(level[1])] = text
    if len(found) < 2:
        raise InvalidInput(f"the rubric has {len(found)} levels: give two at least")
    return found


def aspect_critic(fields: Mapping[str, Json], definition: str, *, votes: int = 1) -> Talk[Score | None]:
    """Whether the definition holds, by the majority of the votes."""
    said = yield from ask_all([Ask("aspect", {**fields, "definition": definition})] * votes)
    (value,) = arithmetic.majority([[each.verdict] for each in said])
    return Score(value, next(each.reason for each in said if each.verdict == value))


def simple_criteria(
    fields: Mapping[str, Json], definition: str, *, lowest: int = 0, highest: int = 10, votes: int = 1
) -> Talk[Score | None]:
    """A score on a scale of whole numbers, by the median of the votes."""
    inputs: dict[str, Json] = {**fields, "definition": definition, "lowest": lowest, "highest": highest}
    wish = Ask("criteria", inputs, _with_reason(checks.graded(range(lowest, highest + 1)), "reason"))
    return (yield from _median(wish, votes))


def answer_accuracy(question: str, response: str, expected: str) -> Talk[Score | None]:
    """How far two answers say the same, 0 to 1: the mean of two ratings, each text in each place once."""
    need(question=question, response=response, expected=expected)
    wishes = [
        Ask("accuracy", _placed(question, first, second, wording), checks.rated((0, 2, 4)))
        for wording, (first, second) in ((1, (response, expected)), (2, (expected, response)))
    ]
    ratings = yield from ask_all(wishes)
    return Score(sum(ratings) / 8, _differing(ratings))


def _placed(question: str, first: str, second: str, wording: int) -> dict[str, Json]:
    return {"query": question, "user_answer": first, "reference_answer": second, "wording": wording}


def context_relevance(question: str, context: Sequence[str]) -> Talk[Score | None]:
    """How far the contexts answer the question, 0 to 1: the mean of two ratings, asked for in different words."""
    need(question=question, context=context)
    return (yield from _twice("context_relevance", {"user_input": question, "context": joined(context)}))


def response_groundedness(response: str, context: Sequence[str]) -> Talk[Score | None]:
    """How far the contexts support the response, 0 to 1: the mean of two ratings, asked for in different words."""
    need(response=response, context=context)
    return (yield from _twice("groundedness", {"response": response, "context": joined(context)}))


def _twice(question: str, inputs: Mapping[str, Json]) -> Talk[Score | None]:
    wishes = [Ask(question, {**inputs, "wording": n}, checks.rated((0, 1, 2))) for n in (1, 2)]
    ratings = yield from ask_all(wishes)
    return Score(sum(ratings) / 4, _differing(ratings))


def _differing(ratings: Sequence[int]) -> str:
    return "" if len(set(ratings)) == 1 else f"the two ratings differ: {ratings[0]} and {ratings[1]}"


def summary_score(
    response: str, context: Sequence[str], *, coeff: float = 0.5, length_penalty: bool = True
) -> Talk[Score | None]:
    """How many questions about the contexts their summary answers, and how short it is, weighted by `coeff`.

    Shortness is 1 - the summary's length over the contexts', in characters, 0 at least.
    """
    need(response=response, context=context)
    text = joined(context)
    phrases: list[str] = yield from ask(Ask("keyphrases", {"text": text}, checks.some_phrases))
    questions: list[str] = yield from ask(
        Ask("quiz", {"text": text, "keyphrases": [*phrases]}, checks.some_questions)
    )
    inputs: dict[str, Json] = {"summary": response, "questions": list(questions)}
    answered: list[bool] = yield from ask(Ask("quiz_answers", inputs, checks.answered_once(questions)))
    open_ones = [
        question for question, is_answered in zip(questions, answered, strict=True) if not is_answered
    ]
    value = arithmetic.share(answered)
    if length_penalty:
        value = value * (1 - coeff) + (1 - min(len(response), len(text)) / len(text)) * coeff
    return Score(value, listing("not answered", open_ones))


def preference(question: str, response: str, other: str, *, criteria: str = "") -> Talk[Score | None]:
    """Which of two responses is better: 1 this one, 0 the other, 0.5 neither.

    The judge sees them in both orders. Where it goes by the place, and not by the text, that is a tie which says so.
    """
    need(question=question, response=response, other=other)
    more: dict[str, Json] = {"criteria": criteria} if criteria else {}
    forth, back = yield from ask_all(
        [
            Ask("preference", {"question": question, "first": response, "second": other, **more}),
            Ask("preference", {"question": question, "first": other, "second": response, **more}),
        ]
    )
    mine: dict[Literal["first", "second", "tie"], float] = {"first": 1.0, "second": 0.0, "tie": 0.5}
    first, second = mine[forth.better], 1.0 - mine[back.better]
    if first == second:
        return Score(first, forth.reason)
    if {first, second} == {0.0, 1.0}:
        return Score(0.5, PLACE.format(forth.better))
    return Score(0.5, WAVERING)


def _with_reason(check: Check, field: str) -> Check:
    """The same check, which returns what it returned and the judge's reason."""
    return lambda answer: (check(answer), str(getattr(answer, field)))


def _median(wish: Ask, votes: int) -> Talk[Score | None]:
    said: list[tuple[int, str]] = yield from ask_all([wish] * votes)
    value = arithmetic.median([score for score, _ in said])
    return Score(float(value), next(reason for score, reason in said if score == value))
