"""ragas' metrics of an answer: faithfulness, relevancy, correctness, similarity, noise sensitivity."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Literal

from surefoot.errors import MalformedResponse
from surefoot.evals.judged.conversation import Talk, vectors
from surefoot.evals.judged.ragas import arithmetic
from surefoot.evals.judged.ragas.asks import one, statements_of, verdicts_on
from surefoot.evals.judged.ragas.sample import Api, RagasSample


def faithfulness(sample: RagasSample, api: Api) -> Talk[float]:
    """The share of the verdicts that are not 0; of the verdicts given, however many statements there were."""
    if api == "collections":
        sample.need("response", "user_input", "retrieved_contexts")
    context = "\n".join(sample.contexts("retrieved_contexts"))
    statements = yield from statements_of(sample.text("user_input"), sample.text("response"))
    if not statements:
        return arithmetic.NAN
    verdicts = yield from verdicts_on(statements, context)
    return arithmetic.share([1 if verdict else 0 for verdict in verdicts])


def answer_relevancy(sample: RagasSample, api: Api, *, strictness: int = 3) -> Talk[float]:
    """The mean cosine of the question with those that the answer would answer; 0 if all were noncommittal."""
    if api == "collections":
        sample.need("user_input", "response")
    found: list[Any] = []
    for _ in range(strictness):
        said = yield from one("relevance", response=sample.text("response"))
        found.append(said)
    if api == "collections":
        found = [each for each in found if each.question]
        if not found:
            return 0.0
    elif not any(each.question for each in found):
        return arithmetic.NAN
    asked = yield from vectors([sample.text("user_input")])
    answered = yield from vectors([each.question for each in found])
    cosines = [arithmetic.cosine(asked[0], vector) for vector in answered]
    return sum(cosines) / len(cosines) * int(not all(each.noncommittal for each in found))


def factual_correctness(
    sample: RagasSample,
    api: Api,
    *,
    mode: Literal["precision", "recall", "f1"] = "f1",
    beta: float = 1.0,
    atomicity: Literal["low", "high"] = "low",
    coverage: Literal["low", "high"] = "low",
) -> Talk[float]:
    """Precision, recall or F-beta of claims, to two decimals."""
    if api == "collections":
        sample.need("response", "reference")
    response, reference = sample.text("response"), sample.text("reference")

    def verified(text: str, against: str) -> Talk[list[bool]]:
        found = yield from one("claims", response=text, atomicity=atomicity, coverage=coverage)
        if not found.claims and api == "collections":
            return []
        verdicts = yield from verdicts_on(found.claims, against)
        return [bool(verdict) for verdict in verdicts]

    wanted: list[bool] = []
    try:
        said = yield from verified(response, reference)
    except MalformedResponse:
        if api == "legacy" and mode != "precision":
            # It has both under way at once: the second goes on where the first has failed.
            with suppress(MalformedResponse):
                yield from verified(reference, response)
        raise
    if mode != "precision":
        wanted = yield from verified(reference, response)
    tp, fp, fn = sum(said), len(said) - sum(said), len(wanted) - sum(wanted)
    if mode == "precision":
        return arithmetic.rounded(tp / (tp + fp + 1e-8))
    if mode == "recall":
        # Of the response's claims over those of both texts, as ragas has it.
        return arithmetic.rounded(tp / (tp + fn + 1e-8))
    return arithmetic.rounded(arithmetic.f_beta(tp, fp, fn, beta))


def semantic_similarity(sample: RagasSample, api: Api, *, threshold: float | None = None) -> Talk[float]:  # noqa: ARG001
    """The cosine of answer and reference; with a threshold that is not 0, whether it is reached."""
    first = yield from vectors([sample.text("reference") or " "])
    second = yield from vectors([sample.text("response") or " "])
    cosine = arithmetic.cosine(first[0], second[0])
    return float(cosine >= threshold) if threshold else cosine


def answer_correctness(
    sample: RagasSample, api: Api, *, weights: Sequence[float] = (0.75, 0.25), beta: float = 1.0
) -> Talk[float]:
    """The weighted mean of the F-beta of statements and the cosine of the texts."""
    question = sample.text("user_input")
    response, reference = sample.text("response"), sample.text("reference")
    said = yield from statements_of(question, response)
    wanted = yield from statements_of(question, reference)
    is_asked = bool(said and wanted) if api == "collections" else bool(said or wanted)
    factuality = 1.0
    if is_asked:
        found = yield from one("classification", question=question, answer=[*said], ground_truth=[*wanted])
        counts = (len(found.TP), len(found.FP), len(found.FN))
        by = arithmetic.f_beta_of_nothing if api == "collections" else arithmetic.f_beta
        factuality = by(*counts, beta)
    similarity = 0.0
    if weights[1] != 0:
        similarity = yield from _similarity(sample, api)
    return arithmetic.weighted(factuality, similarity, weights)


def _similarity(sample: RagasSample, api: Api) -> Talk[float]:
    if api == "legacy":
        return (yield from semantic_similarity(sample, api))
    first = yield from vectors([sample.text("response")])
    second = yield from vectors([sample.text("reference")])
    cosine = arithmetic.cosine(first[0], second[0])
    return 0.0 if math.isnan(cosine) else cosine


def noise_sensitivity(
    sample: RagasSample,
    api: Api,  # noqa: ARG001
    *,
    mode: Literal["relevant", "irrelevant"] = "relevant",
) -> Talk[float]:
    """The share of the answer's statements that are wrong and that a (ir)relevant context supports."""
    sample.need("reference", "user_input", "response", "retrieved_contexts")
    question, reference = sample.text("user_input"), sample.text("reference")
    wanted = yield from statements_of(question, reference)
    said = yield from statements_of(question, sample.text("response"))
    reference_by: list[list[int]] = []
    response_by: list[list[int]] = []
    for context in sample.contexts("retrieved_contexts"):
        reference_by.append((yield from verdicts_on(wanted, context)))
        response_by.append((yield from verdicts_on(said, context)))
    # Before it asks the last question, ragas makes arrays of the answers so far.
    arithmetic.refuse_ragged(reference_by, response_by)
    against = yield from verdicts_on(said, reference)
    return arithmetic.noise(reference_by, response_by, against, counts_irrelevant=mode == "irrelevant")
