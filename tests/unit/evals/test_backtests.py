"""Backtests: recorded runs once more, of which only what a change reaches is made anew, beside what they were."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from surefoot import App, evaluate, flow, generate, scripted, step
from surefoot.errors import InvalidInput, TooDear, UnknownExperiment, UsageError
from surefoot.evals import Case, Dataset, exact_match
from surefoot.evals.backtesting import Backtest, Forecast, Wanted, backtest
from surefoot.values import Money, Usage

STEPS = ("plan", "find", "draft", "answer")
DONE: list[str] = []
DYING: list[int] = []


class Killed(BaseException):
    """What ends a process in the middle, as far as the experiment can tell."""


@pytest.fixture(autouse=True)
def prompts(app: App) -> Path:
    DONE.clear()
    DYING.clear()
    folder = app.settings.root / "prompts"
    folder.mkdir()
    for name in STEPS:
        for version in ("1", "2"):
            text = f"prompt_id: {name}\nversion: '{version}'\ntemplate: '{name} {version}: {{x}}'\n"
            (folder / f"{name}{version}.yaml").write_text(text)
        app.prompts.promote(f"{name}@1", "production")
        app.prompts.promote(f"{name}@2", "candidate")
    return folder


@step
def asked(name: str, x: str) -> str:
    DONE.append(name)
    if DYING and not (DYING.append(DYING.pop() - 1) or DYING[-1]):
        DYING.clear()
        raise Killed
    return generate.sync(name, using="openai:gpt-4o", x=x)


@flow
def four(x: str) -> str:
    for name in STEPS:
        x = asked(name, x)
    return x


@step(effect=True, stand_in="not sent")
def mail(to: str) -> str:
    DONE.append(f"mail {to}")
    return f"sent to {to}"


@step(transaction="ledger", stand_in="not booked")
def book(connection: Any, what: str) -> str:
    DONE.append(f"book {what}")
    connection.execute("CREATE TABLE IF NOT EXISTS bookings (what TEXT)")
    connection.execute("INSERT INTO bookings VALUES (?)", (what,))
    return f"booked {what}"


@flow
def acting(x: str) -> list[str]:
    said = asked("plan", x)
    return [mail(x), mail(said), book(x), book(said)]


def said(request: Any) -> object:
    """An answer that depends on all that was asked, and costs 5 cents."""
    digest = hashlib.sha256(request.text.encode()).hexdigest()[:8]
    return scripted.says(f"[{request.text.split(':')[0]}] {digest}", usage=Usage(input=10_000, output=2_500))


def length(output: str) -> float:
    return float(len(output))


def is_new(output: str) -> bool:
    return " 2]" in output


def recorded(target: Any, count: int) -> None:
    with scripted(said):
        for number in range(count):
            target(f"q{number:03}")
    DONE.clear()


def tried(*changes: str, target: Any = four, runs: Any = "last hour", **options: Any) -> tuple[Backtest, int]:
    """A backtest, and how many calls were made for it."""
    scorers = options.pop("scorers", [is_new])
    with scripted(said) as script:
        found = backtest(target, scorers, runs=runs, changes=changes, **options)
    return found, len(script.requests)


@pytest.mark.parametrize(("changed", "each"), [("answer", 1), ("draft", 2), ("plan", 4)])
def test_only_what_a_change_reaches_is_made_anew(app: App, changed: str, each: int) -> None:
    recorded(four, 40)
    foreseen: list[Forecast] = []
    found, calls = tried(f"prompt:{changed}@candidate", on_forecast=foreseen.append)
    assert (calls, len(DONE)) == (40 * each, 40 * each)
    assert (found.reuse.made.calls, found.reuse.made.steps) == (40 * each, 40 * each)
    assert (found.reuse.taken.calls, found.reuse.taken.steps) == (40 * (4 - each), 40 * (4 - each))
    # Each call costs as much; what was taken was paid when it was recorded.
    assert found.reuse.made.cost == Money.dollars(40 * each * 0.05)
    assert found.reuse.taken.cost == Money.dollars(40 * (4 - each) * 0.05)
    (expected,) = foreseen
    assert (expected.runs, expected.recorded.calls) == (40, 160)
    assert (expected.least.calls, expected.most.calls) == (40, 40 * each)


def test_the_forks_are_compared_with_what_was_recorded(app: App) -> None:
    recorded(four, 12)
    found, _ = tried("prompt:answer@candidate", scorers=[is_new, length])
    comparison = found.comparison
    assert (comparison.pairs, found.candidate.kind, len(found.baseline.rows)) == (12, "backtest", 12)
    assert (found.candidate["is_new"].value, found.baseline["is_new"].value) == (1.0, 0.0)
    assert comparison["is_new"].effect == "improved"
    # As runs of their own they cost the same, though most of it was not paid again.
    assert comparison.ratio("cost").ratio == pytest.approx(1.0)
    assert found.candidate.totals.calls == found.baseline.totals.calls == 48
    # How long they would have taken nobody knows.
    assert all(row.latency_ns is None for row in found.candidate.rows)
    assert all(row.latency_ns for row in found.baseline.rows)
    assert found.candidate.prompts["answer"] == app.prompts.find("answer@2").digest
    assert found.baseline.prompts["answer"] == app.prompts.find("answer@1").digest


def test_killed_twice_and_gone_on_with_nothing_is_paid_twice(app: App) -> None:
    recorded(four, 20)
    calls = 0
    for dies_after in (9, 17, 0):
        if dies_after:
            DYING.append(dies_after)
        with scripted(said) as script:
            try:
                found = backtest(
                    four,
                    [is_new],
                    runs="last hour",
                    changes=["prompt:draft@candidate"],
                    experiment="bt-1",
                    concurrency=3,
                )
            except (Killed, BaseExceptionGroup):
                assert dies_after
        calls += len(script.requests)
        # The label may be moved meanwhile: the experiment goes on with what it was begun with.
    assert calls == 40
    assert (found.reuse.made.calls, found.reuse.taken.calls) == (40, 40)
    assert [row.status for row in found.candidate.rows] == ["completed"] * 20
    assert len(app.ledger.runs(tags={"experiment": "bt-1"}, limit=None)) == 20


def test_it_goes_on_with_the_runs_and_changes_that_it_was_begun_with(app: App) -> None:
    recorded(four, 5)
    first, _ = tried("prompt:answer@candidate")
    app.prompts.promote("answer@1", "candidate")
    recorded(four, 2)
    again, calls = tried(runs=None, experiment="last")
    assert calls == 0
    assert again.candidate.id == first.candidate.id
    assert len(again.candidate.rows) == 5
    with pytest.raises(InvalidInput, match="another version of the dataset"):
        tried("prompt:answer@2", experiment=first.candidate.id)
    with pytest.raises(UnknownExperiment):
        tried(target=acting, runs=None, experiment="last")


def test_what_was_recorded_is_judged_once(app: App) -> None:
    recorded(four, 4)
    judged: list[str] = []

    def noting(output: str) -> bool:
        judged.append(output)
        return True

    tried("prompt:answer@candidate", scorers=[noting])
    assert len(judged) == 8
    tried("prompt:plan@candidate", scorers=[noting])
    assert len(judged) == 12


def test_no_effect_and_no_transaction_happens(app: App) -> None:
    recorded(acting, 6)
    found, calls = tried("prompt:plan@candidate", target=acting, scorers=[len_of])
    assert calls == 6
    assert DONE == ["plan"] * 6
    outputs = [app.ledger.end(row.run_id) for row in found.candidate.rows]
    shown = [app.ledger.view(end.output) for end in outputs if end is not None]
    # What has the same inputs is as it was recorded, the rest is stood in for.
    assert shown[0] == '["sent to q000","not sent","booked q000","not booked"]'
    assert len(app.ledger.ask(("SELECT what FROM bookings", ()))) == 12


def len_of(output: list[str]) -> float:
    return float(len(output))


def test_runs_of_evaluations_and_forks_are_left_out(app: App) -> None:
    recorded(four, 3)
    with scripted(said):
        evaluate(four, Dataset("d", (Case("a", {"x": "q"}),)), [is_new])
        app.fork(app.ledger.runs(flow="four")[-1].id)
        with pytest.raises(Exception, match="bad"):
            app.run(failing, {"x": "q"})
    found, _ = tried("prompt:answer@candidate")
    assert len(found.candidate.rows) == 3
    assert found.left_out == {"belong to evaluations or are forks": 2}
    with pytest.raises(InvalidInput, match=r"no run of failing.*1 failed"):
        tried(target=failing)
    found, _ = tried(target=failing, runs=Wanted(with_failed=True))
    assert [row.status for row in found.candidate.rows] == ["failed"]


@flow
def failing(x: str) -> str:
    raise ValueError(f"a bad {x}")


def test_some_of_the_runs_are_drawn(app: App) -> None:
    recorded(four, 9)
    runs = [run.id for run in app.ledger.runs(flow="four")]
    found, calls = tried("prompt:answer@candidate", runs=Wanted(size=4, seed=7))
    assert calls == 4
    again, _ = tried("prompt:plan@candidate", runs=Wanted(size=4, seed=7))
    assert [row.case for row in found.candidate.rows] == [row.case for row in again.candidate.rows]
    named, _ = tried("prompt:answer@candidate", runs=runs[:2])
    assert sorted(row.case for row in named.candidate.rows) == sorted(runs[:2])
    with pytest.raises(UsageError, match="is one of four"):
        tried(target=acting, runs=runs[:1])
    with pytest.raises(InvalidInput, match="is no period"):
        tried(runs="lately")


def test_without_a_change_everything_is_taken(app: App) -> None:
    recorded(four, 3)
    found, calls = tried()
    assert (calls, found.reuse.made.calls, found.reuse.taken.calls) == (0, 0, 12)
    assert found.forecast.most.calls == 0


def test_other_inputs_are_a_change_too(app: App) -> None:
    recorded(four, 3)
    found, calls = tried("input:x=other")
    assert (calls, found.forecast.least.calls, found.forecast.most.calls) == (12, 0, 12)


def test_it_does_not_begin_where_it_costs_too_much_and_stops_where_it_has(app: App) -> None:
    recorded(four, 6)
    with pytest.raises(TooDear, match=r"has cost \$0.30"):
        tried("prompt:answer@candidate", max_cost=Money.dollars("0.25"))
    assert DONE == []
    found, calls = tried("prompt:plan@candidate", max_cost=Money.dollars("0.45"), concurrency=1)
    assert calls == 12
    assert "it has cost" in found.candidate.stopped


def test_what_needs_an_expected_output_says_so(app: App) -> None:
    recorded(four, 2)
    found, _ = tried("prompt:answer@candidate", scorers=[exact_match, is_new])
    assert "exact_match compares with an expected output" in found.warnings[0]
