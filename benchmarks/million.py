"""What a ledger of 1,000,000 runs answers, how fast, and what a step costs in it."""

from __future__ import annotations

import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.harness import (
    Contender,
    Ratio,
    Report,
    Sample,
    Worker,
    clean_environment,
    interleaved,
    process,
    version_of,
)

RUNS, FEW = int(os.environ.get("RUNS", "1_000_000")), 10_000
# Milliseconds.
ONE_MS, ANY_MS, TREE_MS, OPEN_MS = 50, 300, 20, 100
STEP_RATIO = 1.3
ROUNDS, REPEATS = 5, 5
COMBINATIONS = 800
DAY_NS = 86_400 * 10**9

Filter = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Slowest:
    """The slowest of several queries, in milliseconds, in words; how many there were, and how many over target."""

    what: str
    ms: float
    number: int
    over: int


def run() -> Report:
    """Times of queries are medians of a few in this process; those of commands are whole processes."""
    with ExitStack() as stack:
        many, few = filled(RUNS), filled(FEW)
        stack.enter_context(_inside(many))
        from surefoot import App, traces
        from surefoot.ledger import RunRecord

        app = App()
        stack.callback(app.close)
        opening = milliseconds(lambda: _opened(App))
        choices = _choices(app.ledger.runs)
        single = [{name: value} for name, values in choices.items() for value in values]
        one = slowest(app.ledger.runs, [wanted for wanted in single if len(wanted.get("tags", ())) < 2])
        every = slowest(app.ledger.runs, combinations(choices), target=ANY_MS)
        with_steps: RunRecord = next(
            run for run in app.ledger.runs(tenant="tenant-00", limit=2000) if run.totals.steps
        )
        tree = milliseconds(lambda: traces.trace(app.ledger, with_steps.id))
        surefoot = Path(sys.executable).parent / "surefoot"
        listing = [_command(surefoot, *options) for options in (["runs"], ["runs", "--status", "failed"])]
        steps = interleaved(list(_steps(stack, {many: RUNS, few: FEW})), rounds=ROUNDS)
    large, small = (steps[f"a step at {number:,} runs"].cpu * 1e6 for number in (RUNS, FEW))
    return Report(
        name="million",
        title=f"A SQLite ledger of {RUNS:,} runs with a year of dates, every fiftieth with 10 steps of 1 KiB; "
        "the newest 50 that pass the filters, through the Python API.",
        columns=["what", "slowest ms", "queries", "over target"],
        rows=[
            ["open, and the last run", f"{opening:.1f}", "1", ""],
            ["one filter", f"{one.ms:.1f}", str(one.number), str(one.over)],
            ["any combination of filters", f"{every.ms:.1f}", str(every.number), str(every.over)],
            ["a run's tree", f"{tree:.1f}", "1", ""],
            ["`surefoot runs`, start to end", f"{listing[0]:.0f}", "1", ""],
            ["`surefoot runs --status failed`, start to end", f"{listing[1]:.0f}", "1", ""],
        ],
        notes=[
            f"- The slowest with one filter: {one.what}.",
            f"- The slowest combinations: {every.what}.",
            f"- Filters: {', '.join(choices)}; each with a frequent and a rare value where there are such.",
            f"- CPU of a step with 100 runs in flight: {large:.0f} µs at {RUNS:,} runs, {small:.0f} µs at {FEW:,}.",
        ],
        ratios=[
            Ratio(f"budget:one-filter-{ONE_MS}ms", one.ms / ONE_MS, 1.0),
            Ratio(f"budget:any-filters-{ANY_MS}ms", every.ms / ANY_MS, 1.0),
            Ratio(f"budget:tree-{TREE_MS}ms", tree / TREE_MS, 1.0),
            Ratio(f"budget:open-{OPEN_MS}ms", opening / OPEN_MS, 1.0),
            Ratio(f"cpu-per-step-at-{FEW}-runs", large / small, STEP_RATIO),
        ],
    )


def filled(number: int) -> Path:
    """The folder of a ledger with so many runs, made once: a million take about two minutes."""
    folder = Path(tempfile.gettempdir()) / "surefoot-bench" / f"{number}-runs"
    folder.mkdir(parents=True, exist_ok=True)
    process([sys.executable, "-m", "benchmarks.contenders.filled_ledger", folder, str(number)])
    return folder


