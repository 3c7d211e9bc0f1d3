"""The cases that got better and worse between two experiments."""

from __future__ import annotations

from collections.abc import Sequence

from surefoot.evals.comparing.comparison import Moved
from surefoot.evals.comparing.contrasting import Measured
from surefoot.evals.comparing.pairing import Pairing
from surefoot.evals.experiments.results import Row


def moved(pairing: Pairing, metrics: Sequence[Measured]) -> tuple[list[Moved], list[Moved]]:
    """The cases that got better, and those that got worse, the biggest change first.

    The change of a case is the mean over its metrics, each in units of 0 to 1 or of the distance between its smallest
    and largest value, and above 0 where it is for the better. Changes within the metric's margin do not count. A case
    whose metrics moved both ways and cancel is among the worse: somebody should look at it.
    """
    better: list[Moved] = []
    worse: list[Moved] = []
    for case in pairing.common:
        found = _moved(case, pairing, metrics)
        if found is not None:
            (better if found.change > 0 else worse).append(found)
    return (
        sorted(better, key=lambda each: (-each.change, each.case)),
        sorted(worse, key=lambda each: (each.change, each.case)),
    )


def _moved(case: str, pairing: Pairing, metrics: Sequence[Measured]) -> Moved | None:
    changes: list[tuple[float, str, float, float]] = []
    for each in metrics:
        now, was = each.candidate.values.get(case), each.baseline.values.get(case)
        if now is not None and was is not None:
            if abs(now - was) <= each.margin:
                now = was
            towards = 1 if each.direction == "higher" else -1
            changes.append((towards * (now - was) / each.scale.span, each.metric, was, now))
    told = sorted((each for each in changes if each[0]), key=lambda each: -abs(each[0]))
    if not told:
        return None
    return Moved(
        case=case,
        change=sum(each[0] for each in changes) / len(changes),
        metrics=tuple((name, was, now) for _, name, was, now in told),
        candidate_runs=tuple(row.run_id for row in pairing.candidate[case]),
        baseline_runs=tuple(row.run_id for row in pairing.baseline[case]),
        reason=_reason(told[0][1], pairing.candidate[case]),
    )


def _reason(metric: str, rows: Sequence[Row]) -> str:
    """Why a metric is missing in one of the rows, else what was said where its value is given."""
    failed = next((row.failures[metric] for row in rows if metric in row.failures), "")
    said = (row.scores[metric].reason for row in rows if metric in row.scores)
    return failed or next((reason for reason in said if reason), "")
