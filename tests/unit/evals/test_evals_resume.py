"""Going on with an experiment: after kill -9, after Ctrl-C, with failed runs, and never with a mixture."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from surefoot import flow
from surefoot.app import App
from surefoot.errors import InvalidInput
from surefoot.evals import Case, Dataset, evaluate
from warm import IMPORTS, warm

CASES = 9

# Each execution of a body leaves a line; the signal comes from the flow's own second step, at one case.
PROGRAM = """
import os, signal, sys, time
from pathlib import Path
from surefoot import flow, step
from surefoot.evals import Case, Dataset, evaluate

def note(line):
    with Path("log").open("a") as log:
        log.write(line + "\\n")

@step
def first(number: int) -> int:
    note(f"first {number}")
    return number + 1

@step
def second(number: int) -> int:
    note(f"second {number}")
    if os.environ.get("SIGNAL") and number == 5:
        os.kill(os.getpid(), int(os.environ["SIGNAL"]))
        time.sleep(0.3)
    return number * 2

@flow
def double_next(number: int) -> int:
    return second(first(number))

def right(output: int, case: Case) -> bool:
    return output == 2 * (case.inputs["number"] + 1)

if __name__ == "__main__":
    cases = tuple(Case(f"c{n}", {"number": n}) for n in range(int(sys.argv[1])))
    result = evaluate(double_next, Dataset("d", cases), [right], experiment="nightly", concurrency=2)
    print(result.reused, result["right"].n, result["right"].value, result["right"].coverage)
"""


def run(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    program = folder / "program.py"
    program.write_text(textwrap.dedent(PROGRAM))
    return warm(IMPORTS).run(
        [str(CASES)], cwd=folder, environ=os.environ | environment, code=program.read_text(), file=program
    )


def noted(folder: Path) -> list[str]:
    return (folder / "log").read_text().splitlines()


def test_killed_in_the_middle_it_runs_the_rest_only(tmp_path: Path) -> None:
    killed = run(tmp_path, SIGNAL=str(int(signal.SIGKILL)))
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    before = noted(tmp_path)
    assert 2 <= len(before) < 2 * CASES
    resumed = run(tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    reused, n, value, coverage = resumed.stdout.split()
    assert (n, value, coverage) == (str(CASES), "1.0", "1.0")
    assert int(reused) >= 1
    counts = {line: noted(tmp_path).count(line) for line in noted(tmp_path)}
    assert len(counts) == 2 * CASES
    # What was under way when the process died has no outcome and is done again; nothing else is.
    twice = {line for line, count in counts.items() if count > 1}
    assert "second 5" in twice
    assert len(twice) <= 2
    again = run(tmp_path)
    assert again.stdout.split() == [str(CASES), str(CASES), "1.0", "1.0"]
    assert len(noted(tmp_path)) == sum(counts.values())
    # One run for each case, those that were killed included.
    from surefoot.config import load

    app = App(load(tmp_path))
    runs = app.ledger.runs(tags={"experiment": "nightly"}, limit=None)
    app.close()
    assert sorted(record.tags["case"] for record in runs) == [f"c{n}" for n in range(CASES)]
    assert {record.status for record in runs} == {"completed"}
    assert max(record.epoch for record in runs) == 2


def test_ctrl_c_lets_what_is_under_way_end(tmp_path: Path) -> None:
    stopped = run(tmp_path, SIGNAL=str(int(signal.SIGINT)))
    assert stopped.returncode != 0
    assert "KeyboardInterrupt" in stopped.stderr
    before = noted(tmp_path)
    assert "second 5" in before
    resumed = run(tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    assert resumed.stdout.split()[1:] == [str(CASES), "1.0", "1.0"]
    assert sorted(noted(tmp_path)) == sorted(
        [f"first {n}" for n in range(CASES)] + [f"second {n + 1}" for n in range(CASES)]
    )


calls: list[int] = []
broken = {2}


@flow
def sometimes(number: int) -> int:
    calls.append(number)
    if number in broken:
        raise OSError("not today")
    return number


@pytest.fixture(autouse=True)
def _fresh() -> None:
    calls.clear()
    broken.clear()
    broken.add(2)


def is_number(output: int) -> bool:
    return True


def numbers(count: int, *, note: str = "") -> Dataset:
    return Dataset("numbers", tuple(Case(f"c{n}", {"number": n}, None, {"note": note}) for n in range(count)))


def test_a_failed_run_stands_until_it_is_tried_again_on_demand(app: App) -> None:
    first = evaluate(sometimes, numbers(4), [is_number], concurrency=1)
    assert (first["is_number"].coverage, calls) == (0.75, [0, 1, 2, 3])
    broken.clear()
    second = evaluate(sometimes, numbers(4), [is_number], experiment=first.id)
    assert (second["is_number"].coverage, second.reused, len(calls)) == (0.75, 4, 4)
    assert second.rows == tuple(
        type(row)(**{name: getattr(row, name) for name in row.__slots__} | {"is_reused": True})
        for row in first.rows
    )
    third = evaluate(sometimes, numbers(4), [is_number], experiment=first.id, retry_failed=True)
    assert (third["is_number"].coverage, third.reused, calls[4:]) == (1.0, 3, [2])
    assert third.rows[2].run_id == first.rows[2].run_id
    assert third.rows[2].latency_ns is None
    assert third.latency.n == 3


def test_a_limit_can_grow(app: App) -> None:
    broken.clear()
    small = evaluate(sometimes, numbers(6), [is_number], limit=3, experiment="grows", concurrency=1)
    assert ([row.case for row in small.rows], calls) == (["c0", "c2", "c4"], [0, 2, 4])
    whole = evaluate(sometimes, numbers(6), [is_number], experiment="grows", concurrency=1)
    assert (whole.reused, calls[3:]) == (3, [1, 3, 5])


def test_the_last_experiment_is_the_newest_of_this_dataset(app: App) -> None:
    first = evaluate(sometimes, numbers(2), [is_number])
    evaluate(sometimes, numbers(2, note="other"), [is_number])
    assert evaluate(sometimes, numbers(2), [is_number], experiment="last").id == first.id
    with pytest.raises(InvalidInput, match=r"numbers has changed since experiment .*: put the file back"):
        evaluate(sometimes, numbers(1), [is_number], experiment="last")
    other = Dataset("others", (Case("c0", {"number": 0}),))
    with pytest.raises(InvalidInput, match="no experiment of sometimes over this version of others"):
        evaluate(sometimes, other, [is_number], experiment="last")


def test_the_beginning_of_an_id_means_the_experiment_and_begins_none(app: App) -> None:
    broken.clear()
    first = evaluate(sometimes, numbers(2), [is_number])
    again = evaluate(sometimes, numbers(2), [is_number], experiment=first.id[:20].lower())
    assert (again.id, again.reused, len(calls)) == (first.id, 2, 2)
    named = evaluate(sometimes, numbers(2), [is_number], experiment="nightly-2")
    assert evaluate(sometimes, numbers(2), [is_number], experiment="nightly").id != named.id


HOLDING = """
import sys, time
from pathlib import Path
from surefoot import flow
from surefoot.evals import Case, Dataset, evaluate

