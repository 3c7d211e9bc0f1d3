"""The embedded model's server process in its parent's hand: launched, asked, stopped, disowned."""

from __future__ import annotations

import http.client
import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import IO, cast

from surefoot.environment import child_environment
from surefoot.errors import ModelUnavailable
from surefoot.models.local.server import TOKEN_VARIABLE

_START_SECONDS = 60.0
_STOP_SECONDS = 2.0
_REQUEST_SECONDS = 30.0
_PROBE_SECONDS = 1.0
_LAST_LINES = 8


@dataclass(frozen=True, slots=True)
class Settings:
    """What a server is started with; `port` 0 is any free one."""

    model: Path
    name: str
    context: int
    threads: int
    token: str
    port: int = 0


@dataclass(frozen=True, slots=True)
class Child:
    """A server that is ready, and the pipe whose end it takes for its parent's."""

    process: subprocess.Popen[bytes]
    port: int
    log: IO[bytes]

    @property
    def is_alive(self) -> bool:
        """Whether the process has not ended and holds its port."""
        if self.process.poll() is not None:
            return False
        # A killed process closes its port some milliseconds before the system counts it as ended.
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=_PROBE_SECONDS).close()
        except ConnectionRefusedError:
            return False
        except OSError:
            return True
        return True

    def stop(self) -> None:
        """End the process, by force if it takes longer than two seconds."""
        _close(self.process.stdin)
        try:
            self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        _close(self.process.stdout)
        _close(self.log)

    def disown(self) -> None:
        """In a forked process: let go of what belongs to the parent."""
        for pipe in (self.process.stdin, self.process.stdout, self.log):
            _close(pipe)
        # Else Popen would wait for a process that is no child of this one.
        self.process.returncode = 0


def launch(settings: Settings) -> Child:
    """Start a server and wait until it answers; raises `ModelUnavailable` with its last words."""
    log = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - open as long as the process is
    # By file and not as `-m`: the package's own imports would take longer than the server's start.
    command = [sys.executable, "-P", str(Path(__file__).with_name("server.py"))]
    command += ["--model", str(settings.model), "--name", settings.name, "--port", str(settings.port)]
    command += ["--threads", str(settings.threads), "--context", str(settings.context)]
    process = subprocess.Popen(
        command,
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        env={**child_environment(), TOKEN_VARIABLE: settings.token},
    )
    deadline = time.monotonic() + _START_SECONDS
    child = Child(process, 0, log)
    try:
        port = _announced_port(process, deadline)
        if port is not None and _is_ready(port, deadline):
            return Child(process, port, log)
        words = _describe_failure(child, settings)
    except BaseException:
        process.kill()
        child.stop()
        raise
    child.stop()
    raise ModelUnavailable(words)


def request(port: int, path: str, token: str, body: object = None) -> tuple[int, object]:
    """Ask a server on this machine; the status and the decoded answer (text, if it is no JSON).

    Raises `OSError` or `http.client.HTTPException` if there is none. No proxy of the environment is used.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_REQUEST_SECONDS)
    try:
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        payload = None if body is None else json.dumps(body).encode()
        connection.request("GET" if payload is None else "POST", path, payload, headers)
        response = connection.getresponse()
        text = response.read()
    finally:
        connection.close()
    try:
        return response.status, json.loads(text)
    except ValueError:
        return response.status, text.decode(errors="replace")


def _announced_port(process: subprocess.Popen[bytes], deadline: float) -> int | None:
    if process.stdout is None:
        return None
    line = b""
    while not line.endswith(b"\n"):
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([process.stdout], [], [], left)[0]:
            return None
        part = os.read(process.stdout.fileno(), 4096)
        if not part:
            return None
        line += part
    address = cast("dict[str, str]", json.loads(line))["address"]
    return int(address.rpartition(":")[2])


def _is_ready(port: int, deadline: float) -> bool:
    while time.monotonic() < deadline:
        try:
            if request(port, "/health", "")[0] == HTTPStatus.OK:
                return True
        except (OSError, http.client.HTTPException):
            return False
        time.sleep(0.02)
    return False


def _describe_failure(child: Child, settings: Settings) -> str:
    try:
        # Its output ends a moment before it does.
        how = f"its process ended with status {child.process.wait(_STOP_SECONDS)}"
    except subprocess.TimeoutExpired:
        how = f"it was not ready within {_START_SECONDS:.0f} s"
        child.process.kill()
        child.process.wait()
    child.log.seek(0)
    lines = child.log.read().decode(errors="replace").strip().splitlines()[-_LAST_LINES:]
    said = "\n".join(f"  | {line}" for line in lines) or "  | (nothing)"
    return (
        f"local:{settings.name} did not start: {how}; it said:\n{said}\n"
        f"If {settings.model} is damaged, delete it: a file in the cache is made anew at the next use. "
        "`surefoot doctor` checks the rest."
    )


def _close(pipe: IO[bytes] | None) -> None:
    if pipe is not None:
        pipe.close()
