"""Scorers of numbers: whether an answer's is near enough to what is expected."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Literal, cast

from surefoot.errors import InvalidInput
from surefoot.evals.plain.matching import shown
from surefoot.evals.plain.quantities import Mark, Quantity, quantities
from surefoot.evals.scales import scaled
from surefoot.evals.scores import Score

Which = Literal["only", "first", "last", "any"]

_LISTED = 5


def numeric(
    *, absolute: float = 0.0, relative: float = 0.0, which: Which = "only", mark: Mark = "auto"
) -> Callable[[object, object], Score]:
    """A scorer: whether a number in the answer is the expected one, within the greater of the two tolerances.

    It reads `12,5 %`, `1,234.50`, `$3 million` and the like (`quantities`). Where both name a unit it has to be the
    same: nothing is converted. What is expected is a number, a text with one, or a list of these, any of which counts.

    absolute: the greatest distance that passes. relative: the same as a share of the expected number, 0.01 for 1 %.
    which: of several different numbers in the answer the `first`, the `last` or `any` is taken; `only` (the default)
        fails such an answer.
    mark: the decimal sign, where `auto` would take it wrong.

    Raises `InvalidInput` for tolerances below 0. The scorer does where no number is expected.
    """
    if not all(math.isfinite(each) and each >= 0 for each in (absolute, relative)):
        raise InvalidInput(f"the tolerances are {absolute} and {relative}: write numbers from 0")
    if which not in ("only", "first", "last", "any"):
        raise InvalidInput(f"which number is {which!r}: name only, first, last or any")
    if mark not in ("auto", ".", ","):
        raise InvalidInput(f"the decimal sign is {mark!r}: write '.', ',' or auto")
    bounds = Decimal(str(absolute)), Decimal(str(relative))

    def numeric(answer: object, expected: object) -> Score:
        wanted = _expected(expected, mark)
        found = _found(answer, mark)
        if not found:
            return Score(value=False, reason=f"{shown(answer)} holds no number; {_or(wanted)} is expected")
        different = list(dict.fromkeys((each.value, each.unit) for each in found))
        if which == "only" and len(different) > 1:
            return Score(
                value=False,
                reason=f"the answer holds several numbers, {_and(found)}: say which counts, as in numeric:which=last",
            )
        tried = found if which == "any" else [found[-1] if which == "last" else found[0]]
        if any(_is_near(one, other, bounds) for one in tried for other in wanted):
            return Score(value=True)
        return Score(value=False, reason=_difference(tried[0], wanted))

    return scaled(numeric)


def _is_near(found: Quantity, wanted: Quantity, bounds: tuple[Decimal, Decimal]) -> bool:
    if found.unit and wanted.unit and found.unit != wanted.unit:
        return False
    absolute, relative = bounds
    return abs(found.value - wanted.value) <= max(absolute, relative * abs(wanted.value))


def _difference(found: Quantity, wanted: Sequence[Quantity]) -> str:
    nearest = min(wanted, key=lambda each: abs(each.value - found.value))
    if found.unit and nearest.unit and found.unit != nearest.unit:
        return f"{found} is in {found.unit} and {nearest} in {nearest.unit}: units are not converted"
    gap = found.value - nearest.value
    share = f" ({float(gap / abs(nearest.value)):+.3%})" if nearest.value else ""
    return f"{found} is {float(gap):+.6g} from {_or(wanted) if len(wanted) > 1 else nearest}{share}"


def _found(answer: object, mark: Mark) -> list[Quantity]:
    if isinstance(answer, int | float | Decimal) and not isinstance(answer, bool):
        return [number] if (number := _number(answer)) is not None else []
    if isinstance(answer, str):
        return list(quantities(answer, mark))
    raise InvalidInput(
        f"the answer is {type(answer).__name__} and neither a number nor a text: say where it stands, "
        "reads={'answer': 'path.in.output'}"
    )


def _expected(expected: object, mark: Mark) -> list[Quantity]:
    several = list(cast("Sequence[object]", expected)) if isinstance(expected, list | tuple) else [expected]
    found: list[Quantity] = []
    for each in several:
        of_one = (
            _found(each, mark)
            if isinstance(each, str | int | float | Decimal) and not isinstance(each, bool)
            else []
        )
        if len(of_one) != 1:
            count = "no number" if not of_one else f"{len(of_one)} numbers"
            raise InvalidInput(
                f"expected is {shown(each)} with {count} in it: write one, as in 12.5 or '12.5 km'"
            )
        found += of_one
    if not found:
        raise InvalidInput("expected is an empty list: write a number")
    return found


def _number(value: float | Decimal) -> Quantity | None:
    """A number as it is; None for one that is not finite."""
    exact = Decimal(str(value))
    return Quantity(exact, "", str(value)) if exact.is_finite() else None


def _or(several: Sequence[Quantity]) -> str:
    return " or ".join(map(str, several[:_LISTED]))


def _and(several: Sequence[Quantity]) -> str:
    listed = ", ".join(map(str, several[:_LISTED]))
    return listed + (f" and {len(several) - _LISTED} more" if len(several) > _LISTED else "")
