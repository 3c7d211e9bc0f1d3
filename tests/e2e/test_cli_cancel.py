"""Stopping runs from the command line, and runs that have a key or a deadline, as a user calls them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from command_line import surefoot, surefoot_json
from surefoot import App
from surefoot.config import load

FLOWS = """
import time
from pathlib import Path

from surefoot import App, flow, step


def unbook(result: str) -> None:
    if Path("closed").exists():
        raise ConnectionError("the hotel does not answer")
    Path("unbooked").touch()


@step(compensate=unbook)
def book(place: str) -> str:
    return place


@step
def nap(seconds: float) -> float:
    Path("napping").touch()
    time.sleep(seconds)
    return seconds


@flow
def trip(place: str, seconds: float = 0.05) -> str:
    book(place)
    for _ in range(1000):
        nap(seconds)
    return place


@flow
def visit(place: str) -> str:
    nap(0.01)
    if Path("closed").exists():
        raise ValueError("closed")
    return place


@flow
def tour() -> list[object]:
    return [App.current().run(visit, {"place": place}) for place in ("Rome", "Oslo")]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "flows.py").write_text(FLOWS, encoding="utf-8")
    return tmp_path


def begin(project: Path, *arguments: str) -> subprocess.Popen[str]:
    """`surefoot run` of a trip that has booked, and naps."""
    child = subprocess.Popen(
        [sys.executable, "-m", "surefoot.cli", "run", "flows.py:trip", "-i", "place=Rome", *arguments],
        cwd=project,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    end_at = time.monotonic() + 60
    while not (project / "napping").exists():
        assert time.monotonic() < end_at, child.communicate()
        assert child.poll() is None, child.communicate()
        time.sleep(0.02)
    return child


def last(project: Path) -> str:
    app = App(load(project))
    try:
        return app.ledger.run("last").id
    finally:
        app.close()


def test_a_run_of_another_process_is_cancelled(project: Path) -> None:
    child = begin(project)
    run = last(project)
    done = surefoot("cancel", "last", "--reason", "no longer wanted", "--wait", "60", cwd=project)
    assert done.stdout == f"run {run} is cancelled: no longer wanted (undone: book)\n"
    assert done.stderr == ""
    _, errors = child.communicate(timeout=60)
    assert child.returncode == 1
    assert errors.endswith(f"error: run {run} was cancelled: no longer wanted; undone: book; it is over\n"), (
        errors
    )
    assert "Traceback" not in errors
    again = surefoot("cancel", run[:20], "--reason", "once more", cwd=project)
    assert again.stdout == f"run {run} was cancelled before: no longer wanted (undone: book)\n"
    listed = surefoot("runs", cwd=project).stdout.splitlines()
    assert "cancelled" in listed[1]
    assert listed[2] == "  no longer wanted (undone: book)"
    refused = surefoot("resume", "last", cwd=project, code=1).stderr
    assert refused == (
        f"error: run {run} was cancelled: no longer wanted (undone: book); it cannot go on: start a new run\n"
    )


def test_a_run_that_takes_its_time_is_cancelled_later(project: Path) -> None:
    child = begin(project, "-i", "seconds=60")
    run = last(project)
    try:
        done = surefoot("cancel", "last", "--wait", "0.3", cwd=project)
        assert f"run {run} is asked to end; process {child.pid} on " in done.stdout
        assert done.stdout.endswith(" still has it\n")
        assert done.stderr == f"  it ends at its next step; look at it:  surefoot show {run}\n"
        assert surefoot_json("cancel", "last", "--wait", "0", cwd=project)["status"] == "running"
    finally:
        child.send_signal(signal.SIGKILL)
        child.communicate(timeout=60)
    found = surefoot_json("cancel", "last", "--wait", "0", cwd=project)
    assert (found["run"], found["status"]) == (run, "cancelled")
    assert (project / "unbooked").exists()


def test_what_is_not_undone_is_an_error_until_it_is(project: Path) -> None:
    child = begin(project)
    child.send_signal(signal.SIGKILL)
    child.communicate(timeout=60)
    run = last(project)
    (project / "closed").touch()
    for command in ("cancel", "resume"):
        failed = surefoot(command, "last", cwd=project, code=1)
        assert "not undone: book (ConnectionError: the hotel does not answer)" in failed.stderr
        assert f"`surefoot resume {run}` tries that again" in failed.stderr
    (project / "closed").unlink()
    assert surefoot("cancel", "last", cwd=project).stdout == f"run {run} is cancelled (undone: book)\n"


def test_what_cannot_be_cancelled_is_said(project: Path) -> None:
    surefoot("run", "flows.py:visit", "-i", "place=Rome", cwd=project)
    done = surefoot("cancel", "last", cwd=project, code=1)
    assert done.stdout == ""
    assert done.stderr == (
        f"error: run {last(project)} has completed, there is nothing left to cancel: `surefoot show {last(project)}` "
        "shows what came out of it\n"
    )
    assert "no run '01ABC'" in surefoot("cancel", "01ABC", cwd=project, code=2).stderr


def test_a_key_makes_one_run(project: Path) -> None:
    command = ["run", "flows.py:visit", "-i", "place=Rome", "--key", "rome"]
    (project / "closed").touch()
    surefoot(*command, cwd=project, code=1)
    run = last(project)
    (project / "closed").unlink()
    resumed = surefoot(*command, cwd=project)
    assert resumed.stdout == "Rome\n"
    assert f"resuming visit, run {run}" in resumed.stderr
    assert "replayed:  nap" in resumed.stderr
    again = surefoot(*command, cwd=project)
    assert (again.stdout, again.stderr) == (
        "Rome\n",
        f"run {run} is completed; this is its recorded output\n",
    )
    found = surefoot_json(*command, cwd=project)
    assert (found["run"], found["key"], found["output"], found["performed"]) == (run, "rome", "Rome", [])
    other = surefoot("run", "flows.py:visit", "-i", "place=Oslo", "--key", "rome", cwd=project, code=2)
    assert (
        f"error: key 'rome' is that of run {run}, which visit was begun with other values of place"
        in other.stderr
    )
    assert "  key          rome\n" in surefoot("show", "last", cwd=project).stdout


def test_a_deadline_ends_a_run_and_a_later_one_goes_on_with_it(project: Path) -> None:
    command = ["run", "flows.py:trip", "-i", "place=Rome", "-i", "seconds=0.1"]
    failed = surefoot(*command, "--deadline", "0.3", cwd=project, code=1)
    run = last(project)
    assert f"error: run {run} has passed its deadline; undone: book; it is over\n" in failed.stderr
    (project / "flows.py").write_text(FLOWS.replace("(compensate=unbook)", ""), encoding="utf-8")
    failed = surefoot(*command, "--deadline", "0.3", cwd=project, code=1)
    run = last(project)
    assert (
        f"error: run {run} has passed its deadline: to go on with it, add --deadline SECONDS to `surefoot resume {run}`"
        in failed.stderr
    )
    assert "  deadline     " in surefoot("show", "last", cwd=project).stdout
    (project / "flows.py").write_text(FLOWS.replace("range(1000)", "range(5)"), encoding="utf-8")
    found = surefoot_json("resume", "last", "--deadline", "60", cwd=project)
    assert (found["run"], found["status"], found["output"]) == (run, "completed", "Rome")
    assert found["deadline"] - found["started"] > 55


def test_a_run_and_its_children_are_shown_with_each_other(project: Path) -> None:
    surefoot("run", "flows.py:tour", cwd=project)
    found = surefoot_json("show", "last", cwd=project)
    children = found["children"]
    assert [(child["flow"], child["status"]) for child in children] == [("visit", "completed")] * 2
    assert found["parent"] is None
    page = surefoot("show", "last", cwd=project).stdout
    for child in children:
        assert f"  child run    {child['run']}  visit  completed\n" in page
    inner = surefoot("show", children[0]["run"], cwd=project).stdout
    assert f"  parent run   {found['run']}\n" in inner
    assert "\n  key " not in inner
    assert surefoot_json("show", children[0]["run"], cwd=project)["parent"] == found["run"]
