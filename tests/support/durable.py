"""A project of a test's own, and its ledger as a crash would have left it."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from surefoot import App
from surefoot.config import load
from surefoot.ledger import Link
from tampering import as_ours

LEASE = 30.0


def open_app(
    folder: Path, *, lease: float = LEASE, is_full: bool = False, url: str = "", **runs: object
) -> App:
    """The app of a folder, strict about results; its ledger is in a file there, or at `url`.

    Keys and addresses of providers are those of the environment. Commits wait for the disk only if asked: a killed
    process loses nothing without it. `runs` are settings of [runs].
    """
    providers = {
        name: value
        for name, value in os.environ.items()
        if name.endswith(("_API_KEY", "_BASE_URL", "_OPENAI_ENDPOINT"))
    }
    environ = {f"SUREFOOT_RUNS_{name.upper()}": str(value) for name, value in runs.items()} | {
        "SUREFOOT_LEDGER_SYNCHRONOUS": "full" if is_full else "normal",
        "SUREFOOT_RUNS_LEASE": str(lease),
        "SUREFOOT_RUNS_STRICT": "true",
        **providers,
        **({"SUREFOOT_LEDGER_URL": url} if url else {}),
    }
    return App(load(folder, environ=environ))


@contextmanager
def opened_app(folder: Path, *, lease: float = LEASE) -> Iterator[App]:
    """An app that is the current one inside, and is closed behind."""
    app = open_app(folder, lease=lease)
    try:
        with app.entered():
            yield app
    finally:
        app.close()


def history(app: App, run_id: str = "last") -> list[Link]:
    return app.ledger.history(app.ledger.run(run_id).id)


def names(app: App, run_id: str = "last") -> list[str]:
    """What is recorded of a run, in order, without its starts and ends."""
    return [link.outcome.name for link in history(app, run_id) if link.outcome.kind not in ("start", "end")]


def cut(source: Path, folder: Path, rows: int) -> None:
    """A copy of a ledger in which the process was killed after the first `rows` outcomes of its only run."""
    state = folder / ".surefoot"
    state.mkdir(parents=True)
    with sqlite3.connect(source) as old, sqlite3.connect(state / "ledger.db") as new:
        old.backup(new)
        new.execute(
            "DELETE FROM outcomes WHERE seq NOT IN (SELECT seq FROM outcomes ORDER BY seq LIMIT ?)", (rows,)
        )
        new.execute(
            "UPDATE runs SET status = 'running', epoch = 1, lease_until_ns = 0, ended_ns = NULL, head = NULL, "
            "failed_step = NULL, error = NULL"
        )
        new.commit()
    old.close()
    new.close()
    if (key := source.parent / "key").exists():
        shutil.copy2(key, state)
    as_ours(state / "ledger.db")
