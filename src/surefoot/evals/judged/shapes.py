"""The shapes of judges' answers, strict ones and those that ragas takes. Importing this imports pydantic."""

# The docstring of a shape would go to the judge as a part of its schema.
# ruff: noqa: D101

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, TypeAdapter, ValidationError
from pydantic.types import StringConstraints

from surefoot.errors import MalformedResponse
from surefoot.evals.judged.conversation import Ask, Check

_checking: ContextVar[Check | None] = ContextVar("surefoot_judge_check", default=None)


@contextmanager
def checking(check: Check | None) -> Generator[None]:
    """Hold the answers that are read inside to this, too.

    A check belongs to one question, a type to all of its kind: making a type for each question would cost more than
    the rest of asking it.
    """
    token = _checking.set(check)
    try:
        yield
    finally:
        _checking.reset(token)


def _checked(answer: Any) -> Any:
    check = _checking.get()
    return answer if check is None else check(answer)


def _binary(value: object) -> object:
    """A yes or no: true and false, and the numbers 1 and 0 that stand for them; a text or a 2 is neither."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and value in (0, 1):
        return bool(value)
    raise ValueError(f"give true or false, and not {value!r}")


Verdict = Annotated[bool, BeforeValidator(_binary, json_schema_input_type=bool)]
Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class Statements(_Strict):
    claims_nothing: bool
    statements: list[Words]


class Claims(_Strict):
    claims_nothing: bool
    claims: list[Words]


class Judgement(_Strict):
    statement: str
    reason: str
    verdict: Verdict


class Verdicts(_Strict):
    statements: list[Judgement]


class Relevance(_Strict):
    question: Words
    noncommittal: Verdict


class Usefulness(_Strict):
    reason: str
    verdict: Verdict


class Entities(_Strict):
    names_nothing: bool
    entities: list[Words]


class Reasoned(_Strict):
    statement: str
    reason: str


class Classification(_Strict):
    TP: list[Reasoned]
    FP: list[Reasoned]
    FN: list[Reasoned]


class Grade(_Strict):
    feedback: str
    score: int


class Criterion(_Strict):
    reason: str
    score: int


class Rating(_Strict):
    reason: str
    rating: int


class Keyphrases(_Strict):
    keyphrases: list[Words]


class Quiz(_Strict):
    questions: list[Words]


class Quizzed(_Strict):
    question: str
    answered: Verdict


class QuizAnswers(_Strict):
    answers: list[Quizzed]


class Preference(_Strict):
    reason: str
    better: Literal["first", "second", "tie"]


class LaxStatements(BaseModel):
    statements: list[str]


class LaxClaims(BaseModel):
    claims: list[str]


class LaxJudgement(BaseModel):
    statement: str
    reason: str
    verdict: int


class LaxVerdicts(BaseModel):
    statements: list[LaxJudgement]


class LaxRelevance(BaseModel):
    question: str
    noncommittal: int


class LaxUsefulness(BaseModel):
    reason: str
    verdict: int


class LaxAttribution(BaseModel):
    statement: str
    reason: str
    attributed: int


class LaxAttributions(BaseModel):
    classifications: list[LaxAttribution]


class LaxEntities(BaseModel):
    entities: list[str]


class LaxReasoned(BaseModel):
    statement: str
    reason: str


class LaxClassification(BaseModel):
    TP: list[LaxReasoned]
    FP: list[LaxReasoned]
    FN: list[LaxReasoned]


class LaxGrade(BaseModel):
    feedback: str
    score: int


class LaxCriterion(BaseModel):
    reason: str
    score: int


class LaxRating(BaseModel):
    rating: int


class LaxKeyphrases(BaseModel):
    keyphrases: list[str]


class LaxQuiz(BaseModel):
    questions: list[str]


class LaxQuizAnswers(BaseModel):
    answers: list[str]


STRICT: dict[str, Any] = {
    "statements": Annotated[Statements, AfterValidator(_checked)],
    "claims": Annotated[Claims, AfterValidator(_checked)],
    "verdicts": Annotated[Verdicts, AfterValidator(_checked)],
    "relevance": Annotated[Relevance, AfterValidator(_checked)],
    "usefulness": Annotated[Usefulness, AfterValidator(_checked)],
    "entities": Annotated[Entities, AfterValidator(_checked)],
    "classification": Annotated[Classification, AfterValidator(_checked)],
    "rubric": Annotated[Grade, AfterValidator(_checked)],
    "aspect": Annotated[Usefulness, AfterValidator(_checked)],
    "criteria": Annotated[Criterion, AfterValidator(_checked)],
    "accuracy": Annotated[Rating, AfterValidator(_checked)],
    "context_relevance": Annotated[Rating, AfterValidator(_checked)],
    "groundedness": Annotated[Rating, AfterValidator(_checked)],
    "keyphrases": Annotated[Keyphrases, AfterValidator(_checked)],
    "quiz": Annotated[Quiz, AfterValidator(_checked)],
    "quiz_answers": Annotated[QuizAnswers, AfterValidator(_checked)],
    "preference": Annotated[Preference, AfterValidator(_checked)],
}
"""What the answer to each question has to be, by default."""

LAX: dict[str, Any] = {
    "statements": LaxStatements,
    "claims": LaxClaims,
    "verdicts": LaxVerdicts,
    "relevance": LaxRelevance,
    "usefulness": LaxUsefulness,
    "attributions": LaxAttributions,
    "entities": LaxEntities,
    "classification": LaxClassification,
    "rubric": LaxGrade,
    "aspect": LaxUsefulness,
    "criteria": LaxCriterion,
    "accuracy": LaxRating,
    "context_relevance": LaxRating,
    "groundedness": LaxRating,
    "keyphrases": LaxKeyphrases,
    "quiz": LaxQuiz,
    "quiz_answers": LaxQuizAnswers,
}
"""What ragas takes as the answer to each question."""


def shape_of(asked: Ask) -> Any:
    """The type of the answer to a question."""
    if asked.is_text:
        return str
    return (LAX if asked.is_lax else STRICT)[asked.question]


def read(asked: Ask, said: object) -> Any:
    """A judge's answer as plain data, in the shape of its question and past its check. Raises `MalformedResponse`."""
    import orjson

    shape = shape_of(asked)
    if shape is str:
        return said if isinstance(said, str) else orjson.dumps(said).decode()
    try:
        with checking(asked.check):
            return _adapter(asked).validate_json(orjson.dumps(said))
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, one['loc'])) or 'the answer'}: {one['msg']}" for one in error.errors()
        )
        raise MalformedResponse(
            f"the judge's answer to {asked.question!r} does not fit: {problems}"
        ) from error


_adapters: dict[tuple[str, bool], TypeAdapter[Any]] = {}


def _adapter(asked: Ask) -> TypeAdapter[Any]:
    key = (asked.question, asked.is_lax)
    if key not in _adapters:
        _adapters[key] = TypeAdapter(shape_of(asked))
    return _adapters[key]
