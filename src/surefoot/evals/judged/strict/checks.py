"""What an answer has to fulfil beside its form. Each check says what is wrong in words that the judge can go by."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from surefoot.evals.judged import shapes

_SHOWN = 60
_ENDS = " \t\n.,;:!?\"'\u2018\u2019\u201c\u201d"


def folded(text: str) -> str:
    """A text as it is compared: Unicode's NFKC, case folded, single spaces, no punctuation around it."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split()).strip(_ENDS)


def each_once(statements: Sequence[str]) -> Callable[[shapes.Verdicts], list[bool]]:
    """One verdict for each statement, by its own words. Returns the verdicts in the order of the statements."""

    def check(answer: shapes.Verdicts) -> list[bool]:
        _same_texts("statement", statements, [each.statement for each in answer.statements])
        left: dict[str, list[bool]] = {}
        for each in answer.statements:
            left.setdefault(folded(each.statement), []).append(each.verdict)
        return [left[folded(statement)].pop(0) for statement in statements]

    return check


def answered_once(questions: Sequence[str]) -> Callable[[shapes.QuizAnswers], list[bool]]:
    """One answer for each question, by its own words. Returns whether each was answered, in their order."""

    def check(answer: shapes.QuizAnswers) -> list[bool]:
        _same_texts("question", questions, [each.question for each in answer.answers])
        left: dict[str, list[bool]] = {}
        for each in answer.answers:
            left.setdefault(folded(each.question), []).append(each.answered)
        return [left[folded(question)].pop(0) for question in questions]

    return check


def stated(answer: shapes.Statements) -> list[str]:
    """Statements, or the word that there are none: an empty list alone may be a judge that has failed."""
    return _or_nothing(answer.statements, "claims_nothing", is_nothing=answer.claims_nothing)


def claimed(answer: shapes.Claims) -> list[str]:
    """Claims, or the word that there are none."""
    return _or_nothing(answer.claims, "claims_nothing", is_nothing=answer.claims_nothing)


def named(answer: shapes.Entities) -> list[str]:
    """Entities, or the word that there are none."""
    return _or_nothing(answer.entities, "names_nothing", is_nothing=answer.names_nothing)


def classified(
    said: Sequence[str], wanted: Sequence[str]
) -> Callable[[shapes.Classification], tuple[int, int, int]]:
    """Each statement of the answer in one of TP and FP, and in FN no more than those of the reference.

    Returns how many there are of each.
    """

    def check(answer: shapes.Classification) -> tuple[int, int, int]:
        _same_texts(
            "statement of the answer (in TP or FP)",
            said,
            [each.statement for each in (*answer.TP, *answer.FP)],
        )
        missed = Counter(folded(each.statement) for each in answer.FN)
        strange = missed - Counter(map(folded, wanted))
        if strange:
            raise ValueError(
                f"FN has {_brief(next(iter(strange)))}, which is no statement of the reference, or has it twice: "
                "give statements of the reference there, word for word, each once"
            )
        return len(answer.TP), len(answer.FP), len(answer.FN)

    return check


def graded(levels: Sequence[int]) -> Callable[[shapes.Grade | shapes.Criterion], int]:
    """A score that is one of the levels."""

    def check(answer: shapes.Grade | shapes.Criterion) -> int:
        return _one_of("score", answer.score, levels)

    return check


def rated(levels: Sequence[int]) -> Callable[[shapes.Rating], int]:
    """A rating that is one of the levels."""

    def check(answer: shapes.Rating) -> int:
        return _one_of("rating", answer.rating, levels)

    return check


def some_phrases(answer: shapes.Keyphrases) -> list[str]:
    """One key phrase at least."""
    if not answer.keyphrases:
        raise ValueError("there is no key phrase: give one at least")
    return answer.keyphrases


def some_questions(answer: shapes.Quiz) -> list[str]:
    """One question at least, none of them twice."""
    if not answer.questions:
        raise ValueError("there is no question: give one at least")
    twice = [text for text, count in Counter(map(folded, answer.questions)).items() if count > 1]
    if twice:
        raise ValueError(f"the question {_brief(twice[0])} stands twice: give each once")
    return answer.questions


def _one_of(what: str, value: int, levels: Sequence[int]) -> int:
    if value not in levels:
        few = levels if len(levels) < 8 else [*levels[:2], "...", levels[-1]]
        raise ValueError(f"the {what} is {value}: give one of {', '.join(map(str, few))}")
    return value


def _or_nothing(found: list[str], word: str, *, is_nothing: bool) -> list[str]:
    if is_nothing == bool(found):
        problem = f"{word} is true, and there are {len(found)}" if is_nothing else "the list is empty"
        raise ValueError(f"{problem}: give an empty list with {word}: true, or a list with {word}: false")
    return found


def _same_texts(what: str, wanted: Sequence[str], given: Sequence[str]) -> None:
    if len(wanted) != len(given):
        raise ValueError(
            f"there are {len(given)} entries for {len(wanted)}: give one for each {what}, and no other"
        )
    left = Counter(map(folded, wanted))
    for text in given:
        if not left[folded(text)]:
            raise ValueError(
                f"{_brief(text)} is no {what} that was given, or stands twice: repeat each word for word, once"
            )
        left[folded(text)] -= 1


def _brief(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")
