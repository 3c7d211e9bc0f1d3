"""Durable runs through HTTP: how many a second, how long each takes at 100 connections, what memory does meanwhile."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import psutil

from benchmarks.harness import PROJECT, Ratio, Report, clean_environment, version_of, working_folder
from benchmarks.postgres import Server

CONNECTIONS = 100
SECONDS = 20.0
RATE, P99_MS, GROWTH_MB, CORES = 300, 250, 16, 2
FLOW = """
from surefoot import flow, generate, scripted, step


def said(request: object) -> str:
    return "It says what it was asked for. " * 8


@step
def looked_up(query: str) -> str:
    return f"what is known of {query}"


@flow(trusted=True)
def answer(query: str) -> str:
    # One for each run: a script keeps what it was asked.
    with scripted(said):
        context = looked_up(query)
        return generate.sync([{"role": "user", "content": f"{context}: {query}"}], using="openai:gpt-4o-mini")


@flow(trusted=True)
async def answer_async(query: str) -> str:
    # One for each run: a script keeps what it was asked.
    with scripted(said):
        context = looked_up(query)
        return await generate([{"role": "user", "content": f"{context}: {query}"}], using="openai:gpt-4o-mini")
"""


@dataclass(frozen=True)
class Setting:
    """How a flow is served: which kind of flow, on which engine, by how many processes."""

    flow: str
    engine: str = "SQLite"
    processes: int = 1

    def __str__(self) -> str:
        kind = "sync" if self.flow == "answer" else "async"
        several = "" if self.processes == 1 else f", {self.processes} processes"
        return f"{kind}, {self.engine}{several}"


SETTINGS = (
    Setting("answer"),
    Setting("answer_async"),
    Setting("answer", processes=2),
    Setting("answer", "Postgres"),
    Setting("answer", "Postgres", processes=2),
)


def run() -> Report:
    """Each setting for some seconds."""
    return report("serve", SETTINGS, SECONDS)


def report(name: str, settings: Sequence[Setting], seconds: float) -> Report:
    """A client in a process of its own, whose CPU is told beside the server's: all are on the same cores."""
    rows, ratios = [], []
    with TemporaryDirectory(prefix="surefoot-bench-") as place:
        postgres = Server(Path(place) / "postgres")
        for number, setting in enumerate(settings):
            row, found = _measured(setting, postgres, f"serve_{number}", seconds)
            rows.append(row)
            ratios += found
    return Report(
        name=name,
        title=f"A flow of a step and a call of a scripted model, run through HTTP by {CONNECTIONS} connections that "
        f"each ask again once they are answered, {seconds:.0f} s, of which the second half is told. Milliseconds.",
        columns=[
            "flow",
            "version",
            "runs a second",
            "p50",
            "p99",
            "server CPU a run",
            "Postgres CPU a run",
            "client CPU a run",
            "MB grown in the first half",
            "in the second",
        ],
        rows=rows,
        notes=[
            (
                "- Each run is durable (SQLite: WAL, `synchronous = FULL`; Postgres as it is shipped): begun, its "
                "step, its call and its end, and the audit's row on who asked."
            ),
            "- CPU and memory are those of all processes of the server.",
            (
                f"- The machine was shared: {os.getloadavg()[1]:.0f} tasks wanted its cores in the last five minutes, "
                "where server and client make two to four. Rates and times are those of a busy one; CPU less so."
            ),
            (
                f"- `of-CPU`: what {RATE} runs a second need of a core for each process, or of {CORES} for all that "
                "takes part, whichever is scarcer: how near the rate comes on a machine that does nothing else."
            ),
            f"- With {CONNECTIONS} connections in a closed loop the mean time is {CONNECTIONS} / rate.",
        ],
        ratios=ratios,
    )


