"""What a model call costs its client, against bare HTTP, the OpenAI SDK, LiteLLM and pydantic-ai."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import surefoot
from benchmarks.contenders.serving import AT_ONCE
from benchmarks.harness import (
    ROUNDS_FACTOR,
    Contender,
    Ratio,
    Report,
    Sample,
    Worker,
    interleaved,
    locked_peer,
    memory_folder,
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
MANY = f", {AT_ONCE} at once"
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
    rows = [
        [
            one.name,
            one.version,
            f"{medians[one.name].cpu * US:,.0f}",
            f"{medians[one.name].cpu / _bare(medians, one.name).cpu:.2f}",
            f"{medians[one.name].wall * US:,.0f}",
            f"{medians[one.name].wall / _bare(medians, one.name).wall:.2f}",
        ]
        for one in contenders
        if one.name not in IMPORTS
    ]
    return Report(
        name="models",
        title="Chat completions of 1 KiB from a local server that answers at once, one after the other unless it says "
        "how many at once; median of "
        f"{ROUNDS * ROUNDS_FACTOR} interleaved rounds. Microseconds per call.",
        columns=["contender", "version", "CPU", "of aiohttp", "wall", "of aiohttp"],
        rows=rows,
        notes=list(_notes(medians)),
        ratios=list(_ratios(medians)),
    )


def _bare(medians: dict[str, Sample], name: str) -> Sample:
    """What a contender is compared with: aiohttp, with as many calls under way."""
    return medians[f"{AIOHTTP}{MANY}" if name.endswith(MANY) else AIOHTTP]


def _notes(medians: dict[str, Sample]) -> Generator[str]:
    alone, with_models = (medians[name].cpu * 1000 for name in IMPORTS)
    yield f"- In a run: {CALLS} calls in one run, start and end included; each is durable before its answer is used."
    yield f"- {DURABLE}: SQLite, `synchronous = FULL`."
    yield f"- {MEMORY}: the same in a file system in memory, with `synchronous = NORMAL`."
    yield f"- replayed: a resume, per call of a run of {LONG_RUN} above one of {SHORT_RUN}; nothing is sent."
    yield f"- `import surefoot`: {alone:.0f} ms CPU of a whole process; `surefoot.models` too: {with_models:.0f} ms."
    if not HAS_GENERATE:
        yield "- There is no `generate` in this version, so its targets are not measured."


def _ratios(medians: dict[str, Sample]) -> Generator[Ratio]:
    for many in ("", MANY):
        bare, sdk = medians[f"{AIOHTTP}{many}"].cpu, medians[f"{SDK}{many}"].cpu
        for ledger, times in GENERATE_TIMES.items():
            where = f"{ledger}{many}".replace(",", "").replace(" ", "-")
            ours = medians.get(f"{GENERATE}, {ledger}{many}")
            if ours is not None:
                yield Ratio(f"aiohttp:generate:{where}", ours.cpu / bare, times)
                yield Ratio(f"openai:generate:{where}", ours.cpu / sdk, GENERATE_OF_SDK)
            wrapped = medians[f"{WRAPPED}, {ledger}{many}"].cpu
            yield Ratio(f"openai:wrapped:{where}", wrapped / sdk, WRAPPED_TIMES)
    imported = medians["import surefoot.models"].cpu - medians["import surefoot"].cpu
    yield Ratio("budget:import-models-cpu", imported / IMPORT_CPU, 1.0)


def _contenders(stack: ExitStack) -> Generator[Contender]:
    url, ours = stack.enter_context(serving()), Path(sys.executable)
    agents, litellm = locked_peer("pydantic-ai"), peer("models", LITELLM)
    bare, agent, lite = (
        stack.enter_context(Worker(python, program, url))
        for python, program in (
            (ours, "bare_calls"),
            (agents, "pydantic_ai_calls"),
            (litellm, "litellm_calls"),
        )
    )
    version = version_of(ours, "surefoot")
    # For each name: its version, its process, what that is asked for, and how many calls a round has.
    found: dict[str, tuple[str, Worker, str, int]] = {
        AIOHTTP: (version_of(ours, "aiohttp"), bare, "aiohttp", CALLS),
        "httpx2": (version_of(ours, "httpx2"), bare, "httpx2", CALLS),
        SDK: (version_of(ours, "openai"), bare, "openai", CALLS),
        "pydantic-ai Agent": (version_of(agents, "pydantic-ai-slim"), agent, "agent", SLOW_CALLS),
        "LiteLLM": (version_of(litellm, "litellm"), lite, "litellm", SLOW_CALLS),
    }
    workers = {ledger: stack.enter_context(_ours(stack, ledger, url)) for ledger in (MEMORY, DURABLE)}
    for ledger, worker in workers.items():
        found[f"{WRAPPED}, {ledger}"] = version, worker, "wrapped", CALLS
        if HAS_GENERATE:
            found[f"{GENERATE}, {ledger}"] = version, worker, "generate", CALLS
    for name, (number, worker, kind, count) in found.items():
        yield Contender(name, number, partial(_round, worker, kind, count))
        yield Contender(f"{name}{MANY}", number, partial(_round, worker, f"{kind}-many", count))
    if HAS_GENERATE:
        outside = partial(_round, workers[DURABLE], "outside", CALLS)
        yield Contender(f"{GENERATE} outside a run", version, outside)
    yield Contender(REPLAYED, version, partial(_replay, workers[DURABLE]))
    for name, statement in IMPORTS.items():
        yield Contender(name, version, partial(process, [ours, "-c", statement]))


def _ours(stack: ExitStack, ledger: str, url: str) -> Worker:
    if ledger == DURABLE:
        folder, synchronous = stack.enter_context(working_folder("surefoot_calls")), "full"
    else:
        folder, synchronous = Path(stack.enter_context(TemporaryDirectory(dir=memory_folder()))), "normal"
    return Worker(Path(sys.executable), "surefoot_calls", folder, url, synchronous)


def _round(worker: Worker, kind: str, number: int) -> Sample:
    took = worker.ask(kind, number)
    return Sample(took["wall"] / number, took["cpu"] / number)


def _replay(worker: Worker) -> Sample:
    short, long = worker.ask("replayed", SHORT_RUN), worker.ask("replayed", LONG_RUN)
    wall, cpu = ((long[key] - short[key]) / (LONG_RUN - SHORT_RUN) for key in ("wall", "cpu"))
    return Sample(wall, cpu)
