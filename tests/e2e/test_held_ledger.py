"""Another process holds the ledger and does not let go: a clear error in bounded time, and nothing lost."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from durable import history, open_app
from ledgers import open_ledger, outcome, started
from surefoot import App, flow, step
from surefoot.errors import LedgerError
from surefoot.ledger import Append

QUEUED = """
import sys, time
from pathlib import Path
from surefoot.ledger.filelock import FileLock
lock = FileLock(Path(sys.argv[1]))
lock.acquire()
print("held", flush=True)
time.sleep(float(sys.argv[2]))
"""
WRITING = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
time.sleep(float(sys.argv[2]))
"""
INHERITED = """
import fcntl, os, sys, time
handle = os.open(sys.argv[1] + "-lock", os.O_RDWR)
fcntl.flock(handle, fcntl.LOCK_EX)
if os.fork() != 0:
    os._exit(0)
print("held", os.getpid(), flush=True)
time.sleep(float(sys.argv[2]))
"""

executed: list[int] = []
between: list[Callable[[], object]] = []


@step
def part(n: int) -> int:
    executed.append(n)
    return n


@flow
def parts() -> list[int]:
    found: list[int] = []
    for n in range(8):
        if n == 4 and between:
            between.pop()()
        found.append(part(n))
    return found


@pytest.fixture(autouse=True)
def nothing_executed() -> Iterator[None]:
    executed.clear()
    between.clear()
    yield
    between.clear()


class Other:
    """A process that takes hold of the ledger and sleeps."""

    def __init__(self, code: str, ledger: Path, *, seconds: float = 60.0) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", code, str(ledger), str(seconds)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.said = self.process.stdout.readline().split()
        assert self.said[0] == "held"

    def stop(self) -> Other:
        self.process.send_signal(signal.SIGSTOP)
        stat = Path(f"/proc/{self.process.pid}/stat")
        end_at = time.monotonic() + 10
        while stat.read_text().rpartition(")")[2].split()[0] != "T":
            assert time.monotonic() < end_at
            time.sleep(0.005)
        return self

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


@pytest.fixture
def others() -> Iterator[list[Other]]:
    others: list[Other] = []
    yield others
    for other in others:
        other.end()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits that end soon."""
    monkeypatch.setattr("surefoot.ledger.filelock._TURN_SECONDS", 0.3)
    monkeypatch.setattr("surefoot.ledger.connection._BUSY_SECONDS", 0.3)


def assert_goes_on(app: App) -> None:
    """The run goes on from where it was, and what was recorded is not done again."""
    recorded = [link.outcome.name for link in history(app) if link.outcome.kind == "step"]
    assert len(recorded) == 4
    executed.clear()
    assert app.resume("last", flow=parts) == list(range(8))
    assert executed == [4, 5, 6, 7]
    assert app.ledger.first_break(app.ledger.run("last").id) is None


@pytest.mark.usefixtures("impatient")
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody tells who holds a lock")
@pytest.mark.parametrize(("code", "said"), [(QUEUED, "has held the ledger"), (WRITING, "is locked by")])
def test_a_stopped_process_that_holds_the_ledger_is_named(
    tmp_path: Path, others: list[Other], code: str, said: str
) -> None:
    app = open_app(tmp_path)
    path = tmp_path / ".surefoot" / "ledger.db"
    between.append(lambda: others.append(Other(code, path).stop()))
    with app.entered(), pytest.raises(LedgerError, match=said) as caught:
        parts()
    text, pid = str(caught.value), others[0].process.pid
    assert f"process {pid} ({sys.executable} " in text
    assert "which is stopped" in text
    assert f"kill -CONT {pid}" in text
    assert str(path) in text
    assert "surefoot resume" in text
    run_id = app.ledger.run("last").id
    assert any(f"surefoot resume {run_id}" in note for note in caught.value.__notes__)
    # Reading goes on all the same, and a resume says the same as long as nothing has changed.
    assert app.ledger.run(run_id).status == "running"
    with pytest.raises(LedgerError, match=said):
        app.resume(run_id, flow=parts)
    others[0].end()
    assert_goes_on(app)
    app.close()


@pytest.mark.usefixtures("impatient")
def test_a_process_that_is_at_work_is_waited_for(
    tmp_path: Path, others: list[Other], caplog: pytest.LogCaptureFixture
) -> None:
    app = open_app(tmp_path)
    path = tmp_path / ".surefoot" / "ledger.db"
    between.append(lambda: others.append(Other(QUEUED, path, seconds=1.5)))
    with app.entered():
        assert parts() == list(range(8))
    assert f"process {others[0].process.pid} " in caplog.text
    app.close()


@pytest.mark.usefixtures("impatient")
def test_even_a_process_that_is_at_work_is_not_waited_for_forever(
    tmp_path: Path, others: list[Other], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("surefoot.ledger.filelock._LONGEST_SECONDS", 1.0)
    app = open_app(tmp_path)
    path = tmp_path / ".surefoot" / "ledger.db"
    between.append(lambda: others.append(Other(QUEUED, path)))
    with app.entered(), pytest.raises(LedgerError, match=r"wait for it or end it \(`kill -9"):
        parts()
    others[0].end()
    assert_goes_on(app)
    app.close()


@pytest.mark.usefixtures("impatient")
def test_a_holder_that_nobody_can_name_is_looked_for_with_lsof(tmp_path: Path, others: list[Other]) -> None:
    app = open_app(tmp_path)
    path = tmp_path / ".surefoot" / "ledger.db"
    between.append(lambda: others.append(Other(INHERITED, path)))
    with app.entered(), pytest.raises(LedgerError, match=r"another process has held.*lsof .*ledger\.db-lock"):
        parts()
    subprocess.run(["kill", "-9", others[0].said[1]], check=True)
    assert_goes_on(app)
    app.close()


def queuing() -> int:
    return sum(thread.name == "surefoot-ledger-queue" for thread in threading.enumerate())


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("is_closed", [False, True])
def test_whoever_gives_up_waits_in_one_place_and_passes_it_on(
    tmp_path: Path, others: list[Other], *, is_closed: bool
) -> None:
    ledger, mate = open_ledger(tmp_path), open_ledger(tmp_path)
    run_id, its = started(ledger), started(mate)
    others.append(Other(QUEUED, ledger.path).stop())
    for _ in range(3):
        with pytest.raises(LedgerError, match="has held the ledger"):
            ledger.submit(Append(outcome(run_id, 1), [])).wait()
    assert queuing() == 1
    if is_closed:
        ledger.close()
    others[0].end()
    mate.submit(Append(outcome(its, 1), [])).wait()
    end_at = time.monotonic() + 10
    while queuing() and time.monotonic() < end_at:
        time.sleep(0.005)
    assert queuing() == 0
    if not is_closed:
        ledger.submit(Append(outcome(run_id, 1), [])).wait()
    mate.submit(Append(outcome(its, 2), [])).wait()
    assert len(mate.history(run_id)) == (1 if is_closed else 2)
    with suppress(LedgerError):
        ledger.close()
    mate.close()
