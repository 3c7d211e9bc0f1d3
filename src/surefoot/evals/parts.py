"""An experiment in parts: how sure its metrics are, its slices, and why scores are missing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import cast

from surefoot.evals.experiments.results import Experiment, Metric, Row, metric_of
from surefoot.evals.statistics.intervals import student, wilson

NONE = "(none)"
"""The value of cases that have none under a key."""

_MOST_VALUES = 30
_LONGEST_VALUE = 80


@dataclass(frozen=True, slots=True)
class Part:
    """The rows that have one value under a key of their metadata, with the metrics over them."""

    value: str
    cases: int
    metrics: tuple[Metric, ...]
    intervals: Mapping[str, tuple[float, float] | None]


@dataclass(frozen=True, slots=True)
class Lack:
    """Why scores are missing: in these rows, for this reason. `metric` is empty where the run itself failed."""

    metric: str
    reason: str
    rows: tuple[Row, ...]


def interval_of(metric: Metric, rows: Sequence[Row]) -> tuple[float, float] | None:
    """The 95 % interval of a metric over the rows: Wilson's of a rate, else Student's over the means of cases.

    None of labels, of what is withheld, and where one case says nothing of others.
    """
    if metric.value is None or metric.scope == "experiment":
        return None
    by_case: dict[str, list[float]] = {}
    for row in rows:
        score = row.scores.get(metric.name)
        if score is not None and not isinstance(score.value, str):
            by_case.setdefault(row.case, []).append(float(score.value))
    means = [fmean(values) for values in by_case.values()]
    if metric.kind == "rate" and metric.cases == metric.n:
        return wilson(sum(means), len(means))
    return student(means)


def keys_of(rows: Sequence[Row]) -> list[str]:
    """The keys of metadata that cut the rows into 2 to 30 parts with short names."""
    values: dict[str, set[str]] = {}
    for row in rows:
        for key in row.metadata:
            found = values.setdefault(key, set())
            if len(found) <= _MOST_VALUES:
                found.update(_values(row.metadata, key))
    return [
        key
        for key, found in values.items()
        if 2 <= len(found) <= _MOST_VALUES and all(len(value) <= _LONGEST_VALUE for value in found)
    ]


def parts_of(experiment: Experiment, key: str) -> list[Part]:
    """The slices of a key, the largest first. A row whose value is a list is in the slice of each of its items."""
    found: dict[str, list[Row]] = {}
    for row in experiment.rows:
        for value in _values(row.metadata, key):
            found.setdefault(value, []).append(row)
    withheld = {metric.name: metric.withheld for metric in experiment.metrics}
    parts: list[Part] = []
    for value, rows in sorted(found.items(), key=lambda each: (-len(each[1]), each[0])):
        metrics = tuple(metric_of(name, rows, withheld=why) for name, why in withheld.items())
        intervals = {metric.name: interval_of(metric, rows) for metric in metrics}
        parts.append(Part(value, len({row.case for row in rows}), metrics, intervals))
    return parts


def lacks_of(rows: Sequence[Row]) -> list[Lack]:
    """Why scores are missing, the most frequent reason first; a run that failed is told once, and not by metric."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row.status == "failed":
            found.setdefault(("", row.error or "the run failed"), []).append(row)
            continue
        for metric, reason in row.failures.items():
            found.setdefault((metric, reason), []).append(row)
    lacks = [Lack(metric, reason, tuple(those)) for (metric, reason), those in found.items()]
    return sorted(lacks, key=lambda lack: -len(lack.rows))


def _values(metadata: Mapping[str, object], key: str) -> Iterator[str]:
    value = metadata.get(key)
    if isinstance(value, list | tuple):
        items = cast("Sequence[object]", value)
        yield from dict.fromkeys(map(_text, items)) if items else (NONE,)
    else:
        yield _text(value)


def _text(value: object) -> str:
    if value is None or value == "":
        return NONE
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
