"""What a model call costs its client, against bare HTTP, the OpenAI SDK, LiteLLM and pydantic-ai."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Generator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import surefoot
from benchmarks.harness import (
    ROUNDS_FACTOR,
    Contender,
    Ratio,
    Report,
    Sample,
    Worker,
    interleaved,
    locked_peer,
    peer,
    process,
    version_of,
    working_folder,
)
from benchmarks.model_server import serving

ROUNDS = 9
CALLS, SLOW_CALLS = 100, 30
# A resume of the longer run above one of the shorter is what its further calls cost.
SHORT_RUN, LONG_RUN = 20, 120

AIOHTTP, SDK = "aiohttp", "openai SDK"
DURABLE, MEMORY = "ledger on disk", "ledger in memory"
WRAPPED, REPLAYED, GENERATE = "openai SDK in a run", "openai SDK, replayed", "generate"
# CPU of `generate` in a run, of that of bare aiohttp; of an SDK in a run, of the same SDK; of `generate`, of the SDK.
GENERATE_TIMES = {MEMORY: 2.0, DURABLE: 3.0}
WRAPPED_TIMES, GENERATE_OF_SDK = 1.15, 1 / 3
# CPU seconds above `import surefoot`.
IMPORT_CPU = 0.1
IMPORTS = {"import surefoot": "import surefoot", "import surefoot.models": "import surefoot, surefoot.models"}
LITELLM = "litellm==1.110.2"

US = 1e6
HAS_GENERATE = hasattr(surefoot, "generate")


def run() -> Report:
    """CPU of the client's process with all its threads; the server is another process."""
    with ExitStack() as stack:
        contenders = list(_contenders(stack))
        medians = interleaved(contenders, rounds=ROUNDS)
    bare = medians[AIOHTTP]
    rows = [
        [
            one.name,
            one.version,
            f"{medians[one.name].cpu * US:,.0f}",
            f"{medians[one.name].cpu / bare.cpu:.2f}",
            f"{medians[one.name].wall * US:,.0f}",
            f"{medians[one.name].wall / bare.wall:.2f}",
        ]
        for one in contenders
        if one.name not in IMPORTS
    ]
    return Report(
        name="models",
        title="Chat completions of 1 KiB one after the other, from a local server that answers at once; median of "
        f"{ROUNDS * ROUNDS_FACTOR} interleaved rounds. Microseconds per call.",
        columns=["contender", "version", "CPU", "of aiohttp", "wall", "of aiohttp"],
        rows=rows,
        notes=list(_notes(medians)),
        ratios=list(_ratios(medians)),
    )


def _notes(medians: dict[str, Sample]) -> Generator[str]:
    alone, with_models = (medians[name].cpu * 1000 for name in IMPORTS)
    yield f"- In a run: {CALLS} calls in one run, its start and end included; each is durable before the next."
    yield f"- {DURABLE}: SQLite, `synchronous = FULL`."
    yield f"- {MEMORY}: the same in a file system in memory, with `synchronous = NORMAL`."
    yield f"- replayed: a resume, per call of a run of {LONG_RUN} above one of {SHORT_RUN}; nothing is sent."
    yield f"- `import surefoot`: {alone:.0f} ms CPU of a whole process; `surefoot.models` too: {with_models:.0f} ms."
    if not HAS_GENERATE:
        yield "- There is no `generate` in this version, so its targets are not measured."


def _ratios(medians: dict[str, Sample]) -> Generator[Ratio]:
    for ledger, times in GENERATE_TIMES.items():
        ours = medians.get(f"{GENERATE}, {ledger}")
        if ours is not None:
            label = f"generate:{ledger}".replace(" ", "-")
            yield Ratio(f"aiohttp:{label}", ours.cpu / medians[AIOHTTP].cpu, times)
            yield Ratio(f"openai:{label}", ours.cpu / medians[SDK].cpu, GENERATE_OF_SDK)
    for ledger in GENERATE_TIMES:
        label = f"openai:wrapped:{ledger}".replace(" ", "-")
        yield Ratio(label, medians[f"{WRAPPED}, {ledger}"].cpu / medians[SDK].cpu, WRAPPED_TIMES)
    imported = medians["import surefoot.models"].cpu - medians["import surefoot"].cpu
    yield Ratio("budget:import-models-cpu", imported / IMPORT_CPU, 1.0)


def _contenders(stack: ExitStack) -> Generator[Contender]:
    url, ours = stack.enter_context(serving()), Path(sys.executable)
    bare = stack.enter_context(Worker(ours, "bare_calls", url))
    for name, kind, package in (
        (AIOHTTP, "aiohttp", "aiohttp"),
        ("httpx2", "httpx2", "httpx2"),
        (SDK, "openai", "openai"),
    ):
        yield Contender(name, version_of(ours, package), partial(_round, bare, kind, CALLS))
    version = version_of(ours, "surefoot")
    for ledger in (MEMORY, DURABLE):
        if ledger == MEMORY:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=_in_memory())))
        else:
            folder = stack.enter_context(working_folder("surefoot_calls"))
        worker = stack.enter_context(
            Worker(ours, "surefoot_calls", folder, url, "full" if ledger == DURABLE else "normal")
        )
        yield Contender(f"{WRAPPED}, {ledger}", version, partial(_round, worker, "wrapped", CALLS))
        if HAS_GENERATE:
            yield Contender(f"{GENERATE}, {ledger}", version, partial(_round, worker, "generate", CALLS))
        if ledger == DURABLE:
            yield Contender(REPLAYED, version, partial(_replay, worker))
            if HAS_GENERATE:
                yield Contender(
                    f"{GENERATE} outside a run", version, partial(_round, worker, "outside", CALLS)
                )
    agents, litellm = locked_peer("pydantic-ai"), peer("models", LITELLM)
    worker = stack.enter_context(Worker(agents, "pydantic_ai_calls", url))
    version = version_of(agents, "pydantic-ai-slim")
    yield Contender("pydantic-ai Agent", version, partial(_round, worker, "agent", SLOW_CALLS))
    worker = stack.enter_context(Worker(litellm, "litellm_calls", url))
    yield Contender("LiteLLM", version_of(litellm, "litellm"), partial(_round, worker, "litellm", SLOW_CALLS))
    for name, statement in IMPORTS.items():
        yield Contender(name, version_of(ours, "surefoot"), partial(process, [ours, "-c", statement]))


def _in_memory() -> str | None:
    """A file system in memory where there is one, else the one of temporary files."""
    return "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108


def _round(worker: Worker, kind: str, number: int) -> Sample:
    took = worker.ask(kind, number)
    return Sample(took["wall"] / number, took["cpu"] / number)


def _replay(worker: Worker) -> Sample:
    short, long = worker.ask("replayed", SHORT_RUN), worker.ask("replayed", LONG_RUN)
    wall, cpu = ((long[key] - short[key]) / (LONG_RUN - SHORT_RUN) for key in ("wall", "cpu"))
    return Sample(wall, cpu)
