"""What every benchmark needs: peers in environments of their own, interleaved rounds, medians, the table of results.

A benchmark is a module beside this one with a docstring and `run() -> Report`. It has one function per contender
that does the work once and returns a `Sample`; `interleaved` calls them in turn, A B A B, so that whatever else the
machine does falls on all of them alike.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

PROJECT = Path(__file__).parents[1]
RESULTS = PROJECT / "benchmarks" / "results.md"
INTRODUCTION = """# Benchmarks

Written by `make bench NAME=x`, which replaces the section of that name. Medians; CPU is user and system time.
A ratio is ours over the peer's (or over the budget), so less is better and a target of 1.00 is parity.
"""
# LONG=1 takes as many rounds more as a figure for publication deserves.
ROUNDS_FACTOR = 3 if os.environ.get("LONG") else 1


@dataclass(frozen=True, slots=True)
class Sample:
    """What one round took: wall and CPU seconds; where it is known, those of the median step, and a server's CPU."""

    wall: float
    cpu: float
    step: float = 0.0
    server: float = 0.0


@dataclass(frozen=True, slots=True)
class Contender:
    """A name for the table, the version that runs, and the work of one round."""

    name: str
    version: str
    run: Callable[[], Sample]


@dataclass(frozen=True, slots=True)
class Ratio:
    """Ours over a peer's, or over a budget; met if `value` is at most `target`."""

    peer: str
    value: float
    target: float

    @property
    def verdict(self) -> str:
        return "met" if self.value <= self.target else "missed"


@dataclass(frozen=True, slots=True)
class Report:
    """What a benchmark found: a table, sentences that explain it, and how it compares."""

    name: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str]
    ratios: Sequence[Ratio]


def clean_environment() -> dict[str, str]:
    """The environment without what would change how an interpreter starts, such as an order to write no bytecode."""
    return {
        key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "SUREFOOT_", "COV_"))
    }


def process(arguments: Sequence[str | Path], *, folder: Path = PROJECT) -> Sample:
    """Run a command to its end; its CPU time is the kernel's own account of that process and its children."""
    begin = time.perf_counter()
    with subprocess.Popen(
        arguments, cwd=folder, env=clean_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    ) as child:
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - begin
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise SystemExit(f"ended with status {child.returncode}: {' '.join(map(str, arguments))}")
    return Sample(wall, usage.ru_utime + usage.ru_stime)


def output_of(arguments: Sequence[str | Path]) -> str:
    """What a command prints."""
    done = subprocess.run(
        arguments, cwd=PROJECT, env=clean_environment(), stdout=subprocess.PIPE, encoding="utf-8", check=True
    )
    return done.stdout.strip()


def interleaved(contenders: Sequence[Contender], *, rounds: int) -> dict[str, Sample]:
    """The median of each contender over `rounds` rounds in turn, after one round that does not count."""
    rounds *= ROUNDS_FACTOR
    samples: dict[str, list[Sample]] = {contender.name: [] for contender in contenders}
    for number in range(rounds + 1):
        for contender in contenders:
            sample = contender.run()
            if number:
                samples[contender.name].append(sample)
        print(f"\rround {number}/{rounds}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return {
        name: Sample(
            *(statistics.median(column) for column in zip(*map(dataclasses.astuple, taken), strict=True))
        )
        for name, taken in samples.items()
    }


