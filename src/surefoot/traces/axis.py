"""The time axis of a run: the stretches in which it was at work, with what lay between them cut out.

A run that is killed today and resumed tomorrow would otherwise be two dots at the ends of a line.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

_BREAK = 4.0
"""Per cent of the width that a break takes; all of them together take a quarter at most."""
_SMALLEST = 1.5
"""Per cent that a stretch takes at least."""
_TICKS = 5


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time without a break; `left` and `width` in per cent of the axis."""

    start_ns: int
    end_ns: int
    left: float
    width: float

    @property
    def right(self) -> float:
        return self.left + self.width


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on the axis: where, in per cent, and how much time at work lies before it."""

    left: float
    at_work_ns: int


@dataclass(frozen=True, slots=True)
class Axis:
    """Maps times to per cent of the width."""

    stretches: tuple[Stretch, ...]

    def left(self, at_ns: int) -> float:
        """Where a time stands; one inside a break stands at the break's end."""
        for stretch in self.stretches:
            if at_ns <= stretch.end_ns:
                length = max(stretch.end_ns - stretch.start_ns, 1)
                share = max(at_ns - stretch.start_ns, 0) / length
                return stretch.left + share * stretch.width
        return 100.0

    def end_around(self, at_ns: int) -> float:
        """Where the stretch ends that a time lies in, or the one after the break that it lies in."""
        return next((stretch.right for stretch in self.stretches if at_ns <= stretch.end_ns), 100.0)

    @property
    def breaks(self) -> list[tuple[Stretch, Stretch]]:
        """The stretches before and after each break."""
        return list(zip(self.stretches, self.stretches[1:], strict=False))

    @property
    def at_work_ns(self) -> int:
        return sum(stretch.end_ns - stretch.start_ns for stretch in self.stretches)

    def ticks(self) -> Iterator[Tick]:
        """Marks at round amounts of time at work."""
        step = _round_step(max(self.at_work_ns, 1) / _TICKS)
        before = 0
        for stretch in self.stretches:
            length = stretch.end_ns - stretch.start_ns
            first = -(-before // step)
            for number in range(first, (before + length) // step + 1):
                at_work = number * step
                yield Tick(self.left(stretch.start_ns + at_work - before), at_work)
            before += length


def axis(times: Iterable[tuple[int, int]]) -> Axis:
    """The axis over intervals of work, which may touch, overlap or come in any order."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(times):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, max(end, start)))
    return Axis(tuple(_laid_out(merged)))


def _laid_out(times: Sequence[tuple[int, int]]) -> Iterator[Stretch]:
    gaps = max(len(times) - 1, 0)
    gap = min(_BREAK, 25 / gaps) if gaps else 0.0
    room = 100 - gap * gaps
    total = sum(end - start for start, end in times)
    shares = [max((end - start) / total if total else 1, _SMALLEST / 100) for start, end in times]
    left = 0.0
    for (start, end), share in zip(times, shares, strict=True):
        width = room * share / sum(shares)
        yield Stretch(start, end, left, width)
        left += width + gap


def _round_step(least: float) -> int:
    """The smallest of 1, 2, 5, 10, ... that is no less."""
    magnitude = 10 ** math.floor(math.log10(least)) if least >= 1 else 1
    return next(round(magnitude * factor) for factor in (1, 2, 5, 10) if magnitude * factor >= least)
