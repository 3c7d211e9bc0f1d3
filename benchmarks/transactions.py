"""Rows of the user's in the ledger's own file: `@step(transaction="ledger")` against connections of one's own."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path

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

ROUNDS = 5
OURS = {"100 runs in flight": ("ledger-async", 200), "16 threads": ("ledger", 50)}
OWN = {
    "own connection and mutex, 16 threads": ("own-mutex", 16),
    "own connections, 16 threads": ("own-waiting", 16),
}


def run() -> Report:
    """Transactions that are durable with the outcome of their step, 10 in each run."""
    python = Path(sys.executable)
    version = version_of(python, "surefoot")
    with ExitStack() as stack:
        contenders: list[Contender] = []
        for name, (kind, number) in (OURS | OWN).items():
            # Each has a file of its own: another connection's writes would be the others' burden.
            folder = stack.enter_context(working_folder(f"transactions-{kind}"))
            worker = stack.enter_context(Worker(python, "surefoot_transactions", folder))
            contenders.append(Contender(name, version, partial(_round, worker, kind, number)))
        medians = interleaved(contenders, rounds=ROUNDS)
    return Report(
        name="transactions",
        title=f"One row of the user's for each step, 10 steps a run, the run's start and end included; SQLite, "
        f"`synchronous = FULL`, median of {ROUNDS * ROUNDS_FACTOR} interleaved rounds.",
        columns=["how", "version", "transactions/s", "CPU µs", "wall µs"],
        rows=[
            [name, version, f"{1 / took.wall:,.0f}", f"{took.cpu * 1e6:.0f}", f"{took.wall * 1e6:.0f}"]
            for name, took in medians.items()
        ],
        notes=[
            '- `transaction="ledger"`: row and outcome are one commit, exactly once whatever is killed.',
            "- own connection: the row is committed by itself inside an ordinary step, and may be written twice.",
        ],
        ratios=[
            Ratio(
                f"{own}:wall".replace(", ", ":").replace(" ", "-"),
                medians["16 threads"].wall / medians[own].wall,
                1.0,
            )
            for own in OWN
        ],
    )


def _round(worker: Worker, kind: str, number: int) -> Sample:
    took = worker.ask(kind, number)
    return Sample(took["wall"] / took["steps"], took["cpu"] / took["steps"])
