"""Who may write to a run: one owner at a time, by epoch and lease."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ledgers import end, open_ledger, outcome, start, started, take_over
from surefoot.errors import AlreadyRecorded, Fenced, LedgerError, RunBusy, UnknownRun
from surefoot.flows import Keeper
from surefoot.flows.openrun import OpenRun
from surefoot.ledger import Append, Note, Owner, Release, Renew, SqliteLedger, lease_until, this_process
from surefoot.ledger.events import Detail
from surefoot.ledger.owner import is_provably_gone
from surefoot.values import CallFacts, Usage, new_id


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    ledger = open_ledger(tmp_path)
    yield ledger
    ledger.close()


@pytest.fixture
def other(tmp_path: Path, ledger: SqliteLedger) -> Iterator[SqliteLedger]:
    """Another process's view of the same file."""
    other = open_ledger(tmp_path)
    yield other
    other.close()


def a_living_owner() -> tuple[subprocess.Popen[bytes], Owner]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    stat = Path(f"/proc/{process.pid}/stat").read_text()
    return process, replace(this_process(), pid=process.pid, started=stat.rpartition(")")[2].split()[19])


def test_after_a_takeover_the_former_owner_writes_nothing(ledger: SqliteLedger, other: SqliteLedger) -> None:
    run_id = started(ledger, 1, lease=-1.0, owner=replace(this_process(), host="elsewhere"))
    taken = take_over(other, run_id)
    assert taken.epoch == 2
    mate = started(ledger)
    zombie = ledger.submit(Append(outcome(run_id, 2), []))
    batch_mate = ledger.submit(Append(outcome(mate, 1), []))
    batch_mate.wait()
    with pytest.raises(Fenced, match="taken over"):
        zombie.wait()
    with pytest.raises(Fenced):
        ledger.submit(end(run_id)).wait()
    other.submit(Append(outcome(run_id, 2, epoch=2), [])).wait()
    assert [link.outcome.name for link in ledger.history(run_id)] == ["flow", "step-1", "step-2"]
    assert [link.outcome.name for link in ledger.history(mate)] == ["flow", "step-1"]
    assert ledger.first_break(run_id) is None


def test_the_first_outcome_of_an_attempt_stands(ledger: SqliteLedger) -> None:
    run_id = started(ledger, 1)
    twice = ledger.submit(Append(replace(outcome(run_id, 1), name="twice"), []))
    mates = [ledger.submit(Append(outcome(run_id, n), [])) for n in (2, 3)]
    with pytest.raises(AlreadyRecorded, match="attempt 1 of step 'twice'"):
        twice.wait()
    for mate in mates:
        mate.wait()
    assert [link.outcome.name for link in ledger.history(run_id)] == ["flow", "step-1", "step-2", "step-3"]
    assert ledger.first_break(run_id) is None


def test_two_equal_outcomes_in_one_batch(ledger: SqliteLedger) -> None:
    run_id = started(ledger)
    first, second, third = (ledger.submit(Append(outcome(run_id, n), [])) for n in (1, 1, 2))
    third.wait()
    first.wait()
    with pytest.raises(AlreadyRecorded):
        second.wait()
    assert len(ledger.history(run_id)) == 3
    assert ledger.first_break(run_id) is None


POISON = {
    "a number that is too large": {"call": CallFacts("p", "m", "m", Usage(10**30, 0, 0, 0))},
    "half a character": {"name": "\ud800"},
    "a key of the wrong kind": {"user_key": object()},
}


@pytest.mark.parametrize("poison", POISON.values(), ids=list(POISON))
def test_an_entry_that_cannot_be_written_takes_nobody_along(
    ledger: SqliteLedger, poison: dict[str, object]
) -> None:
    run_id = started(ledger)
    good = ledger.submit(Append(outcome(run_id, 1), []))
    bad = ledger.submit(Append(outcome(run_id, 2, **poison), []))
    also_good = ledger.submit(Append(outcome(run_id, 3), []))
    good.wait()
    also_good.wait()
    with pytest.raises(LedgerError, match="cannot be recorded"):
        bad.wait()
    assert [link.outcome.name for link in ledger.history(run_id)] == ["flow", "step-1", "step-3"]
    assert ledger.first_break(run_id) is None


def test_a_run_that_is_not_there(ledger: SqliteLedger) -> None:
    with pytest.raises(UnknownRun):
        ledger.submit(Append(outcome("01NONE", 1), [])).wait()
    with pytest.raises(UnknownRun):
        take_over(ledger, "01NONE")


# Takeovers


def test_the_run_of_a_living_process_is_busy(ledger: SqliteLedger) -> None:
    process, owner = a_living_owner()
    try:
        run_id = started(ledger, owner=owner)
        with pytest.raises(RunBusy, match=f"process {process.pid}.*lease"):
            take_over(ledger, run_id)
        assert ledger.run(run_id).epoch == 1
    finally:
        process.kill()
        process.wait()
    # Gone without a word: no need to wait for the lease.
    assert take_over(ledger, run_id).epoch == 2