@flow
def slow(number: int) -> int:
    Path(f"at{number}").touch()
    while not Path("go").exists():
        time.sleep(0.01)
    return number

def fine(output: int) -> bool:
    return True

def ask():
    return evaluate(slow, Dataset("d", (Case("a", {"number": 1}), Case("b", {"number": 2}))), [fine], experiment="both")

if __name__ == "__main__":
    print(ask().reused)
"""


def test_two_processes_do_not_pay_for_the_same_cases(tmp_path: Path) -> None:
    file = tmp_path / "holding.py"
    file.write_text(HOLDING)
    first = subprocess.Popen([sys.executable, str(file)], cwd=tmp_path)
    try:
        while not (tmp_path / "at1").exists():
            assert first.poll() is None
            time.sleep(0.01)
        command = [sys.executable, str(file)]
        second = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert second.returncode == 1
        assert f"RunBusy: experiment both is being run by process {first.pid} on " in second.stderr
    finally:
        (tmp_path / "go").touch()
        assert first.wait(60) == 0


def test_an_experiment_is_never_a_mixture(app: App) -> None:
    evaluate(sometimes, numbers(2), [is_number], experiment="mine")
    with pytest.raises(InvalidInput, match="experiment mine was begun with another version of the dataset"):
        evaluate(sometimes, numbers(2, note="changed"), [is_number], experiment="mine")
    assert len(calls) == 2


def test_a_run_of_other_code_is_said(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    first = evaluate(sometimes, numbers(2), [is_number])
    assert first.warnings == ()
    monkeypatch.setattr("surefoot.evals.experiments.recorded.digest_of", lambda entry: "another digest")
    again = evaluate(sometimes, numbers(2), [is_number], experiment=first.id)
    assert "2 of 2 cases began with other code" in again.warnings[0]


def test_the_code_of_all_runs_is_that_with_which_the_experiment_began(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "edited_meanwhile.py"
    file.write_text(
        "from surefoot import flow\n\n@flow\ndef edited(number: int) -> int:\n    return number\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    edited = importlib.import_module("edited_meanwhile").edited

    def edits(output: int) -> bool:
        with file.open("a") as text:
            text.write(f"# {output}\n")
        return True

    found = evaluate(edited, numbers(3), [edits], concurrency=1)
    assert len({app.ledger.run(row.run_id).code_digest for row in found.rows}) == 1
    again = evaluate(edited, numbers(3), [edits], experiment=found.id)
    assert "3 of 3 cases began with other code" in again.warnings[0]


def test_runs_are_found_by_their_tags(app: App) -> None:
    one = evaluate(sometimes, numbers(2), [is_number], experiment='a "quoted", $.id')
    evaluate(sometimes, numbers(2), [is_number], experiment="b")
    found = app.ledger.runs(tags={"experiment": one.id, "case": "c1"}, limit=None)
    assert [run.id for run in found] == [one.rows[1].run_id]
    assert app.ledger.runs(tags={"experiment": "c"}) == []
    assert len(app.ledger.runs(tags={"case": "c0"}, limit=1)) == 1


class Killed(BaseException):
    """What ends a process in the middle, as far as the run can tell."""


dying: list[int] = []


@flow
def factorial(number: int) -> int:
    if number <= 1:
        return 1
    below = App.current().run(factorial, {"number": number - 1})
    if number in dying:
        dying.remove(number)
        raise Killed
    return number * int(str(below))


def test_a_flow_that_runs_itself_is_gone_on_with_at_its_case(app: App) -> None:
    dying.append(3)
    cases = Dataset("numbers", (Case("c", {"number": 3}, 6),))

    def right(output: int, case: Case) -> bool:
        return output == case.expected

    with pytest.raises(Killed):
        evaluate(factorial, cases, [right], experiment="nightly")
    result = evaluate(factorial, cases, [right], experiment="nightly")
    assert (result["right"].value, app.ledger.run(result.rows[0].run_id).parent_run) == (1.0, None)
