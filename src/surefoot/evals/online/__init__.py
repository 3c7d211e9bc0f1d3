"""Scoring a sample of the runs of production, each once."""

from surefoot.evals.online.declared import declared
from surefoot.evals.online.passing import Pass
from surefoot.evals.online.sample import Sample
from surefoot.evals.online.scoring import Scoring
from surefoot.evals.online.watching import Watch

__all__ = ["Pass", "Sample", "Scoring", "Watch", "declared"]