def _measured(
    setting: Setting, postgres: Server, database: str, seconds: float
) -> tuple[list[str], list[Ratio]]:
    with working_folder(database) as folder:
        (folder / "served.py").write_text(FLOW, encoding="utf-8")
        if setting.engine == "Postgres":
            url = postgres.database(database)
            (folder / "surefoot.toml").write_text(f'[ledger]\nurl = "{url}"\n', encoding="utf-8")
        with _server(folder, processes=setting.processes) as (url, process):
            _load(url, setting.flow, 2.0)
            begun = _memory(process)
            _load(url, setting.flow, seconds / 2)
            before = _memory(process), _cpu(process), postgres.cpu()
            found = _load(url, setting.flow, seconds / 2)
            after = _memory(process), _cpu(process), postgres.cpu()
    grown, spent, served = (then - now for then, now in zip(after, before, strict=True))
    runs = found["runs"]
    rate = runs / found["seconds"]
    a_run = spent / runs, served / runs if setting.engine == "Postgres" else 0.0, found["cpu"] / runs
    row = [
        str(setting),
        version_of(Path(sys.executable), "surefoot"),
        f"{rate:.0f}",
        f"{found['p50'] * 1e3:.0f}",
        f"{found['p99'] * 1e3:.0f}",
        *(f"{seconds * 1e3:.2f}" for seconds in a_run),
        f"{(before[0] - begun) / 1e6:.1f}",
        f"{grown / 1e6:.1f}",
    ]
    named = str(setting).replace(", ", "-").replace(" ", "-")
    return row, [
        Ratio(f"budget:{named}:{RATE}-runs-a-second", RATE / rate, 1.0),
        Ratio(f"budget:{named}:{RATE}-runs-a-second-of-CPU", RATE * _needed(a_run, setting.processes), 1.0),
        Ratio(f"budget:{named}:p99-{P99_MS}-ms", found["p99"] * 1e3 / P99_MS, 1.0),
        Ratio(f"budget:{named}:growth-{GROWTH_MB}MB", grown / 1e6 / GROWTH_MB, 1.0),
    ]


def _needed(a_run: tuple[float, float, float], processes: int) -> float:
    """The part of the cores that there are which a run needs a second of, CPU seconds of the server's first."""
    return max(a_run[0] / processes, sum(a_run) / CORES)


def _all(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def _cpu(process: psutil.Process) -> float:
    """Seconds of user and system time of all processes of a server."""
    return sum(float(times.user + times.system) for times in (one.cpu_times() for one in _all(process)))


def _memory(process: psutil.Process) -> int:
    return sum(one.memory_info().rss for one in _all(process))


@contextmanager
def _server(folder: Path, *, processes: int = 1) -> Generator[tuple[str, psutil.Process]]:
    command = [*(sys.executable, "-m", "surefoot.cli", "serve", "served.py", "--insecure-local")]
    command += ["--port", "0", "--json", "--workers", "16", "--processes", str(processes)]
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    if process.stdout is None:
        raise SystemExit("the server has no output")
    try:
        announced = ""
        while not announced.rstrip().endswith("}"):
            line = process.stdout.readline()
            if not line:
                raise SystemExit(f"the server ended with status {process.wait()}")
            announced += line
        yield json.loads(announced)["url"], psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(60)
        process.stdout.close()


def _load(url: str, flow: str, seconds: float) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.serve", url, flow, str(seconds)],
        cwd=PROJECT,
        env={**clean_environment(), "PYTHONPATH": str(PROJECT)},
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


class _Connection(asyncio.Protocol):
    """Sends one request after the other over one connection, and notes how long each took."""

    def __init__(self, request: bytes, until: float, took: list[float]) -> None:
        self._request = request
        self._until = until
        self._took = took
        self._buffer = b""
        self._sent = 0.0
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def _send(self) -> None:
        self._sent = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return
        if not head.startswith(b"HTTP/1.1 200") or b'"completed"' not in body:
            raise SystemExit(f"an answer that is none: {self._buffer[:2000]!r}")
        self._buffer = b""
        now = time.perf_counter()
        self._took.append(now - self._sent)
        if now >= self._until:
            self._transport.close()
        else:
            self._send()

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002
        if not self.over.done():
            self.over.set_result(None)


async def _ask(url: str, flow: str, seconds: float) -> dict[str, float]:
    host, _, port = url.removeprefix("http://").partition(":")
    body = json.dumps({"inputs": {"query": "Who carries the pager?"}})
    request = (
        f"POST /flows/{flow}/runs HTTP/1.1\r\nhost: {host}:{port}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n{body}"
    ).encode()
    took: list[float] = []
    began = time.perf_counter()
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(lambda: _Connection(request, began + seconds, took), host, int(port))
        for _ in range(CONNECTIONS)
    ]
    await asyncio.gather(*(protocol.over for _, protocol in made))
    lasted = time.perf_counter() - began
    took.sort()
    return {
        "runs": len(took),
        "seconds": lasted,
        "p50": took[len(took) // 2],
        "p99": took[len(took) * 99 // 100],
        "cpu": time.process_time(),
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_ask(sys.argv[1], sys.argv[2], float(sys.argv[3])))))
