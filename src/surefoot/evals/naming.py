"""Scorers by name, whether they ask a model or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from surefoot.evals.plain import is_known, scorer_of, unaided
from surefoot.evals.scoring.binding import Scorer

BUILT_IN: Mapping[str, Scorer] = unaided()
"""The scorers that need nothing but their name."""


def scorer_named(text: str, *, judge_model: str = "") -> Scorer:
    """The scorer that a text names: a metric that a model judges, or what `surefoot.evals.plain.scorer_of` knows.

    Raises `InvalidInput` for a name that is not known, and for arguments that do not fit.
    """
    if is_known(text):
        return scorer_of(text)
    # Their prompts and wires are loaded by whoever judges, and by nobody else.
    from surefoot.evals.judged import METRICS

    metric, equals, rest = text.partition("=")
    name = rest if equals else metric
    if name in METRICS:
        judged = METRICS[name](using=judge_model or None)
        return replace(judged, name=metric) if equals else judged
    return scorer_of(text, further=tuple(METRICS))
