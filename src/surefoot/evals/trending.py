"""A metric over time: what its scores came to in each day or hour, and how sure that is. Plain data."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from surefoot.errors import InvalidInput
from surefoot.evals.experiments.results import MetricKind
from surefoot.evals.statistics.intervals import student_of
from surefoot.ledger import Evaluations, ExperimentKind, TrendBucket
from surefoot.traces import wilson
from surefoot.values import Json

K = TypeVar("K")

By = Literal["hour", "day"]

_HOUR = 3_600_000_000_000
SPANS: Mapping[By, int] = {"hour": _HOUR, "day": 24 * _HOUR}
"""Lengths of spans in nanoseconds, which are counted from the epoch: days are those of UTC."""

CONFIDENCE = 0.95
_MOST_SPANS = 100_000


@dataclass(frozen=True, slots=True)
class Span:
    """The scores of one span of time, which begins at `began_ns` (nanoseconds since the epoch).

    `value` is the mean of the numbers, for verdicts the share that passed, over `n` runs that have a score; `failures`
    have none though the metric applies to them. `low` and `high` are the bounds of the interval of `value` at a
    confidence of 0.95; None where one score or none says nothing of it. Labels are counted in `labels`.
    """

    began_ns: int
    n: int = 0
    failures: int = 0
    value: float | None = None
    low: float | None = None
    high: float | None = None
    labels: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def coverage(self) -> float | None:
        """n / (n + failures); None of nothing."""
        return self.n / (self.n + self.failures) if self.n + self.failures else None

    def to_json(self) -> dict[str, Json]:
        return {
            "began": self.began_ns / 1e9,
            "n": self.n,
            "failures": self.failures,
            "coverage": self.coverage,
            "value": self.value,
            "interval": None if self.low is None else [self.low, self.high],
            "labels": dict(self.labels),
        }


@dataclass(frozen=True, slots=True)
class Trend:
    """A metric over time: a `Span` for each span between the first and the last one that has scores.

    `kinds` counts the scores by the kind of experiment that they are from: where there are several, the scores are of
    different populations. `whole` is the same over all of the time.
    """

    metric: str
    by: By
    kind: MetricKind
    spans: tuple[Span, ...]
    whole: Span
    kinds: Mapping[ExperimentKind, int]
    flow: str = ""

    def to_json(self) -> dict[str, Json]:
        return {
            "metric": self.metric,
            "flow": self.flow or None,
            "by": self.by,
            "kind": self.kind,
            "experiments": {str(kind): count for kind, count in self.kinds.items()},
            "confidence": CONFIDENCE,
            "spans": [span.to_json() for span in self.spans],
            "whole": self.whole.to_json(),
        }


def trend(
    evaluations: Evaluations,
    metric: str,
    *,
    flow: str = "",
    kind: ExperimentKind | None = None,
    tenant: str | None = None,
    since_ns: int | None = None,
    until_ns: int | None = None,
    by: By = "day",
) -> Trend:
    """What the scores of a metric came to, by spans of time; without any spans where there are no scores.

    kind: only scores of experiments of this kind: `online` for those of production.
    since_ns, until_ns: scores that were given at or after the one and before the other, in nanoseconds since the epoch.

    Raises `InvalidInput` for a time that has more than 100,000 spans, and `LedgerError`.
    """
    span_ns = SPANS[by]
    buckets = evaluations.trend(
        metric=metric,
        flow=flow,
        kind=kind,
        tenant=tenant,
        since_ns=since_ns,
        until_ns=until_ns,
        bucket_ns=span_ns,
    )
    metric_kind = _kind(buckets)
    return Trend(
        metric,
        by,
        metric_kind,
        tuple(_filled(buckets, span_ns, metric_kind)),
        _span(_whole(buckets), metric_kind),
        _counted(bucket.kinds for bucket in buckets),
        flow,
    )


def summed(bucket: TrendBucket) -> tuple[MetricKind, Span]:
    """What the scores of one metric came to, whenever they were given."""
    kind = _kind([bucket])
    return kind, _span(bucket, kind)


def _kind(buckets: Sequence[TrendBucket]) -> MetricKind:
    """As of one evaluation: a label anywhere makes labels, and only verdicts make a rate."""
    scored = [bucket for bucket in buckets if bucket.n]
    if any(bucket.labels for bucket in scored):
        return "labels"
    return "rate" if scored and all(bucket.is_rate for bucket in scored) else "mean"


def _filled(buckets: Sequence[TrendBucket], span_ns: int, kind: MetricKind) -> list[Span]:
    """A span for each of the time between: one without scores is a gap that has to show."""
    if not buckets:
        return []
    found = {bucket.began_ns: bucket for bucket in buckets}
    first, last = buckets[0].began_ns, buckets[-1].began_ns
    if (last - first) // span_ns >= _MOST_SPANS:
        raise InvalidInput(
            f"the scores are spread over {(last - first) // span_ns:,} spans of time: ask for longer ones, or for less "
            "of the time"
        )
    return [
        _span(found.get(began_ns) or TrendBucket(began_ns), kind)
        for began_ns in range(first, last + 1, span_ns)
    ]


def _whole(buckets: Sequence[TrendBucket]) -> TrendBucket:
    return TrendBucket(
        buckets[0].began_ns if buckets else 0,
        sum(bucket.n for bucket in buckets),
        sum(bucket.failures for bucket in buckets),
        math.fsum(bucket.total for bucket in buckets),
        math.fsum(bucket.squares for bucket in buckets),
        labels=_counted(bucket.labels for bucket in buckets),
    )


def _span(bucket: TrendBucket, kind: MetricKind) -> Span:
    if kind == "labels":
        return Span(bucket.began_ns, bucket.n, bucket.failures, labels=bucket.labels)
    low, high = _interval(bucket, kind) or (None, None)
    return Span(bucket.began_ns, bucket.n, bucket.failures, bucket.mean, low, high)


def _interval(bucket: TrendBucket, kind: MetricKind) -> tuple[float, float] | None:
    if kind == "rate":
        return wilson(round(bucket.total), bucket.n, confidence=CONFIDENCE) if bucket.n else None
    if bucket.mean is None or bucket.variance is None:
        return None
    return student_of(bucket.mean, bucket.variance, bucket.numbers, confidence=CONFIDENCE)


def _counted(parts: Iterable[Mapping[K, int]]) -> dict[K, int]:
    """Counts of several mappings together, the most first."""
    total = Counter[K]()
    for part in parts:
        total.update(part)
    return dict(total.most_common())
