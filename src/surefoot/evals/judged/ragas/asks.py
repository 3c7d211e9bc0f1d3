"""The questions that ragas' metrics share, by the names of its inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from surefoot.evals.judged.conversation import Ask, Talk, ask
from surefoot.values import Json


def one(question: str, /, **inputs: Json) -> Talk[Any]:
    """The answer to a question, as ragas reads it."""
    return (yield from ask(Ask(question, inputs, is_lax=True)))


def statements_of(question: str, text: str) -> Talk[list[str]]:
    """The statements of an answer."""
    found = yield from one("statements", question=question, answer=text)
    return list(found.statements)


def verdicts_on(statements: Sequence[str], context: str) -> Talk[list[int]]:
    """Whether a text supports each statement: the raw numbers, as many as the judge gave."""
    found = yield from one("verdicts", context=context, statements=list(statements))
    return [each.verdict for each in found.statements]
