"""Scorers by name, whether they ask a model or not."""

from __future__ import annotations

from collections.abc import Mapping

from surefoot.evals.plain import is_known, scorer_of, unaided
from surefoot.evals.scoring.binding import Scorer

BUILT_IN: Mapping[str, Scorer] = unaided()
"""The scorers that need nothing but their name."""


def scorer_named(text: str, *, judge_model: str = "") -> Scorer:
    """The scorer that a text names: what `plain.scorer_of` knows, or a metric that a model judges.

    Raises `InvalidInput` for a name that is not known, and for arguments that do not fit.
    """
    if is_known(text):
        return scorer_of(text)
    # Their prompts and wires are loaded by whoever judges, and by nobody else.
    from surefoot.evals.judged import metric_of, names

    judged = metric_of(text, using=judge_model or None)
    known = [name.partition("[")[0].partition(":")[0] for name in names()]
    return scorer_of(text, further=known) if judged is None else judged
