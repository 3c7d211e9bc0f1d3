"""Which way a metric gets better, where its name is one whose meaning is fixed."""

from __future__ import annotations

from collections.abc import Mapping

from surefoot.evals.statistics import Direction

LOWER = ("noise_sensitivity", "latency", "cost", "tokens", "input_tokens", "output_tokens")
"""Metrics that are better when they are lower; so are their variants, such as `noise_sensitivity_irrelevant`."""


def direction_of(metric: str, given: Mapping[str, Direction] | None = None) -> Direction:
    """The direction that is given for a metric, else that of its name, else `higher`."""
    if given is not None and metric in given:
        return given[metric]
    is_lower = any(metric == name or metric.startswith(f"{name}_") for name in LOWER)
    return "lower" if is_lower else "higher"
