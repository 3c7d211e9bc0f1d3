"""Many processes on one ledger: nobody starves, nothing is lost, every chain holds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from begun import Begun
from engines import Place
from ledgers import outcome, started
from surefoot.ledger import Append

PROCESSES, SECONDS = 8, 1.5
# How many times as many rows as another a process may get. Without a queue before the file it is twenty times as
# many, each time; on a machine that does other work too, some of the eight may be given less of a processor once.
MOST, TIMES = 10, 3

WORK = """
import time
import ledgers
from surefoot.ledger import Append
ledger = place.open()
run_id = ledgers.started(ledger)
print(run_id, flush=True)
sys.stdin.readline()
number, slowest, end_at = 0, 0.0, time.monotonic() + float(sys.argv[1])
while time.monotonic() < end_at:
    number += 1
    began = time.monotonic()
    ledger.submit(Append(ledgers.outcome(run_id, number), [])).wait()
    slowest = max(slowest, time.monotonic() - began)
ledger.close()
print(number, slowest)
"""


@pytest.fixture
def children(place: Place) -> Iterator[list[Begun]]:
    with eight(place) as children:
        yield children


@contextmanager
def eight(place: Place) -> Iterator[list[Begun]]:
    """Processes that have begun a run each, and commit one step after the other once they are told to."""
    children = [place.in_child(WORK, str(SECONDS)) for _ in range(PROCESSES)]
    yield children
    for child in children:
        child.kill()
        child.communicate()


def begin(children: list[Begun]) -> list[str]:
    """Let all of them go at once; their runs."""
    run_ids: list[str] = []
    for child in children:
        assert child.stdout is not None
        run_ids.append(child.stdout.readline().strip())
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    return run_ids


def test_no_process_starves(place: Place) -> None:
    shares: list[list[int]] = []
    while len(shares) < TIMES and not (shares and max(shares[-1]) <= MOST * min(shares[-1])):
        with eight(place) as children:
            shares.append(committed_by(children, place))
    assert max(shares[-1]) <= MOST * min(shares[-1]), shares
    assert place.open().check() == "ok"


def committed_by(children: list[Begun], place: Place) -> list[int]:
    """How many steps each of them has committed, all of which are there."""
    run_ids = begin(children)
    said = [child.communicate() for child in children]
    assert [error for _, error in said] == [""] * PROCESSES
    numbers = [int(output.split()[0]) for output, _ in said]
    waits = [float(output.split()[1]) for output, _ in said]
    # SQLite's own way of waiting gives up after its busy time; a queue gives each its turn long before.
    assert max(waits) < 5
    ledger = place.open()
    for run_id, number in zip(run_ids, numbers, strict=True):
        assert [link.outcome.name for link in ledger.history(run_id)[1:]] == [
            f"step-{n}" for n in range(1, number + 1)
        ]
        assert ledger.first_break(run_id) is None
    assert {run.id for run in ledger.runs(limit=100)} >= set(run_ids)
    return numbers


def test_processes_that_are_killed_leave_a_whole_ledger(place: Place, children: list[Begun]) -> None:
    ledger = place.open()
    mine = started(ledger)
    begin(children)
    for n in range(1, 40):
        ledger.submit(Append(outcome(mine, n), [])).wait()
        if n % 5 == 0:
            children[n // 5 - 1].kill()
    for child in children:
        child.wait(30)
    assert ledger.check() == "ok"
    assert len(ledger.history(mine)) == 40
    runs = ledger.runs(limit=100)
    assert len(runs) == PROCESSES + 1
    for run in runs:
        assert ledger.first_break(run.id) is None
        names = [link.outcome.name for link in ledger.history(run.id)[1:]]
        assert names == [f"step-{n}" for n in range(1, len(names) + 1)]