def milliseconds(query: Callable[[], object]) -> float:
    """The median of a few times, the first of which brings pages into memory and does not count."""
    times: list[float] = []
    for _ in range(REPEATS + 1):
        begin = time.perf_counter()
        query()
        times.append((time.perf_counter() - begin) * 1000)
    return statistics.median(times[1:])


def slowest(runs: Callable[..., object], filters: list[Filter], *, target: float = ONE_MS) -> Slowest:
    """The slowest of all; those that were slow once are asked again, as the machine may have been busy."""
    times: list[tuple[float, Filter]] = []
    for wanted in filters:
        begin = time.perf_counter()
        runs(**wanted)
        took = (time.perf_counter() - begin) * 1000
        times.append((took, wanted))
    times.sort(key=lambda pair: pair[0], reverse=True)
    again = [(milliseconds(partial(runs, **wanted)), wanted) for _, wanted in times[:10]]
    again.sort(key=lambda pair: pair[0], reverse=True)
    worst = "; ".join(f"{took:.0f} ms for {_words(wanted)}" for took, wanted in again[:3])
    return Slowest(worst, again[0][0], len(times), sum(took > target for took, _ in times))


def _words(wanted: Filter) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in wanted.items())


def combinations(choices: Mapping[str, list[Any]]) -> list[Filter]:
    """Combinations of two to six filters and their values, chosen by chance, but always the same ones."""
    every: list[Filter] = []
    of = random.Random(4)
    while len(every) < COMBINATIONS:
        names = of.sample(list(choices), of.randint(2, min(6, len(choices))))
        every.append({name: of.choice(choices[name]) for name in names})
    return every


def _choices(runs: Callable[..., list[Any]]) -> dict[str, list[Any]]:
    """For each filter some values: frequent, rare, and for tags and status one that there is not."""
    # Runs that this benchmark did before have no tenant.
    newest = runs(tenant="tenant-00", limit=1)[0].created_ns
    child = next(run for run in runs(tenant="tenant-00", limit=2000) if run.parent_run and run.run_key)
    return {
        "flow": ["flow-00", "flow-19"],
        "status": ["completed", "in_doubt", "pending"],
        "tenant": ["tenant-00", "tenant-49"],
        "principal": ["principal-000", "principal-484"],
        "session": ["session-00000", "session-91007"],
        "tags": [
            {"env": "prod"},
            {"env": "dev"},
            {"env": "prod", "team": "team-11"},
            {"env": "nowhere"},
            {"env": "prod", "team": "nobody"},
        ],
        "run_key": [child.run_key],
        "parent_run": [child.parent_run],
        "since_ns": [newest - DAY_NS, newest - 300 * DAY_NS],
        "until_ns": [newest - DAY_NS, newest - 300 * DAY_NS],
    }


def _opened(app: Callable[[], Any]) -> None:
    """A new app, the ledger opened by it for the first time, and closed again."""
    opened = app()
    opened.ledger.run("last")
    opened.close()


def _command(*arguments: str | Path) -> float:
    """Milliseconds of a whole process in the folder that is current, the median of a few."""
    return statistics.median(process(arguments, folder=Path.cwd()).wall for _ in range(REPEATS)) * 1000


def _steps(stack: ExitStack, folders: Mapping[Path, int]) -> Generator[Contender]:
    version = version_of(Path(sys.executable), "surefoot")
    for folder, number in folders.items():
        worker = stack.enter_context(Worker(Path(sys.executable), "surefoot_steps", folder))
        yield Contender(f"a step at {number:,} runs", version, partial(_round, worker))


def _round(worker: Worker) -> Sample:
    took = worker.ask("concurrent", 300)
    return Sample(took["wall"] / took["steps"], took["cpu"] / took["steps"])


@contextmanager
def _inside(folder: Path) -> Generator[None]:
    """The folder as the working directory, without settings from the environment."""
    before, environment = Path.cwd(), dict(os.environ)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(clean_environment() | {"PATH": environment.get("PATH", "")})
    try:
        yield
    finally:
        os.chdir(before)
        os.environ.clear()
        os.environ.update(environment)
