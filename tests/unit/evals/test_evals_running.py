"""Evaluations on a real ledger: rows, failures, aggregates, sync and async, what scorers are given."""

from __future__ import annotations

import asyncio
import json
import math
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot import Workflow, flow, step
from surefoot.app import App
from surefoot.errors import InvalidInput
from surefoot.evals import (
    Case,
    Dataset,
    Excerpt,
    Experiment,
    Progress,
    Score,
    evaluate,
    evaluate_async,
    exact_match,
)
from surefoot.evals.experiments.results import Row, metric_of, quantile
from surefoot.traces import Trace

Lines = Callable[..., Path]


@step(pure=True)
def square(number: int) -> int:
    if number == 3:
        raise ValueError("three is not for me")
    return number * number


@flow(version="7")
def squared(number: int) -> str:
    return str(square(number))


@flow
async def later(number: int) -> str:
    await asyncio.sleep(0)
    return str(number * number)


def squares(*numbers: int, wrong: int = -1) -> Dataset:
    cases = tuple(
        Case(f"c{n}", {"number": n}, "wrong" if n == wrong else str(n * n), {"parity": n % 2})
        for n in numbers
    )
    return Dataset("squares", cases)


def right(output: str, expected: str) -> bool:
    return output == expected


def test_every_case_is_a_tagged_run_and_every_row_is_in_order(app: App) -> None:
    experiment = evaluate(
        squared, squares(1, 2, 4, 5, wrong=4), [right, exact_match], name="first", concurrency=3
    )
    assert [row.case for row in experiment.rows] == ["c1", "c2", "c4", "c5"]
    assert [row.scores["right"].value for row in experiment.rows] == [True, True, False, True]
    metric = experiment["right"]
    assert (metric.kind, metric.value, metric.n, metric.coverage) == ("rate", 0.75, 4, 1.0)
    runs = app.ledger.runs(flow="squared", tags={"experiment": experiment.id}, limit=None)
    assert {(run.tags["case"], run.id) for run in runs} == {(row.case, row.run_id) for row in experiment.rows}
    assert {run.tags["evaluation"] for run in runs} == {"first"}
    assert {run.tags["dataset"] for run in runs} == {experiment.dataset_version}
    assert experiment.totals.steps == 4
    assert experiment.latency.n == 4
    assert (experiment.flow_version, experiment.failed, experiment.reused) == ("7", (), 0)


def test_a_failed_run_is_a_failed_row_of_every_metric_that_applies(app: App) -> None:
    def parity(output: str, case: Case) -> str | None:
        return None if case.id == "c1" else ("odd" if case.metadata["parity"] else "even")

    experiment = evaluate(squared, squares(1, 2, 3), [right, parity])
    (failed,) = experiment.failed
    assert (failed.case, failed.scores) == ("c3", {})
    assert "three is not for me" in failed.error
    metric = experiment["right"]
    assert (metric.n, metric.applicable, metric.coverage) == (2, 3, 2 / 3)
    assert (metric.value, metric.value_with_failures) == (1.0, 2 / 3)
    assert metric.failures[0].case == "c3"
    assert metric.failures[0].reason == f"the run failed: {failed.error}"
    labels = experiment["parity"]
    assert (labels.kind, labels.labels, labels.n, labels.applicable) == ("labels", {"even": 1}, 1, 2)
    assert experiment.worst(1) == [failed]
    assert experiment.table()[0].note == "67% with failures counted as 0"


def test_a_scorer_that_raises_is_a_failed_row_of_its_metric_alone(app: App) -> None:
    def fragile(output: str) -> float:
        if output == "4":
            raise KeyError("no such thing")
        return float(output)

    experiment = evaluate(squared, squares(1, 2), [fragile, right])
    metric = experiment["fragile"]
    assert (metric.value, metric.value_with_failures, metric.coverage) == (1.0, 0.5, 0.5)
    assert metric.failures[0].reason == "KeyError: 'no such thing'"
    assert metric.failures[0].run_id == experiment.rows[1].run_id
    assert experiment["right"].coverage == 1.0
    assert experiment.failed == ()


@pytest.mark.parametrize("said", [math.nan, math.inf, [1], {"value": 1}, Score(math.nan)])
def test_what_is_no_score_is_a_failed_row(said: object, app: App) -> None:
    experiment = evaluate(squared, squares(1), {"odd": lambda output: said})
    assert experiment["odd"].coverage == 0.0
    assert experiment["odd"].value is None
    assert "the scorer returned" in experiment["odd"].failures[0].reason


