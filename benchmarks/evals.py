"""What an evaluation costs for each row, against bare HTTP, the OpenAI SDK alone, and six other libraries."""

from __future__ import annotations

import sys
from collections.abc import Generator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
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
    node_peer,
    peer,
    process,
    version_of,
)
from benchmarks.model_server import serving

ROUNDS = 2
ROWS = 1_000 if ROUNDS_FACTOR > 1 else 500
"""Of a round; the first one, which does not count, has a tenth of them."""
SECONDS = 0.02
"""How long the server takes for a call."""
SMALL, LARGE = 1_000, 10_000 if ROUNDS_FACTOR > 1 else 4_000
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
    `surefoot_evals` does, with the work of `benchmarks/contenders/rows.py`. The first of the `requirements` is the
    library itself; one of npm is called `npm:NAME@VERSION`.
    """

    program: str
    requirements: tuple[str, ...]


PEERS: Mapping[str, Peer] = {
    "pydantic-evals": Peer("evals_pydantic", ("pydantic-evals==2.62.0", "openai==3.57.0")),
    "deepeval": Peer("evals_deepeval", ("deepeval==4.3.1", "openai==3.57.0")),
    # It does not import with what its own pins allow.
    "ragas": Peer("evals_ragas", ("ragas==0.4.3", "langchain-community==0.3.31", "openai==1.109.1")),
    "mlflow.genai": Peer("evals_mlflow", ("mlflow==3.17.2", "openai==3.57.0")),
    "inspect-ai": Peer("evals_inspect", ("inspect-ai==0.3.285", "openai==3.57.0")),
    "promptfoo": Peer("evals_promptfoo", ("npm:promptfoo@0.121.20",)),
}
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
    """CPU of the client's process with all its threads and children; the server is another process."""
    peaks: dict[str, float] = {}
    missing: list[str] = []
    with ExitStack() as stack:
        contenders = list(_contenders(stack, peaks, missing))
        medians = interleaved(contenders, rounds=ROUNDS)
    per_row, start, bare = _bytes_per_row(), _start(), medians[AIOHTTP]
    peers = [name for name in PEERS if name in medians]
    return Report(
        name="evals",
        title=f"An evaluation of {ROWS:,} rows, one call of the target and one of a judge each, from a local server "
        f"that takes {SECONDS * MS:.0f} ms; median of {ROUNDS * ROUNDS_FACTOR} interleaved rounds. Milliseconds per "
        "row, MiB at most.",
        columns=["contender", "version", "CPU", "of aiohttp", "wall", "of aiohttp", "memory"],
        rows=[
            [
                one.name,
                one.version,
                f"{medians[one.name].cpu * MS:.2f}",
                f"{medians[one.name].cpu / bare.cpu:.1f}",
                f"{medians[one.name].wall * MS:.2f}",
                f"{medians[one.name].wall / bare.wall:.1f}",
                f"{peaks[one.name] / 2**20:.0f}",
            ]
            for one in contenders
        ],
        notes=[
            "- surefoot: each row is two runs in a ledger on disk, kept with its scores, and has a plain scorer too.",
            "- The comparison of the evaluation with a former one is in its figures.",
            "- mlflow.genai records in SQLite, inspect-ai in a log file, promptfoo in its database, the others not.",
            "- promptfoo is a command: the start of its process is in its figures.",
            f"- Memory of surefoot: {per_row:,.0f} bytes for each row more, between {SMALL:,} and {LARGE:,} rows.",
            f"- `surefoot eval` begins its first case after {start * MS:.0f} ms CPU of the whole process.",
            *(f"- Left out: {reason}." for reason in missing),
        ],
        ratios=[
            Ratio("budget:row-cpu", medians[OURS].cpu / ROW_CPU, 1.0),
            Ratio("openai:cpu", medians[OURS].cpu / medians[SDK].cpu, 1.0),
            *(Ratio(f"{name}:cpu", medians[OURS].cpu / medians[name].cpu, OF_PEER) for name in peers),
            Ratio("budget:row-bytes", per_row / ROW_BYTES, 1.0),
            Ratio("budget:start-cpu", start / START_CPU, 1.0),
        ],
    )


def _contenders(stack: ExitStack, peaks: dict[str, float], missing: list[str]) -> Generator[Contender]:
    """All that can be made here; why one is `missing` is noted."""
    url, ours = stack.enter_context(serving(SECONDS)), Path(sys.executable)
    bare = stack.enter_context(Worker(ours, "bare_evals", url))
    folder = Path(stack.enter_context(TemporaryDirectory()))
    we = stack.enter_context(Worker(ours, "surefoot_evals", folder, url))
    for name, distribution, worker, kind in (
        (AIOHTTP, "aiohttp", bare, "aiohttp"),
        (SDK, "openai", bare, "openai"),
        (OURS, "surefoot", we, "rows"),
    ):
        yield Contender(name, version_of(ours, distribution), _Rounds(name, worker, kind, peaks))
    for name, each in PEERS.items():
        try:
            worker, version = _begun(name, each, url)
            # One that ends over it would end the others' rounds too.
            _Rounds(name, stack.enter_context(worker), "rows", peaks)()
        except SystemExit as reason:
            missing.append(f"{name}, {reason}")
            continue
        yield Contender(name, version, _Rounds(name, worker, "rows", peaks))


def _begun(name: str, each: Peer, url: str) -> tuple[Worker, str]:
    """The program of a peer in its environment, and the peer's version. Raises `SystemExit`."""
    own = each.requirements[0]
    if own.startswith("npm:"):
        package = own.removeprefix("npm:")
        place = node_peer(f"evals-{name}", package)
        return Worker(Path(sys.executable), each.program, url, place), package.rpartition("@")[2]
    python = peer(f"evals-{name}", *each.requirements)
    return Worker(python, each.program, url), own.rpartition("==")[2]


class _Rounds:
    """The rounds of one contender, and the most memory that its processes took."""

    def __init__(self, name: str, worker: Worker, kind: str, peaks: dict[str, float]) -> None:
        self._name = name
        self._worker = worker
        self._kind = kind
        self._peaks = peaks
        self._is_warm = False

    def __call__(self) -> Sample:
        number = ROWS if self._is_warm else ROWS // 10
        taken = self._worker.ask(self._kind, number)
        self._is_warm = True
        self._peaks[self._name] = taken["peak"]
        return Sample(taken["wall"] / number, taken["cpu"] / number)


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
