"""Datasets, scorers and experiments: how good a flow is, and how far that number can be trusted."""

from typing import TYPE_CHECKING

from surefoot import doors

if TYPE_CHECKING:
    from surefoot.evals.comparing import Comparison as Comparison
    from surefoot.evals.comparing import Gate as Gate
    from surefoot.evals.comparing import Verdict as Verdict
    from surefoot.evals.comparing import compare as compare
    from surefoot.evals.datasets import Case as Case
    from surefoot.evals.datasets import Dataset as Dataset
    from surefoot.evals.evaluation import Evaluation as Evaluation
    from surefoot.evals.evaluation import Found as Found
    from surefoot.evals.evaluation import find as find
    from surefoot.evals.experiments.against import Pair as Pair
    from surefoot.evals.experiments.against import evaluate_against as evaluate_against
    from surefoot.evals.experiments.forecasting import Forecast as Forecast
    from surefoot.evals.experiments.loading import experiment as experiment
    from surefoot.evals.experiments.ordering import Progress as Progress
    from surefoot.evals.experiments.repeating import Flakiness as Flakiness
    from surefoot.evals.experiments.results import Experiment as Experiment
    from surefoot.evals.experiments.results import Failure as Failure
    from surefoot.evals.experiments.results import Latency as Latency
    from surefoot.evals.experiments.results import Metric as Metric
    from surefoot.evals.experiments.results import Row as Row
    from surefoot.evals.experiments.results import TableRow as TableRow
    from surefoot.evals.experiments.running import evaluate as evaluate
    from surefoot.evals.experiments.running import evaluate_async as evaluate_async
    from surefoot.evals.naming import BUILT_IN as BUILT_IN
    from surefoot.evals.plain.grounding import citation_correctness as citation_correctness
    from surefoot.evals.plain.matching import contains_expected as contains_expected
    from surefoot.evals.plain.matching import exact_match as exact_match
    from surefoot.evals.plain.matching import normalised_match as normalised_match
    from surefoot.evals.plain.matching import token_f1 as token_f1
    from surefoot.evals.plain.meaning import embedding_similarity as embedding_similarity
    from surefoot.evals.plain.meaning import support as support
    from surefoot.evals.plain.refusing import right_refusal as right_refusal
    from surefoot.evals.scores import Score as Score
    from surefoot.evals.scores import Value as Value
    from surefoot.evals.scoring.binding import Scorer as Scorer
    from surefoot.evals.scoring.binding import name_of as name_of
    from surefoot.evals.scoring.judging import Agreement as Agreement
    from surefoot.evals.scoring.judging import Judged as Judged
    from surefoot.evals.scoring.judging import agreement_of as agreement_of
    from surefoot.evals.scoring.judging import yes_or_no as yes_or_no
    from surefoot.evals.scoring.readings import Excerpt as Excerpt
    from surefoot.evals.scoring.readings import Reader as Reader
    from surefoot.evals.scoring.subjects import OnExperiment as OnExperiment
    from surefoot.evals.scoring.subjects import OnStep as OnStep
    from surefoot.evals.tiering.frontier import Frontier as Frontier
    from surefoot.evals.tiering.frontier import Option as Option
    from surefoot.evals.tiering.frontier import Target as Target
    from surefoot.evals.tiering.measuring import measure as measure
else:
    __getattr__, __dir__ = doors.lazy(
        __name__,
        {
            "comparing": ["Comparison", "Gate", "Verdict", "compare"],
            "datasets": ["Case", "Dataset"],
            "evaluation": ["Evaluation", "Found", "find"],
            "experiments.against": ["Pair", "evaluate_against"],
            "experiments.forecasting": ["Forecast"],
            "experiments.loading": ["experiment"],
            "experiments.ordering": ["Progress"],
            "experiments.repeating": ["Flakiness"],
            "experiments.results": ["Experiment", "Failure", "Latency", "Metric", "Row", "TableRow"],
            "experiments.running": ["evaluate", "evaluate_async"],
            "naming": ["BUILT_IN"],
            "plain.grounding": ["citation_correctness"],
            "plain.matching": ["contains_expected", "exact_match", "normalised_match", "token_f1"],
            "plain.meaning": ["embedding_similarity", "support"],
            "plain.refusing": ["right_refusal"],
            "scores": ["Score", "Value"],
            "scoring.binding": ["Scorer", "name_of"],
            "scoring.judging": ["Agreement", "Judged", "agreement_of", "yes_or_no"],
            "scoring.readings": ["Excerpt", "Reader"],
            "scoring.subjects": ["OnExperiment", "OnStep"],
            "tiering.frontier": ["Frontier", "Option", "Target"],
            "tiering.measuring": ["measure"],
        },
    )
