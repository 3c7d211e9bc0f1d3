"""Which way a scorer's numbers are better, and between which they lie."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar, cast

from surefoot.errors import InvalidInput

Direction = Literal["higher", "lower"]
_LOWER = ("noise_sensitivity", "latency", "cost", "tokens", "input_tokens", "output_tokens", "calls", "steps")
"""Metrics that are better when they are lower, by names whose meaning is fixed."""

Range = tuple[float | None, float | None]
"""The least and the greatest value; None where there is none."""

F = TypeVar("F", bound=Callable[..., Any])


def scaled(
    scorer: F, *, name: str = "", direction: Direction = "higher", within: Range | None = (0.0, 1.0)
) -> F:
    """The scorer, with its name and with what `direction_of` and `range_of` are to say of it."""
    if name:
        scorer.__name__ = name
    vars(scorer).update(direction=direction, range=within)
    return scorer


def direction_of(scorer: object) -> Direction:
    """Whether higher or lower values are better: the attribute `direction`; higher where it has none.

    Raises `InvalidInput` for any other direction.
    """
    found: object = getattr(scorer, "direction", "higher")
    if found not in ("higher", "lower"):
        raise InvalidInput(f"the direction of {scorer!r} is {found!r}: write 'higher' or 'lower'")
    return found


def direction_of_name(metric: str) -> Direction:
    """The direction of a metric of which only the name is known, as of one in the ledger. Variants count, such as
    `noise_sensitivity_irrelevant` and `tokens:output`."""
    named = metric.partition(":")[0]
    is_lower = any(named == name or named.startswith(f"{name}_") for name in _LOWER)
    return "lower" if is_lower else "higher"


def range_of(scorer: object) -> Range | None:
    """Between which values a scorer's lie: its attribute `range`; None where that is not known.

    Raises `InvalidInput` for what is no pair of numbers in order.
    """
    found: object = getattr(scorer, "range", None)
    if found is None:
        return None
    ends = cast("tuple[object, ...]", found) if isinstance(found, tuple) else ()
    if len(ends) != 2 or not all(end is None or _is_number(end) for end in ends):
        raise InvalidInput(f"the range of {scorer!r} is {found!r}: write (least, greatest), None for no end")
    low, high = cast("Range", ends)
    if low is not None and high is not None and low > high:
        raise InvalidInput(f"the range of {scorer!r} is {found!r}: the least comes first")
    return low, high


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
