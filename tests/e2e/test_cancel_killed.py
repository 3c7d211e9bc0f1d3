"""Runs that are stopped across processes, some of which are killed: each comes to one end, and is undone once."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any

import pytest

import forking
import held
from durable import history, names, open_app
from stopped import ends, is_sound
from surefoot import App


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    return forking.processes()


def until(is_so: Callable[[], bool]) -> None:
    end_at = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end_at
        time.sleep(0.01)


class Project:
    """A folder, its ledger on one engine, and the processes that work on its runs."""

    def __init__(self, folder: Path, url: str, processes: ForkServerContext) -> None:
        self.folder = folder
        self._url = url
        self._processes = processes
        self._started: list[ForkServerProcess] = []
        self.app = open_app(folder, url=url)

    def start(self, *command: Any, kill: str = "") -> tuple[str, ForkServerProcess]:
        """A process at work, and the name under which it says how that ended."""
        name = str(len(self._started))
        arguments = (self.folder, self._url, name, list(command), kill)
        process = self._processes.Process(target=held.perform, args=arguments)
        process.start()
        self._started.append(process)
        return name, process

    def ended(self, started: tuple[str, ForkServerProcess]) -> list[Any]:
        name, process = started
        process.join(60)
        assert process.exitcode == 0
        found: list[Any] = json.loads((self.folder / f"ended-{name}").read_text())
        return found

    def perform(self, *command: Any) -> list[Any]:
        return self.ended(self.start(*command))

    @property
    def world(self) -> list[str]:
        file = self.folder / "world"
        return file.read_text().splitlines() if file.exists() else []

    def close(self) -> None:
        for process in self._started:
            if process.is_alive():
                process.kill()
            process.join()
        self.app.close()


@pytest.fixture
def project(
    request: pytest.FixtureRequest, tmp_path: Path, processes: ForkServerContext
) -> Iterator[Project]:
    engine = getattr(request, "param", "sqlite")
    url = request.getfixturevalue("postgres_url") if engine == "postgres" else ""
    project = Project(tmp_path, url, processes)
    yield project
    project.close()


EVERYWHERE = pytest.mark.parametrize("project", ["sqlite", "postgres"], indirect=True)
"""Where what the engine does with messages, leases and keys decides."""


def kill(process: ForkServerProcess) -> None:
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join(60)


BOOKED = ["book a", "book b"]
UNDONE = ["cancel b", "cancel a"]


def was_ended_once(app: App) -> bool:
    return (app.ledger.run("last").status, ends(app)) == ("cancelled", ["cancelled"]) and is_sound(app)


@EVERYWHERE
@pytest.mark.parametrize("name", ["stepping", "awaiting"])
def test_the_process_that_has_the_run_ends_it(project: Project, name: str) -> None:
    owner = project.start("run", name)
    until(lambda: project.world == BOOKED)
    run = project.app.cancel("last", reason="no longer wanted", wait=60)
    assert run.status == "cancelled"
    kind, said = project.ended(owner)
    assert (kind, "was cancelled: no longer wanted; undone: book, book" in said) == ("RunCancelled", True)
    assert project.world == BOOKED + UNDONE
    assert was_ended_once(project.app)
    assert project.perform("resume", None)[0] == "RunCancelled"


def test_a_request_that_is_not_waited_for_is_kept_until_the_next_step(project: Project) -> None:
    owner = project.start("run", "stuck")
    until(lambda: "waiting" in project.world)
    assert project.perform("cancel", 0.0) == ["asked", "running"]
    until(lambda: "cancel" in names(project.app))
    assert project.app.ledger.run("last").status == "running"
    (project.folder / "go").touch()
    assert project.ended(owner)[0] == "RunCancelled"
    assert project.world == [*BOOKED, "waiting", *UNDONE]
    assert was_ended_once(project.app)


def test_a_killed_run_is_ended_at_once_by_whoever_cancels_it(project: Project) -> None:
    owner = project.start("run", "stuck")
    until(lambda: "waiting" in project.world)
    kill(owner[1])
    assert project.perform("cancel", 0.0) == ["asked", "cancelled"]
    assert project.world == [*BOOKED, "waiting", *UNDONE]
    assert was_ended_once(project.app)


ENDERS = pytest.mark.parametrize(
    ("command", "said"),
    [(["resume", None], "RunCancelled"), (["cancel", 0.0], "asked")],
    ids=["resume", "cancel"],
)


@EVERYWHERE
@ENDERS
def test_a_request_survives_its_owner_that_was_killed_before_it_saw_it(
    project: Project, command: list[Any], said: str
) -> None:
    owner = project.start("run", "stuck")
    until(lambda: "waiting" in project.world)
    assert owner[1].pid is not None
    os.kill(owner[1].pid, signal.SIGSTOP)
    assert project.perform("cancel", 0.0) == ["asked", "running"]
    kill(owner[1])
    assert "cancel" not in names(project.app)
    assert project.perform(*command)[0] == said
    assert project.world == [*BOOKED, "waiting", *UNDONE]
    assert was_ended_once(project.app)


@EVERYWHERE
@ENDERS
def test_a_request_survives_its_owner_that_was_killed_after_it_took_it(
    project: Project, command: list[Any], said: str
) -> None:
    owner = project.start("run", "stuck")
    until(lambda: "waiting" in project.world)
    assert project.perform("cancel", 0.0) == ["asked", "running"]
    until(lambda: "cancel" in names(project.app))
    kill(owner[1])
    assert project.app.ledger.messages([project.app.ledger.run("last").id]) == []
    assert project.perform(*command)[0] == said
    assert project.world == [*BOOKED, "waiting", *UNDONE]
    assert was_ended_once(project.app)
    assert names(project.app).count("cancel") == (1 if said == "RunCancelled" else 2), "each request is a row"


@pytest.mark.parametrize("moment", ["before 3", "after 3", "before 4"])
def test_whoever_is_killed_while_it_undoes_a_cancelled_run_is_gone_on_for(
    project: Project, moment: str
) -> None:
    owner = project.start("run", "stuck")
    until(lambda: "waiting" in project.world)
    kill(owner[1])
    asker = project.start("cancel", 0.0, kill=moment)
    asker[1].join(60)
    assert asker[1].exitcode == -signal.SIGKILL
    assert project.perform("cancel", 0.0) == ["asked", "cancelled"]
    again = ["cancel b"] if moment == "after 3" else []
    assert project.world == [*BOOKED, "waiting", *again, *UNDONE]
    assert was_ended_once(project.app)


@EVERYWHERE
def test_a_child_run_of_a_killed_process_ends_with_its_parent(project: Project) -> None:
    owner = project.start("run", "parent")
    until(lambda: "waiting" in project.world)
    kill(owner[1])
    assert project.perform("cancel", 0.0) == ["asked", "cancelled"]
    run = project.app.ledger.run("last")
    [child] = project.app.ledger.runs(parent_run=run.id)
    assert (run.flow, child.flow, child.status) == ("parent", "stuck_child", "cancelled")
    assert sorted(project.world) == sorted([*BOOKED, "waiting", *UNDONE])
    assert is_sound(project.app, child.id)
    assert was_ended_once(project.app)


def test_a_killed_parent_goes_on_with_the_same_child(project: Project) -> None:
    owner = project.start("run", "parent")
    until(lambda: "waiting" in project.world)
    kill(owner[1])
    (project.folder / "go").touch()
    assert project.perform("resume", None) == ["completed", None]
    assert project.world == ["book a", "book b", "waiting", "waiting"]
    assert [run.flow for run in project.app.ledger.runs()] == ["stuck_child", "parent"]


def test_the_deadline_outlives_a_killed_process_and_counts_from_the_start(project: Project) -> None:
    owner = project.start("run", "hurried")
    until(lambda: "waiting" in project.world)
    kill(owner[1])
    run = project.app.ledger.run("last")
    assert run.deadline_ns == run.created_ns + 1_000_000_000
    (project.folder / "go").touch()
    until(lambda: time.time_ns() > run.created_ns + 1_000_000_000)
    kind, said = project.perform("resume", None)
    assert kind == "DeadlineExceeded"
    assert "undone: book" in said
    assert project.world == ["book a", "waiting", "cancel a"]


def test_more_time_is_given_before_it_is_undone(project: Project) -> None:
    owner = project.start("run", "hurried")
    until(lambda: "waiting" in project.world)
    kill(owner[1])
    (project.folder / "go").touch()
    time.sleep(1.0)
    assert project.perform("resume", 60.0) == ["completed", "done"]
    assert project.world == ["book a", "waiting", "waiting"]


@EVERYWHERE
def test_processes_that_ask_for_one_key_at_once_make_one_run(project: Project) -> None:
    started = [project.start("key", "invoice-17", 17) for _ in range(4)]
    assert [project.ended(one) for one in started] == [["completed", "done 17"]] * 4
    assert project.world == ["begin 17", "end 17"]
    assert [run.run_key for run in project.app.ledger.runs()] == ["invoice-17"]
    assert ends(project.app) == ["completed"]
    kind, said = project.perform("key", "invoice-17", 18)
    assert (kind, "other values of n" in said) == ("InvalidInput", True)


def test_a_killed_run_is_gone_on_with_by_whoever_asks_for_its_key(project: Project) -> None:
    first = project.start("key", "k", 1, kill="before 1")
    first[1].join(60)
    assert first[1].exitcode == -signal.SIGKILL
    assert project.perform("key", "k", 1) == ["completed", "done 1"]
    assert project.world == ["begin 1", "begin 1", "end 1"], "what is no step is done again"
    assert len(history(project.app)) == 20 + 3
