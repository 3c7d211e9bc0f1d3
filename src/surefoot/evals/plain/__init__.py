"""Scorers without a model."""

from surefoot.evals.plain.compat import parity

__all__ = ["parity"]
