"""Where a load is run and killed: a folder with its settings, and databases that have no unique key."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import orders
from postgres import Server, execute, private_server

Engine = Literal["sqlite", "postgres"]

HERE = Path(__file__).parent
LEASE = 5.0
OUTAGE = 2.0
"""Shorter than some outages, so that runs stop in them, and longer than others."""


@dataclass(frozen=True)
class Grounds:
    """One folder, and the server that its databases are on, if it has one."""

    engine: Engine
    folder: Path
    server: Server | None = None
    ledger_url: str = ""
    other_url: str = ""

    def start(self, number_of_orders: int, in_flight: int) -> subprocess.Popen[bytes]:
        """A new worker."""
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, HERE / "worker.py", self.folder, str(number_of_orders), str(in_flight)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )


@contextmanager
def prepared(engine: Engine, folder: Path, *, syncs: bool = True) -> Iterator[Grounds]:
    """Grounds on which nothing has happened yet."""
    folder.mkdir(parents=True, exist_ok=True)
    if engine == "sqlite":
        import sqlite3

        with sqlite3.connect(folder / "other.db") as other:
            other.execute(f"CREATE TABLE {orders.TABLE}")
        other.close()
        _write_settings(folder, ledger='synchronous = "full"', other="sqlite:///other.db")
        yield Grounds(engine, folder)
        return
    with private_server(fsync="on" if syncs else "off") as server:
        ledger_url, other_url = server.new_database(), server.new_database()
        for url in (ledger_url, other_url):
            execute(url, f"CREATE TABLE {orders.TABLE}")
        _write_settings(folder, ledger=f'url = "{ledger_url}"\noutage = {OUTAGE}', other=other_url)
        yield Grounds(engine, folder, server, ledger_url, other_url)


def _write_settings(folder: Path, *, ledger: str, other: str) -> None:
    (folder / "surefoot.toml").write_text(
        f'[ledger]\n{ledger}\n\n[runs]\nlease = {LEASE}\nstrict = true\n\n[databases.other]\nurl = "{other}"\n'
    )
