"""Which way a metric gets better, where its name is one whose meaning is fixed."""

from __future__ import annotations

from collections.abc import Mapping

from surefoot.evals.scales import direction_of_name
from surefoot.evals.statistics import Direction


def direction_of(metric: str, given: Mapping[str, Direction] | None = None) -> Direction:
    """The direction that is given for a metric, else that of its name, else `higher`."""
    if given is not None and metric in given:
        return given[metric]
    return direction_of_name(metric)
