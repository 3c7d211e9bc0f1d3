"""Where things lie in charts, in percent of their width and height. Pure; templates draw them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from surefoot.evals.trending import Trend

_MARGIN = 0.06


@dataclass(frozen=True, slots=True)
class Axis:
    """From `low` to `high`; what lies beyond is drawn at the end."""

    low: float
    high: float

    @classmethod
    def around(cls, values: Iterable[float | None], *, holds: Sequence[float] = ()) -> Axis:
        """One that holds all values and these, with a margin on both sides."""
        known = [value for value in (*values, *holds) if value is not None and math.isfinite(value)]
        if not known:
            return cls(0.0, 1.0)
        low, high = min(known), max(known)
        room = (high - low) * _MARGIN or abs(low) * 0.1 or 1.0
        return cls(low - room, high + room)

    @classmethod
    def of_metric(cls, values: Sequence[float | None]) -> Axis:
        """0 to 1 where all values lie there, as most metrics do."""
        known = [value for value in values if value is not None]
        if all(-1e-9 <= value <= 1 + 1e-9 for value in known):
            return cls(0.0, 1.0)
        return cls.around(known, holds=(0.0,))

    def at(self, value: float) -> float:
        """0 to 100."""
        if math.isnan(value):
            return 0.0
        share = (value - self.low) / (self.high - self.low)
        return 100 * min(max(share, 0.0), 1.0)

    def ticks(self, count: int = 4) -> list[float]:
        """Round values, about so many."""
        span = self.high - self.low
        step = 10 ** math.floor(math.log10(span / count))
        step *= next(factor for factor in (1, 2, 5, 10) if step * factor * count >= span * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [place * step for place in range(first, last + 1)]


@dataclass(frozen=True, slots=True)
class Whisker:
    """A value with its interval on a line: all in percent from the left. `zero` is where nothing changes."""

    at: float
    left: float
    width: float
    zero: float | None = None


def whisker(
    axis: Axis, value: float | None, interval: tuple[float, float] | None, *, zero: float | None = None
) -> Whisker | None:
    """None where there is no value."""
    if value is None:
        return None
    low, high = interval or (value, value)
    left = axis.at(low)
    return Whisker(axis.at(value), left, axis.at(high) - left, None if zero is None else axis.at(zero))


@dataclass(frozen=True, slots=True)
class Dot:
    """A span of time that has a value: where it lies, and what it says."""

    x: float
    y: float
    place: int


@dataclass(frozen=True, slots=True)
class Curve:
    """A metric over time. `bands` are outlines of the interval, `lines` the values; both end where a span has none."""

    axis: Axis
    dots: tuple[Dot, ...]
    lines: tuple[str, ...]
    bands: tuple[str, ...]
    ticks: tuple[tuple[float, float], ...]
    """Values of the axis, each with its distance from the top."""

    @property
    def is_dense(self) -> bool:
        """Whether dots would hide the line."""
        return len(self.dots) > 120


def curve(found: Trend) -> Curve | None:
    """None of labels, and where nothing has a value."""
    if found.kind == "labels" or all(span.value is None for span in found.spans):
        return None
    ends = [end for span in found.spans for end in (span.value, span.low, span.high)]
    values = [span.value for span in found.spans]
    axis = Axis(0.0, 1.0) if found.kind == "rate" else _of_means(values, ends)
    count = len(found.spans)

    def x(place: int) -> float:
        return 50.0 if count == 1 else 100 * place / (count - 1)

    def y(value: float) -> float:
        return 100 - axis.at(value)

    dots = [Dot(x(n), y(v), n) for n, v in enumerate(values) if v is not None]
    lines: list[str] = []
    bands: list[str] = []
    for is_there, part in groupby(range(count), key=lambda n: values[n] is not None):
        places = list(part)
        if not is_there or len(places) < 2:
            continue
        lines.append(_path((x(n), y(values[n] or 0.0)) for n in places))
        sure = [(n, found.spans[n].low, found.spans[n].high) for n in places]
        upper = [(x(n), y(high)) for n, _, high in sure if high is not None]
        lower = [(x(n), y(low)) for n, low, _ in sure if low is not None]
        if len(upper) > 1:
            bands.append(_path([*upper, *reversed(lower)]))
    ticks = tuple((tick, y(tick)) for tick in axis.ticks())
    return Curve(axis, tuple(dots), tuple(lines), tuple(bands), ticks)


def _of_means(values: Sequence[float | None], ends: Sequence[float | None]) -> Axis:
    """Intervals of a few values may reach far: they are cut, and the values are not."""
    known = [value for value in values if value is not None]
    if all(0 <= value <= 1 for value in known):
        return Axis(0.0, 1.0)
    low, high = min(known), max(known)
    room = high - low or abs(low) or 1.0
    kept = [end for end in ends if end is not None and low - room <= end <= high + room]
    return Axis.around(kept, holds=(low, high))


def _path(points: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:.3f},{y:.3f}" for x, y in points)
