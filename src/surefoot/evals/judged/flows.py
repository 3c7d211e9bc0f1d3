"""The flows of the metrics: one for each, so that a judgement is a run that is recorded, resumed and paid once.

Their parameters are found by name, and `settings` and what follows it are the constant inputs of the scorer.
"""

# ruff: noqa: FBT001, FBT002, PLR0917 (they are called by name, as all flows of scorers are)

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from surefoot.errors import InvalidInput, MalformedResponse
from surefoot.evals.judged import ragas
from surefoot.evals.judged.asking import converse
from surefoot.evals.judged.conversation import Talk
from surefoot.evals.judged.ragas import RagasSample
from surefoot.evals.judged.settings import Settings
from surefoot.evals.judged.strict import answers, contexts, grades
from surefoot.evals.scores import Score
from surefoot.flows.flow import flow
from surefoot.values import Json

Texts = list[str] | str
Reference = str | int | float | list[str]


@flow
async def faithfulness(question: str, response: str, context: Texts, settings: Settings) -> Score | None:
    """See `answers.faithfulness`."""
    if settings.compat:
        sample = RagasSample(question, response, retrieved_contexts=_texts(context))
        return await _as_ragas("faithfulness", sample, settings)
    talk = answers.faithfulness(question, response, _texts(context), votes=settings.votes)
    return await converse(talk, settings)


@flow
async def answer_relevancy(
    question: str, response: str, settings: Settings, strictness: int = 3
) -> Score | None:
    """See `answers.answer_relevancy`."""
    if settings.compat:
        sample = RagasSample(question, response)
        return await _as_ragas("answer_relevancy", sample, settings, strictness=strictness)
    return await converse(answers.answer_relevancy(question, response, strictness=strictness), settings)


@flow
async def context_precision(
    question: str, context: Texts, expected: Reference, settings: Settings
) -> Score | None:
    """See `contexts.context_precision`, against the expected answer."""
    wanted = _reference(expected)
    if settings.compat:
        sample = RagasSample(question, reference=wanted, retrieved_contexts=_texts(context))
        return await _as_ragas("context_precision_with_reference", sample, settings)
    talk = contexts.context_precision(question, _texts(context), wanted, votes=settings.votes)
    return await converse(talk, settings)


@flow
async def context_utilization(
    question: str, response: str, context: Texts, settings: Settings
) -> Score | None:
    """See `contexts.context_precision`, against the response."""
    if settings.compat:
        sample = RagasSample(question, response, retrieved_contexts=_texts(context))
        return await _as_ragas("context_precision_without_reference", sample, settings)
    talk = contexts.context_precision(question, _texts(context), response, votes=settings.votes)
    return await converse(talk, settings)


@flow
async def context_recall(
    question: str, context: Texts, expected: Reference, settings: Settings
) -> Score | None:
    """See `contexts.context_recall`."""
    wanted = _reference(expected)
    if settings.compat:
        sample = RagasSample(question, reference=wanted, retrieved_contexts=_texts(context))
        return await _as_ragas("context_recall", sample, settings)
    return await converse(contexts.context_recall(_texts(context), wanted, votes=settings.votes), settings)


@flow
async def context_entity_recall(
    context: Texts, expected: Reference, settings: Settings, is_exact: bool = False
) -> Score | None:
    """See `contexts.context_entity_recall`."""
    wanted = _reference(expected)
    if settings.compat:
        sample = RagasSample(reference=wanted, retrieved_contexts=_texts(context))
        return await _as_ragas("context_entity_recall", sample, settings)
    talk = contexts.context_entity_recall(_texts(context), wanted, is_exact=is_exact)
    return await converse(talk, settings)


@flow
async def noise_sensitivity(
    question: str,
    response: str,
    context: Texts,
    expected: Reference,
    settings: Settings,
    mode: Literal["relevant", "irrelevant"] = "relevant",
) -> Score | None:
    """See `answers.noise_sensitivity`."""
    wanted = _reference(expected)
    if settings.compat:
        sample = RagasSample(question, response, wanted, _texts(context))
        return await _as_ragas("noise_sensitivity", sample, settings, mode=mode)
    talk = answers.noise_sensitivity(
        question, response, _texts(context), wanted, mode=mode, votes=settings.votes
    )
    return await converse(talk, settings)


@flow
async def factual_correctness(
    response: str,
    expected: Reference,
    settings: Settings,
    mode: Literal["precision", "recall", "f1"] = "f1",
    beta: float = 1.0,
    atomicity: Literal["low", "high"] = "low",
    coverage: Literal["low", "high"] = "low",
) -> Score | None:
    """See `answers.factual_correctness`."""
    wanted = _reference(expected)
    if settings.compat:
        sample = RagasSample(response=response, reference=wanted)
        return await _as_ragas(
            "factual_correctness",
            sample,
            settings,
            mode=mode,
            beta=beta,
            atomicity=atomicity,
            coverage=coverage,
        )
    talk = answers.factual_correctness(
        response,
        wanted,
        mode=mode,
        beta=beta,
        atomicity=atomicity,
        coverage=coverage,
        votes=settings.votes,
    )
    return await converse(talk, settings)


@flow
async def answer_correctness(
    question: str,
    response: str,
    expected: Reference,
    settings: Settings,
    weights: list[float],
    beta: float = 1.0,
) -> Score | None:
    """See `answers.answer_correctness`."""
    wanted = _reference(expected)
    if settings.compat:
        sample = RagasSample(question, response, wanted)
        return await _as_ragas("answer_correctness", sample, settings, weights=weights, beta=beta)
    talk = answers.answer_correctness(question, response, wanted, weights=weights, beta=beta)
    return await converse(talk, settings)


