"""Scores: what a scorer says of one case."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from surefoot.errors import InvalidInput

Value = bool | float | str
"""A verdict, a number, or a label."""


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
    if said is None:
        return None
    value, reason = (said.value, said.reason) if isinstance(said, Score) else (said, "")
    # The scalars of numpy know the plain value that they hold.
    unwrap = cast("Callable[[], object] | None", getattr(value, "item", None))
    if unwrap is not None and getattr(value, "shape", None) == ():
        value = unwrap()
    if isinstance(value, bool | str):
        return Score(value, reason)
    if isinstance(value, int | float):
        number = float(value)
        if math.isfinite(number):
            return Score(number, reason)
        raise InvalidInput(f"the scorer returned {value}, which is no number that can be averaged")
    raise InvalidInput(
        f"the scorer returned {type(value).__name__}: return a number, a bool, a label, a Score, "
        "or None where it does not apply"
    )
