"""What is judged is kept: loaded whole, gone on with, and asked anew only where a scorer has changed."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import pytest

from surefoot import flow, step
from surefoot.app import App
from surefoot.errors import InvalidInput, UnknownExperiment
from surefoot.evals import Case, Dataset, Experiment, Judged, OnExperiment, Row, Score, evaluate, experiment
from surefoot.ledger import Evaluations, SqliteLedger

calls: dict[str, int] = {}


def called(name: str) -> int:
    calls[name] = calls.get(name, 0) + 1
    return calls[name]


@pytest.fixture(autouse=True)
def none_called() -> None:
    calls.clear()


@step
def think(number: int) -> int:
    called("flow")
    if number == 3 and calls["flow"] < 100:
        raise ValueError("three is not for me")
    return number


@flow(version="2")
def answer(number: int) -> str:
    return str(think(number))


@flow
def judge(response: str) -> Score:
    called("judge")
    return Score(len(response) == 1, f"{response} has one digit")


@flow
def second_judge(response: str, least: int) -> Score:
    called("second judge")
    return Score(int(response) >= least)


def right(response: str, expected: str) -> bool:
    called("right")
    return response == expected


def half(response: str) -> float:
    return int(response) / 2


def fragile(response: str) -> float:
    if called("fragile") <= 1 and response == "1":
        raise KeyError("no")
    return 1.0


def cases(*numbers: int) -> Dataset:
    return Dataset(
        "numbers",
        tuple(Case(f"c{n}", {"number": n}, str(n), {"parity": n % 2, "who": {"a": 1}}) for n in numbers),
    )


def without_this_part(found: Experiment) -> Experiment:
    """What is the same however an experiment was come by."""
    rows = tuple(replace(row, is_reused=False) for row in found.rows)
    return replace(found, rows=rows, elapsed_s=0.0)


def test_an_experiment_is_loaded_whole_from_the_ledger(app: App) -> None:
    first = evaluate(answer, cases(1, 2, 3, 12), [right, half, judge], name="numbers", repeats=2)
    assert len(first.failed) == 2
    for reference in (first.id, first.id[:20], "last"):
        assert without_this_part(experiment(reference)) == without_this_part(first)
    assert experiment("last", flow="answer").rows[0].metadata == {"parity": 1, "who": {"a": 1}}
    loaded = json.loads(json.dumps(experiment(first.id).to_json()))
    assert loaded["metrics"] == first.to_json()["metrics"]
    with pytest.raises(UnknownExperiment):
        experiment("nothing")


def test_an_order_of_cases_that_is_not_that_of_their_ids_is_kept(app: App) -> None:
    first = evaluate(answer, cases(9, 1, 5, 2), [right])
    assert [row.case for row in experiment(first.id).rows] == ["c9", "c1", "c5", "c2"]


def test_going_on_asks_nobody_again(app: App) -> None:
    scorers = [right, half, judge]
    first = evaluate(answer, cases(1, 2, 3), scorers, limit=2, experiment="mine")
    assert calls == {"flow": 2, "right": 2, "judge": 2}
    again = evaluate(answer, cases(1, 2, 3), scorers, experiment="mine")
    # The third case alone, whose run fails.
    assert calls == {"flow": 3, "right": 2, "judge": 2}
    assert again.reused == 2
    assert again.totals.steps == first.totals.steps + again.failed[0].totals.steps
    third = evaluate(answer, cases(1, 2, 3), scorers, experiment="mine")
    assert calls == {"flow": 3, "right": 2, "judge": 2}
    assert (third.reused, third["right"].failures) == (3, again["right"].failures)


def test_only_a_scorer_that_has_changed_is_asked_anew(app: App) -> None:
    first = evaluate(answer, cases(1, 2), {"it": right, "judged": judge}, experiment="mine")
    assert calls == {"flow": 2, "right": 2, "judge": 2}
    changed = evaluate(answer, cases(1, 2), {"it": half, "judged": judge}, experiment="mine")
    assert calls == {"flow": 2, "right": 2, "judge": 2}
    assert (first["it"].value, changed["it"].value) == (1.0, 0.75)
    assert experiment("mine")["it"].value == 0.75
    assert changed.judging == first.judging


def test_a_judge_with_other_settings_is_another_judge(app: App) -> None:
    def judged(least: int) -> Experiment:
        scorers = {"it": Judged(second_judge, inputs={"least": least}), "judged": judge}
        return evaluate(answer, cases(1, 2), scorers, experiment="mine")

    assert (judged(2)["it"].value, judged(1)["it"].value, judged(1)["it"].value) == (0.5, 1.0, 1.0)
    assert calls == {"flow": 2, "judge": 2, "second judge": 4}
    # The first one's runs are there still, and are taken by their tags.
    assert judged(2)["it"].value == 0.5
    assert calls["second judge"] == 4


def test_a_scorer_that_is_new_is_asked_about_runs_that_are_there(app: App) -> None:
    evaluate(answer, cases(1, 2), [right], experiment="mine")
    found = evaluate(answer, cases(1, 2), [right, judge, half], experiment="mine")
    assert calls == {"flow": 2, "right": 2, "judge": 2}
    assert (found["half"].value, found["judge"].value, found.reused) == (0.75, 1.0, 2)


def test_failures_are_asked_again_only_where_that_is_wanted(app: App) -> None:
    first = evaluate(answer, cases(1, 3), [fragile, judge], experiment="mine")
    assert first["fragile"].n == 0
    assert evaluate(answer, cases(1, 3), [fragile, judge], experiment="mine")["fragile"].n == 0
    asked = dict(calls)
    calls["flow"] = 100
    again = evaluate(answer, cases(1, 3), [fragile, judge], experiment="mine", retry_failed=True)
    assert asked["judge"] == 1
    assert (again["fragile"].n, again["judge"].n, again.failed) == (2, 2, ())
    assert calls["judge"] == 2
    assert experiment("mine")["fragile"].value == 1.0


def test_a_run_that_was_not_judged_before_the_end_is_judged_and_not_run(app: App) -> None:
    first = evaluate(answer, cases(1, 2), [judge], experiment="mine")
    # As a process leaves it that is killed between the end of the run and the next commit.
    assert isinstance(app.ledger, SqliteLedger)
    with sqlite3.connect(app.ledger.path) as connection:
        connection.execute("DELETE FROM experiment_cases WHERE case_id = 'c2'")
        connection.execute("DELETE FROM scores WHERE run_id = ?", (first.rows[1].run_id,))
    connection.close()
    again = evaluate(answer, cases(1, 2), [judge], experiment="mine")
    assert calls == {"flow": 2, "judge": 2}
    assert without_this_part(again) == without_this_part(first)


def test_other_repeats_changes_and_flows_are_not_mixed(app: App) -> None:
    evaluate(answer, cases(1), [right], experiment="mine")
    with pytest.raises(InvalidInput, match=r"begun with other repeats \(1, now 2\)"):
        evaluate(answer, cases(1), [right], experiment="mine", repeats=2)
    with pytest.raises(InvalidInput, match=r"begun with other changes \(none, now model:openai:a=openai:b\)"):
        evaluate(answer, cases(1), [right], experiment="mine", changes=["model:openai:a=openai:b"])
    with pytest.raises(InvalidInput, match="one of single runs of answer"):
        evaluate(answer, cases(1), [right], changes=["input:number=5"])
    with pytest.raises(InvalidInput, match="repeats=0"):
        evaluate(answer, cases(1), [right], repeats=0)


def test_repeats_average_within_a_case_first_and_tell_how_flaky_it_is(app: App) -> None:
    turns: dict[int, int] = {}

    @flow
    def moody(number: int) -> str:
        turns[number] = turns.get(number, 0) + 1
        if number == 4 and turns[number] == 2:
            raise ValueError("not today")
        return str(number if number != 2 or turns[number] != 2 else 7)

    found = evaluate(moody, cases(1, 2, 4), [right, half], repeats=3, concurrency=1)
    assert [(row.case, row.repeat) for row in found.rows] == [
        (case, repeat) for case in ("c1", "c2", "c4") for repeat in (1, 2, 3)
    ]
    # 1, 2/3 and 1 of the two that were scored; with the failure as 0, 2/3 there too.
    assert found["right"].value == pytest.approx((1 + 2 / 3 + 1) / 3)
    assert found["right"].value_with_failures == pytest.approx((1 + 2 / 3 + 2 / 3) / 3)
    assert (found["right"].n, found["right"].cases, found["right"].coverage) == (8, 3, 8 / 9)
    flaky = {each.metric: each for each in found.flakiness}
    assert (flaky["right"].cases, flaky["right"].of, flaky["right"].share) == (("c2", "c4"), 3, 2 / 3)
    # Numbers differ by their spread: those of c2 are 1, 3.5 and 1.
    assert flaky["half"].cases == ("c4",)
    assert flaky["half"].spread == pytest.approx((0 + _sd(1, 3.5, 1) + 0) / 3)
    assert found.flaky == ("c2", "c4")
    assert {run.tags.get("repeat") for run in app.ledger.runs(flow="moody", limit=None)} == {None, "2", "3"}
    assert without_this_part(experiment(found.id)) == without_this_part(found)
    assert evaluate(moody, cases(1, 2, 4), [right, half], repeats=3, experiment=found.id).reused == 9


def _sd(*numbers: float) -> float:
    mean = sum(numbers) / len(numbers)
    return (sum((number - mean) ** 2 for number in numbers) / (len(numbers) - 1)) ** 0.5


def test_labelled_cases_of_a_judge_are_no_experiment_of_their_own(app: App) -> None:
    labelled = Dataset("l", (Case("1", {"response": "1"}, True), Case("2", {"response": "12"}, False)))
    first = evaluate(answer, cases(1), [Judged(judge, labelled=labelled), OnExperiment(len_of)])
    assert first["judge"].agreement is not None
    assert [each.id for each in Evaluations(app.ledger).experiments()] == [first.id]
    assert experiment().id == first.id


def len_of(rows: object) -> int:
    return 1


def test_what_is_said_of_the_whole_experiment_is_kept(app: App) -> None:
    def share(rows: Sequence[Row]) -> float:
        return len(rows) / 4

    def enough(rows: Sequence[Row]) -> bool:
        return len(rows) > 1

    def verdict(rows: Sequence[Row]) -> str:
        return "ship it" if rows else "wait"

    def nothing(rows: Sequence[Row]) -> None:
        return None

    def broken(rows: Sequence[Row]) -> float:
        raise ValueError(f"{len(rows)} rows are too few")

    scorers = [half, *map(OnExperiment, (share, enough, verdict, nothing, broken))]
    made = evaluate(answer, cases(1, 2), scorers)
    kept = experiment(made.id)
    for name in ("half", "share", "enough", "verdict", "broken"):
        assert kept[name] == made[name], name
    assert (kept["share"].value, kept["enough"].kind, kept["verdict"].labels) == (0.5, "rate", {"ship it": 1})
    assert "2 rows are too few" in kept["broken"].failures[0].reason
    assert made["nothing"].coverage is None


def test_what_is_no_json_in_metadata_is_kept_as_its_text(app: App) -> None:
    odd = Dataset("odd", (Case("1", {"number": 1}, None, {"when": date(2026, 1, 2), "n": 1}),))
    found = evaluate(answer, odd, [half])
    assert found.rows[0].metadata == {"when": "2026-01-02", "n": 1}
    assert experiment(found.id).rows[0].metadata == {"when": "2026-01-02", "n": 1}
