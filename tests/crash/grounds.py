"""Where a load is run and killed: a folder with its settings, and databases that have no unique key."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import orders
import outside
from postgres import Server, execute, private_server
from wire import WireServer

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
    model_url: str
    server: Server | None = None
    ledger_url: str = ""
    other_url: str = ""

    @property
    def environ(self) -> dict[str, str]:
        """What its processes find around them: no setting of whoever started this."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("SUREFOOT_")}
        return own | {"OPENAI_BASE_URL": self.model_url}

    def start(self, *numbers: int) -> subprocess.Popen[bytes]:
        """A new worker; `numbers` are its arguments."""
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, HERE / "worker.py", self.folder, *map(str, numbers)],
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )


@contextmanager
def prepared(engine: Engine, folder: Path, *, syncs: bool = True) -> Iterator[Grounds]:
    """Grounds on which nothing has happened yet, with a model that gives each answer once."""
    folder.mkdir(parents=True, exist_ok=True)

    def answer(_: str, question: str) -> str:
        token = outside.token()
        outside.note(str(folder / outside.ANSWERED), question, token)
        return token

    with WireServer(reply=answer, delay=0.005) as model:
        if engine == "sqlite":
            yield _with_files(folder, model.openai_url)
        else:
            with private_server(fsync="on" if syncs else "off") as server:
                yield _with_server(folder, model.openai_url, server)


def _with_files(folder: Path, model_url: str) -> Grounds:
    with sqlite3.connect(folder / "other.db") as other:
        other.execute(f"CREATE TABLE {orders.TABLE}")
    other.close()
    _write_settings(folder, ledger='synchronous = "full"', other="sqlite:///other.db")
    return Grounds("sqlite", folder, model_url)


def _with_server(folder: Path, model_url: str, server: Server) -> Grounds:
    ledger_url, other_url = server.new_database(), server.new_database()
    for url in (ledger_url, other_url):
        execute(url, f"CREATE TABLE {orders.TABLE}")
    _write_settings(folder, ledger=f'url = "{ledger_url}"\noutage = {OUTAGE}', other=other_url)
    return Grounds("postgres", folder, model_url, server, ledger_url, other_url)


def _write_settings(folder: Path, *, ledger: str, other: str) -> None:
    (folder / "surefoot.toml").write_text(
        f'[ledger]\n{ledger}\n\n[runs]\nlease = {LEASE}\nstrict = true\n\n[databases.other]\nurl = "{other}"\n'
    )
