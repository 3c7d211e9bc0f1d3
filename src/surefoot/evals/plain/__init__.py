"""Scorers without a model."""

from surefoot.evals.plain.compat import parity
from surefoot.evals.plain.contexts import text_precision, text_recall
from surefoot.evals.plain.distances import string_similarity
from surefoot.evals.plain.figures import calls, cost, latency, steps, tokens
from surefoot.evals.plain.grounding import citation_correctness, quoted_spans
from surefoot.evals.plain.labels import confusion, f1_of, label_match, one_of, predicted
from surefoot.evals.plain.lengths import length
from surefoot.evals.plain.matching import (
    contains,
    contains_expected,
    exact_match,
    in_any_language,
    normalised_match,
    not_contains,
    token_f1,
)
from surefoot.evals.plain.meaning import embedding_similarity, support
from surefoot.evals.plain.naming import is_known, names, scorer_of, unaided
from surefoot.evals.plain.normalising import Folding, normalised
from surefoot.evals.plain.numerals import numeric
from surefoot.evals.plain.patterns import not_regex, regex
from surefoot.evals.plain.refusing import is_refusal, no_refusal, right_refusal
from surefoot.evals.plain.retrieving import (
    average_precision,
    hit_at,
    mrr,
    ndcg_at,
    precision_at,
    recall_at,
)
from surefoot.evals.plain.structured import is_json, json_equal, json_schema
from surefoot.evals.plain.summarizing import rouge
from surefoot.evals.plain.translating import bleu, chrf, corpus_bleu, corpus_chrf

__all__ = [
    "Folding",
    "average_precision",
    "bleu",
    "calls",
    "chrf",
    "citation_correctness",
    "confusion",
    "contains",
    "contains_expected",
    "corpus_bleu",
    "corpus_chrf",
    "cost",
    "embedding_similarity",
    "exact_match",
    "f1_of",
    "hit_at",
    "in_any_language",
    "is_json",
    "is_known",
    "is_refusal",
    "json_equal",
    "json_schema",
    "label_match",
    "latency",
    "length",
    "mrr",
    "names",
    "ndcg_at",
    "no_refusal",
    "normalised",
    "normalised_match",
    "not_contains",
    "not_regex",
    "numeric",
    "one_of",
    "parity",
    "precision_at",
    "predicted",
    "quoted_spans",
    "recall_at",
    "regex",
    "right_refusal",
    "rouge",
    "scorer_of",
    "steps",
    "string_similarity",
    "support",
    "text_precision",
    "text_recall",
    "token_f1",
    "tokens",
    "unaided",
]
