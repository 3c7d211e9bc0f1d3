"""Cases that people have labelled, from a file, for the judge that is to be held against them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from surefoot.errors import InvalidInput
from surefoot.evals.datasets import Dataset
from surefoot.evals.scoring.binding import Scorer, name_of
from surefoot.evals.scoring.judging import Judged
from surefoot.flows import find_spec


def labelled(scorers: Sequence[Scorer], files: Mapping[str, Path]) -> list[Scorer]:
    """The scorers, those judges with labelled cases whose metric is named.

    Raises `InvalidInput` for a metric that no judge gives, and for a file that cannot be read or has no labels.
    """
    judges = {name_of(each): each for each in scorers if _is_judge(each)}
    for metric in files:
        if metric not in judges:
            known = ", ".join(judges) or "none: add one by --scorer, or --judge for those that are declared"
            raise InvalidInput(f"labels are given for {metric!r}, which no judge gives; judges are {known}")
    return [
        _with(each, files[name_of(each)]) if name_of(each) in files and _is_judge(each) else each
        for each in scorers
    ]


def _is_judge(scorer: Scorer) -> bool:
    return isinstance(scorer, Judged) or bool(getattr(scorer, "is_surefoot_flow", False))


def _with(scorer: Scorer, file: Path) -> Judged:
    judged = scorer if isinstance(scorer, Judged) else Judged(scorer)  # type: ignore[arg-type]
    flow = find_spec(judged.flow)[0]
    cases = Dataset.load(file, flow=flow)
    for case in cases:
        if not isinstance(case.expected, bool | int | float):
            raise InvalidInput(
                f"{case.label}: its label is {case.expected!r}: write true, false or a number from 0 to 1 as `expected`"
            )
    return replace(judged, labelled=cases)
