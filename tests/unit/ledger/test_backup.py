"""Backups: of one moment though runs go on, verified, whole or not there."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kept_runs import SECRET, asked, change, kept_ledger, kept_run
from surefoot.effects import drive
from surefoot.errors import InvalidInput, LedgerCorrupt, LedgerError, LedgerFull
from surefoot.ledger import Budget, Budgets, SqliteLedger
from surefoot.ledger.backup import back_up
from surefoot.ledger.entries import SweepHolds
from surefoot.values import Caller, Money


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    ledger = kept_ledger(tmp_path / "state")
    yield ledger
    ledger.close()


def test_a_backup_is_one_file_that_is_a_ledger(ledger: SqliteLedger, tmp_path: Path) -> None:
    run_id = kept_run(ledger)
    file = tmp_path / "backup.db"
    done = back_up(ledger.path, file, ledger.payloads)
    assert (done.verified.runs, done.bytes) == (1, file.stat().st_size)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup.db", "state"]
    assert file.stat().st_mode & 0o777 == 0o600
    restored = SqliteLedger(file, ledger.payloads)
    assert restored.first_break(run_id) is None
    assert any(SECRET in restored.exact(run_id, link.outcome.output) for link in restored.history(run_id))
    kept_run(restored)
    restored.close()


def test_accounts_of_budgets_come_along(ledger: SqliteLedger, tmp_path: Path) -> None:
    """With what is held: whoever goes on with the copy books it, as nobody settles it there."""
    budgets = [Budget("all", Money(100))]
    mine = Budgets(ledger, budgets)
    drive(drive(mine.hold(Caller(), Money(60), what="the call", patience=0.0)).settle(Money(10)))
    hold = drive(mine.hold(Caller(), Money(50), what="the call", patience=0.0))
    back_up(ledger.path, tmp_path / "backup.db", ledger.payloads)
    drive(hold.settle(Money(1)))
    restored = SqliteLedger(tmp_path / "backup.db", ledger.payloads)
    theirs = Budgets(restored, budgets).accounts()[0]
    assert (theirs.spent, theirs.held) == (Money(10), Money(50))
    restored.submit(SweepHolds(restored.hold_owners())).wait()
    theirs = Budgets(restored, budgets).accounts()[0]
    assert (theirs.spent, theirs.held, theirs.unsure) == (Money(60), Money(), Money(50))
    restored.close()


def test_it_is_of_one_moment_and_ends_though_writers_never_rest(ledger: SqliteLedger, tmp_path: Path) -> None:
    for number in range(40):
        kept_run(ledger, f'"{os.urandom(30_000).hex()}{number}"')
    steps: list[int] = []
    first = kept_run(ledger, '"x"', status="failed")

    def write(done: int, _total: int) -> None:
        steps.append(done)
        kept_run(ledger, '"y"')

    other = SqliteLedger(ledger.path, ledger.payloads, synchronous="normal")
    is_over = threading.Event()

    def write_too() -> None:
        while not is_over.is_set():
            kept_run(other, '"z"')

    thread = threading.Thread(target=write_too)
    thread.start()
    try:
        back_up(ledger.path, tmp_path / "backup.db", ledger.payloads, on_copy=write)
    finally:
        is_over.set()
        thread.join()
        other.close()
    assert len(steps) > 1
    assert steps == sorted(set(steps))
    in_backup = asked(tmp_path / "backup.db", "SELECT count(*), max(id) FROM runs")
    assert in_backup[0][0] < asked(ledger.path, "SELECT count(*) FROM runs")[0][0]
    assert asked(tmp_path / "backup.db", "SELECT id FROM runs WHERE id = ?", first)


def test_a_file_that_is_there_is_not_overwritten(ledger: SqliteLedger, tmp_path: Path) -> None:
    kept_run(ledger)
    file = tmp_path / "backup.db"
    file.write_text("mine")
    with pytest.raises(InvalidInput, match=r"there already.*--force"):
        back_up(ledger.path, file, ledger.payloads)
    assert file.read_text() == "mine"
    back_up(ledger.path, file, ledger.payloads, is_forced=True)
    assert len(asked(file, "SELECT id FROM runs")) == 1


def test_bad_places(ledger: SqliteLedger, tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="no ledger"):
        back_up(ledger.path, tmp_path / "b.db", ledger.payloads)
    kept_run(ledger)
    with pytest.raises(InvalidInput, match="is a folder"):
        back_up(ledger.path, tmp_path, ledger.payloads)
    with pytest.raises(InvalidInput, match="no folder"):
        back_up(ledger.path, tmp_path / "none" / "b.db", ledger.payloads)


def test_a_damaged_ledger_makes_no_backup(ledger: SqliteLedger, tmp_path: Path) -> None:
    run_id = kept_run(ledger)
    change(ledger.path, "UPDATE outcomes SET name = 'x' WHERE name = 'step-1'")
    with pytest.raises(LedgerCorrupt, match=f"(?s){run_id}.*surefoot ledger verify"):
        back_up(ledger.path, tmp_path / "b.db", ledger.payloads)
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


LIMITED = """
import resource, sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from kept_runs import kept_ledger
from surefoot.errors import LedgerError
from surefoot.ledger.backup import back_up
folder = Path(sys.argv[1])
ledger = kept_ledger(folder / "state")
ledger.runs()
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    back_up(ledger.path, folder / "backup.db", ledger.payloads)
except LedgerError as error:
    print(type(error).__name__, error)
"""


def test_a_disk_that_takes_no_more_leaves_no_half_file(ledger: SqliteLedger, tmp_path: Path) -> None:
    for number in range(20):
        kept_run(ledger, f'"{os.urandom(20_000).hex()}{number}"')
    ledger.close()
    support = str(Path(__file__).parents[2] / "support")
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path), support], capture_output=True, text=True, check=True
    )
    assert "backup.db cannot be written" in done.stdout
    assert "name a file on another one" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_no_space_is_said(tmp_path: Path) -> None:
    from surefoot.ledger.drafts import unwritable

    with pytest.raises(OSError, match="No space") as caught, Path("/dev/full").open("w") as full:
        full.write("x" * 100_000)
    assert isinstance(unwritable(tmp_path / "b.db", caught.value), LedgerFull)
