"""A metric over time: what spans come to, what is a gap, and how sure a value is."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from typing import Any

import pytest

from ledgers import open_ledger
from scored import a_case, an_experiment
from surefoot.errors import InvalidInput
from surefoot.evals.statistics.intervals import student
from surefoot.evals.trending import SPANS, trend
from surefoot.ledger import Evaluations, ScoreRecord

DAY = SPANS["day"]


@pytest.fixture
def evaluations(tmp_path: Path) -> Iterator[Evaluations]:
    ledger = open_ledger(tmp_path)
    evaluations = Evaluations(ledger)
    evaluations.begin(an_experiment())
    evaluations.begin(an_experiment("E2", kind="online"))
    yield evaluations
    ledger.close()


def score(evaluations: Evaluations, metric: str, *values: Any, day: float, **rest: Any) -> None:
    """A run for each of these values, all of one day; None is a failure."""
    evaluations.keep(
        [
            a_case(
                f"{metric}-{day}-{n}",
                f"R-{metric}-{day}-{n}",
                ScoreRecord(metric, value, failure="" if value is not None else "no"),
                scored_ns=round(day * DAY) + n,
                **rest,
            )
            for n, value in enumerate(values, 1)
        ]
    ).wait()


def test_a_mean_has_the_interval_that_its_values_have(evaluations: Evaluations) -> None:
    values = [0.25, 0.5, 0.875, 1.0, 0.125, 0.625]
    score(evaluations, "f1", *values, None, day=3)
    found = trend(evaluations, "f1")
    (span,) = found.spans
    assert (found.kind, span.began_ns, span.n, span.failures) == ("mean", 3 * DAY, 6, 1)
    assert span.coverage == 6 / 7
    assert span.value == mean(values)
    interval = student(values)
    assert interval is not None
    assert (span.low, span.high) == pytest.approx(interval, rel=1e-12)
    assert found.whole == span


def test_a_share_has_an_interval_where_all_passed(evaluations: Evaluations) -> None:
    """The figures are those of Newcombe, Statistics in Medicine 17 (1998), table I, and of all of ten."""
    score(evaluations, "ok", *[True] * 81, *[False] * 182, day=1)
    score(evaluations, "ok", *[True] * 10, day=2)
    found = trend(evaluations, "ok")
    first, second = found.spans
    assert (found.kind, first.value, second.value) == ("rate", 81 / 263, 1.0)
    assert (first.low, first.high) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert second.low == pytest.approx(0.7225, abs=5e-5)
    assert second.high == 1.0


def test_days_without_scores_are_gaps(evaluations: Evaluations) -> None:
    score(evaluations, "f1", 1.0, day=1)
    score(evaluations, "f1", 0.5, 0.0, day=4)
    found = trend(evaluations, "f1")
    assert [(span.began_ns // DAY, span.n, span.value) for span in found.spans] == [
        *((1, 1, 1.0), (2, 0, None), (3, 0, None)),
        (4, 2, 0.25),
    ]
    assert [span.coverage for span in found.spans] == [1.0, None, None, 1.0]
    assert [span.low is None for span in found.spans] == [True, True, True, False]
    assert (found.whole.n, found.whole.value) == (3, 0.5)
    assert len(trend(evaluations, "f1", by="hour").spans) == 73


def test_labels_are_counted_and_have_no_value(evaluations: Evaluations) -> None:
    score(evaluations, "tone", "good", "good", "bad", None, day=1)
    score(evaluations, "tone", "odd", day=2)
    found = trend(evaluations, "tone")
    assert found.kind == "labels"
    assert [dict(span.labels) for span in found.spans] == [{"good": 2, "bad": 1}, {"odd": 1}]
    assert dict(found.whole.labels) == {"good": 2, "bad": 1, "odd": 1}
    assert [(span.value, span.low) for span in found.spans] == [(None, None), (None, None)]
    assert found.whole.coverage == 0.8


def test_a_metric_that_once_was_a_verdict_is_a_mean(evaluations: Evaluations) -> None:
    score(evaluations, "m", True, False, day=1)
    score(evaluations, "m", 0.25, day=2)
    assert trend(evaluations, "m").kind == "mean"
    assert trend(evaluations, "m", until_ns=2 * DAY).kind == "rate"


def test_failures_alone_are_a_span_without_a_value(evaluations: Evaluations) -> None:
    score(evaluations, "f1", None, None, day=1)
    (span,) = trend(evaluations, "f1").spans
    assert (span.n, span.failures, span.coverage, span.value, span.low) == (0, 2, 0.0, None, None)


def test_kinds_are_told_apart(evaluations: Evaluations) -> None:
    score(evaluations, "f1", 0.0, day=1)
    score(evaluations, "f1", 1.0, 1.0, day=2, experiment="E2")
    assert trend(evaluations, "f1").kinds == {"online": 2, "eval": 1}
    online = trend(evaluations, "f1", kind="online")
    assert (online.kinds, online.whole.value) == ({"online": 2}, 1.0)


def test_nothing_is_no_span_and_a_thousand_years_are_too_many(evaluations: Evaluations) -> None:
    found = trend(evaluations, "nobody")
    assert (found.spans, found.whole.n, found.kinds) == ((), 0, {})
    score(evaluations, "f1", 1.0, day=1)
    score(evaluations, "f1", 1.0, day=50_000)
    with pytest.raises(InvalidInput, match="1,199,976 spans of time"):
        trend(evaluations, "f1", by="hour")


def test_values_that_are_all_the_same_have_an_interval_of_no_width(evaluations: Evaluations) -> None:
    """Sums of squares lose digits: the variance must not come out below zero."""
    score(evaluations, "f1", *[0.1] * 1000, day=1)
    (span,) = trend(evaluations, "f1").spans
    assert span.low is not None
    assert span.high is not None
    assert math.isclose(span.low, 0.1, abs_tol=1e-7)
    assert math.isclose(span.high, 0.1, abs_tol=1e-7)