@pytest.mark.parametrize(
    ("said", "value", "kind"),
    [
        (np.float32(0.5), 0.5, "mean"),
        (np.bool_(True), 1.0, "rate"),
        (2, 2.0, "mean"),
        (Score(True, "why"), 1.0, "rate"),
        ("label", None, "labels"),
    ],
)
def test_scores_of_all_kinds(said: object, value: float | None, kind: str, app: App) -> None:
    metric = evaluate(squared, squares(1), {"it": lambda output: said})["it"]
    assert (metric.value, metric.kind, metric.n) == (value, kind, 1)


def test_what_expects_something_does_not_apply_where_nothing_is_expected(app: App) -> None:
    def optional(output: str, expected: object = None) -> bool:
        return expected is None

    dataset = Dataset(
        "d", (Case("1", {"number": 1}, "1"), Case("2", {"number": 2}), Case("3", {"number": 3}))
    )
    experiment = evaluate(squared, dataset, [right, optional])
    assert (experiment["right"].n, experiment["right"].coverage) == (1, 1.0)
    assert (experiment["optional"].n, experiment["optional"].applicable) == (2, 3)
    nothing = evaluate(squared, Dataset("d", (Case("1", {"number": 1}),)), [right])
    assert nothing["right"].coverage is None
    assert nothing.table()[0].coverage == "does not apply"


def test_async_flows_and_scorers_run_on_the_callers_loop(app: App) -> None:
    loops: set[int] = set()

    async def slow(answer: str, expected: str) -> bool:
        loops.add(id(asyncio.get_running_loop()))
        await asyncio.sleep(0)
        return answer == expected

    async def main() -> tuple[int, Experiment]:
        return id(asyncio.get_running_loop()), await evaluate_async(later, squares(1, 2, 3), [slow, right])

    loop, experiment = asyncio.run(main())
    assert loops == {loop}
    assert experiment["slow"].value == 1.0
    assert evaluate(later, squares(4), [slow]).rows[0].scores["slow"] == Score(value=True)


def test_so_many_cases_at_a_time_and_no_more(app: App) -> None:
    lock, under_way, most = threading.Lock(), set[int](), [0]
    together = threading.Barrier(3)

    @flow
    def watched(number: int) -> int:
        with lock:
            under_way.add(number)
            most[0] = max(most[0], len(under_way))
        together.wait(20)
        with lock:
            under_way.discard(number)
        return number

    evaluate(watched, squares(*range(10, 16)), [right], concurrency=3)
    assert most == [3]


def test_a_workflow_object_serves_one_case_at_a_time(app: App) -> None:
    class Counting(Workflow, name="counting"):
        def __init__(self, step: int) -> None:
            super().__init__()
            self.step = step
            self.is_busy = False

        def run(self, number: int) -> str:
            assert not self.is_busy
            self.is_busy = True
            time.sleep(0.002)
            self.is_busy = False
            return str(number * self.step)

    experiment = evaluate(Counting, squares(2, 4, 5, 6, 7, 8), [right], init={"step": 2}, concurrency=3)
    assert experiment.failed == ()
    assert experiment["right"].value == 1 / 6
    (run,) = [
        run for run in app.ledger.runs(flow="counting", limit=None) if run.id == experiment.rows[0].run_id
    ]
    assert "settings" in run.tags


def test_scorers_take_what_they_name(app: App) -> None:
    seen: dict[str, object] = {}

    @flow
    def told(number: int) -> dict[str, object]:
        square(number)
        return {"text": f"it is {number}", "found": [Excerpt("one", "a"), Excerpt("two", "b")]}

    def everything(  # noqa: PLR0917  (all that there is to take)
        output: object,
        case: Case,
        expected: str,
        inputs: dict[str, int],
        trace: Trace,
        response: str,
        answer: str,
        context: list[str],
        size: int,
        extra: str = "default",
    ) -> bool:
        seen.update(locals())
        return True

    reads = {"response": "text", "context": "found.text", "size": lambda output: len(output["found"])}
    experiment = evaluate(told, squares(5), [everything], reads=reads)
    assert experiment["everything"].failures == ()
    assert seen["context"] == ["one", "two"]
    assert (seen["response"], seen["answer"], seen["size"]) == ("it is 5", "it is 5", 2)
    assert (seen["inputs"], seen["expected"], seen["extra"]) == ({"number": 5}, "25", "default")
    trace = seen["trace"]
    assert isinstance(trace, Trace)
    assert [span.name for span in trace.walk()] == ["square"]


