"""`kill -9` at any moment: what was recorded is not done again, and the run ends as if nothing had been."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from durable import history, open_app
from postgres import Server
from surefoot.ledger import Outcome
from wire import WireServer

PAUSE = 0.004
"""Seconds that a step takes, about."""

CRASHING = Path(__file__).parents[1] / "support" / "crashing.py"


@dataclass
class Forker:
    """A warm process that forks one child for each command."""

    process: subprocess.Popen[str]
    errors: Path

    def start(self, folder: Path, *command: str) -> int:
        """The pid of a child, which is nobody else's before `wait` was called."""
        return self._ask(" ".join([str(folder), *command]))

    def wait(self) -> int:
        return self._ask("")

    def _ask(self, line: str) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, self.errors.read_text()
        return int(answer)


@pytest.fixture(scope="module")
def wire() -> Iterator[WireServer]:
    with WireServer(delay=0.01) as wire:
        yield wire


@pytest.fixture(scope="module")
def forker(wire: WireServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forker]:
    errors = tmp_path_factory.mktemp("forker") / "errors"
    environ = {
        **os.environ,
        "PYTHONPATH": str(CRASHING.parent),
        "OPENAI_BASE_URL": wire.openai_url,
        "OPENAI_API_KEY": "key-of-a-test",
        "ANTHROPIC_BASE_URL": wire.anthropic_url,
        "ANTHROPIC_API_KEY": "key-of-a-test",
    }
    with errors.open("w") as log:
        process = subprocess.Popen(
            [sys.executable, str(CRASHING)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=environ,
        )
        try:
            yield Forker(process, errors)
        finally:
            process.kill()
            process.communicate()


@dataclass
class Kill:
    """What a killed process left: what is recorded, and how much had been done by then."""

    recorded: list[str]
    lines: int
    calls: int


@dataclass
class Course:
    """A run over several processes."""

    kills: list[Kill] = field(default_factory=list)
    output: str = ""
    lines: list[str] = field(default_factory=list)


def described(outcome: Outcome) -> str:
    """A step as it writes itself into the file of effects."""
    return f"{outcome.name} {outcome.inputs.view[9:-2]}"


def recorded_in(folder: Path) -> list[str]:
    app = open_app(folder)
    try:
        return [described(link.outcome) for link in history(app) if link.outcome.kind == "step"]
    finally:
        app.close()


def lines_of(folder: Path) -> list[str]:
    file = folder / "effects"
    return file.read_text().splitlines() if file.exists() else []


def whole(forker: Forker, folder: Path, name: str) -> tuple[str, int]:
    """The output of a run that nobody disturbs, and how many effects it has."""
    folder.mkdir(parents=True)
    forker.start(folder, "run", name)
    assert forker.wait() == 0, forker.errors.read_text()
    return (folder / "output").read_text(), len(lines_of(folder))


Moment = Callable[[Path], None]
"""Returns when it has come, for the process that runs in a folder."""


def once_done(count: int, seconds: float = 0.0) -> Moment:
    """So many effects, or all of the run, and then so many seconds."""

    def wait(folder: Path) -> None:
        until = time.monotonic() + 60
        while len(lines_of(folder)) < count and not (folder / "output").exists():
            assert time.monotonic() < until, f"{len(lines_of(folder))} of {count} effects in a minute"
            time.sleep(0.001)
        time.sleep(seconds)

    return wait


def any_moments(dice: random.Random, total: int, most: int) -> list[Moment]:
    """Up to `most` moments of a run with so many effects.

    They go by what was done, as how long a run takes is a matter of the machine, and of the minute.
    """
    counts = sorted(dice.sample(range(total), dice.randint(1, most)))
    return [once_done(count, dice.uniform(0.0, 3 * PAUSE)) for count in counts]


def killed_and_resumed(
    forker: Forker, wire: WireServer, folder: Path, name: str, moments: Iterable[Moment]
) -> Course:
    """The run, killed at each of the moments, and at last resumed to its end."""
    folder.mkdir(exist_ok=True)
    course, before = Course(), wire.count()
    command = ["run", name]
    for moment in moments:
        pid = forker.start(folder, *command)
        moment(folder)
        os.kill(pid, signal.SIGKILL)
        if forker.wait() == 0:
            break
        if has_run(folder):
            command = ["resume"]
            course.kills.append(Kill(recorded_in(folder), len(lines_of(folder)), wire.count() - before))
    if not (folder / "output").exists():
        forker.start(folder, *command)
        assert forker.wait() == 0, forker.errors.read_text()
    course.output = (folder / "output").read_text()
    course.lines = lines_of(folder)
    return course


def has_run(folder: Path) -> bool:
    app = open_app(folder)
    try:
        return bool(app.ledger.runs())
    finally:
        app.close()


def check(course: Course, output: str, folder: Path) -> None:
    assert course.output == output
    for kill in course.kills:
        again = set(kill.recorded) & set(course.lines[kill.lines :])
        assert not again, f"recorded before the kill, and done again after it: {again}"
    # Done at most once more for each time that a process was killed in the middle of it.
    assert all(course.lines.count(line) <= 1 + len(course.kills) for line in course.lines)
    app = open_app(folder)
    run = app.ledger.run("last")
    assert run.status == "completed"
    assert app.ledger.first_break(run.id) is None
    assert len(app.ledger.runs()) == 1
    app.close()


@pytest.mark.parametrize("name", ["in_line", "side_by_side", "in_a_pool"])
def test_steps_survive_a_kill_at_any_moment(
    forker: Forker, wire: WireServer, tmp_path: Path, name: str
) -> None:
    output, total = whole(forker, tmp_path / "whole", name)
    kills = 0
    for seed in range(25):
        # On a busy machine a kill easily comes before the run or behind it, and proves nothing.
        if seed >= 5 and kills > 1:
            break
        moments = any_moments(random.Random(f"{name} {seed}"), total, most=3)
        folder = tmp_path / str(seed)
        course = killed_and_resumed(forker, wire, folder, name, moments)
        check(course, output, folder)
        kills += len(course.kills)
    assert kills > 1


@pytest.mark.parametrize("name", ["in_line", "side_by_side", "in_a_pool"])
def test_steps_survive_a_kill_on_a_ledger_in_postgres(
    forker: Forker, wire: WireServer, tmp_path: Path, name: str, postgres_server: Server
) -> None:
    output, total = whole(forker, tmp_path / "whole", name)
    for seed in range(3):
        dice = random.Random(f"{name} {seed}")
        counts = sorted(dice.sample(range(1, total), 2))
        folder = tmp_path / str(seed)
        folder.mkdir()
        (folder / "surefoot.toml").write_text(f'[ledger]\nurl = "{postgres_server.new_database()}"\n')
        course = killed_and_resumed(forker, wire, folder, name, map(once_done, counts))
        check(course, output, folder)
        assert not (folder / ".surefoot" / "ledger.db").exists()
        assert course.kills


@pytest.mark.parametrize("name", ["AskOpenAI", "AskOpenAIAsync", "AskAnthropic", "AskAnthropicAsync"])
def test_model_calls_survive_a_kill_and_are_not_paid_twice(
    forker: Forker, wire: WireServer, tmp_path: Path, name: str
) -> None:
    output, total = whole(forker, tmp_path / "whole", name)
    kills = 0
    for seed in range(15):
        if seed >= 3 and kills:
            break
        folder = tmp_path / str(seed)
        before = wire.count()
        moments = any_moments(random.Random(f"{name} {seed}"), total, most=1)
        course = killed_and_resumed(forker, wire, folder, name, moments)
        check(course, output, folder)
        kills += len(course.kills)
        app = open_app(folder)
        calls = [link.outcome for link in history(app) if link.outcome.kind == "call"]
        totals = app.ledger.run("last").totals
        app.close()
        assert len(calls) == totals.calls == 5
        # At most those that were in flight at a kill are made once more.
        made = [str(received.body["messages"]) for received in wire.received[before:]]
        assert len(set(made)) == 5
        in_flight = 3 if name.endswith("Async") else 1
        assert len(made) <= 5 + in_flight * len(course.kills)
        for kill in course.kills:
            after = made[kill.calls :]
            answered = [line for line in kill.recorded if line.startswith("write")]
            # An answer that a later step has used was recorded before that step was.
            assert len(after) <= 5 - len(answered)
    assert kills > 0
