"""Cost, latency and tokens of two arms, as ratios over the same cases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from surefoot.evals.comparing.comparison import Figure, Ratio
from surefoot.evals.comparing.pairing import Pairing, costs
from surefoot.evals.results import Row
from surefoot.evals.statistics import Pairs, compare_pairs
from surefoot.evals.statistics.interval import EVERYTHING, Interval


def ratios(pairing: Pairing, *, alpha: float, seed: int) -> list[Ratio]:
    """Cost in dollars, latency in seconds and tokens, of the runs of the cases; what judges used is not in them."""
    return [_ratio(figure, of, pairing, alpha=alpha, seed=seed) for figure, of in _FIGURES.items()]


def _ratio(
    figure: Figure, of: Callable[[Row], float | str], pairing: Pairing, *, alpha: float, seed: int
) -> Ratio:
    ours, theirs = costs(pairing.candidate, of), costs(pairing.baseline, of)
    cases = [case for case in pairing.common if case in ours.values and case in theirs.values]
    known = set(cases)
    missing = Counter(
        ours.missing.get(case) or theirs.missing[case] for case in pairing.common if case not in known
    )
    note = "; ".join(f"{count} without: {reason}" for reason, count in missing.most_common())
    pairs = Pairs([ours.values[case] for case in cases], [theirs.values[case] for case in cases], "ratio")
    (said,) = compare_pairs([pairs], confidence=1 - alpha, seed=seed)
    if said.delta is None or said.interval == EVERYTHING:
        interval = None
    else:
        interval = Interval(1 + said.interval.low, 1 + said.interval.high)
    return Ratio(
        figure=figure,
        candidate=said.candidate,
        baseline=said.baseline,
        ratio=None if said.delta is None else 1 + said.delta,
        interval=interval,
        n=len(cases),
        left_out=missing.total(),
        note=note,
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
