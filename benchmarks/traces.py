"""What a traced call costs with its durable record and until it is sent, against four libraries that trace."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.contenders.serving import IN_FLIGHT, STEPS
from benchmarks.harness import (
    ROUNDS_FACTOR,
    Contender,
    Ratio,
    Report,
    Sample,
    Worker,
    interleaved,
    memory_folder,
    peer,
    version_of,
    working_folder,
)
from benchmarks.trace_receiver import Arrived, Receiver, receiving

ROUNDS = 9
CALLS, ROWS = 1_000, 200
"""Calls of a round, which is one trace, and rows of one."""
US = 1e6
CALL_US = 100
"""CPU that a traced call may take, its record and its part of the export included."""
PEERS = {
    "logfire": ("logfire==5.4.0",),
    "langfuse": ("langfuse==5.0.4",),
    "langsmith": ("langsmith==0.14.17",),
    # The last OpenTelemetry that it allows: it has no exporter of its own.
    "promptflow": ("promptflow-tracing==1.18.5", "opentelemetry-exporter-otlp-proto-http==1.38.0"),
}
"""By the name in the table; the first requirement is the library itself."""

BARE, FLOOR = "bare function", "bare row, one at a time"
ONE, MANY, GENERATED = "one at a time", f"{IN_FLIGHT} at once", "a scripted model"
KINDS = {ONE: "one", MANY: "many", GENERATED: "generated"}
DISK, MEMORY = "disk", "memory"
SENT, KEPT = "sent", "not sent"


@dataclass(slots=True)
class Rounds:
    """The rounds of one contender, and what came of them at the receiver: in each, every span of it."""

    name: str
    worker: Worker
    kind: str
    receiver: Receiver
    is_sent: bool
    arrived: Arrived

    def __call__(self) -> Sample:
        before = self.receiver.counted(self.path)
        took = self.worker.ask(self.kind, CALLS)
        after = self.receiver.counted(self.path)
        spans = after.spans - before.spans
        # The span around the calls is one more.
        if spans != (CALLS + 1 if self.is_sent else 0):
            raise SystemExit(f"{self.name}: {spans} spans came of {CALLS} calls and the one around them")
        self.arrived = Arrived(after.requests - before.requests, after.size - before.size, spans)
        return Sample(took["wall"] / CALLS, took["cpu"] / CALLS)

    @property
    def path(self) -> str:
        """Under which the receiver knows it."""
        return self.worker.name


def run() -> Report:
    """CPU of whole processes with all their threads, until a round is sent; the receiver is another process."""
    found: dict[str, Rounds] = {}
    with ExitStack() as stack:
        contenders = list(_contenders(stack, found))
        medians = interleaved(contenders, rounds=ROUNDS)
    bare = medians[BARE]
    return Report(
        name="traces",
        title="Calls of a function with a question of 100 characters and an answer of 1 KiB, each traced with both, "
        f"model and tokens, {CALLS} in a trace; median of {ROUNDS * ROUNDS_FACTOR} interleaved rounds. "
        "Microseconds per call, less those of the bare function.",
        columns=["contender", "version", "CPU", "wall", "requests", "bytes sent a call"],
        rows=[
            [
                one.name,
                one.version,
                f"{(medians[one.name].cpu - bare.cpu) * US:,.0f}",
                f"{(medians[one.name].wall - bare.wall) * US:,.0f}",
                *_arrived(found.get(one.name)),
            ]
            for one in contenders
            if one.name != BARE
        ],
        notes=list(_notes(bare)),
        ratios=list(_ratios(medians)),
    )


def _arrived(rounds: Rounds | None) -> tuple[str, str]:
    """Requests of a round and bytes of a call, of those that send."""
    if rounds is None or not rounds.is_sent:
        return "", ""
    return f"{rounds.arrived.requests}", f"{rounds.arrived.size / CALLS:,.0f}"


def _notes(bare: Sample) -> Generator[str]:
    yield "- CPU: of all threads, until the last span is at the receiver; wall: until the last call is back."
    yield f"- Taken off: the bare function, {bare.cpu * US:.1f} µs CPU."
    yield (
        f"- The receiver is another process, which answers 200 at once. Of each that sends it got {CALLS + 1} spans in "
        "every round, or the benchmark would have ended; requests are those of a round."
    )
    yield (
        f"- Surefoot: a step for each call, durable before its answer is used. {DISK}: SQLite, "
        f"`synchronous = FULL`, as a server has it; {MEMORY}: a file system in memory, `NORMAL`. {SENT}: "
        f"`[traces.NAME]`, in the background of the same process; {KEPT}: without it."
    )
    yield (
        f"- {FLOOR}: sqlite3 alone, `INSERT` and `COMMIT` of a kibibyte with `synchronous = FULL`; nothing that is "
        "durable call by call in a file costs less."
    )
    yield f"- {MANY}: so many tasks of a run, which share commits; {GENERATED}: `generate` with all its chain."
    yield (
        "- logfire: `logfire.span`, by OpenTelemetry's exporter to `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, which does "
        "not compress by default."
    )
    yield "- langfuse: `@observe`, `update_current_generation`; langsmith: `@traceable`. Both compress by default."
    yield (
        "- promptflow: `@trace` and `start_trace`, with OpenTelemetry's batch exporter added: its own sends to its "
        "local service. Model and tokens are in the output: it reads them from objects of the OpenAI SDK alone."
    )
    yield "- What the peers have not sent is in memory, and lost with the process."
    yield (
        f"- The machine was shared: {os.getloadavg()[1]:.0f} tasks wanted its cores in the last five minutes, where "
        "this makes two. That adds to CPU as well, for all alike."
    )


def _ratios(medians: dict[str, Sample]) -> Generator[Ratio]:
    bare = medians[BARE].cpu
    for how in (MANY, ONE):
        for sending in (SENT, KEPT):
            ours = medians[_ours(how, DISK, sending)].cpu - bare
            label = f"budget:{how}:{sending}-{CALL_US}us".replace(" ", "-")
            yield Ratio(label, ours * US / CALL_US, 1.0)
    for name in PEERS:
        for how in (MANY, ONE):
            ours, theirs = (medians[one].cpu - bare for one in (_ours(how, DISK, SENT), name))
            yield Ratio(f"{name}:{how}".replace(" ", "-"), ours / theirs, 1.0)


def _ours(how: str, ledger: str, sending: str) -> str:
    return f"Surefoot, {how}, {ledger}, {sending}"


def _contenders(stack: ExitStack, found: dict[str, Rounds]) -> Generator[Contender]:
    receiver, python = stack.enter_context(receiving()), Path(sys.executable)
    version = version_of(python, "surefoot")
    for ledger, sending in ((DISK, SENT), (DISK, KEPT), (MEMORY, SENT)):
        folder, synchronous = _folder(stack, ledger, sending)
        url = f"{receiver.url}/surefoot_traces" if sending == SENT else ""
        worker = stack.enter_context(Worker(python, "surefoot_traces", folder, url, synchronous))
        for how, kind in KINDS.items():
            if how == GENERATED and (ledger, sending) != (DISK, SENT):
                continue
            name = _ours(how, ledger, sending)
            rounds = Rounds(name, worker, kind, receiver, sending == SENT, Arrived())
            found[name] = rounds
            yield Contender(name, version, rounds)
        if sending == KEPT:
            found[BARE] = Rounds(BARE, worker, "bare", receiver, is_sent=False, arrived=Arrived())
            yield Contender(BARE, sys.version.split()[0], found[BARE])
    floor = stack.enter_context(Worker(python, "bare_row", stack.enter_context(working_folder("traces-row"))))
    yield Contender(FLOOR, sys.version.split()[0], partial(_row, floor))
    for name, requirements in PEERS.items():
        python = peer("traces", *requirements)
        program = f"traces_{name}"
        worker = stack.enter_context(Worker(python, program, f"{receiver.url}/{program}"))
        found[name] = Rounds(name, worker, "calls", receiver, is_sent=True, arrived=Arrived())
        yield Contender(name, requirements[0].rpartition("==")[2], found[name])


def _row(worker: Worker) -> Sample:
    took = worker.ask("sequential", ROWS // STEPS)
    return Sample(took["wall"] / took["steps"], took["cpu"] / took["steps"])


def _folder(stack: ExitStack, ledger: str, sending: str) -> tuple[Path, str]:
    """Where a ledger is, and its `synchronous`."""
    if ledger == DISK:
        return stack.enter_context(working_folder(f"traces-{sending}".replace(" ", "-"))), "full"
    return Path(stack.enter_context(TemporaryDirectory(dir=memory_folder()))), "normal"