def test_a_reading_that_finds_nothing_fails_the_metrics_that_need_it(app: App) -> None:
    def needs(context: list[str]) -> int:
        return len(context)

    @flow
    def bare(number: int) -> dict[str, int]:
        return {"number": number}

    experiment = evaluate(
        bare,
        squares(1),
        {"needs": needs, "right": right, "said": lambda response: True},
        reads={"context": "found.text"},
    )
    assert experiment["needs"].failures[0].reason == "InvalidInput: the output has no 'found': it has number"
    assert experiment["right"].n == 1
    assert "say where the response stands in it" in experiment["said"].failures[0].reason


def test_mistakes_are_found_before_anything_runs(app: App, jsonl: Lines) -> None:
    def lost(retrieved: str) -> bool:
        return True

    with pytest.raises(InvalidInput, match="scorer 'lost' takes 'retrieved', which nothing fills"):
        evaluate(squared, squares(1), [right, lost])
    with pytest.raises(InvalidInput, match="two scorers are called 'right'"):
        evaluate(squared, squares(1), [right, right])
    with pytest.raises(InvalidInput, match="has no name"):
        evaluate(squared, squares(1), [lambda output: True])
    with pytest.raises(InvalidInput, match="the concurrency is 0"):
        evaluate(squared, squares(1), [right], concurrency=0)
    path = jsonl({"number": 1}, {"number": "many"})
    with pytest.raises(InvalidInput, match=r"cases\.jsonl:2: 'number' is 'many'"):
        evaluate(squared, path, [right])
    wrong = Dataset(
        "d", (Case("1", {"number": "many"}, place="d:1"), Case("2", {"number": "more"}, place="d:2"))
    )
    with pytest.raises(InvalidInput) as caught:
        evaluate(squared, wrong, [right])
    assert "d:1: flow squared: 'number'" in str(caught.value)
    assert "d:2: flow squared: 'number'" in str(caught.value)
    assert app.ledger.runs() == []


def test_progress_is_told_and_whoever_watches_cannot_stop_it(app: App) -> None:
    told: list[Progress] = []

    def watch(progress: Progress) -> None:
        told.append(progress)
        raise RuntimeError("the screen is gone")

    experiment = evaluate(squared, squares(1, 2, 3), [right], on_progress=watch)
    assert [progress.done for progress in told] == [0, 1, 2, 3]
    assert told[0].row is None
    assert {progress.experiment for progress in told} == {experiment.id}
    assert sorted(progress.row.case for progress in told[1:] if progress.row) == ["c1", "c2", "c3"]


def test_an_experiment_is_json(app: App) -> None:
    experiment = evaluate(squared, squares(1, 2, 3), [right], limit=2)
    said = json.loads(json.dumps(experiment.to_json()))
    assert (said["cases"], said["dataset"]["cases"]) == (2, 3)
    assert said["metrics"][0]["value"] == 1.0
    assert said["rows"][0]["run"] == experiment.rows[0].run_id
    assert said["seconds"]["p50"] > 0


def test_what_goes_wrong_with_the_ledger_stops_the_evaluation(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    from surefoot.errors import LedgerFull

    def full(entry: object) -> object:
        raise LedgerFull("no space left")

    monkeypatch.setattr(app.ledger, "submit", full)
    with pytest.raises(LedgerFull):
        evaluate(squared, squares(1, 2), [right])


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40), st.floats(0, 1))
def test_quantiles_are_those_of_numpy(numbers: list[float], share: float) -> None:
    assert quantile(sorted(numbers), share) == pytest.approx(np.quantile(numbers, share), rel=1e-9, abs=1e-6)


@given(st.lists(st.one_of(st.none(), st.floats(0, 1), st.just("failed")), max_size=30))
def test_no_row_leaves_a_mean_in_silence(said: list[float | str | None]) -> None:
    rows = [
        Row(
            str(n),
            f"run{n}",
            "completed",
            {"m": Score(each)} if isinstance(each, float) else {},
            {"m": "why"} if each == "failed" else {},
        )
        for n, each in enumerate(said)
    ]
    metric = metric_of("m", rows)
    scored = [each for each in said if isinstance(each, float)]
    assert metric.n == len(scored)
    assert metric.applicable == len([each for each in said if each is not None])
    if scored:
        assert metric.value == pytest.approx(sum(scored) / len(scored))
        assert metric.value_with_failures == pytest.approx(sum(scored) / metric.applicable)
