"""A server of a test's own: flows that are served, in this process and as a command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from starlette.testclient import TestClient

from surefoot import App
from surefoot.config import load
from surefoot.server.api.application import Api, api_of
from surefoot.server.served import Served

HOST = "http://localhost:8720"
ALLOWANCE = 60
"""Seconds for whatever a slow machine needs to get done."""


@contextmanager
def api_at(
    folder: Path, *flows: str | Path, is_open: bool = True, is_started: bool = True, **serve: object
) -> Iterator[tuple[TestClient, Api, App]]:
    """The application of the flows in these files, whose runs are made; `serve` are settings of [serve]."""
    environ = {f"SUREFOOT_SERVE_{name.upper()}": str(value) for name, value in serve.items()}
    app = App(load(folder, environ={"SUREFOOT_LEDGER_SYNCHRONOUS": "normal", **environ}))
    with app.entered():
        api = api_of(app, Served.load([str(flow) for flow in flows]), is_open=is_open)
    if is_started:
        api.start()
    client = TestClient(api.asgi, base_url=HOST)
    try:
        yield client, api, app
    finally:
        api.close(grace=0)
        app.close()


def until(condition: Any, *, what: str = "") -> Any:
    """What a condition gives once that is true of it."""
    end = time.monotonic() + ALLOWANCE
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError(f"it did not come to that: {what or condition}")


def events(text: str) -> list[tuple[str, str, Any]]:
    """Server-sent events: id, name and data of each."""
    found: list[tuple[str, str, Any]] = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if fields:
            found.append((fields.get("id", ""), fields["event"], json.loads(fields["data"])))
    return found


class Server:
    """`surefoot serve` in a process of its own."""

    def __init__(
        self,
        folder: Path,
        *flows: str,
        options: Sequence[str] = ("--insecure-local", "--port", "0"),
        environ: Mapping[str, str] | None = None,
        files: int | None = None,
    ) -> None:
        """files: how many the process may have open."""
        self.process = subprocess.Popen(
            [
                *(() if files is None else ("sh", "-c", f'ulimit -n {files} && exec "$@"', "sh")),
                *(sys.executable, "-m", "surefoot.cli", "serve", *flows),
                *(*options, "--json"),
            ],
            cwd=folder,
            env={**os.environ, "SUREFOOT_LEDGER_SYNCHRONOUS": "normal", **(environ or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.errors: list[str] = []
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()
        announced = ""
        while not announced.rstrip().endswith("}"):
            line = self.process.stdout.readline()
            assert line, f"it did not start: {''.join(self.errors)}"
            announced += line
        self.url: str = json.loads(announced)["url"]
        address = self.url if self.url.startswith("http") else "http://localhost"
        self.client = httpx.Client(base_url=address, timeout=ALLOWANCE)

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.errors += list(self.process.stderr)

    def kill(self) -> None:
        """As the power goes."""
        self.process.kill()
        self.end()

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.end()

    def end(self) -> int:
        self.client.close()
        code = self.process.wait(ALLOWANCE)
        self._reading.join(ALLOWANCE)
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.process.stdout.close()
        self.process.stderr.close()
        return code
