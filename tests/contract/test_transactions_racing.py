"""A process that was thought dead wakes up in its transaction: it or its successor commits, never both."""

from __future__ import annotations

import ast
import os
import signal
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from business import Children, children, folder, rows_of
from durable import opened_app
from postgres import execute
from tampering import as_ours
from transacting import LEASE

__all__ = ["children", "folder"]

SLOW_COMMIT = (
    "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(1.5); RETURN NULL; END $$",
    """CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON business DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION slow()""",
)


def until(holds: Callable[[], bool]) -> None:
    end_at = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end_at
        time.sleep(0.01)


def is_inside(folder: Path, child: int) -> bool:
    return (folder / f"inside.{child}").exists()


def frozen_inside(folder: Path, children: Children, flow: str) -> int:
    """A process that stands still in the body of its transaction, and whose lease has expired."""
    child = children.ask(f"{folder} run {flow}")
    until(lambda: is_inside(folder, child))
    os.kill(child, signal.SIGSTOP)
    time.sleep(LEASE * 1.2)
    return child


def is_taken_over(folder: Path) -> bool:
    with opened_app(folder) as app:
        return app.ledger.run("last").epoch == 2


def output_of(folder: Path) -> str:
    return str(ast.literal_eval((folder / "output").read_text()))


def epochs_and_outcomes(folder: Path) -> tuple[int, int]:
    with opened_app(folder) as app:
        run = app.ledger.run("last")
        assert run.status == "completed"
        return run.epoch, sum(link.outcome.kind == "step" for link in app.ledger.history(run.id))


def test_the_one_that_took_over_commits_first(folder: Path, children: Children) -> None:
    old = frozen_inside(folder, children, "slowly_in_server")
    new = children.ask(f"{folder} resume")
    until(lambda: is_inside(folder, new))
    (folder / "inside.go").touch()
    assert children.wait(new) == 0
    os.kill(old, signal.SIGCONT)
    assert children.wait(old) == 1
    assert rows_of(folder, "server") == [(0, output_of(folder))]
    assert epochs_and_outcomes(folder) == (2, 1)


def test_the_one_that_was_thought_dead_commits_first(folder: Path, children: Children) -> None:
    old = frozen_inside(folder, children, "slowly_in_server")
    new = children.ask(f"{folder} resume")
    until(lambda: is_inside(folder, new))
    os.kill(new, signal.SIGSTOP)
    (folder / "inside.go").touch()
    os.kill(old, signal.SIGCONT)
    assert children.wait(old) == 1
    committed = rows_of(folder, "server")
    os.kill(new, signal.SIGCONT)
    assert children.wait(new) == 0
    # Its body has run, and was undone.
    assert rows_of(folder, "server") == committed == [(0, output_of(folder))]
    assert epochs_and_outcomes(folder) == (2, 1)


def test_the_marker_is_waited_for_where_the_commit_is_under_way(folder: Path, children: Children) -> None:
    for statement in SLOW_COMMIT:
        execute((folder / "url").read_text(), statement)
    old = children.ask(f"{folder} run committing_slowly")
    until(lambda: is_inside(folder, old))
    # The server goes on with the commit of a client that is gone.
    until(lambda: is_sleeping(folder))
    os.kill(old, signal.SIGKILL)
    assert children.wait(old) == -signal.SIGKILL
    assert rows_of(folder, "server") == []
    new = children.ask(f"{folder} resume")
    assert children.wait(new) == 0
    assert rows_of(folder, "server") == [(0, output_of(folder))]
    assert is_inside(folder, new)


def is_sleeping(folder: Path) -> bool:
    url = (folder / "url").read_text()
    return bool(execute(url, "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"))


def test_a_file_is_waited_for_until_the_one_that_holds_it_has_committed(
    folder: Path, children: Children
) -> None:
    old = frozen_inside(folder, children, "slowly_in_file")
    new = children.ask(f"{folder} resume")
    (folder / "inside.go").touch()
    # The one that wakes up may commit what it holds, and nothing that comes after.
    until(lambda: is_taken_over(folder))
    os.kill(old, signal.SIGCONT)
    assert children.wait(new) == 0
    assert children.wait(old) == 1
    assert rows_of(folder, "file") == [(0, output_of(folder))]
    assert not is_inside(folder, new)


@pytest.mark.parametrize("flow", ["slowly_in_file", "slowly_in_server"])
def test_a_result_that_was_committed_and_not_recorded_is_adopted(
    flow: str, folder: Path, children: Children
) -> None:
    (folder / "inside.go").touch()
    child = children.ask(f"{folder} run {flow}")
    assert children.wait(child) == 0
    committed = output_of(folder)
    with opened_app(folder) as app:
        path = app.ledger.where
    forget_outcome(path)
    again = children.ask(f"{folder} resume")
    assert children.wait(again) == 0
    assert output_of(folder) == committed
    assert not is_inside(folder, again)
    assert [made for _, made in rows_of(folder, "file" if "file" in flow else "server")] == [committed]


def forget_outcome(ledger: str) -> None:
    """Leave the ledger as a crash right after the step's commit would have."""
    connection = sqlite3.connect(ledger)
    connection.execute("DELETE FROM outcomes WHERE kind <> 'start'")
    connection.execute("UPDATE runs SET status = 'running', lease_until_ns = 0, ended_ns = NULL, head = NULL")
    connection.commit()
    connection.close()
    as_ours(Path(ledger))
