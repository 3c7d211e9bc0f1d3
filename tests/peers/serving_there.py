"""A server of others in a process of its own, for tests in its environment."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

SECONDS = 180


@contextmanager
def serving(
    command: Callable[[int], Sequence[str]],
    folder: Path,
    *,
    health: str,
    environ: Mapping[str, str] | None = None,
) -> Generator[str]:
    """Its address, once `health` answers there. command: what begins it on a port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url, log = f"http://127.0.0.1:{port}", folder / "log"
    with log.open("wb") as written:
        process = subprocess.Popen(
            command(port), stdout=written, stderr=written, cwd=folder, start_new_session=True,
            env={**os.environ, **(environ or {})},
        )  # fmt: skip
        try:
            until = time.monotonic() + SECONDS
            while not _answers(url + health):
                assert process.poll() is None, log.read_text(encoding="utf-8")
                assert time.monotonic() < until, log.read_text(encoding="utf-8")
                time.sleep(0.2)
            yield url
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def mlflow_server(folder: Path) -> Generator[str]:
    """An MLflow server that keeps everything in a folder."""

    def serve(port: int) -> list[str]:
        return [
            *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)),
            *("--workers", "1", "--backend-store-uri", f"sqlite:///{folder}/mlflow.db"),
            *("--artifacts-destination", str(folder / "files")),
        ]

    with serving(serve, folder, health="/health") as url:
        yield url


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False
