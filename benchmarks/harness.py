"""What every benchmark needs: peers in environments of their own, interleaved rounds, medians, the table of results.

A benchmark is a module beside this one with a docstring and `run() -> Report`. It has one function per contender
that does the work once and returns a `Sample`; `interleaved` calls them in turn, A B A B, so that whatever else the
machine does falls on all of them alike.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

PROJECT = Path(__file__).parents[1]
RESULTS = PROJECT / "benchmarks" / "results.md"
INTRODUCTION = """# Benchmarks

Written by `make bench NAME=x`, which replaces the section of that name. Medians; CPU is user and system time.
A ratio is ours over the peer's (or over the budget), so less is better and a target of 1.00 is parity.
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """What one round took: wall and CPU seconds."""

    wall: float
    cpu: float


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


def process(arguments: Sequence[str | Path]) -> Sample:
    """Run a command to its end; its CPU time is the kernel's own account of that process and its children."""
    begin = time.perf_counter()
    with subprocess.Popen(
        arguments, cwd=PROJECT, env=clean_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
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
    samples: dict[str, list[Sample]] = {contender.name: [] for contender in contenders}
    for number in range(rounds + 1):
        for contender in contenders:
            sample = contender.run()
            if number:
                samples[contender.name].append(sample)
        print(f"\rround {number}/{rounds}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return {
        name: Sample(statistics.median(s.wall for s in taken), statistics.median(s.cpu for s in taken))
        for name, taken in samples.items()
    }


def peer(benchmark: str, *requirements: str) -> Path:
    """The interpreter of an environment that holds pinned peers, made at the first use."""
    label = "-".join(requirement.partition("==")[0] for requirement in requirements)
    place = PROJECT / ".cache" / "bench" / benchmark / label
    python = place / "bin" / "python"
    done = place / "installed.txt"
    wanted = "\n".join([platform.python_version(), *requirements])
    if done.is_file() and done.read_text(encoding="utf-8") == wanted:
        return python
    print(f"installing {' '.join(requirements)} ...", file=sys.stderr)
    shutil.rmtree(place, ignore_errors=True)
    base = str(getattr(sys, "_base_executable", sys.executable))
    uv = shutil.which("uv")
    create: list[str | Path] = [uv, "venv", "--quiet", "--python", base] if uv else [base, "-m", "venv"]
    install: list[str | Path] = (
        [uv, "pip", "install", "--python", python] if uv else [python, "-m", "pip", "install"]
    )
    for command in ([*create, place], [*install, "--quiet", *requirements]):
        if subprocess.run(command, check=False).returncode != 0:
            raise SystemExit(
                f"benchmark {benchmark}: its peers {' '.join(requirements)} could not be installed"
            )
    done.write_text(wanted, encoding="utf-8")
    return python


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
        print(f"ratio {report.name} {ratio.peer} {ratio.value:.2f} target {ratio.target:.2f}")


def _section(report: Report) -> str:
    table = [report.columns, ["---"] * len(report.columns), *report.rows]
    lines = [
        f"## {report.name}",
        "",
        f"{report.title} {datetime.now(UTC):%Y-%m-%d}, {machine()}.",
        "",
        *(f"| {' | '.join(row)} |" for row in table),
        "",
        *(note for note in report.notes),
        "",
        "| against | ratio | target |",
        "| --- | --- | --- |",
        *(f"| {ratio.peer} | {ratio.value:.2f} | {ratio.target:.2f} |" for ratio in report.ratios),
    ]
    return "\n".join(lines) + "\n"


def _replaced(page: str, name: str, section: str) -> str:
    introduction, *sections = re.split(r"^(?=## )", page, flags=re.MULTILINE)
    by_name = {text.partition("\n")[0].removeprefix("## ").strip(): text.strip() for text in sections}
    by_name[name] = section.strip()
    return "\n\n".join([introduction.strip(), *(by_name[key] for key in sorted(by_name))]) + "\n"
