"""Durable runs through HTTP: how many a second, how long each takes at 100 connections, what memory does meanwhile."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import psutil

from benchmarks.harness import PROJECT, Ratio, Report, clean_environment, version_of, working_folder

CONNECTIONS = 100
SECONDS = 300.0 if os.environ.get("LONG") else 20.0
RATE, P99_MS, GROWTH_MB = 300, 250, 16
FLOW = """
from surefoot import flow, generate, scripted, step

SCRIPT = scripted(lambda request: "It says what it was asked for. " * 8)


@step
def looked_up(query: str) -> str:
    return f"what is known of {query}"


@flow(trusted=True)
def answer(query: str) -> str:
    with SCRIPT:
        context = looked_up(query)
        return generate.sync([{"role": "user", "content": f"{context}: {query}"}], using="openai:gpt-4o-mini")


@flow(trusted=True)
async def answer_async(query: str) -> str:
    with SCRIPT:
        context = looked_up(query)
        return await generate([{"role": "user", "content": f"{context}: {query}"}], using="openai:gpt-4o-mini")
"""


def run() -> Report:
    """A client in a process of its own, whose CPU is told beside the server's: both are on the same cores."""
    rows, ratios = [], []
    for flow in ("answer", "answer_async"):
        with working_folder(f"serve-{flow}") as folder:
            (folder / "served.py").write_text(FLOW, encoding="utf-8")
            with _server(folder) as (url, process):
                _load(url, flow, 2.0)
                before, cpu = process.memory_info().rss, _cpu(process)
                found = _load(url, flow, SECONDS)
                grown, spent = process.memory_info().rss - before, _cpu(process) - cpu
        rate = found["runs"] / found["seconds"]
        per_run = spent / found["runs"]
        rows.append(
            [
                "sync" if flow == "answer" else "async",
                version_of(Path(sys.executable), "surefoot"),
                f"{rate:.0f}",
                f"{found['p50'] * 1e3:.0f}",
                f"{found['p99'] * 1e3:.0f}",
                f"{per_run * 1e3:.2f}",
                f"{found['cpu'] / found['runs'] * 1e3:.2f}",
                f"{grown / 1e6:.1f}",
            ]
        )
        named = rows[-1][0]
        ratios += [
            Ratio(f"budget:{named}-{RATE}-runs-a-second", RATE / rate, 1.0),
            Ratio(f"budget:{named}-{RATE}-runs-a-second-of-CPU", RATE * per_run, 1.0),
            Ratio(f"budget:{named}-p99-{P99_MS}-ms", found["p99"] * 1e3 / P99_MS, 1.0),
            Ratio(f"budget:{named}-growth-{GROWTH_MB}MB", grown / 1e6 / GROWTH_MB, 1.0),
        ]
    return Report(
        name="serve",
        title=f"A flow of a step and a call of a scripted model, run through HTTP by {CONNECTIONS} connections that "
        f"each ask again once they are answered, {SECONDS:.0f} s. Milliseconds.",
        columns=[
            "flow",
            "version",
            "runs a second",
            "p50",
            "p99",
            "server CPU a run",
            "client CPU a run",
            "MB grown",
        ],
        rows=rows,
        notes=[
            "- Each run is durable (SQLite, WAL, `synchronous = FULL`): begun, its step, its call and its end.",
            "- `a-second-of-CPU`: what the server could do if it had one core to itself, whatever else runs here.",
        ],
        ratios=ratios,
    )


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


@contextmanager
def _server(folder: Path) -> Generator[tuple[str, psutil.Process]]:
    command = [*(sys.executable, "-m", "surefoot.cli", "serve", "served.py", "--insecure-local")]
    command += ["--port", "0", "--json", "--workers", "16"]
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
            announced += process.stdout.readline()
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
