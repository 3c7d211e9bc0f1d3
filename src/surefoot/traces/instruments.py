"""Counters and histograms, as Prometheus reads them; from any thread, and of several processes added up."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from surefoot.locks import ForkSafeLock

if TYPE_CHECKING:
    from surefoot.values import Json

Labels = tuple[tuple[str, str], ...]

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
_LONGEST = 200
MOST_SERIES = 2_000
"""So many sets of labels an instrument tells apart; further ones are counted together, each label as `other`."""


@dataclass(frozen=True, slots=True)
class Instrument:
    """What is counted, and what it is told by. Without `bounds` it is a counter, else a histogram.

    `unit` is OpenTelemetry's, as `s` or `{token}`; `bounds` are in it, ascending.
    """

    name: str
    told: str
    unit: str = "1"
    bounds: tuple[float, ...] = ()

    def label(self) -> str:
        """The name as Prometheus has it."""
        return self.name.replace(".", "_") + ("_seconds" if self.unit == "s" and "." in self.name else "")


@dataclass(slots=True)
class Histogram:
    """How many of what was seen lie at or below each bound, and above the last one; and their sum."""

    counts: list[int]
    total: float = 0.0


Value = float | Histogram


class Instruments:
    """Instruments with what they have counted since the process began. Labels are names, never ids: there are few."""

    def __init__(self, *instruments: Instrument) -> None:
        self._lock = ForkSafeLock()
        self._kept: dict[Instrument, dict[Labels, Any]] = {one: {} for one in instruments}

    def add(self, instrument: Instrument, labels: Labels, count: float = 1) -> None:
        """Count something."""
        with self._lock:
            series, labels = self._series(instrument, labels)
            series[labels] = series.get(labels, 0) + count

    def see(self, instrument: Instrument, labels: Labels, value: float) -> None:
        """Put a value into a histogram."""
        with self._lock:
            series, labels = self._series(instrument, labels)
            known = series.get(labels)
            if known is None:
                known = series[labels] = Histogram([0] * (len(instrument.bounds) + 1))
            known.counts[bisect_left(instrument.bounds, value)] += 1
            known.total += value

    def read(self) -> list[tuple[Instrument, dict[Labels, Value]]]:
        """What was counted until now, of instruments that have counted something."""
        with self._lock:
            return [
                (
                    one,
                    {
                        labels: Histogram([*value.counts], value.total)
                        if isinstance(value, Histogram)
                        else value
                        for labels, value in series.items()
                    },
                )
                for one, series in self._kept.items()
                if series
            ]

    def said(self) -> dict[str, list[list[Json]]]:
        """All of it as JSON has it, for `hear`: by instrument, rows of labels and values."""
        return {
            one.name: [
                [
                    [[name, text] for name, text in labels],
                    *([value] if not isinstance(value, Histogram) else [[*value.counts], value.total]),
                ]
                for labels, value in series.items()
            ]
            for one, series in self.read()
        }

    def hear(self, said: Mapping[str, Sequence[Any]]) -> None:
        """Count in what other instruments of the same kind said; those that are not known here are left out."""
        with self._lock:
            for one, series in self._kept.items():
                for listed, first, *rest in said.get(one.name, ()):
                    labels: Labels = tuple((name, text) for name, text in listed)
                    if not one.bounds:
                        series[labels] = series.get(labels, 0) + first
                        continue
                    known = series.setdefault(labels, Histogram([0] * (len(one.bounds) + 1)))
                    known.counts = [ours + theirs for ours, theirs in zip(known.counts, first, strict=True)]
                    known.total += rest[0]

    def lines(self) -> Iterator[str]:
        """All of it in Prometheus' text format."""
        for one, series in self.read():
            name = one.label()
            yield f"# HELP {name} {one.told}"
            yield f"# TYPE {name} {'histogram' if one.bounds else 'counter'}"
            for labels, value in sorted(series.items()):
                if isinstance(value, Histogram):
                    yield from _histogram(name, one.bounds, labels, value)
                else:
                    yield f"{name}{braced(labels)} {number(value)}"

    def _series(self, instrument: Instrument, labels: Labels) -> tuple[dict[Labels, Any], Labels]:
        series = self._kept[instrument]
        if labels in series:
            return series, labels
        labels = tuple((name, _clean(text)) for name, text in labels)
        if labels not in series and len(series) >= MOST_SERIES:
            labels = tuple((name, "other") for name, _ in labels)
        return series, labels


def braced(labels: Sequence[tuple[str, str]]) -> str:
    """Labels in Prometheus' text format; nothing where there are none."""
    inside = ",".join(f'{name.replace(".", "_")}="{_escaped(value)}"' for name, value in labels)
    return f"{{{inside}}}" if inside else ""


def number(value: float) -> str:
    """A number in Prometheus' text format."""
    return str(int(value)) if value == int(value) else f"{value:.9g}"


def _histogram(name: str, bounds: Sequence[float], labels: Labels, value: Histogram) -> Iterable[str]:
    reached = 0
    for bound, count in zip((*map(number, bounds), "+Inf"), value.counts, strict=True):
        reached += count
        yield f"{name}_bucket{braced((*labels, ('le', bound)))} {reached}"
    yield f"{name}_sum{braced(labels)} {value.total:.6f}"
    yield f"{name}_count{braced(labels)} {reached}"


def _clean(text: str) -> str:
    """A value that can be written, and is no longer than a name: what a provider calls its model is its own affair."""
    return text[:_LONGEST].encode("utf-8", "replace").decode()


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
