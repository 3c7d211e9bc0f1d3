"""Metrics that a model judges: strict by default, and number for number those of ragas with `compat="ragas"`."""

from surefoot.evals.judged.metrics import (
    answer_accuracy,
    answer_correctness,
    answer_relevancy,
    aspect_critic,
    context_entity_recall,
    context_precision,
    context_recall,
    context_relevance,
    context_utilization,
    factual_correctness,
    faithfulness,
    noise_sensitivity,
    pairwise_preference,
    response_groundedness,
    rubric,
    semantic_similarity,
    simple_criteria,
    summary_score,
)
from surefoot.evals.judged.naming import metric_of, names
from surefoot.evals.judged.settings import Settings

__all__ = [
    "Settings",
    "answer_accuracy",
    "answer_correctness",
    "answer_relevancy",
    "aspect_critic",
    "context_entity_recall",
    "context_precision",
    "context_recall",
    "context_relevance",
    "context_utilization",
    "factual_correctness",
    "faithfulness",
    "metric_of",
    "names",
    "noise_sensitivity",
    "pairwise_preference",
    "response_groundedness",
    "rubric",
    "semantic_similarity",
    "simple_criteria",
    "summary_score",
]
