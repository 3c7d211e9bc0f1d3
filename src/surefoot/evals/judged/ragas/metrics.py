"""ragas' metrics by name, with the settings that each takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from surefoot.errors import InvalidInput
from surefoot.evals.judged.conversation import Talk
from surefoot.evals.judged.ragas import answers, contexts, grades
from surefoot.evals.judged.ragas.sample import Api, RagasSample

_METRICS: Mapping[str, Callable[..., Talk[float]]] = {
    "faithfulness": answers.faithfulness,
    "answer_relevancy": answers.answer_relevancy,
    "context_precision_with_reference": contexts.context_precision_with_reference,
    "context_precision_without_reference": contexts.context_precision_without_reference,
    "context_recall": contexts.context_recall,
    "context_entity_recall": contexts.context_entity_recall,
    "noise_sensitivity": answers.noise_sensitivity,
    "factual_correctness": answers.factual_correctness,
    "answer_correctness": answers.answer_correctness,
    "semantic_similarity": answers.semantic_similarity,
    "domain_specific_rubrics": grades.domain_specific_rubrics,
    "instance_specific_rubrics": grades.instance_specific_rubrics,
    "aspect_critic": grades.aspect_critic,
    "simple_criteria": grades.simple_criteria,
    "answer_accuracy": grades.answer_accuracy,
    "context_relevance": grades.context_relevance,
    "response_groundedness": grades.response_groundedness,
    "summary_score": grades.summary_score,
}
_OTHERS = {
    "answer_similarity": "semantic_similarity",
    "aspect_critique": "aspect_critic",
    "context_precision": "context_precision_with_reference",
    "context_utilization": "context_precision_without_reference",
    "instance_rubrics": "instance_specific_rubrics",
    "llm_context_precision_with_reference": "context_precision_with_reference",
    "llm_context_precision_without_reference": "context_precision_without_reference",
    "nv_accuracy": "answer_accuracy",
    "nv_context_relevance": "context_relevance",
    "nv_response_groundedness": "response_groundedness",
    "response_relevancy": "answer_relevancy",
    "rubrics_score_with_reference": "domain_specific_rubrics",
    "rubrics_score_without_reference": "domain_specific_rubrics",
    "simple_criteria_score": "simple_criteria",
    "summarization_score": "summary_score",
}
"""Other names that ragas has for them."""

_MODES = {
    "noise_sensitivity": ("relevant", "irrelevant"),
    "factual_correctness": ("precision", "recall", "f1"),
}


def is_known(metric: str) -> bool:
    """Whether ragas has a metric of this name that asks a model."""
    return _OTHERS.get(metric, metric) in _METRICS


def conversation(
    metric: str, sample: RagasSample, *, api: Api = "collections", **settings: Any
) -> Talk[float]:
    """The conversation of one of ragas' metrics about a row; its score may be NaN.

    Raises `InvalidInput` for a metric or settings that ragas has not; the conversation raises it for a row that ragas
    refuses, and `MalformedResponse` for answers that it cannot read.
    """
    metric = _OTHERS.get(metric, metric)
    try:
        found = _METRICS[metric]
    except KeyError:
        raise InvalidInput(f"ragas has no metric {metric!r}: there are {', '.join(_METRICS)}") from None
    _check(metric, api, settings)
    return found(sample, api, **settings)


def _check(metric: str, api: Api, settings: Mapping[str, Any]) -> None:
    """Raise `InvalidInput` for settings that ragas refuses."""
    mode, modes = settings.get("mode"), _MODES.get(metric)
    # Of factual correctness ragas takes any other word as f1.
    if mode is not None and modes is not None and metric == "noise_sensitivity" and mode not in modes:
        raise InvalidInput(f"the mode of {metric} is {mode!r}: give one of {', '.join(modes)}")
    beta = settings.get("beta", 1.0)
    if not isinstance(beta, int | float) or (
        (metric == "answer_correctness" or api == "legacy") and not isinstance(beta, float)
    ):
        raise InvalidInput(f"the beta of {metric} is {beta!r}: give a float")
    if metric == "answer_correctness" and (weights := settings.get("weights")) is not None:
        _check_weights(cast("Sequence[float]", weights))
    if metric == "summary_score" and api == "collections" and not 0 <= settings.get("coeff", 0.5) <= 1:
        raise InvalidInput(f"the coeff of {metric} is {settings['coeff']}: give a number from 0 to 1")


def _check_weights(weights: Sequence[float]) -> None:
    if len(weights) != 2 or any(weight < 0 for weight in weights) or not any(weights):
        raise InvalidInput(f"the weights are {list(weights)}: give two that are not negative, one above 0")
