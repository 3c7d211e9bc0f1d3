"""`kill -9` in the middle of effects and of compensations: nothing is repeated that nobody knows of."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest

import forking
import killed
from durable import open_app
from surefoot import Done

SIDES = ("before", "after")


def moments(count: int, *, sync: str, asynchronous: str) -> list[tuple[str, str]]:
    """Every moment of the sync flow, and some of the async one, whose driver differs and whose logic does not."""
    every = [(sync, f"{side} {n}") for n in range(count) for side in SIDES]
    return every + [(asynchronous, f"{side} {n}") for n in range(1, count, 3) for side in SIDES]


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    return forking.processes()


class Project:
    """A folder in which runs are killed."""

    def __init__(self, folder: Path, processes: ForkServerContext) -> None:
        self.folder = folder
        self._processes = processes

    def perform(self, *command: Any, kill: str = "") -> list[Any] | None:
        """How a run ended; None where it was killed."""
        (self.folder / "ended").unlink(missing_ok=True)
        process = self._processes.Process(target=killed.perform, args=(self.folder, list(command), kill))
        process.start()
        process.join(60)
        if process.exitcode == -signal.SIGKILL:
            return None
        assert process.exitcode == 0
        ended: list[Any] = json.loads((self.folder / "ended").read_text())
        return ended

    @property
    def world(self) -> list[str]:
        """What was done, without the keys."""
        file = self.folder / "world"
        lines = file.read_text().splitlines() if file.exists() else []
        return [" ".join(line.split()[:2]) if line.startswith("mail") else line for line in lines]

    def is_sound(self) -> bool:
        app = open_app(self.folder)
        try:
            return app.ledger.first_break(app.ledger.run("last").id) is None
        finally:
            app.close()


@pytest.fixture
def project(tmp_path: Path, processes: ForkServerContext) -> Project:
    return Project(tmp_path, processes)


@pytest.mark.parametrize(("name", "moment"), moments(3, sync="unchecked", asynchronous="unchecked_async"))
def test_without_a_check_the_run_waits_and_goes_on_as_decided(
    project: Project, name: str, moment: str
) -> None:
    assert project.perform("run", name, kill=moment) is None
    done = len(project.world)
    step = "mail" if name == "unchecked" else "mail_async"
    for _ in range(2):
        assert project.perform("resume", {}) == ["in_doubt", [step]]
        assert len(project.world) == done, "nothing is done while it is in doubt"
    was_done = moment.startswith("after")
    decision = Done("seen by a person") if was_done else "retry"
    ended = project.perform("resume", {step: decision})
    expected = [f"sent to {to}" for to in "abc"]
    if was_done:
        expected[int(moment[-1])] = "seen by a person"
    assert ended == ["completed", expected]
    assert project.world == ["mail a", "mail b", "mail c"]
    assert project.is_sound()


@pytest.mark.parametrize(("name", "moment"), moments(3, sync="with_check", asynchronous="with_check_async"))
def test_with_a_check_it_is_done_exactly_once_without_a_person(
    project: Project, name: str, moment: str
) -> None:
    assert project.perform("run", name, kill=moment) is None
    assert project.perform("resume", {}) == ["completed", [f"sent to {to}" for to in "abc"]]
    assert sorted(project.world) == ["mail a", "mail b", "mail c"]
    assert project.is_sound()


@pytest.mark.parametrize(("name", "moment"), moments(6, sync="trip", asynchronous="trip_async"))
def test_a_killed_compensation_is_gone_on_with(project: Project, name: str, moment: str) -> None:
    assert project.perform("run", name, kill=moment) is None
    assert project.perform("resume", {}) == ["failed", "sold out", True]
    world = project.world
    booked = [line for line in world if line.startswith("book")]
    undone = [line for line in world if line.startswith("cancel")]
    side, n = moment.split()
    # A plain step is done at least once: the one that was killed right after it did something does it again.
    again = [int(n)] if side == "after" else []
    assert booked == [f"book {'abc'[i]}" for i in range(3) for _ in range(1 + (i in again))]
    assert undone == [
        f"cancel room in {'cba'[i]} {'cba'[i]}" for i in range(3) for _ in range(1 + (i + 3 in again))
    ]
    assert world == booked + undone, "once it undoes, it never goes forward again"
    assert project.perform("resume", {})[0] == "Compensated"  # type: ignore[index]
    assert project.is_sound()


def test_the_command_decides(project: Project) -> None:
    """The words that the error names are commands that work."""
    assert project.perform("run", "unchecked", kill="after 1") is None

    def surefoot(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "surefoot.cli", *words],
            cwd=project.folder,
            env={**os.environ, "PYTHONPATH": str(Path(str(killed.__file__)).parent), "KILL": ""},
            capture_output=True,
            text=True,
            check=False,
        )

    asked = surefoot("resume", "last")
    assert asked.returncode == 1
    assert "--step mail --done JSON" in asked.stderr
    wrong = surefoot("resume", "last", "--step", "post", "--retry")
    assert wrong.returncode == 2
    assert "'post' is none of them" in wrong.stderr
    half = surefoot("resume", "last", "--step", "mail")
    assert half.returncode == 2
    no_json = surefoot("resume", "last", "--step", "mail", "--done", "sent")
    assert (no_json.returncode, "is no JSON" in no_json.stderr) == (2, True)
    assert '"in_doubt"' in surefoot("show", "last", "--json").stdout
    assert "nobody knows whether it was done" in surefoot("show", "last").stdout
    decided = surefoot("resume", "last", "--step", "mail", "--done", '"by hand"')
    assert decided.returncode == 0, decided.stderr
    assert json.loads(decided.stdout) == ["sent to a", "by hand", "sent to c"]
    assert project.world == ["mail a", "mail b", "mail c"]
