"""Datasets, scorers and experiments: how good a flow is, and how far that number can be trusted."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from surefoot.evals.against import Pair, evaluate_against
from surefoot.evals.binding import Scorer, name_of
from surefoot.evals.datasets import Case, Dataset
from surefoot.evals.evaluation import Evaluation, Found, find
from surefoot.evals.forecasting import Forecast
from surefoot.evals.judging import Agreement, Judged, agreement_of, yes_or_no
from surefoot.evals.loading import experiment
from surefoot.evals.ordering import Progress
from surefoot.evals.readings import Excerpt, Reader
from surefoot.evals.repeating import Flakiness
from surefoot.evals.results import Experiment, Failure, Latency, Metric, Row, TableRow
from surefoot.evals.running import evaluate, evaluate_async
from surefoot.evals.scores import Score, Value
from surefoot.evals.subjects import OnExperiment, OnStep

if TYPE_CHECKING:
    from surefoot.evals.comparing import Comparison as Comparison
    from surefoot.evals.comparing import Gate as Gate
    from surefoot.evals.comparing import Verdict as Verdict
    from surefoot.evals.comparing import compare as compare
    from surefoot.evals.frontier import Frontier as Frontier
    from surefoot.evals.frontier import Option as Option
    from surefoot.evals.frontier import Target as Target
    from surefoot.evals.measuring import measure as measure
    from surefoot.evals.naming import BUILT_IN as BUILT_IN
    from surefoot.evals.plain.grounding import citation_correctness as citation_correctness
    from surefoot.evals.plain.matching import contains_expected as contains_expected
    from surefoot.evals.plain.matching import exact_match as exact_match
    from surefoot.evals.plain.matching import normalised_match as normalised_match
    from surefoot.evals.plain.matching import token_f1 as token_f1
    from surefoot.evals.plain.meaning import embedding_similarity as embedding_similarity
    from surefoot.evals.plain.meaning import support as support
    from surefoot.evals.plain.refusing import right_refusal as right_refusal

_LATER = {
    "citation_correctness": "surefoot.evals.plain.grounding",
    "contains_expected": "surefoot.evals.plain.matching",
    "exact_match": "surefoot.evals.plain.matching",
    "normalised_match": "surefoot.evals.plain.matching",
    "token_f1": "surefoot.evals.plain.matching",
    "embedding_similarity": "surefoot.evals.plain.meaning",
    "support": "surefoot.evals.plain.meaning",
    "right_refusal": "surefoot.evals.plain.refusing",
    "BUILT_IN": "surefoot.evals.naming",
    "Comparison": "surefoot.evals.comparing",
    "Gate": "surefoot.evals.comparing",
    "Verdict": "surefoot.evals.comparing",
    "compare": "surefoot.evals.comparing",
    "Frontier": "surefoot.evals.frontier",
    "Option": "surefoot.evals.frontier",
    "Target": "surefoot.evals.frontier",
    "measure": "surefoot.evals.measuring",
}
"""Names that most evaluations need not, and the modules that they are loaded from when they are first used."""

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


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LATER[name]), name)