def test_a_pid_that_another_process_has_now_is_not_the_owner(ledger: SqliteLedger) -> None:
    process, owner = a_living_owner()
    try:
        run_id = started(ledger, owner=replace(owner, started="1"))
        assert take_over(ledger, run_id).epoch == 2
    finally:
        process.kill()
        process.wait()


def test_a_reboot_frees_what_ran_before(ledger: SqliteLedger) -> None:
    run_id = started(ledger, owner=replace(this_process(), boot="before", pid=1))
    assert take_over(ledger, run_id).epoch == 2


def test_of_another_host_only_the_lease_is_known(ledger: SqliteLedger) -> None:
    elsewhere = replace(this_process(), host="elsewhere", pid=999_999)
    busy = started(ledger, owner=elsewhere)
    with pytest.raises(RunBusy, match="elsewhere"):
        take_over(ledger, busy)
    assert take_over(ledger, busy, now_ns=lease_until(31.0)).epoch == 2
    expired = started(ledger, owner=elsewhere, lease=-0.1)
    assert take_over(ledger, expired).epoch == 2


def test_doubt_counts_as_alive() -> None:
    here = this_process()
    assert not is_provably_gone(here)
    assert not is_provably_gone(replace(here, boot=""))
    assert not is_provably_gone(replace(here, host="elsewhere"))


def test_a_completed_run_is_not_taken_over(ledger: SqliteLedger) -> None:
    run_id = started(ledger, 1)
    ledger.submit(end(run_id)).wait()
    taken = take_over(ledger, run_id)
    assert (taken.status, taken.epoch) == ("completed", 1)


def test_a_released_run_is_free_at_once(ledger: SqliteLedger) -> None:
    process, owner = a_living_owner()
    try:
        run_id = started(ledger, owner=owner)
        ledger.submit(Release(run_id, 1)).wait()
        assert take_over(ledger, run_id).epoch == 2
        # The former owner's release must not take the lease of the new one.
        ledger.submit(Release(run_id, 1)).wait()
        assert ledger.run(run_id).lease_until_ns > time.time_ns()
    finally:
        process.kill()
        process.wait()


def test_an_abandoned_run_shows() -> None:
    run = replace(start(new_id(), lease=-1.0).run)
    assert run.is_abandoned(time.time_ns())
    assert not start(new_id()).run.is_abandoned(time.time_ns())


# Heartbeats


def test_a_heartbeat_prolongs_what_is_held_and_names_what_is_lost(
    ledger: SqliteLedger, other: SqliteLedger
) -> None:
    held, lost, ended = started(ledger), started(ledger, lease=-1.0), started(ledger)
    take_over(other, lost, now_ns=lease_until(1.0))
    ledger.submit(end(ended)).wait()
    until = lease_until(99.0)
    renewed = ledger.submit(Renew([(held, 1), (lost, 1), (ended, 1)], until))
    assert renewed.result() == [lost]
    assert ledger.run(held).lease_until_ns == until
    assert ledger.run(lost).lease_until_ns != until
    assert ledger.run(ended).lease_until_ns == 0


def wait_for(condition: object, seconds: float = 5.0) -> None:
    end_at = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end_at, "it did not happen in time"
        time.sleep(0.01)


def test_a_keeper_keeps_a_lease_alive_while_the_run_is_silent(ledger: SqliteLedger) -> None:
    keeper = Keeper(ledger, lease_seconds=0.6)
    run_id = started(ledger, lease=0.6)
    first = ledger.run(run_id).lease_until_ns
    run = OpenRun(run_id, "flow", 1, ledger)
    keeper.hold(run)
    wait_for(lambda: time.time_ns() > first + 300_000_000)
    assert ledger.run(run_id).lease_until_ns > time.time_ns()
    keeper.let_go(run)
    last = ledger.run(run_id).lease_until_ns
    wait_for(lambda: time.time_ns() > last + 300_000_000)
    assert ledger.run(run_id).lease_until_ns == last


def test_a_keeper_notices_that_a_run_was_taken_over(ledger: SqliteLedger, other: SqliteLedger) -> None:
    keeper = Keeper(ledger, lease_seconds=0.6)
    run_id = started(ledger, lease=0.6)
    run = OpenRun(run_id, "flow", 1, ledger)
    keeper.hold(run)
    take_over(other, run_id, now_ns=lease_until(5.0))
    wait_for(lambda: run.is_fenced)
    with pytest.raises(Fenced):
        run.check_open("a step")
    keeper.let_go(run)


def test_details_ride_along(ledger: SqliteLedger) -> None:
    run_id = started(ledger)
    ledger.submit(Note([Detail(run_id, b"k" * 16, 1, "started", 5, "{}")]))
    ledger.submit(Append(outcome(run_id, 1), [])).wait()
    assert [detail.at_ns for detail in ledger.details(run_id)] == [5]
