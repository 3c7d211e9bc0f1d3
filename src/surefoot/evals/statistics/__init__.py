"""Statistics of paired comparisons: intervals, tests, effect classes, and how many cases are needed."""

from surefoot.evals.statistics.bootstrap import bca_interval, bootstrap_interval
from surefoot.evals.statistics.effects import Direction, Effect, effect_of, non_inferior
from surefoot.evals.statistics.holm import holm
from surefoot.evals.statistics.interval import EVERYTHING, Interval
from surefoot.evals.statistics.mcnemar import mcnemar_p
from surefoot.evals.statistics.pairs import Kind, Paired, Pairs, compare_pairs
from surefoot.evals.statistics.permutation import permutation_p
from surefoot.evals.statistics.power import (
    cases_needed,
    discordance_sd,
    minimum_detectable,
    minimum_detectable_rate,
    power_of,
)
from surefoot.evals.statistics.ratios import ratio_interval
from surefoot.evals.statistics.tango import tango_interval

__all__ = [
    "EVERYTHING",
    "Direction",
    "Effect",
    "Interval",
    "Kind",
    "Paired",
    "Pairs",
    "bca_interval",
    "bootstrap_interval",
    "cases_needed",
    "compare_pairs",
    "discordance_sd",
    "effect_of",
    "holm",
    "mcnemar_p",
    "minimum_detectable",
    "minimum_detectable_rate",
    "non_inferior",
    "permutation_p",
    "power_of",
    "ratio_interval",
    "tango_interval",
]
