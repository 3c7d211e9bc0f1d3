"""What a budget adds to a call's row: money held before and settled with it, on SQLite and Postgres."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from benchmarks import postgres
from benchmarks.harness import (
    ROUNDS_FACTOR,
    Contender,
    Ratio,
    Report,
    Sample,
    Worker,
    interleaved,
    version_of,
    working_folder,
)

ROUNDS = 7
US = 1e6
ROWS = 2.0
"""How many rows of the ledger a hold and its settlement may cost."""
SQLITE, POSTGRES = "SQLite", "Postgres"
HOWS = {"100 in flight": ("", 2_000), "one at a time": ("-one", 300)}
KINDS = {"row": "row", "row under two budgets": "row-with-budget", "hold and settle alone": "budget"}


def run() -> Report:
    """Rows of 1 KiB in one run by the ledger's own entries, alone and each under two budgets."""
    with ExitStack() as stack:
        contenders = list(_contenders(stack))
        medians = interleaved(contenders, rounds=ROUNDS)
    return Report(
        name="budgets",
        title="An outcome of 1 KiB JSON, handed to the ledger and waited for; a budget of everybody and one of the "
        f"tenant, both one account for all calls; median of {ROUNDS * ROUNDS_FACTOR} interleaved rounds. Microseconds "
        "per call.",
        columns=["what", "CPU", "wall", "server CPU"],
        rows=[
            [
                contender.name,
                f"{medians[contender.name].cpu * US:.0f}",
                f"{medians[contender.name].wall * US:.0f}",
                f"{medians[contender.name].server * US:.0f}" if medians[contender.name].server else "",
            ]
            for contender in contenders
        ],
        notes=[
            "- row under two budgets: money is held on both accounts before, and settled in the row's own commit.",
            "- hold and settle alone: as for a call outside of runs, which has no row.",
            "- ratios: what the budgets add, in rows of the same engine and way.",
        ],
        ratios=list(_ratios(medians)),
    )


def _ratios(medians: dict[str, Sample]) -> Generator[Ratio]:
    for engine in (SQLITE, POSTGRES):
        for how in HOWS:
            row, under, alone = (medians[f"{engine}, {how}: {kind}"] for kind in KINDS)
            label = f"rows:{engine}:{how}".replace(" ", "-")
            yield Ratio(f"{label}:cpu", (under.cpu - row.cpu) / row.cpu, ROWS)
            yield Ratio(f"{label}:wall", (under.wall - row.wall) / row.wall, ROWS)
            yield Ratio(f"{label}:alone:cpu", alone.cpu / row.cpu, ROWS)
            yield Ratio(f"{label}:alone:wall", alone.wall / row.wall, ROWS)


def _contenders(stack: ExitStack) -> Generator[Contender]:
    python = Path(sys.executable)
    version = version_of(python, "surefoot")
    server = stack.enter_context(postgres.server())
    for engine in (SQLITE, POSTGRES):
        folder = stack.enter_context(working_folder(f"budgets-{engine}".lower()))
        address = [server.database("budgets")] if engine == POSTGRES else []
        worker = stack.enter_context(Worker(python, "surefoot_budgets", folder, *address))
        cpu = server.cpu if address else _no_server
        for how, (ending, number) in HOWS.items():
            for name, kind in KINDS.items():
                work = partial(_round, worker, f"{kind}{ending}", number, cpu)
                yield Contender(f"{engine}, {how}: {name}", version, work)


def _round(worker: Worker, kind: str, number: int, server_cpu: Callable[[], float]) -> Sample:
    before = server_cpu()
    took = worker.ask(kind, number)
    steps = took["steps"]
    # One at a time it is the median call's: a single slow disk flush is not the work of any of them.
    return Sample(took["step_p50"], took["cpu"] / steps, server=(server_cpu() - before) / steps)


def _no_server() -> float:
    return 0.0
