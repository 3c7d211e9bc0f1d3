"""Pruning and forgetting: what goes, what stays, what a kill leaves, and that readers and writers go on."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kept_runs import LARGE, SECRET, asked, change, kept_ledger, kept_run, tables_of
from ledgers import outcome, take_over
from surefoot.errors import RunPruned
from surefoot.ledger import Append, Freight, SqliteLedger
from surefoot.ledger.compacting import compact, free_bytes
from surefoot.ledger.retention import Dropped, Forgotten, Level, Rule, forget, prune
from surefoot.ledger.selecting import Selection
from surefoot.ledger.verifying import Verified, verify
from surefoot.values import RunStatus
from tampering import as_ours

LATER = 10**18
"""Nanoseconds that make every run old."""


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    ledger = kept_ledger(tmp_path)
    yield ledger
    ledger.close()


def rule(what: Level, **selection: Any) -> Rule:
    return Rule(what, time.time_ns() + LATER, Selection(**selection))


def pruned(ledger: SqliteLedger, *rules: Rule, **options: Any) -> Dropped:
    tables = tables_of(ledger)
    try:
        return prune(tables, rules, now_ns=time.time_ns(), **options)
    finally:
        tables.close()


def forgotten(ledger: SqliteLedger, **selection: Any) -> Forgotten:
    options = {name: selection.pop(name) for name in ("is_whole", "is_dry") if name in selection}
    tables = tables_of(ledger)
    try:
        return forget(tables, Selection(**selection), now_ns=time.time_ns(), **options)
    finally:
        tables.close()


def verified(ledger: SqliteLedger) -> Verified:
    tables = tables_of(ledger)
    try:
        return verify(tables, ledger.payloads)
    finally:
        tables.close()


def counted(ledger: SqliteLedger) -> dict[str, int]:
    tables = ("runs", "outcomes", "details", "blobs", "data_keys")
    return {name: asked(ledger.path, f"SELECT count(*) FROM {name}")[0][0] for name in tables}


def test_details_go_first_and_nothing_else(ledger: SqliteLedger) -> None:
    kept_run(ledger)
    kept_run(ledger, status=None)
    before = counted(ledger)
    assert pruned(ledger, rule("details")) == Dropped(details=1)
    assert counted(ledger) == {**before, "details": 1}


def test_payloads_go_and_the_chain_stays(ledger: SqliteLedger) -> None:
    run_id = kept_run(ledger)
    dropped = pruned(ledger, rule("payloads"))
    assert (dropped.payload_runs, dropped.payload_rows, dropped.runs, dropped.rows) == (1, 6, 0, 0)
    assert dropped.keys == dropped.details == 1
    assert dropped.blobs == 3
    assert counted(ledger) == {"runs": 1, "outcomes": 6, "details": 0, "blobs": 0, "data_keys": 0}
    found = verified(ledger)
    assert found.is_whole
    assert found.pruned_rows == 6
    assert ledger.first_break(run_id) is None
    assert ledger.run(run_id).pruned_ns is not None
    change(ledger.path, "UPDATE outcomes SET name = 'x' WHERE name = 'step-2'")
    assert not verified(ledger).is_whole


def test_a_run_goes_and_leaves_its_tombstone(ledger: SqliteLedger) -> None:
    run_id = kept_run(ledger)
    [head] = asked(ledger.path, "SELECT hash FROM outcomes WHERE kind = 'end'")
    dropped = pruned(ledger, rule("runs"))
    assert (dropped.runs, dropped.rows, dropped.payload_rows) == (1, 6, 6)
    assert counted(ledger) == {"runs": 1, "outcomes": 0, "details": 0, "blobs": 0, "data_keys": 0}
    assert asked(ledger.path, "SELECT head FROM runs") == [head]
    assert verified(ledger).is_whole
    assert ledger.first_break(run_id) is None
    assert ledger.run(run_id).totals.steps == 4


def test_payloads_then_runs(ledger: SqliteLedger) -> None:
    kept_run(ledger)
    pruned(ledger, rule("payloads"))
    assert pruned(ledger, rule("payloads")).is_nothing
    dropped = pruned(ledger, rule("runs"))
    assert (dropped.runs, dropped.rows, dropped.payload_rows) == (1, 6, 0)
    assert pruned(ledger, rule("runs"), rule("payloads"), rule("details")).is_nothing
    assert verified(ledger).is_whole


@pytest.mark.parametrize("status", [None, "waiting", "in_doubt"])
@pytest.mark.parametrize("what", ["details", "payloads", "runs"])
def test_a_run_that_has_not_ended_is_never_touched(
    ledger: SqliteLedger, status: RunStatus | None, what: Level
) -> None:
    kept_run(ledger, status=status)
    before = counted(ledger)
    assert pruned(ledger, rule(what)).is_nothing
    assert counted(ledger) == before


def test_a_child_run_is_needed_until_its_parent_has_ended(ledger: SqliteLedger) -> None:
    parent = kept_run(ledger, status=None)
    child = kept_run(ledger, parent_run=parent)
    assert pruned(ledger, rule("runs")).is_nothing
    change(ledger.path, "UPDATE runs SET status = 'failed' WHERE id = ?", parent)
    assert pruned(ledger, rule("runs")).runs == 1
    assert ledger.history(child) == []


def test_only_what_is_old_and_selected_goes(ledger: SqliteLedger) -> None:
    old = [kept_run(ledger, tenant="a"), kept_run(ledger, tenant="b"), kept_run(ledger, status="failed")]
    time.sleep(0.01)
    before_ns = time.time_ns()
    time.sleep(0.01)
    kept_run(ledger)
    for selection, runs in (
        ({"tenant": "a"}, old[:1]),
        ({"statuses": ("failed",)}, old[2:]),
        ({}, old[1:2]),
    ):
        assert pruned(ledger, Rule("runs", before_ns, Selection(**selection))).runs == 1
        assert all(ledger.history(run) == [] for run in runs)
    assert pruned(ledger, Rule("runs", before_ns)).is_nothing


def test_a_blob_that_others_refer_to_stays(ledger: SqliteLedger) -> None:
    first = kept_run(ledger, f'"{LARGE}"')
    second = kept_run(ledger, f'"{LARGE}"')
    assert pruned(ledger, rule("runs", ids=(first,))).blobs == 0
    assert ledger.view(ledger.history(second)[1].outcome.output) == f'"{LARGE}"'
    assert pruned(ledger, rule("payloads", ids=(second,))).blobs == 1


def test_a_blob_that_is_taken_up_while_it_is_swept_stays(
    ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept_run(ledger, f'"{LARGE}"')
    running = kept_run(ledger, '"x"', status=None)
    from surefoot.ledger import sweeping

    plain = sweeping._mark_referenced

    def late(*arguments: Any) -> None:
        plain(*arguments)
        freight: Freight = []
        payload = ledger.payloads.store(running, f'"{LARGE}"', freight)
        ledger.submit(Append(outcome(running, 77, output=payload), freight)).wait()

    monkeypatch.setattr(sweeping, "_mark_referenced", late)
    assert pruned(ledger, rule("runs")).blobs == 0
    assert verified(ledger).is_whole


@pytest.mark.parametrize(
    "whats",
    [("details",), ("payloads",), ("runs",), ("details", "payloads", "runs"), ("payloads", "runs"), ()],
)
def test_a_dry_run_says_exactly_what_would_go(ledger: SqliteLedger, whats: tuple[Level, ...]) -> None:
    for number in range(3):
        kept_run(ledger, tag=str(number), status="failed" if number else "completed")
    kept_run(ledger, status=None)
    already = kept_run(ledger, tag="already")
    pruned(ledger, rule("payloads", ids=(already,)))
    change(ledger.path, "INSERT INTO blobs VALUES ('of nobody', 3, x'010203')")
    before = counted(ledger)
    rules = [rule(what) for what in whats]
    said = pruned(ledger, *rules, is_dry=True)
    assert counted(ledger) == before
    assert pruned(ledger, *rules) == said
    assert said.blobs >= 1
    assert pruned(ledger, *rules, is_dry=True).is_nothing


def test_a_run_with_many_rows_goes_in_many_transactions(ledger: SqliteLedger) -> None:
    kept_run(ledger, *[f'"{n}"' for n in range(1300)])
    assert pruned(ledger, rule("payloads")).payload_rows == 1302
    assert verified(ledger).is_whole
    assert pruned(ledger, rule("runs")).rows == 1302


def test_going_on_with_a_pruned_run_is_refused(ledger: SqliteLedger) -> None:
    failed = kept_run(ledger, status="failed")
    pruned(ledger, rule("payloads"))
    with pytest.raises(RunPruned, match=r"pruned on \d{4}.*start a new run"):
        take_over(ledger, failed)


def test_forgetting_makes_sealed_parts_unreadable_and_leaves_no_trace(ledger: SqliteLedger) -> None:
    person = kept_run(ledger, principal="alice", session="s-1", tags={"who": "alice"}, tenant="acme")
    other = kept_run(ledger, principal="bob")
    change(ledger.path, "UPDATE runs SET error = 'alice said no' WHERE id = ?", person)
    done = forgotten(ledger, principal="alice")
    assert (done.runs, done.dropped.payload_runs, done.unfinished) == (1, 1, [])
    ledger.close()
    for ending in ("", "-wal"):
        place = ledger.path.with_name(ledger.path.name + ending)
        content = place.read_bytes() if place.exists() else b""
        assert b"alice" not in content
    assert asked(ledger.path, "SELECT run_id FROM data_keys") == [(other,)]
    record = ledger.run(person)
    assert (record.principal, record.session, record.tags, record.error) == ("", "", {}, None)
    assert record.tenant == "acme"
    assert verified(ledger).is_whole
    exact = [ledger.exact(other, link.outcome.output) for link in ledger.history(other)]
    assert any(SECRET in text for text in exact)


def test_forgetting_whole_runs(ledger: SqliteLedger) -> None:
    run_id = kept_run(ledger)
    pruned(ledger, rule("payloads"))
    done = forgotten(ledger, ids=(run_id,), is_whole=True)
    assert (done.runs, done.dropped.rows) == (1, 6)
    assert ledger.history(run_id) == []
    assert forgotten(ledger, ids=(run_id,), is_whole=True).dropped.is_nothing


def test_forgetting_leaves_unfinished_runs_and_names_them(ledger: SqliteLedger) -> None:
    running = kept_run(ledger, session="s", status=None)
    ended = kept_run(ledger, session="s")
    done = forgotten(ledger, session="s")
    assert (done.runs, done.unfinished) == (1, [running])
    assert ledger.run(ended).pruned_ns is not None
    assert ledger.run(running).pruned_ns is None


def test_a_dry_forgetting_counts(ledger: SqliteLedger) -> None:
    run_id = kept_run(ledger)
    before = counted(ledger)
    said = forgotten(ledger, ids=(run_id,), is_dry=True)
    assert counted(ledger) == before
    assert forgotten(ledger, ids=(run_id,)) == said


def test_space_is_given_back(ledger: SqliteLedger) -> None:
    for number in range(30):
        kept_run(ledger, f'"{random.Random(number).randbytes(20_000).hex()}"')
    pruned(ledger, rule("runs"))
    tables = tables_of(ledger)
    assert free_bytes(tables) > 300_000
    assert compact(tables) > 300_000
    assert free_bytes(tables) == 0
    tables.close()
    assert verified(ledger).is_whole
    kept_run(ledger)
    assert verified(ledger).is_whole


KILLED = """
import sys, time
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from kept_runs import kept_ledger, tables_of
from surefoot.ledger.retention import Rule, prune
ledger = kept_ledger(Path(sys.argv[1]))
tables = tables_of(ledger)
print("ready", flush=True)
sys.stdin.readline()
prune(tables, [Rule(sys.argv[3], time.time_ns() + 10**18)], now_ns=time.time_ns())
"""


@pytest.mark.parametrize("what", ["payloads", "runs"])
def test_a_prune_that_is_killed_is_finished_by_the_next(ledger: SqliteLedger, what: Level) -> None:
    for number in range(24):
        kept_run(ledger, *[f'"{n}"' for n in range(600 if number % 8 == 0 else 10)], f'"{LARGE}{number}"')
    support = str(Path(__file__).parents[2] / "support")
    for delay in (0.001, 0.01, 0.02, 0.04, 0.06, 0.08):
        child = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(ledger.path.parent), support, what],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdout.readline()
        child.stdin.write(b"go\n")
        child.stdin.flush()
        time.sleep(delay)
        os.kill(child.pid, signal.SIGKILL)
        child.communicate()
        assert verified(ledger).is_whole
    pruned(ledger, rule(what))
    found = verified(ledger)
    assert found.is_whole
    assert (found.half_pruned, found.left_over_blobs) == (0, 0)
    assert asked(ledger.path, "SELECT DISTINCT pruned FROM runs") == [
        ("run" if what == "runs" else "payloads",)
    ]
    assert counted(ledger)["blobs"] == 0


@pytest.mark.parametrize(("mark", "rows"), [("payloads-begun", 6), ("run-begun", 0)])
def test_a_run_that_is_half_pruned_is_no_fault(ledger: SqliteLedger, mark: str, rows: int) -> None:
    run_id = kept_run(ledger)
    change(ledger.path, "UPDATE runs SET pruned_ns = 1, pruned = ?", mark)
    as_ours(ledger.path)
    change(ledger.path, "DELETE FROM data_keys")
    change(ledger.path, "DELETE FROM details")
    if rows == 0:
        change(ledger.path, "DELETE FROM outcomes WHERE name = 'step-2'")
    found = verified(ledger)
    assert (found.is_whole, found.half_pruned) == (True, 1)
    said = pruned(ledger, is_dry=True)
    assert pruned(ledger) == said
    assert len(ledger.history(run_id)) == rows
    found = verified(ledger)
    assert (found.is_whole, found.half_pruned) == (True, 0)


def test_a_writer_goes_on_while_runs_are_pruned(ledger: SqliteLedger) -> None:
    for _ in range(60):
        kept_run(ledger)
    is_over = threading.Event()
    failures: list[BaseException] = []
    new: list[str] = []

    def write() -> None:
        try:
            while not is_over.is_set() or not new:
                new.append(kept_run(ledger, status=None))
        except BaseException as error:  # noqa: BLE001  (told by the test)
            failures.append(error)

    writing = threading.Thread(target=write)
    writing.start()
    dropped = pruned(ledger, rule("runs"))
    is_over.set()
    writing.join()
    assert failures == []
    assert dropped.runs == 60
    found = verified(ledger)
    assert found.is_whole
    assert found.runs == 60 + len(new)
    exact = ledger.exact(new[0], ledger.history(new[0])[2].outcome.output)
    assert SECRET in exact
