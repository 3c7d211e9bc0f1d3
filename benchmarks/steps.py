"""What a durable step costs, against DBOS, LangGraph and a bare row, on SQLite and Postgres."""

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
    peers,
    version_of,
    working_folder,
)

ROUNDS = 5
SQLITE, POSTGRES = "SQLite", "Postgres"
# The least by which CPU per step is to be below a peer's, with 100 runs in flight.
AGAINST = {("DBOS", SQLITE): 60, ("LangGraph", SQLITE): 25, ("DBOS", POSTGRES): 50}
# With one run at a time, what a step may cost of a bare row: wall time of the median one, and CPU.
BARE_WALL, BARE_CPU = 1.5, 4.0
# CPU in microseconds: a step, a step whose payload is sealed, a step that is replayed.
STEP_US, SEALED_US, REPLAY_US = 120, 200, 15
LONG_RUN, SHORT_RUN = 10_000, 1_000

US = 1e6


def run() -> Report:
    """CPU per step of whole processes with all their threads; the server's own is beside it."""
    with ExitStack() as stack:
        contenders = list(_contenders(stack))
        medians = interleaved(contenders, rounds=ROUNDS)
    rows = [
        [
            contender.name,
            contender.version,
            f"{medians[contender.name].cpu * US:.0f}",
            f"{medians[contender.name].wall * US:.0f}",
            f"{medians[contender.name].step * US:.0f}" if medians[contender.name].step else "",
            f"{medians[contender.name].server * US:.0f}" if medians[contender.name].server else "",
        ]
        for contender in contenders
    ]
    return Report(
        name="steps",
        title="10 sequential steps of 1 KiB JSON in a run, each durable before the next; median of "
        f"{ROUNDS * ROUNDS_FACTOR} interleaved rounds. Microseconds per step, the run's own start and end "
        "included.",
        columns=["contender", "version", "CPU", "wall", "median step", "server CPU"],
        rows=rows,
        notes=[
            "- SQLite: WAL and `synchronous = FULL` for all. DBOS ships with a rollback journal, which costs it more.",
            "- `one`: one run at a time. `100`: 100 runs in flight. `threads`: in its pool of threads, no event loop.",
            '- LangGraph: ten nodes in a row, AsyncSqliteSaver or AsyncPostgresSaver, `durability="sync"`.',
            "- Postgres: one server for all, its default settings, a Unix socket; server CPU is not in CPU.",
            "- bare row: sqlite3 alone, `INSERT` and `COMMIT` of the same kibibyte, one after the other.",
            f"- replay: a resume, per step of a run of {LONG_RUN:,} above one of {SHORT_RUN:,}.",
        ],
        ratios=list(_ratios(medians)),
    )


def _ratios(medians: dict[str, Sample]) -> Generator[Ratio]:
    for (name, database), times in AGAINST.items():
        ours = medians.get(f"Surefoot, {database}, 100")
        for how in ("100", "100 threads"):
            theirs = medians.get(f"{name}, {database}, {how}")
            if ours and theirs:
                label = f"{name}:{database}:{how}".replace(" ", "-")
                yield Ratio(label, ours.cpu / theirs.cpu, 1 / times)
    yield Ratio(f"budget:step-{STEP_US}us", medians["Surefoot, SQLite, 100"].cpu * US / STEP_US, 1.0)
    yield Ratio(
        f"budget:sealed-{SEALED_US}us", medians["Surefoot, SQLite, 100 sealed"].cpu * US / SEALED_US, 1.0
    )
    bare = medians["bare row, SQLite, one"]
    for how in ("one", "one async"):
        ours = medians[f"Surefoot, SQLite, {how}"]
        yield Ratio(f"bare-row:wall:{how}".replace(" ", "-"), ours.step / bare.step, BARE_WALL)
        yield Ratio(f"bare-row:cpu:{how}".replace(" ", "-"), ours.cpu / bare.cpu, BARE_CPU)
    yield Ratio(f"budget:replay-{REPLAY_US}us", medians["Surefoot, SQLite, replay"].cpu * US / REPLAY_US, 1.0)


def _contenders(stack: ExitStack) -> Generator[Contender]:
    ours, theirs = Path(sys.executable), peers()
    versions = {
        "Surefoot": version_of(ours, "surefoot"),
        "DBOS": version_of(theirs, "dbos"),
        "LangGraph": version_of(theirs, "langgraph"),
        "bare row": sys.version.split()[0],
    }
    programs = {
        "Surefoot": (ours, "surefoot_steps"),
        "DBOS": (theirs, "dbos_steps"),
        "LangGraph": (theirs, "langgraph_steps"),
        "bare row": (ours, "bare_row"),
    }
    # For each contender: what a round is called here, what its program is asked for, and how many runs.
    one = {"one": ("sequential", 20)}
    rounds = {
        "bare row": {"one": ("sequential", 100), "one, rollback journal": ("sequential-journal", 20)},
        "Surefoot": {
            "one": ("sequential", 100),
            "one async": ("sequential-async", 100),
            "100": ("concurrent", 1000),
            "100 sealed": ("concurrent-sealed", 500),
        },
        "DBOS": one | {"100": ("concurrent", 100), "100 threads": ("concurrent-threads", 100)},
        "LangGraph": one | {"100": ("concurrent", 100)},
    }
    server = stack.enter_context(postgres.server())
    for database in (SQLITE, POSTGRES):
        for name, (python, program) in programs.items():
            if database == POSTGRES and name == "bare row":
                continue
            folder = stack.enter_context(working_folder(f"{program}-{database}".lower()))
            address = [server.database(program)] if database == POSTGRES else []
            worker = stack.enter_context(Worker(python, program, folder, *address))
            cpu = server.cpu if address else _no_server
            for how, (kind, number) in rounds[name].items():
                work = partial(_round, worker, kind, number, cpu)
                yield Contender(f"{name}, {database}, {how}", versions[name], work)
            if name == "Surefoot":
                yield Contender(f"{name}, {database}, replay", versions[name], partial(_replay, worker, cpu))


def _round(worker: Worker, kind: str, number: int, server_cpu: Callable[[], float]) -> Sample:
    before = server_cpu()
    took = worker.ask(kind, number)
    steps = took["steps"]
    return Sample(
        took["wall"] / steps, took["cpu"] / steps, took["step_p50"], (server_cpu() - before) / steps
    )


def _replay(worker: Worker, server_cpu: Callable[[], float]) -> Sample:
    before = server_cpu()
    short, long = worker.ask("replay", SHORT_RUN), worker.ask("replay", LONG_RUN)
    steps = LONG_RUN - SHORT_RUN
    wall, cpu = ((long[key] - short[key]) / steps for key in ("wall", "cpu"))
    return Sample(wall, cpu, server=(server_cpu() - before) / (LONG_RUN + SHORT_RUN))


def _no_server() -> float:
    return 0.0
