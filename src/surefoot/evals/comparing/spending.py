"""Cost, latency and tokens of two arms, as ratios over the same cases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from surefoot.evals.comparing.comparison import Figure, Ratio
from surefoot.evals.comparing.pairing import Pairing, costs
from surefoot.evals.experiments.results import Row
from surefoot.evals.statistics import Paired, Pairs, compare_pairs
from surefoot.evals.statistics.interval import EVERYTHING, Interval


def ratios(pairing: Pairing, *, alpha: float, seed: int) -> list[Ratio]:
    """Cost in dollars, latency in seconds and tokens, of the runs of the cases; what judges used is not in them."""
    found = [_Figured.of(figure, of, pairing) for figure, of in _FIGURES.items()]
    # All at once, so that they share their resamples.
    said = compare_pairs([each.pairs for each in found], confidence=1 - alpha, seed=seed)
    return [each.ratio(paired) for each, paired in zip(found, said, strict=True)]


@dataclass(frozen=True, slots=True)
class _Figured:
    """A figure of both arms over the cases that have it, and why others have not."""

    figure: Figure
    pairs: Pairs
    cases: int
    missing: Counter[str]

    @classmethod
    def of(cls, figure: Figure, of: Callable[[Row], float | str], pairing: Pairing) -> Self:
        ours, theirs = costs(pairing.candidate, of), costs(pairing.baseline, of)
        cases = [case for case in pairing.common if case in ours.values and case in theirs.values]
        there = set(cases)
        missing = Counter(
            ours.missing.get(case) or theirs.missing[case] for case in pairing.common if case not in there
        )
        pairs = Pairs([ours.values[case] for case in cases], [theirs.values[case] for case in cases], "ratio")
        return cls(figure, pairs, len(cases), missing)

    def ratio(self, said: Paired) -> Ratio:
        if said.delta is None or said.interval == EVERYTHING:
            interval = None
        else:
            interval = Interval(1 + said.interval.low, 1 + said.interval.high)
        return Ratio(
            figure=self.figure,
            candidate=said.candidate,
            baseline=said.baseline,
            ratio=None if said.delta is None else 1 + said.delta,
            interval=interval,
            n=self.cases,
            left_out=self.missing.total(),
            note="; ".join(f"{count} without: {reason}" for reason, count in self.missing.most_common()),
        )


def _cost(row: Row) -> float | str:
    if not row.totals.is_cost_complete:
        return "the price of a call is not known"
    return row.totals.cost.nanos / 1e9


def _latency(row: Row) -> float | str:
    # A run that fails at once is not fast.
    if row.status == "failed":
        return "the run failed"
    return "the run was interrupted" if row.latency_ns is None else row.latency_ns / 1e9


def _tokens(row: Row) -> float | str:
    return float(row.totals.usage.input + row.totals.usage.output)


_FIGURES: dict[Figure, Callable[[Row], float | str]] = {
    "cost": _cost,
    "latency": _latency,
    "tokens": _tokens,
}
