"""Metrics of ragas as scorers, computed by ragas in an environment and a process of its own."""

from surefoot.evals.ragas.environment import REQUIREMENTS, Described, Environment, describe, set_up
from surefoot.evals.ragas.metrics import metric

__all__ = ["REQUIREMENTS", "Described", "Environment", "describe", "metric", "set_up"]
