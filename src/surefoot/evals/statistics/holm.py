"""Many tests at once: Holm's procedure."""

from __future__ import annotations

from collections.abc import Sequence

from surefoot.errors import InvalidInput


def holm(ps: Sequence[float]) -> list[float]:
    """The p values adjusted for their number, in their order; below alpha is shown, whatever of the others is true.

    The chance that any of those that are no effect falls below alpha is alpha at most, however the tests depend on each
    other: Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 6 (1979).

    Raises `InvalidInput` for what is no probability.
    """
    for p in ps:
        if not 0 <= p <= 1:
            raise InvalidInput(f"{p} is no p value: those go from 0 to 1")
    adjusted = [0.0] * len(ps)
    largest = 0.0
    for rank, place in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        largest = max(largest, min(1.0, (len(ps) - rank) * ps[place]))
        adjusted[place] = largest
    return adjusted
