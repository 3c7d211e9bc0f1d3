"""A project with databases of its own, and processes that write to them in transaction steps and can be killed."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from durable import open_app
from postgres import execute

SUPPORT = Path(__file__).parent
TABLE = "CREATE TABLE business (n INTEGER, token TEXT)"


class Children:
    """Processes that run the flows of `transacting`, forked from one that has everything imported."""

    def __init__(self) -> None:
        self._parent = subprocess.Popen(
            [sys.executable, SUPPORT / "transacting.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(SUPPORT)},
        )

    def ask(self, line: str) -> int:
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        self._parent.stdin.write(f"{line}\n")
        self._parent.stdin.flush()
        return int(self._parent.stdout.readline())

    def wait(self, child: int) -> int:
        return self.ask(f"wait {child}")

    def end(self) -> None:
        self._parent.communicate(timeout=10)


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    made = Children()
    yield made
    made.end()


@pytest.fixture
def folder(tmp_path: Path, postgres_url: str) -> Path:
    (tmp_path / "surefoot.toml").write_text(
        f'[databases.file]\nurl = "sqlite:///orders.db"\n[databases.server]\nurl = "{postgres_url}"\n'
    )
    (tmp_path / "url").write_text(postgres_url)
    execute(postgres_url, TABLE)
    app = open_app(tmp_path)
    app.prepare()
    assert app.ledger.runs() == []
    app.close()
    with sqlite3.connect(tmp_path / "orders.db") as file:
        file.execute(TABLE)
    file.close()
    return tmp_path


def rows_of(folder: Path, where: str) -> list[tuple[int, str]]:
    if where == "server":
        url = (folder / "url").read_text()
        return [(row[0], row[1]) for row in execute(url, "SELECT n, token FROM business ORDER BY n")]
    name = "orders.db" if where == "file" else ".surefoot/ledger.db"
    connection = sqlite3.connect(folder / name)
    try:
        return connection.execute("SELECT n, token FROM business ORDER BY n").fetchall()
    finally:
        connection.close()


def markers_of(folder: Path, where: str) -> int:
    if where == "server":
        return int(execute((folder / "url").read_text(), "SELECT count(*) FROM surefoot_markers")[0][0])
    connection = sqlite3.connect(folder / "orders.db")
    try:
        return int(connection.execute("SELECT count(*) FROM surefoot_markers").fetchone()[0])
    finally:
        connection.close()
