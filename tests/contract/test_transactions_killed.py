"""Transaction steps under `kill -9`: every business row is there exactly once, and the run returns what it says."""

from __future__ import annotations

import ast
import os
import random
import signal
import time
from pathlib import Path

import pytest

from business import Children, children, folder, markers_of, rows_of
from durable import open_app
from transacting import COUNT

__all__ = ["children", "folder"]


@pytest.mark.parametrize(
    ("flow", "where"),
    [
        ("in_ledger", "ledger"),
        ("in_file", "file"),
        ("in_file_by_alchemy", "file"),
        ("by_psycopg", "server"),
        ("by_asyncpg", "server"),
        ("in_server_by_alchemy", "server"),
    ],
)
def test_a_killed_transaction_step_is_done_exactly_once(
    flow: str, where: str, folder: Path, children: Children
) -> None:
    chance = random.Random(flow)
    command, killed = f"run {flow}", 0
    while not (folder / "output").exists():
        child = children.ask(f"{folder} {command}")
        # Later and later, so that the run ends in the end however slow the machine is.
        time.sleep(chance.uniform(0.01, 0.04 * (1 + killed / 4)))
        os.kill(child, signal.SIGKILL)
        assert children.wait(child) in (-signal.SIGKILL, 0)
        killed += 1
        command = "resume" if (folder / ".surefoot" / "ledger.db").exists() and is_begun(folder) else command
    rows = rows_of(folder, where)
    assert [n for n, _ in rows] == list(range(COUNT))
    assert [made for _, made in rows] == ast.literal_eval((folder / "output").read_text())
    if where != "ledger":
        assert markers_of(folder, where) == COUNT
    assert killed > 1


def is_begun(folder: Path) -> bool:
    app = open_app(folder)
    try:
        return bool(app.ledger.runs(limit=1))
    finally:
        app.close()
