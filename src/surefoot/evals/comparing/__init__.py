"""Comparisons of two experiments, paired by case, and the gates that they pass or fail."""

from surefoot.evals.comparing.comparing import MARGIN, MIN_SLICE, compare
from surefoot.evals.comparing.comparison import (
    Arm,
    AsJudged,
    Comparison,
    Contrast,
    Figure,
    Level,
    Moved,
    Ratio,
    Slice,
)
from surefoot.evals.comparing.gate import Bounds, FigureRules, Gate, MetricRules, SliceRules
from surefoot.evals.comparing.github import github_commands
from surefoot.evals.comparing.junit import junit_xml
from surefoot.evals.comparing.markdown import markdown
from surefoot.evals.comparing.verdict import Ruling, Verdict
from surefoot.evals.comparing.wording import headline

__all__ = [
    "MARGIN",
    "MIN_SLICE",
    "Arm",
    "AsJudged",
    "Bounds",
    "Comparison",
    "Contrast",
    "Figure",
    "FigureRules",
    "Gate",
    "Level",
    "MetricRules",
    "Moved",
    "Ratio",
    "Ruling",
    "Slice",
    "SliceRules",
    "Verdict",
    "compare",
    "github_commands",
    "headline",
    "junit_xml",
    "markdown",
]
