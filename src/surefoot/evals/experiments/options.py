"""How an experiment is run, as the keyword arguments of `evaluate` and its kin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

from surefoot.evals.experiments.ordering import OnProgress
from surefoot.evals.scoring.readings import Reader
from surefoot.flows import Change
from surefoot.values import Money


class RunOptions(TypedDict, total=False):
    """How the cases are run; each as `evaluate` says."""

    limit: int | None
    repeats: int
    concurrency: int | None
    experiment: str | None
    retry_failed: bool
    allow_effects: bool
    changes: Sequence[Change | str]
    max_cost: Money | None
    on_progress: OnProgress | None


class EvaluateOptions(RunOptions, total=False):
    """All that `evaluate` takes beside the flow, its dataset and the scorers."""

    reads: Mapping[str, Reader] | None
    columns: Mapping[str, str] | None
    init: Mapping[str, object] | None
    name: str
