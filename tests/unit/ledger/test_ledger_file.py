"""The ledger's file: how it comes to be, which ones are refused, and what readers see."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledgers import end, open_ledger, outcome, start, started
from surefoot.errors import LedgerCorrupt, LedgerError, LedgerTooNew, UnknownRun
from surefoot.ledger import Append, SqliteLedger
from surefoot.ledger.connection import connect_reader
from surefoot.ledger.schema import VERSION
from surefoot.values import new_id


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    ledger = open_ledger(tmp_path)
    yield ledger
    ledger.close()


def test_nothing_is_made_before_the_first_write(ledger: SqliteLedger, tmp_path: Path) -> None:
    assert ledger.runs() == []
    with pytest.raises(UnknownRun, match="no runs yet"):
        ledger.run("last")
    with pytest.raises(UnknownRun, match="surefoot runs"):
        ledger.run("01ABC")
    assert list(tmp_path.iterdir()) == []


def test_the_folder_is_made_with_the_file(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path / "some" / "folder")
    run_id = started(ledger)
    assert ledger.run("last").id == run_id
    ledger.close()


def test_the_file_is_durable_by_default(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "l.db", open_ledger(tmp_path).payloads)
    started(ledger)
    assert ledger._connection is not None
    assert ledger._connection.execute("PRAGMA synchronous").fetchone()[0] == 2
    assert ledger._connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    ledger.close()


def test_a_newer_ledger_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    connection = sqlite3.connect(file)
    connection.execute("CREATE TABLE runs (of_the_future TEXT)")
    connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.commit()
    connection.close()
    before = file.read_bytes()
    ledger = open_ledger(tmp_path)
    with pytest.raises(LedgerTooNew, match=f"format {VERSION + 1}.*upgrade"):
        ledger.submit(start(new_id())).wait()
    with pytest.raises(LedgerTooNew):
        ledger.runs()
    ledger.close()
    assert file.read_bytes() == before


def test_a_database_of_something_else_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    connection = sqlite3.connect(file)
    connection.execute("CREATE TABLE customers (name TEXT)")
    connection.commit()
    connection.close()
    ledger = open_ledger(tmp_path)
    with pytest.raises(LedgerError, match=r"'customers'.*SUREFOOT_LEDGER_PATH"):
        ledger.submit(start(new_id())).wait()
    ledger.close()
    connection = sqlite3.connect(file)
    assert connection.execute("SELECT name FROM sqlite_schema").fetchall() == [("customers",)]
    connection.close()


def test_processes_that_make_the_ledger_at_once(tmp_path: Path) -> None:
    code = (
        "import sys; sys.path[:0] = [sys.argv[2]]; from pathlib import Path; import ledgers; "
        "ledger = ledgers.open_ledger(Path(sys.argv[1])); sys.stdin.readline(); "
        "print(ledgers.started(ledger, 3)); ledger.close()"
    )
    support = str(Path(__file__).parents[2] / "support")
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path), support],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    said = [child.communicate() for child in children]
    assert [error for _, error in said] == [""] * 4
    ledger = open_ledger(tmp_path)
    assert {run.id for run in ledger.runs()} == {output.strip() for output, _ in said}
    connection = sqlite3.connect(tmp_path / "ledger.db")
    assert connection.execute("SELECT count(*) FROM ledger").fetchone() == (1,)
    connection.close()


def test_runs_are_found_by_the_beginning_of_their_id(ledger: SqliteLedger) -> None:
    first, second = started(ledger), started(ledger)
    assert ledger.run(first).id == first
    assert ledger.run(f" {first.lower()} ").id == first
    assert ledger.run("last").id == second
    with pytest.raises(UnknownRun, match="beginning of several runs"):
        ledger.run(first[:4])
    for wrong in ("", "%", "~", "'; DROP TABLE runs"):
        with pytest.raises(UnknownRun):
            ledger.run(wrong)


def test_runs_are_listed_by_page(ledger: SqliteLedger) -> None:
    ids = [started(ledger, tenant="a" if n % 2 else "b") for n in range(5)]
    ledger.submit(end(ids[0])).wait()
    assert [run.id for run in ledger.runs(limit=2)] == ids[:2:-1]
    assert [run.id for run in ledger.runs(before=ids[3])] == ids[2::-1]
    assert [run.id for run in ledger.runs(status="completed")] == [ids[0]]
    assert [run.id for run in ledger.runs(tenant="a")] == [ids[3], ids[1]]
    assert ledger.runs(flow="another") == []


def test_readers_do_not_wait_for_a_writer(ledger: SqliteLedger) -> None:
    run_id = started(ledger, 2)
    writer = sqlite3.connect(ledger.path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("UPDATE runs SET flow = 'uncommitted'")
    began = time.monotonic()
    assert ledger.run(run_id).flow == "flow"
    assert len(ledger.history(run_id)) == 3
    assert time.monotonic() - began < 5
    writer.execute("ROLLBACK")
    writer.close()


def test_a_writer_waits_for_another_process_of_a_while(ledger: SqliteLedger) -> None:
    run_id = started(ledger)
    other = sqlite3.connect(ledger.path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(0.2, other.execute, ("ROLLBACK",))
    timer.start()
    ledger.submit(Append(outcome(run_id, 1), [])).wait()
    timer.join()
    other.close()


def test_a_reader_does_not_take_a_locked_file_for_one_that_cannot_change(
    ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    started(ledger)
    ledger.close()
    monkeypatch.setattr("surefoot.ledger.connection._BUSY_SECONDS", 0.05)
    other = sqlite3.connect(ledger.path, isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(LedgerError, match="locked by another process"):
            connect_reader(ledger.path)
    finally:
        other.close()


def test_every_thread_reads_by_itself(ledger: SqliteLedger) -> None:
    run_id = started(ledger, 3)
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(len(ledger.history(run_id)))) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [4] * 5


@pytest.mark.parametrize("page", ["header", "runs", "outcomes", "outcomes_by_step"])
def test_a_damaged_file_is_named_and_never_a_riddle(tmp_path: Path, page: str) -> None:
    ledger = open_ledger(tmp_path)
    run_ids = [started(ledger, 20) for _ in range(5)]
    ledger.close()
    connection = sqlite3.connect(ledger.path)
    roots = dict(connection.execute("SELECT name, rootpage FROM sqlite_schema"))
    connection.close()
    with ledger.path.open("r+b") as file:
        file.seek(4096 * (roots.get(page, 1) - 1))
        file.write(os.urandom(4096))
    damaged = open_ledger(tmp_path)
    errors: list[LedgerError] = []
    for run_id in run_ids:
        for use in (
            lambda run_id=run_id: damaged.run(run_id),
            lambda run_id=run_id: damaged.first_break(run_id),
            lambda run_id=run_id: damaged.submit(Append(outcome(run_id, 99), [])).wait(),
        ):
            try:
                use()
            except UnknownRun:
                pass
            except LedgerError as error:
                errors.append(error)
    try:
        health = damaged.check()
    except LedgerCorrupt as error:
        health = str(error)
    assert health != "ok"
    assert errors
    assert all(isinstance(error, LedgerCorrupt) for error in errors)
    assert all(str(ledger.path) in str(error) and "restore a backup" in str(error) for error in errors)
    damaged.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_writes_and_does_not_disturb_its_parent(ledger: SqliteLedger) -> None:
    run_id = started(ledger, 1)
    asyncio.run(_append(ledger, run_id, 2))
    child = os.fork()
    if child == 0:
        status = 1
        try:
            mine = started(ledger, 2)
            status = 0 if len(ledger.history(mine)) == 3 and ledger.run(run_id).id == run_id else 2
            ledger.close()
        finally:
            os._exit(status)
    for n in range(3, 30):
        ledger.submit(Append(outcome(run_id, n), [])).wait()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    ledger.submit(Append(outcome(run_id, 30), [])).wait()
    assert len(ledger.runs()) == 2
    assert all(ledger.first_break(run.id) is None for run in ledger.runs())
    assert len(ledger.history(run_id)) == 31


async def _append(ledger: SqliteLedger, run_id: str, n: int) -> None:
    await ledger.submit(Append(outcome(run_id, n), []))


def test_a_child_does_not_keep_the_lock_of_a_killed_parent(tmp_path: Path) -> None:
    """The parent dies while it writes; the child that it forked lives on, and so must everybody else."""
    code = (
        "import os, sys, time; sys.path[:0] = [sys.argv[2]]; from pathlib import Path; import ledgers\n"
        "ledger = ledgers.open_ledger(Path(sys.argv[1])); ledgers.started(ledger)\n"
        "ledger._lock.acquire()\n"
        "if os.fork() == 0:\n"
        "    print(os.getpid(), flush=True); time.sleep(30); os._exit(0)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    support = str(Path(__file__).parents[2] / "support")
    parent = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code, str(tmp_path), support],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    try:
        assert parent.wait(10) == -9
        ledger = open_ledger(tmp_path)
        done = threading.Event()
        thread = threading.Thread(target=lambda: (started(ledger, 1), done.set()), daemon=True)
        thread.start()
        assert done.wait(10)
        ledger.close()
    finally:
        os.kill(child, 9)
        parent.stdout.close()
