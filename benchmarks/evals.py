"""What an evaluation costs for each row, against bare HTTP and the OpenAI SDK alone, and the peers that are there."""

from __future__ import annotations

import sys
from collections.abc import Generator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.harness import (
    ROUNDS_FACTOR,
    Contender,
    Ratio,
    Report,
    Sample,
    Worker,
    interleaved,
    peer,
    process,
    version_of,
)
from benchmarks.model_server import serving

ROUNDS = 3
ROWS = 1_000
SECONDS = 0.02
"""How long the server takes for a call."""
SMALL, LARGE = 1_000, 10_000
"""Rows of the two evaluations whose memory is compared."""

AIOHTTP, SDK, OURS = "aiohttp", "openai SDK", "surefoot"
MS = 1e3
# CPU seconds of a row, and the part of the cost of each peer that ours may be.
ROW_CPU, OF_PEER = 3e-3, 0.25
# Bytes of memory of a row more: the row with its case, and nothing of its output.
ROW_BYTES = 8_192
# CPU seconds from the beginning of the process to the first call.
START_CPU = 0.5


@dataclass(frozen=True, slots=True)
class Peer:
    """Another library on the same work, in an environment of its own.

    `program` is a module of `benchmarks/contenders` that is given the server's address, and answers `rows N` as
    `surefoot_evals` does, with the work of `benchmarks/contenders/rows.py`.
    """

    distribution: str
    requirements: tuple[str, ...]
    program: str


PEERS: Mapping[str, Peer] = {}
"""By the name in the table."""

EVALUATION = """
import os
from surefoot import flow
from surefoot.evals import Evaluation

@flow
async def target(prompt: str) -> str:
    os._exit(0)

def scored(response: str) -> bool:
    return True

evaluation = Evaluation(target, [scored], data="cases.jsonl")
"""
"""Its process ends where its first case begins."""


def run() -> Report:
    """CPU of the client's process with all its threads; the server is another process."""
    with ExitStack() as stack:
        contenders = list(_contenders(stack))
        medians = interleaved(contenders, rounds=ROUNDS)
    per_row, start, bare = _bytes_per_row(), _start(), medians[AIOHTTP]
    return Report(
        name="evals",
        title=f"An evaluation of {ROWS:,} rows, one call of the target and one of a judge each, from a local server "
        f"that takes {SECONDS * MS:.0f} ms; median of {ROUNDS * ROUNDS_FACTOR} interleaved rounds. Milliseconds per "
        "row.",
        columns=["contender", "version", "CPU", "of aiohttp", "wall", "of aiohttp"],
        rows=[
            [
                one.name,
                one.version,
                f"{medians[one.name].cpu * MS:.2f}",
                f"{medians[one.name].cpu / bare.cpu:.1f}",
                f"{medians[one.name].wall * MS:.2f}",
                f"{medians[one.name].wall / bare.wall:.1f}",
            ]
            for one in contenders
        ],
        notes=[
            "- surefoot: each row is two runs in a ledger on disk, kept with its scores, and has a plain scorer too.",
            "- The comparison of the evaluation with a former one is in its figures.",
            f"- Memory: {per_row:,.0f} bytes for each row more, between {SMALL:,} and {LARGE:,} rows.",
            f"- `surefoot eval` begins its first case after {start * MS:.0f} ms CPU of the whole process.",
        ],
        ratios=[
            Ratio("budget:row-cpu", medians[OURS].cpu / ROW_CPU, 1.0),
            Ratio("openai:cpu", medians[OURS].cpu / medians[SDK].cpu, 1.0),
            *(Ratio(f"{name}:cpu", medians[OURS].cpu / medians[name].cpu, OF_PEER) for name in PEERS),
            Ratio("budget:row-bytes", per_row / ROW_BYTES, 1.0),
            Ratio("budget:start-cpu", start / START_CPU, 1.0),
        ],
    )


def _contenders(stack: ExitStack) -> Generator[Contender]:
    url, ours = stack.enter_context(serving(SECONDS)), Path(sys.executable)
    bare = stack.enter_context(Worker(ours, "bare_evals", url))
    folder = Path(stack.enter_context(TemporaryDirectory()))
    we = stack.enter_context(Worker(ours, "surefoot_evals", folder, url))
    yield Contender(AIOHTTP, version_of(ours, "aiohttp"), partial(_round, bare, "aiohttp"))
    yield Contender(SDK, version_of(ours, "openai"), partial(_round, bare, "openai"))
    yield Contender(OURS, version_of(ours, "surefoot"), partial(_round, we, "rows"))
    for name, each in PEERS.items():
        python = peer(f"evals-{name}", *each.requirements)
        worker = stack.enter_context(Worker(python, each.program, url))
        yield Contender(name, version_of(python, each.distribution), partial(_round, worker, "rows"))


def _round(worker: Worker, kind: str) -> Sample:
    taken = worker.ask(kind, ROWS)
    return Sample(taken["wall"] / ROWS, taken["cpu"] / ROWS)


def _bytes_per_row() -> float:
    """What the peak of a process grows by for each row more."""
    peaks: list[float] = []
    for number in (SMALL, LARGE):
        with (
            serving() as url,
            TemporaryDirectory() as folder,
            Worker(Path(sys.executable), "surefoot_evals", folder, url) as worker,
        ):
            peaks.append(worker.ask("memory", number)["peak"])
    return (peaks[1] - peaks[0]) / (LARGE - SMALL)


def _start() -> float:
    """CPU seconds until the first case begins, of a process that ends there: the least of some."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "evaluation.py").write_text(EVALUATION)
        (folder / "cases.jsonl").write_text('{"prompt": "one"}')
        (folder / "surefoot.toml").write_text("")
        command = [sys.executable, "-m", "surefoot.cli", "eval", "."]
        return min(process(command, folder=folder).cpu for _ in range(5 * ROUNDS_FACTOR))
