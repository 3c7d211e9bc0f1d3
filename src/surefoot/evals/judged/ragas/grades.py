"""ragas' metrics by one grade: rubrics, aspects, criteria, NVIDIA's ratings, summaries."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

from surefoot.errors import InvalidInput, MalformedResponse
from surefoot.evals.judged.conversation import Ask, Talk, ask
from surefoot.evals.judged.ragas import arithmetic
from surefoot.evals.judged.ragas.asks import one
from surefoot.evals.judged.ragas.sample import Api, RagasSample
from surefoot.values import Json

_TRIES = 5


def domain_specific_rubrics(
    sample: RagasSample,
    api: Api,  # noqa: ARG001
    *,
    rubrics: Mapping[str, str] | None = None,
    with_reference: bool = False,  # noqa: ARG001 (which rubric ragas takes where none is given)
) -> Talk[float]:
    """The score that the judge gives, whatever it is."""
    rules: dict[str, Json] = {} if rubrics is None else {"rubrics": dict(rubrics)}
    found = yield from one("rubric", **_fields(sample), **rules)
    return float(found.score)


def instance_specific_rubrics(sample: RagasSample, api: Api) -> Talk[float]:
    """The score that the judge gives by the rubric of the row."""
    if sample.rubrics is None or (api == "collections" and not sample.rubrics):
        raise InvalidInput("ragas scores no row without rubrics: give the case some")
    found = yield from one("rubric", **_fields(sample), rubrics=dict(sample.rubrics))
    return float(found.score)


def aspect_critic(sample: RagasSample, api: Api, *, definition: str, strictness: int = 1) -> Talk[float]:  # noqa: ARG001
    """The verdict as it is, of one call, whatever the strictness."""
    found = yield from one("aspect", **_fields(sample), definition=definition)
    return float(found.verdict)


def simple_criteria(sample: RagasSample, api: Api, *, definition: str, strictness: int = 1) -> Talk[float]:  # noqa: ARG001
    """The score as it is, of one call, whatever the strictness."""
    found = yield from one("criteria", **_fields(sample), definition=definition)
    return float(found.score)


def answer_accuracy(sample: RagasSample, api: Api) -> Talk[float]:
    """The mean of two ratings, 0 to 1, the second with answer and reference in each other's place."""
    if api == "collections":
        sample.need("user_input", "response", "reference")
    query, response, reference = (sample.text(name) for name in ("user_input", "response", "reference"))
    ratings: list[float] = []
    for wording, (first, second) in ((1, (response, reference)), (2, (reference, response))):
        inputs: dict[str, Json] = {"query": query, "user_answer": first, "reference_answer": second}
        ratings.append((yield from _rated("accuracy", inputs, wording, (0, 2, 4), api)))
    return _mean(ratings, api)


def context_relevance(sample: RagasSample, api: Api) -> Talk[float]:
    """The mean of two ratings, 0 to 1; 0 for a blank question or context, and for a context within the question."""
    if api == "collections":
        sample.need("user_input", "retrieved_contexts")
    question = sample.text("user_input")
    context = "\n".join(sample.contexts("retrieved_contexts"))
    if not question.strip() or not context.strip() or context.strip() in question.strip():
        return 0.0
    inputs: dict[str, Json] = {"user_input": question, "context": context}
    return (yield from _twice("context_relevance", inputs, api))


def response_groundedness(sample: RagasSample, api: Api) -> Talk[float]:
    """The mean of two ratings, 0 to 1; 0 for a blank response or context."""
    if api == "collections":
        sample.need("response", "retrieved_contexts")
    response = sample.text("response")
    context = "\n".join(sample.contexts("retrieved_contexts"))
    if not response.strip() or not context.strip():
        return 0.0
    if api == "legacy" and response.strip() in context.strip():
        return 1.0
    inputs: dict[str, Json] = {"response": response, "context": context}
    return (yield from _twice("groundedness", inputs, api))


def summary_score(
    sample: RagasSample, api: Api, *, coeff: float = 0.5, length_penalty: bool = True
) -> Talk[float]:
    """How many questions about the text its summary answers, and how short it is."""
    if api == "collections":
        if not any(text.strip() for text in sample.reference_contexts or ()):
            raise InvalidInput("ragas scores no row without reference_contexts: give the case one")
        if not (sample.response or "").strip():
            raise InvalidInput("ragas scores no row without response: give the case one")
    text, summary = "\n".join(sample.contexts("reference_contexts")), sample.text("response")
    phrases = (yield from one("keyphrases", text=text)).keyphrases
    questions = (yield from one("quiz", text=text, keyphrases=phrases)).questions
    answers: Sequence[str] = (yield from one("quiz_answers", summary=summary, questions=questions)).answers
    if not answers:
        raise MalformedResponse("the judge gave no answers about the summary")
    answered = sum(answer == "1" for answer in answers) / len(answers)
    if length_penalty:
        brevity = 1 - min(len(summary), len(text)) / (len(text) + 1e-10)
        return answered * (1 - coeff) + brevity * coeff
    # The older code weighs the missing half as 0.
    return answered if api == "collections" else answered * (1 - coeff)


def _fields(sample: RagasSample) -> dict[str, Json]:
    """What the row has; the judge is told nothing of the rest."""
    named: dict[str, Any] = {
        name: getattr(sample, name)
        for name in ("user_input", "response", "retrieved_contexts", "reference_contexts", "reference")
    }
    return {name: value for name, value in named.items() if value is not None}


def _twice(
    question: Literal["context_relevance", "groundedness"], inputs: dict[str, Json], api: Api
) -> Talk[float]:
    """The mean of two ratings from 0 to 2, asked for in different words."""
    first = yield from _rated(question, inputs, 1, (0, 1, 2), api)
    second = yield from _rated(question, inputs, 2, (0, 1, 2), api)
    return _mean([first, second], api)


def _rated(
    question: str, inputs: dict[str, Json], wording: int, scale: tuple[int, int, int], api: Api
) -> Talk[float]:
    """A rating as a share of the highest, asked for up to five times; NaN where none is on the scale."""
    for _ in range(_TRIES):
        if api == "legacy":
            wish = Ask(question, {**inputs, "wording": wording}, is_lax=True, is_text=True)
            rating = _digit(cast("str", (yield from ask(wish))), scale)
        else:
            try:
                rating = (yield from one(question, **inputs, wording=wording)).rating
            except MalformedResponse:
                continue
        if rating is not None and (rating in scale or api == "legacy"):
            return rating / scale[-1]
    return arithmetic.NAN


def _digit(text: str, scale: tuple[int, int, int]) -> int | None:
    """The first of the digits that ragas looks for, in its order, that stands anywhere in the text."""
    wanted = range(5) if scale[-1] == 4 else (2, 1, 0)
    return next((digit for digit in wanted if str(digit) in text), None)


def _mean(ratings: Sequence[float], api: Api) -> float:
    """The mean of those that are valid. To the older code a first one that is not makes the whole NaN."""
    first, second = ratings
    if api == "legacy" and math.isnan(first):
        return arithmetic.NAN
    valid = [rating for rating in (first, second) if not math.isnan(rating)]
    return sum(valid) / len(valid) if valid else arithmetic.NAN
