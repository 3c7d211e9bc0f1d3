"""What 1,000 runs that are under way in one process take of its memory."""

from __future__ import annotations

import statistics
import sys
from contextlib import ExitStack
from pathlib import Path

from benchmarks.harness import ROUNDS_FACTOR, Ratio, Report, Worker, version_of, working_folder

RUNS, FEW = 1_000, 10
LIMIT_MB = 300
ROUNDS = 3


def run() -> Report:
    """Resident memory of a process whose runs all wait inside a step, five recorded steps of 1 KiB behind them."""
    found: dict[int, list[tuple[float, float, float]]] = {0: [], FEW: [], RUNS: []}
    ours = Path(sys.executable)
    for number in (ROUNDS * ROUNDS_FACTOR) * list(found):
        with ExitStack() as stack:
            folder = stack.enter_context(working_folder(f"memory-{number}"))
            took = stack.enter_context(Worker(ours, "surefoot_waiting", folder)).ask("waiting", number)
            found[number].append((took["resident"], took["peak"], took["steps"]))
    medians = {
        number: [statistics.median(column) for column in zip(*all_, strict=True)]
        for number, all_ in found.items()
    }
    of_one = (medians[RUNS][0] - medians[FEW][0]) / (RUNS - FEW) * 1024
    return Report(
        name="memory",
        title=f"Resident memory of one process, MB, median of {ROUNDS * ROUNDS_FACTOR} processes of each kind.",
        columns=["runs under way", "version", "resident MB", "peak MB", "recorded steps"],
        rows=[
            [f"{number:,}", version_of(ours, "surefoot"), f"{resident:.1f}", f"{peak:.1f}", f"{steps:.0f}"]
            for number, (resident, peak, steps) in medians.items()
        ],
        notes=[
            f"- Each run has recorded five steps of 1 KiB and waits inside its sixth: {of_one:.1f} KiB for each.",
            "- 0 runs: the process with the app made and its loop running.",
        ],
        ratios=[Ratio(f"budget:memory-{LIMIT_MB}MB", medians[RUNS][0] / LIMIT_MB, 1.0)],
    )
