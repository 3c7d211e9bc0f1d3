"""Flows that call models by a framework on top of an SDK, in processes that are killed in the midst of a call.

A framework decides itself when it calls (an agent's turns, a re-ask), so the moment of a kill is the arrival of the
n-th call at the server: what came before it is recorded, and it is the one call that has to be made again.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from documented import PROJECT, blocks_of
from durable import cut, history, open_app
from surefoot.ledger import Outcome, Totals
from wire import WireServer, echo

SECONDS = 90
PRELOADED = ("surefoot.app", "genai_prices.data_snapshot", "openai.resources.chat")


def perform(folder: Path, flows: Path, name: str, environ: dict[str, str]) -> None:
    """The main function of a child process: run a flow in FOLDER, or go on with the last run if none is named.

    What it returns goes to FOLDER/result as JSON.
    """
    os.chdir(folder)
    os.environ.update(environ)
    sys.path.insert(0, str(flows.parent))
    app = open_app(folder, is_full=True)
    result = app.run(getattr(importlib.import_module(flows.stem), name)) if name else app.resume("last")
    app.close()
    Path("result").write_text(json.dumps(result))


@dataclass
class Course:
    """A run that came to its end: where, what it returned, and the bodies of the calls that arrived, in order."""

    folder: Path
    result: Any
    calls: list[dict[str, Any]]

    @property
    def outcomes(self) -> list[Outcome]:
        """The recorded calls."""
        app = open_app(self.folder)
        try:
            return [link.outcome for link in history(app) if link.outcome.kind == "call"]
        finally:
            app.close()

    @property
    def totals(self) -> Totals:
        app = open_app(self.folder)
        try:
            run = app.ledger.run("last")
            assert run.status == "completed"
            assert app.ledger.first_break(run.id) is None
            assert len(app.ledger.runs()) == 1
            return run.totals
        finally:
            app.close()


@dataclass
class Framework:
    """The flows of one framework, each of which is run undisturbed once, for comparison; `packages` are what it is."""

    wire: WireServer
    flows: Path
    folder: Path
    packages: Sequence[str] = ()
    _whole: dict[str, Course] = field(default_factory=dict[str, Course])

    def __post_init__(self) -> None:
        # What takes seconds to import is imported once; each process is a fork of the one that has it.
        self._processes = multiprocessing.get_context("forkserver")
        self._processes.set_forkserver_preload([*PRELOADED, *self.packages])
        self.environ = {"OPENAI_BASE_URL": self.wire.openai_url, "OPENAI_API_KEY": "key-of-a-test"}

    def whole(self, name: str) -> Course:
        """The flow without a disturbance."""
        if name not in self._whole:
            folder = self.folder / name / "whole"
            before = self.wire.count()
            result = self.start(folder, name)
            self._whole[name] = Course(folder, result, self.arrived(before))
        return self._whole[name]

    def killed(self, name: str, at: int) -> tuple[list[dict[str, Any]], Course]:
        """The flow, killed while its call number `at` (from 1) is on its way, and then resumed.

        The calls that had arrived by the kill, and what the resume came to with the calls that it made.
        """
        folder = self.folder / name / f"killed-{at}"
        before = self.wire.count()
        assert self.start(folder, name, kill_at=at) is None
        killed = self.arrived(before)
        between = self.wire.count()
        result = self.start(folder)
        return killed, Course(folder, result, self.arrived(between))

    def replayed(self, name: str) -> Course:
        """A resume of the flow after a kill between its last call and its end: everything is recorded."""
        whole = self.whole(name)
        folder = self.folder / name / "replayed"
        app = open_app(whole.folder)
        rows = len(history(app))
        app.close()
        cut(whole.folder / ".surefoot" / "ledger.db", folder, rows - 1)
        # Digests of large payloads are made with it, and it is made with the first of them.
        with contextlib.suppress(FileNotFoundError):
            shutil.copy(whole.folder / ".surefoot" / "key", folder / ".surefoot" / "key")
        before = self.wire.count()
        result = self.start(folder)
        return Course(folder, result, self.arrived(before))

    def arrived(self, since: int) -> list[dict[str, Any]]:
        return [received.body for received in self.wire.received[since:]]

    def start(self, folder: Path, name: str = "", *, kill_at: int = 0) -> Any:
        """Run the flow `name`, or resume; what it returned, or None if it was killed at call `kill_at`."""
        folder.mkdir(parents=True, exist_ok=True)
        process = self._processes.Process(target=perform, args=(folder, self.flows, name, self.environ))
        is_started = threading.Event()
        count = 0

        def reply(model: str, text: str) -> str:
            nonlocal count
            count += 1
            if count == kill_at:
                is_started.wait(SECONDS)
                os.kill(process.pid or 0, signal.SIGKILL)
            return echo(model, text)

        self.wire.reply = reply
        process.start()
        is_started.set()
        process.join(SECONDS)
        if kill_at and process.exitcode == -signal.SIGKILL:
            return None
        assert process.exitcode == 0, f"ended with {process.exitcode}"
        return json.loads((folder / "result").read_text())


def check_each_kill(framework: Framework, name: str) -> None:
    """Killed at each of its calls, a flow that calls in order repeats none that is recorded, and ends the same."""
    whole = framework.whole(name)
    assert len(whole.outcomes) == len(whole.calls) > 1
    for at in range(1, len(whole.calls) + 1):
        killed, course = framework.killed(name, at)
        assert killed == whole.calls[:at], at
        # The recorded ones are not made again; the one that was on its way is, and all after it.
        assert course.calls == whole.calls[at - 1 :], at
        assert course.result == whole.result, at
        assert course.totals == whole.totals, at


def check_a_kill_in_parallel(framework: Framework, name: str, *, in_flight: int) -> None:
    """Killed in the middle of calls that are made at once, a flow makes no more again than were in flight."""
    whole = framework.whole(name)
    at = len(whole.calls) - 1
    killed, course = framework.killed(name, at)
    assert len(killed) + len(course.calls) <= len(whole.calls) + in_flight
    asked = [json.dumps(body) for body in (*killed, *course.calls)]
    assert sorted(set(asked)) == sorted(json.dumps(body) for body in whole.calls)
    assert course.result == whole.result
    assert course.totals == whole.totals


def check_the_replay(framework: Framework, name: str) -> None:
    """A replay makes no call at all, and its result is that of the recorded run."""
    replayed = framework.replayed(name)
    assert replayed.calls == []
    assert replayed.result == framework.whole(name).result
    assert replayed.totals == framework.whole(name).totals


def check_the_usage(framework: Framework, name: str) -> None:
    """The run counts the tokens that the framework saw (its flow returns them as `tokens`), at the price of gpt-4o."""
    whole = framework.whole(name)
    totals = whole.totals
    assert totals.calls == len(whole.calls)
    assert [totals.usage.input, totals.usage.output] == whole.result["tokens"]
    # $2.50 and $10 per million tokens, $1.25 for those that were cached.
    usage = totals.usage
    assert totals.is_cost_complete
    assert (
        totals.cost.nanos
        == 2_500 * (usage.input - usage.cached) + 1_250 * usage.cached + 10_000 * usage.output
    )
    for outcome in whole.outcomes:
        assert outcome.call is not None
        assert (outcome.name, outcome.call.provider) == ("openai.chat", "openai")
        assert outcome.call.requested_model == outcome.call.served_model == "gpt-4o"


def check_the_guide(framework: Framework, test: str, folder: Path) -> None:
    """The block of docs/guide/frameworks.md that names a file of tests is a script, whose run is recorded."""
    page = PROJECT / "docs" / "guide" / "frameworks.md"
    [block] = [
        block
        for block in blocks_of(page.read_text(encoding="utf-8"), page.name)
        if block.marks.get("by", "").endswith(f"/{test}")
    ]
    (folder / "guide.py").write_text(block.text, encoding="utf-8")
    framework.wire.reply = echo
    before = framework.wire.count()
    done = subprocess.run(
        [sys.executable, "guide.py"],
        cwd=folder,
        env=os.environ | framework.environ,
        capture_output=True,
        encoding="utf-8",
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    made = framework.arrived(before)
    course = Course(folder, done.stdout, made)
    assert course.totals.calls == len(made) > 0
    assert course.totals.cost.nanos > 0
    assert course.result.strip()