class Worker:
    """A contender's program in its own interpreter, which answers lines of `KIND NUMBER` with JSON."""

    def __init__(self, python: Path, program: str, *arguments: str | Path) -> None:
        self.name = program
        self._process = subprocess.Popen(
            [python, "-m", f"benchmarks.contenders.{program}", *arguments],
            cwd=PROJECT,
            env=clean_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        if self._process.stdin is None or self._process.stdout is None:
            raise SystemExit(f"{program} has no pipes")
        self._questions, self._answers = self._process.stdin, self._process.stdout
        # A library may print something when it is imported.
        while not self._answer().endswith("ready\n"):
            pass

    def ask(self, kind: str, number: int) -> Mapping[str, float]:
        """Let it do a round of so many, and say what that took."""
        self._questions.write(f"{kind} {number}\n")
        self._questions.flush()
        found: Mapping[str, float] = json.loads(self._answer())
        return found

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._questions.close()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            # Threads of a peer may wait for what does not come; all that it was asked for has been answered.
            self._process.kill()
            self._process.wait()
        self._answers.close()

    def _answer(self) -> str:
        line = self._answers.readline()
        if not line:
            raise SystemExit(
                f"{self.name} ended with status {self._process.wait()}; what it said stands above"
            )
        return line


def peer(benchmark: str, *requirements: str) -> Path:
    """The interpreter of an environment that holds pinned peers, made at the first use."""
    label = "-".join(requirement.partition("==")[0] for requirement in requirements)
    return _environment(f"{benchmark}/{label}", requirements, stamp="\n".join(requirements))


def peers() -> Path:
    """The interpreter of the environment of requirements/peers.txt, made at the first use."""
    return _locked("peers")


def locked_peer(name: str) -> Path:
    """The same for requirements/peers-NAME.txt, where a framework is locked on which tests run as well."""
    return _locked(f"peers-{name}")


def _locked(name: str) -> Path:
    locked = PROJECT / "requirements" / f"{name}.txt"
    digest = hashlib.sha256(locked.read_bytes()).hexdigest()
    return _environment(name, ["--require-hashes", "--no-deps", "-r", locked], stamp=digest)


def _environment(label: str, requirements: Sequence[str | Path], *, stamp: str) -> Path:
    place = PROJECT / ".cache" / "bench" / label
    python = place / "bin" / "python"
    done = place / "installed.txt"
    wanted = f"{platform.python_version()}\n{stamp}"
    if done.is_file() and done.read_text(encoding="utf-8") == wanted:
        return python
    what = " ".join(map(str, requirements))
    print(f"installing {what} ...", file=sys.stderr)
    shutil.rmtree(place, ignore_errors=True)
    base = str(getattr(sys, "_base_executable", sys.executable))
    uv = shutil.which("uv")
    create: list[str | Path] = [uv, "venv", "--quiet", "--python", base] if uv else [base, "-m", "venv"]
    install: list[str | Path] = (
        [uv, "pip", "install", "--python", python] if uv else [python, "-m", "pip", "install"]
    )
    for command in ([*create, place], [*install, "--quiet", *requirements]):
        if subprocess.run(command, check=False).returncode != 0:
            raise SystemExit(f"the peers of a benchmark could not be installed: {what}")
    done.write_text(wanted, encoding="utf-8")
    return python


def node_peer(benchmark: str, package: str) -> Path:
    """The folder in which npm has installed a pinned package, made at the first use. Raises `SystemExit`."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise SystemExit(f"{package} needs Node.js and npm, which are not here")
    place = PROJECT / ".cache" / "bench" / benchmark
    done = place / "installed.txt"
    if done.is_file() and done.read_text(encoding="utf-8") == package:
        return place
    print(f"installing {package} ...", file=sys.stderr)
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    command = [npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", place, package]
    if subprocess.run(command, cwd=place, stdout=subprocess.DEVNULL, check=False).returncode != 0:
        raise SystemExit(f"{package} could not be installed by npm")
    done.write_text(package, encoding="utf-8")
    return place


@contextmanager
def working_folder(name: str) -> Generator[Path]:
    """An empty folder on the project's disk: temporary ones may lie in memory, where durable costs nothing."""
    place = PROJECT / ".cache" / "bench" / "work" / name
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def memory_folder() -> str | None:
    """A file system in memory where there is one; None: the one of temporary files."""
    return "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108


def version_of(python: Path, distribution: str) -> str:
    """The version of a distribution that an interpreter has."""
    return output_of(
        [python, "-c", f"from importlib.metadata import version; print(version({distribution!r}))"]
    )


def machine() -> str:
    """What a figure depends on, without naming the machine."""
    return f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores"


def publish(report: Report) -> None:
    """Put the report into the page of results in place of the last one, and print it with its ratios at the end."""
    section = _section(report)
    page = RESULTS.read_text(encoding="utf-8") if RESULTS.is_file() else INTRODUCTION
    RESULTS.write_text(_replaced(page, report.name, section), encoding="utf-8")
    print(section)
    for ratio in report.ratios:
        print(f"ratio {report.name} {ratio.peer} {shown(ratio.value)} target {shown(ratio.target)}")


def shown(ratio: float) -> str:
    """Two decimals, and for a small ratio as many as tell it from its target."""
    return f"{ratio:.2f}" if ratio >= 0.1 else f"{ratio:.4f}"


def _section(report: Report) -> str:
    table = [report.columns, ["---"] * len(report.columns), *report.rows]
    lines = [
        f"## {report.name}",
        "",
        f"{report.title} {datetime.now(UTC):%Y-%m-%d}, {machine()}. Command: `make bench NAME={report.name}`.",
        "",
        *(f"| {' | '.join(row)} |" for row in table),
        "",
        *(note for note in report.notes),
        "",
        "| against | ratio | target | verdict |",
        "| --- | --- | --- | --- |",
        *(f"| {r.peer} | {shown(r.value)} | {shown(r.target)} | {r.verdict} |" for r in report.ratios),
    ]
    return "\n".join(lines) + "\n"


def _replaced(page: str, name: str, section: str) -> str:
    introduction, *sections = re.split(r"^(?=## )", page, flags=re.MULTILINE)
    by_name = {text.partition("\n")[0].removeprefix("## ").strip(): text.strip() for text in sections}
    by_name[name] = section.strip()
    return "\n\n".join([introduction.strip(), *(by_name[key] for key in sorted(by_name))]) + "\n"
