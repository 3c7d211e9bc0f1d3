"""Scores: what a scorer says of one case."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from surefoot.errors import InvalidInput

Value = bool | float | str
"""A verdict, a number, or a label."""


_LARGEST = 1e75
"""The fourth power of a score, and sums of those, are still numbers."""


@dataclass(frozen=True, slots=True)
class Score:
    """A value and why it is so.

    A bool counts as passed or not, a number is averaged, a text is a label that is counted.
    """

    value: Value
    reason: str = ""


def as_score(said: object) -> Score | None:
    """What a scorer returned, as a score; None where it does not apply.

    Raises `InvalidInput` for what is no score, such as NaN: it must not disappear in a mean.
    """
    try:
        return _as_score(said)
    except InvalidInput:
        raise
    except Exception as error:
        # Of a class of its own, which does not do what numbers do.
        raise InvalidInput(
            f"what the scorer returned cannot be read: {type(error).__name__}: {error}"
        ) from error


def _as_score(said: object) -> Score | None:
    if said is None:
        return None
    value, reason = (said.value, cast("object", said.reason)) if isinstance(said, Score) else (said, "")
    if not isinstance(reason, str):
        raise InvalidInput(f"the reason of the score is {type(reason).__name__}: give a text")
    # The scalars of numpy know the plain value that they hold.
    unwrap = cast("Callable[[], object] | None", getattr(value, "item", None))
    if unwrap is not None and getattr(value, "shape", None) == ():
        value = unwrap()
    if isinstance(value, bool | str):
        return Score(value, reason)
    if isinstance(value, int | float):
        if -_LARGEST <= value <= _LARGEST:
            return Score(float(value), reason)
        shown = float(value) if isinstance(value, float) else "a number of hundreds of digits"
        raise InvalidInput(f"the scorer returned {shown}, which is no number that can be averaged")
    raise InvalidInput(
        f"the scorer returned {type(value).__name__}: return a number, a bool, a label, a Score, "
        "or None where it does not apply"
    )
