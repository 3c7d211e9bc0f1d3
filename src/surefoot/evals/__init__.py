"""Datasets, scorers and experiments: how good a flow is, and how far that number can be trusted."""

from surefoot.evals.against import Pair, evaluate_against
from surefoot.evals.binding import Scorer, name_of
from surefoot.evals.comparing import Comparison, Gate, Verdict, compare
from surefoot.evals.datasets import Case, Dataset
from surefoot.evals.evaluation import Evaluation, Found, find
from surefoot.evals.forecasting import Forecast
from surefoot.evals.frontier import Frontier, Option, Target
from surefoot.evals.judging import Agreement, Judged, agreement_of, yes_or_no
from surefoot.evals.loading import experiment
from surefoot.evals.measuring import measure
from surefoot.evals.naming import BUILT_IN
from surefoot.evals.ordering import Progress
from surefoot.evals.plain.grounding import citation_correctness
from surefoot.evals.plain.matching import contains_expected, exact_match, normalised_match, token_f1
from surefoot.evals.plain.meaning import embedding_similarity, support
from surefoot.evals.plain.refusing import right_refusal
from surefoot.evals.readings import Excerpt, Reader
from surefoot.evals.repeating import Flakiness
from surefoot.evals.results import Experiment, Failure, Latency, Metric, Row, TableRow
from surefoot.evals.running import evaluate, evaluate_async
from surefoot.evals.scores import Score, Value
from surefoot.evals.subjects import OnExperiment, OnStep

__all__ = [
    "BUILT_IN",
    "Agreement",
    "Case",
    "Comparison",
    "Dataset",
    "Evaluation",
    "Excerpt",
    "Experiment",
    "Failure",
    "Flakiness",
    "Forecast",
    "Found",
    "Frontier",
    "Gate",
    "Judged",
    "Latency",
    "Metric",
    "OnExperiment",
    "OnStep",
    "Option",
    "Pair",
    "Progress",
    "Reader",
    "Row",
    "Score",
    "Scorer",
    "TableRow",
    "Target",
    "Value",
    "Verdict",
    "agreement_of",
    "citation_correctness",
    "compare",
    "contains_expected",
    "embedding_similarity",
    "evaluate",
    "evaluate_against",
    "evaluate_async",
    "exact_match",
    "experiment",
    "find",
    "measure",
    "name_of",
    "normalised_match",
    "right_refusal",
    "support",
    "token_f1",
    "yes_or_no",
]
