"""An interval: between which values the truth lies, at the confidence that it was asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass

from surefoot.values import Json


@dataclass(frozen=True, slots=True)
class Interval:
    """From `low` to `high`, both in the unit of what was measured. Without a bound they are infinite."""

    low: float
    high: float

    @property
    def width(self) -> float:
        return self.high - self.low

    @property
    def is_beyond_zero(self) -> bool:
        """Whether it is wholly above or wholly below 0."""
        return self.low > 0 or self.high < 0

    def is_within(self, margin: float) -> bool:
        """Whether it lies wholly between -margin and margin."""
        return -margin <= self.low and self.high <= margin

    def to_json(self) -> list[Json]:
        """The two bounds; None where there is none, as JSON has no infinity."""
        return [bound if math.isfinite(bound) else None for bound in (self.low, self.high)]


EVERYTHING = Interval(-math.inf, math.inf)
"""What is known of one case, or of none."""