@flow
async def semantic_similarity(
    response: str, expected: Reference, settings: Settings, threshold: float | None = None
) -> Score | None:
    """See `answers.semantic_similarity`."""
    wanted = _reference(expected)
    if settings.compat:
        sample = RagasSample(response=response, reference=wanted)
        return await _as_ragas("semantic_similarity", sample, settings, threshold=threshold)
    return await converse(answers.semantic_similarity(response, wanted, threshold=threshold), settings)


@flow
async def rubric(
    response: str,
    settings: Settings,
    rubrics: dict[str, str],
    question: str | None = None,
    context: Texts | None = None,
    expected: Reference | None = None,
) -> Score | None:
    """See `grades.rubric`. The rubric is a setting, or comes with each case."""
    sample = _sample(response, question, context, expected)
    if settings.compat:
        return await _as_ragas("domain_specific_rubrics", sample, settings, rubrics=rubrics)
    return await converse(grades.rubric(_fields(sample), rubrics, votes=settings.votes), settings)


@flow
async def aspect_critic(
    response: str,
    settings: Settings,
    definition: str,
    question: str | None = None,
    context: Texts | None = None,
    expected: Reference | None = None,
) -> Score | None:
    """See `grades.aspect_critic`."""
    sample = _sample(response, question, context, expected)
    if settings.compat:
        return await _as_ragas("aspect_critic", sample, settings, definition=definition)
    return await converse(grades.aspect_critic(_fields(sample), definition, votes=settings.votes), settings)


@flow
async def simple_criteria(
    response: str,
    settings: Settings,
    definition: str,
    lowest: int = 0,
    highest: int = 10,
    question: str | None = None,
    context: Texts | None = None,
    expected: Reference | None = None,
) -> Score | None:
    """See `grades.simple_criteria`."""
    sample = _sample(response, question, context, expected)
    if settings.compat:
        return await _as_ragas("simple_criteria", sample, settings, definition=definition)
    talk = grades.simple_criteria(
        _fields(sample), definition, lowest=lowest, highest=highest, votes=settings.votes
    )
    return await converse(talk, settings)


@flow
async def answer_accuracy(
    question: str, response: str, expected: Reference, settings: Settings
) -> Score | None:
    """See `grades.answer_accuracy`."""
    wanted = _reference(expected)
    if settings.compat:
        return await _as_ragas("answer_accuracy", RagasSample(question, response, wanted), settings)
    return await converse(grades.answer_accuracy(question, response, wanted), settings)


@flow
async def context_relevance(question: str, context: Texts, settings: Settings) -> Score | None:
    """See `grades.context_relevance`."""
    if settings.compat:
        sample = RagasSample(question, retrieved_contexts=_texts(context))
        return await _as_ragas("context_relevance", sample, settings)
    return await converse(grades.context_relevance(question, _texts(context)), settings)


@flow
async def response_groundedness(response: str, context: Texts, settings: Settings) -> Score | None:
    """See `grades.response_groundedness`."""
    if settings.compat:
        sample = RagasSample(response=response, retrieved_contexts=_texts(context))
        return await _as_ragas("response_groundedness", sample, settings)
    return await converse(grades.response_groundedness(response, _texts(context)), settings)


@flow
async def summary_score(
    response: str, context: Texts, settings: Settings, coeff: float = 0.5, length_penalty: bool = True
) -> Score | None:
    """See `grades.summary_score`."""
    if settings.compat:
        sample = RagasSample(response=response, reference_contexts=_texts(context))
        return await _as_ragas("summary_score", sample, settings, coeff=coeff, length_penalty=length_penalty)
    talk = grades.summary_score(response, _texts(context), coeff=coeff, length_penalty=length_penalty)
    return await converse(talk, settings)


@flow
async def pairwise_preference(
    question: str, response: str, other: str, settings: Settings, criteria: str = ""
) -> Score | None:
    """See `grades.preference`."""
    return await converse(grades.preference(question, response, other, criteria=criteria), settings)


async def _as_ragas(metric: str, sample: RagasSample, settings: Settings, **params: Any) -> Score:
    """ragas' number for a row. Raises `MalformedResponse` where that is NaN: it would leave the mean unseen."""
    api: ragas.Api = "legacy" if settings.compat == "ragas-legacy" else "collections"
    talk: Talk[float] = ragas.conversation(metric, sample, api=api, **params)
    value = await converse(talk, settings)
    if math.isnan(value):
        raise MalformedResponse(
            f"ragas makes NaN of this row of {metric}, as of answers without a statement, a verdict or a valid rating: "
            "look at the judge's answers in this run"
        )
    return Score(value)


def _texts(context: Texts) -> list[str]:
    return [context] if isinstance(context, str) else context


def _reference(expected: Reference) -> str:
    """The expected answer as a text. Raises `InvalidInput` where there are several."""
    if not isinstance(expected, list):
        return str(expected)
    if len(expected) != 1:
        raise InvalidInput(
            f"{len(expected)} answers are expected, and the judge compares with one: name it by a reading, as in "
            "reads={'expected': '$metadata.reference'}"
        )
    return expected[0]


def _sample(
    response: str, question: str | None, context: Texts | None, expected: Reference | None
) -> RagasSample:
    return RagasSample(
        question,
        response,
        None if expected is None else _reference(expected),
        None if context is None else _texts(context),
    )


def _fields(sample: RagasSample) -> Mapping[str, Json]:
    """What is there of a row, by name."""
    found: dict[str, Json] = {"response": sample.response}
    if sample.user_input is not None:
        found["user_input"] = sample.user_input
    if sample.retrieved_contexts is not None:
        found["retrieved_contexts"] = list(sample.retrieved_contexts)
    if sample.reference is not None:
        found["reference"] = sample.reference
    return found
