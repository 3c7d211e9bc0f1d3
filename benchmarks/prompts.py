"""What it costs to load a prompt and to render it to messages, against prompty and promptflow on the same files."""

from __future__ import annotations

import sys
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
    peer,
    version_of,
    working_folder,
)

ROUNDS = 9
LOADS, RENDERS, PEER_RENDERS = 20, 200, 20
# CPU seconds of a file that nobody has read before, and of a rendering of a prompt that was rendered before.
LOAD_CPU, RENDER_CPU = 1e-3, 100e-6
# The part of a peer's cost that ours may be.
LOAD_OF_PEER, RENDER_OF_PEER = 0.75, 0.1

# promptflow counts tokens and calls models with the two that it does not declare.
PEERS = ("promptflow-core==1.18.5", "prompty==2.1.0", "jinja2==3.1.6", "openai==3.57.0", "tiktoken==0.14.0")
FIRST, SECOND = "promptflow-core", "prompty"
US = 1e6


def run() -> Report:
    """CPU and wall time per file, of processes that do nothing else."""
    theirs, ours = peer("prompts", *PEERS), Path(sys.executable)
    with (
        working_folder("prompts") as folder,
        Worker(ours, "surefoot_prompts", folder) as we,
        Worker(theirs, "peer_prompts", folder) as they,
    ):
        contenders = list[Contender]()
        for dialect, name in (("first", FIRST), ("second", SECOND)):
            for kind in ("load", "render"):
                asked = f"{kind}-{dialect}"
                many = (LOADS, LOADS) if kind == "load" else (RENDERS, PEER_RENDERS)
                contenders += [
                    Contender(
                        f"surefoot, {asked}",
                        version_of(ours, "surefoot"),
                        partial(_round, we, asked, many[0]),
                    ),
                    Contender(
                        f"{name}, {asked}", version_of(theirs, name), partial(_round, they, asked, many[1])
                    ),
                ]
        medians = interleaved(contenders, rounds=ROUNDS)
    rows = [
        [one.name, one.version, f"{medians[one.name].cpu * US:,.0f}", f"{medians[one.name].wall * US:,.0f}"]
        for one in contenders
    ]
    return Report(
        name="prompts",
        title="A prompt of 2 KB with a loop and four inputs, in the dialect of each peer; median of "
        f"{ROUNDS * ROUNDS_FACTOR} interleaved rounds. Microseconds per file or rendering.",
        columns=["contender", "version", "CPU", "wall"],
        rows=rows,
        notes=[
            "- first, second: the same prompt as promptflow and as prompty 2 write it.",
            "- load: files that were not read before, each with another text; ours is compiled and checked by then.",
            "- render: to messages, with inputs that are checked; warm.",
        ],
        ratios=list(_ratios(medians)),
    )


def _ratios(medians: dict[str, Sample]) -> list[Ratio]:
    ratios: list[Ratio] = []
    for dialect, name in (("first", FIRST), ("second", SECOND)):
        for kind, budget, target in (
            ("load", LOAD_CPU, LOAD_OF_PEER),
            ("render", RENDER_CPU, RENDER_OF_PEER),
        ):
            ours, theirs = medians[f"surefoot, {kind}-{dialect}"], medians[f"{name}, {kind}-{dialect}"]
            ratios += [
                Ratio(f"budget:{kind}-{dialect}-cpu", ours.cpu / budget, 1.0),
                Ratio(f"{name}:{kind}-cpu", ours.cpu / theirs.cpu, target),
                Ratio(f"{name}:{kind}-wall", ours.wall / theirs.wall, target),
            ]
    return ratios


def _round(worker: Worker, asked: str, number: int) -> Sample:
    taken = worker.ask(asked, number)
    return Sample(taken["wall"] / number, taken["cpu"] / number)
