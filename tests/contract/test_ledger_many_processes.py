"""Many processes on one ledger: nobody starves, nothing is lost, every chain holds."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledgers import open_ledger, outcome, started
from surefoot.ledger import Append

PROCESSES, STEPS = 8, 50

WORK = """
import sys, time
sys.path[:0] = [sys.argv[2]]
from pathlib import Path
import ledgers
from surefoot.ledger import Append
ledger = ledgers.open_ledger(Path(sys.argv[1]))
sys.stdin.readline()
run_id = ledgers.started(ledger)
slowest = 0.0
for n in range(1, int(sys.argv[3]) + 1):
    began = time.monotonic()
    ledger.submit(Append(ledgers.outcome(run_id, n), [])).wait()
    slowest = max(slowest, time.monotonic() - began)
ledger.close()
print(run_id, slowest)
"""


@pytest.fixture
def children(tmp_path: Path) -> Iterator[list[subprocess.Popen[str]]]:
    support = str(Path(__file__).parents[1] / "support")
    children = [
        subprocess.Popen(
            [sys.executable, "-c", WORK, str(tmp_path), support, str(STEPS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(PROCESSES)
    ]
    yield children
    for child in children:
        child.kill()
        child.communicate()


def test_processes_on_one_file_take_turns(tmp_path: Path, children: list[subprocess.Popen[str]]) -> None:
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    said = [child.communicate() for child in children]
    assert [error for _, error in said] == [""] * PROCESSES
    ledger = open_ledger(tmp_path)
    for output, _ in said:
        run_id, slowest = output.split()
        # SQLite's own way of waiting gives up after its busy time; a queue gives each its turn long before.
        assert float(slowest) < 5
        assert [link.outcome.name for link in ledger.history(run_id)[1:]] == [
            f"step-{n}" for n in range(1, STEPS + 1)
        ]
        assert ledger.first_break(run_id) is None
    assert len(ledger.runs(limit=100)) == PROCESSES
    assert ledger.check() == "ok"
    ledger.close()


def test_a_killed_process_leaves_a_whole_file(tmp_path: Path, children: list[subprocess.Popen[str]]) -> None:
    ledger = open_ledger(tmp_path)
    mine = started(ledger)
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    for n in range(1, 40):
        ledger.submit(Append(outcome(mine, n), [])).wait()
        if n % 5 == 0:
            children[n // 5 - 1].kill()
    for child in children:
        child.wait(30)
    assert ledger.check() == "ok"
    runs = ledger.runs(limit=100)
    assert len(ledger.history(mine)) == 40
    for run in runs:
        assert ledger.first_break(run.id) is None
        names = [link.outcome.name for link in ledger.history(run.id)[1:]]
        assert names == [f"step-{n}" for n in range(1, len(names) + 1)]
    ledger.close()
