"""What every ledger does, whichever engine holds it."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from engines import Place, a_living_owner
from ledgers import end, outcome, start, started, take_over
from surefoot.errors import AlreadyRecorded, Fenced, LedgerError, RunBusy, UnknownRun
from surefoot.flows import Keeper
from surefoot.flows.openrun import OpenRun
from surefoot.ledger import (
    Adopt,
    Append,
    EndRun,
    Freight,
    Ledger,
    Message,
    Note,
    Payload,
    Release,
    Renew,
    RunRecord,
    Send,
    Totals,
    lease_of,
    lease_until,
    this_process,
)
from surefoot.ledger.events import Detail
from surefoot.ledger.schema import VERSION
from surefoot.values import CallFacts, Money, PromptRef, RunStatus, Usage, new_id

SECOND = 1_000_000_000


def test_after_a_takeover_the_former_owner_writes_nothing(ledger: Ledger, other: Ledger) -> None:
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


def test_what_a_resume_reads_is_what_the_history_says(ledger: Ledger) -> None:
    run_id = started(ledger, 12)
    assert ledger.end(run_id) is None
    ledger.submit(EndRun(end(run_id).outcome, [], "failed", Totals(), failed_step="s", error="e")).wait()
    assert ledger.end(run_id) == end(run_id).outcome
    take_over(ledger, run_id)
    call = CallFacts("openai", "gpt", "gpt-4o", Usage(1, 2, 3, 4), Money(5), first_token_ns=6)
    rest: dict[str, Any] = {
        "call": call,
        "prompt": PromptRef("p", "1", "d"),
        "user_key": "k",
        "retry_at_ns": 7,
    }
    sealed = Payload("null", b"\0sealed", "key")
    ledger.submit(Append(outcome(run_id, 13, epoch=2, inputs=sealed, is_pure=True, **rest), [])).wait()
    last = end(run_id, epoch=2)
    ledger.submit(last).wait()
    assert ledger.end(run_id) == last.outcome
    assert ledger.outcomes(run_id) == [link.outcome for link in ledger.history(run_id)]
    assert [o.name for o in ledger.outcomes(run_id)][-3:] == ["flow", "step-13", "flow"]
    assert ledger.outcomes(new_id()) == []


def test_the_first_outcome_of_an_attempt_stands(ledger: Ledger) -> None:
    run_id = started(ledger, 1)
    twice = ledger.submit(Append(replace(outcome(run_id, 1), name="twice"), []))
    mates = [ledger.submit(Append(outcome(run_id, n), [])) for n in (2, 3)]
    with pytest.raises(AlreadyRecorded, match="attempt 1 of step 'twice'"):
        twice.wait()
    for mate in mates:
        mate.wait()
    assert [link.outcome.name for link in ledger.history(run_id)] == ["flow", "step-1", "step-2", "step-3"]
    assert ledger.first_break(run_id) is None


def test_two_equal_outcomes_in_one_batch(ledger: Ledger) -> None:
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
    ledger: Ledger, poison: dict[str, object]
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


def test_a_run_that_is_not_there(ledger: Ledger) -> None:
    with pytest.raises(UnknownRun):
        ledger.submit(Append(outcome("01NONE", 1), [])).wait()
    with pytest.raises(UnknownRun):
        take_over(ledger, "01NONE")


# Takeovers


def test_the_run_of_a_living_process_is_busy(ledger: Ledger) -> None:
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


def test_a_pid_that_another_process_has_now_is_not_the_owner(ledger: Ledger) -> None:
    process, owner = a_living_owner()
    try:
        run_id = started(ledger, owner=replace(owner, started="1"))
        assert take_over(ledger, run_id).epoch == 2
    finally:
        process.kill()
        process.wait()


def test_a_reboot_frees_what_ran_before(ledger: Ledger) -> None:
    run_id = started(ledger, owner=replace(this_process(), boot="before", pid=1))
    assert take_over(ledger, run_id).epoch == 2


def test_of_another_host_only_the_lease_is_known(ledger: Ledger) -> None:
    elsewhere = replace(this_process(), host="elsewhere", pid=999_999)
    busy = started(ledger, owner=elsewhere)
    with pytest.raises(RunBusy, match="elsewhere"):
        take_over(ledger, busy)
    ledger.submit(Renew([(busy, 1)], lease_of(-0.1))).wait()
    assert take_over(ledger, busy).epoch == 2
    expired = started(ledger, owner=elsewhere, lease=-0.1)
    assert take_over(ledger, expired).epoch == 2


def test_a_completed_run_is_not_taken_over(ledger: Ledger) -> None:
    run_id = started(ledger, 1)
    ledger.submit(end(run_id)).wait()
    taken = take_over(ledger, run_id)
    assert (taken.status, taken.epoch) == ("completed", 1)


def test_a_released_run_is_free_at_once(ledger: Ledger) -> None:
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


# Heartbeats


def test_a_heartbeat_prolongs_what_is_held_and_names_what_is_lost(ledger: Ledger, other: Ledger) -> None:
    held, lost, ended = started(ledger), started(ledger, lease=-1.0), started(ledger)
    take_over(other, lost)
    ledger.submit(end(ended)).wait()
    until = lease_until(99.0)
    renewed = ledger.submit(Renew([(held, 1), (lost, 1), (ended, 1)], lease_of(99.0)))
    assert renewed.result() == [lost]
    assert abs(ledger.run(held).lease_until_ns - until) < SECOND
    assert ledger.run(lost).lease_until_ns < until - 10 * SECOND
    assert ledger.run(ended).lease_until_ns == 0


def wait_for(condition: object, seconds: float = 5.0) -> None:
    end_at = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end_at, "it did not happen in time"
        time.sleep(0.01)


def test_a_keeper_keeps_a_lease_alive_while_the_run_is_silent(ledger: Ledger) -> None:
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


def test_a_keeper_notices_that_a_run_was_taken_over(ledger: Ledger, other: Ledger) -> None:
    keeper = Keeper(ledger, lease_seconds=0.6)
    run_id = started(ledger, lease=0.6)
    run = OpenRun(run_id, "flow", 1, ledger)
    keeper.hold(run)
    take_over(other, run_id)
    wait_for(lambda: run.is_fenced)
    with pytest.raises(Fenced):
        run.check_open("a step")
    keeper.let_go(run)


def test_details_ride_along(ledger: Ledger) -> None:
    run_id = started(ledger)
    ledger.submit(Note([Detail(run_id, b"k" * 16, 1, "started", 5, "{}")]))
    ledger.submit(Append(outcome(run_id, 1), [])).wait()
    assert [detail.at_ns for detail in ledger.details(run_id)] == [5]


# The inbox


def message(run_id: str, n: int = 1, **rest: object) -> Message:
    return replace(Message(f"m{n}", run_id, "event", n, f'{{"n":{n}}}'), **rest)  # type: ignore[arg-type]


def adoption(run_id: str, *ids: str, n: int = 50, epoch: int = 1) -> Adopt:
    return Adopt(ids, outcome(run_id, n, kind="message", name="event", epoch=epoch), [])


def test_messages_wait_in_order_until_they_are_adopted(ledger: Ledger) -> None:
    run_id, other = started(ledger), started(ledger)
    for n in (2, 1, 3):
        ledger.submit(Send(message(run_id, n))).wait()
    ledger.submit(Send(message(other, 4))).wait()
    assert [m.id for m in ledger.messages([run_id])] == ["m2", "m1", "m3"]
    assert [m.id for m in ledger.messages([run_id, other])] == ["m2", "m1", "m3", "m4"]
    assert ledger.messages([run_id])[0] == message(run_id, 2)
    ledger.submit(adoption(run_id, "m1", "m2")).wait()
    assert [m.id for m in ledger.messages([run_id])] == ["m3"]
    assert [link.outcome.kind for link in ledger.history(run_id)] == ["start", "message"]
    assert ledger.first_break(run_id) is None


def test_a_message_that_is_sent_twice_is_there_once(ledger: Ledger) -> None:
    run_id = started(ledger)
    ledger.submit(Send(message(run_id, 1))).wait()
    ledger.submit(Send(message(run_id, 1, body="another"))).wait()
    assert ledger.messages([run_id]) == [message(run_id, 1)]
    ledger.submit(adoption(run_id, "m1")).wait()
    ledger.submit(Send(message(run_id, 1))).wait()
    assert ledger.messages([run_id]) == []


def test_nobody_adopts_twice(ledger: Ledger) -> None:
    run_id = started(ledger)
    for n in (1, 2):
        ledger.submit(Send(message(run_id, n))).wait()
    ledger.submit(adoption(run_id, "m1")).wait()
    mate = ledger.submit(Append(outcome(run_id, 1), []))
    twice = ledger.submit(adoption(run_id, "m1", "m2", n=51))
    with pytest.raises(AlreadyRecorded):
        twice.wait()
    mate.wait()
    assert [m.id for m in ledger.messages([run_id])] == ["m2"]
    assert [link.outcome.name for link in ledger.history(run_id)] == ["flow", "event", "step-1"]
    assert ledger.first_break(run_id) is None


def test_a_row_that_is_there_takes_the_adoption_back(ledger: Ledger) -> None:
    run_id = started(ledger, 1)
    ledger.submit(Send(message(run_id, 1))).wait()
    with pytest.raises(AlreadyRecorded):
        ledger.submit(adoption(run_id, "m1", n=1)).wait()
    assert [m.id for m in ledger.messages([run_id])] == ["m1"]


def test_only_the_owner_adopts(ledger: Ledger) -> None:
    run_id = started(ledger, lease=-1.0)
    ledger.submit(Send(message(run_id, 1))).wait()
    take_over(ledger, run_id)
    with pytest.raises(Fenced):
        ledger.submit(adoption(run_id, "m1")).wait()
    ledger.submit(adoption(run_id, "m1", epoch=2)).wait()
    assert ledger.messages([run_id]) == []


def test_who_lost_a_run_is_told_so_and_not_that_its_message_is_taken(ledger: Ledger, other: Ledger) -> None:
    run_id = started(ledger, lease=-1.0)
    ledger.submit(Send(message(run_id, 1))).wait()
    take_over(other, run_id)
    other.submit(adoption(run_id, "m1", epoch=2)).wait()
    with pytest.raises(Fenced):
        ledger.submit(adoption(run_id, "m1")).wait()
    with pytest.raises(UnknownRun):
        ledger.submit(adoption("01NONE", "m1")).wait()


def test_a_message_of_another_run_is_not_adopted(ledger: Ledger) -> None:
    run_id, other = started(ledger), started(ledger)
    ledger.submit(Send(message(other, 1))).wait()
    with pytest.raises(AlreadyRecorded):
        ledger.submit(adoption(run_id, "m1")).wait()
    assert [m.id for m in ledger.messages([other])] == ["m1"]


def test_a_message_to_nobody(ledger: Ledger) -> None:
    with pytest.raises(UnknownRun):
        ledger.submit(Send(message("01NONE"))).wait()


# Keys of runs


def test_a_key_has_one_run(ledger: Ledger) -> None:
    first = new_id()
    assert ledger.submit(start(first, run_key="invoice-17")).result() is None
    second = ledger.submit(start(new_id(), run_key="invoice-17")).result()
    assert isinstance(second, RunRecord)
    assert second == ledger.run(first)
    assert [run.id for run in ledger.runs(run_key="invoice-17")] == [first]
    elsewhere = new_id()
    assert ledger.submit(start(elsewhere, run_key="invoice-17", tenant="other")).result() is None
    assert len(ledger.history(elsewhere)) == 1


def test_two_starts_with_one_key_in_one_batch(ledger: Ledger) -> None:
    ids = [new_id() for _ in range(3)]
    waiting = [ledger.submit(start(run_id, run_key="k")) for run_id in ids]
    found = [pending.result() for pending in waiting]
    assert found[0] is None
    assert [run.id for run in found[1:] if isinstance(run, RunRecord)] == [ids[0]] * 2


# How runs end


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled", "in_doubt", "waiting"])
def test_a_run_ends_in_each_of_these_ways(ledger: Ledger, status: RunStatus) -> None:
    run_id = started(ledger)
    ended = end(run_id)
    ledger.submit(EndRun(ended.outcome, [], status, Totals(), failed_step="s", error="e")).wait()
    run = ledger.run(run_id)
    assert (run.status, run.lease_until_ns, run.failed_step) == (status, 0, "s")
    assert (run.ended_ns is None) == (status == "waiting")
    taken = take_over(ledger, run_id)
    is_over = status in ("completed", "cancelled")
    assert (taken.status, taken.epoch) == ((status, 1) if is_over else ("running", 2))


# Intents


def test_an_intent_and_its_outcome_share_key_and_attempt(ledger: Ledger) -> None:
    run_id = started(ledger)
    intent = outcome(run_id, 1, status="running")
    assert intent.is_intent
    ledger.submit(Append(intent, [])).wait()
    with pytest.raises(AlreadyRecorded):
        ledger.submit(Append(intent, [])).wait()
    ledger.submit(Append(outcome(run_id, 1), [])).wait()
    with pytest.raises(AlreadyRecorded):
        ledger.submit(Append(outcome(run_id, 1), [])).wait()
    assert [link.outcome.status for link in ledger.history(run_id)] == ["running", "running", "completed"]
    assert [o.status for o in ledger.outcomes_of("flow")] == ["running", "completed"]
    assert ledger.first_break(run_id) is None


# Payloads


def test_payloads_small_large_and_sealed_come_back_as_they_were(place: Place) -> None:
    ledger = place.open(privacy=lambda text: text.replace("secret", "*") if "secret" in text else None)
    run_id = started(ledger, tenant="acme")
    texts = [
        '"plain"',
        '"a secret"',
        '"' + "x" * 50_000 + '"',
        '"' + "a secret " * 9_000 + '"',
        '"\\u0000 é 漢 🚀"',
    ]
    for n, text in enumerate(texts, 1):
        freight: Freight = []
        payload = ledger.payloads.store(run_id, text, freight, tenant="acme")
        ledger.submit(Append(outcome(run_id, n, output=payload), freight)).wait()
    again = place.open()
    links = again.history(run_id)[1:]
    assert [again.exact(run_id, link.outcome.output) for link in links] == texts
    assert [again.view(link.outcome.output) for link in links] == [t.replace("secret", "*") for t in texts]
    assert again.first_break(run_id) is None
    stored = place.execute("SELECT data FROM blobs")
    assert all(b"secret" not in bytes(row[0]) for row in stored)


def test_a_blob_is_stored_once(ledger: Ledger, place: Place) -> None:
    run_id = started(ledger)
    for n in (1, 2, 3):
        freight: Freight = []
        payload = ledger.payloads.store(run_id, '"' + "y" * 10_000 + '"', freight)
        ledger.submit(Append(outcome(run_id, n, inputs=payload, output=payload), freight)).wait()
    assert place.execute("SELECT count(*) FROM blobs")[0][0] == 1


def test_all_of_an_outcome_comes_back(ledger: Ledger) -> None:
    run_id = started(ledger)
    full = outcome(
        run_id,
        1,
        path=bytes(32),
        user_key="a key",
        retry_at_ns=2**62,
        trust="trusted",
        is_pure=True,
        is_degraded=True,
        is_cached=True,
        prompt=PromptRef("p", "1", "d"),
        call=CallFacts("openai", "asked", "served", Usage(1, 2, 3, 4), Money(5), 6),
        status="failed",
    )
    plain = outcome(run_id, 2)
    for one in (full, plain):
        ledger.submit(Append(one, [])).wait()
    assert [link.outcome for link in ledger.history(run_id)[1:]] == [full, plain]
    facts = [replace(one, inputs=Payload(), output=Payload()) for one in (full, plain)]
    assert list(ledger.outcomes_of("flow"))[1:] == facts


def test_all_of_a_run_comes_back(ledger: Ledger) -> None:
    run_id = new_id()
    entry = start(run_id, tenant="t", principal="p", session="s", tags={"a": "é", "b": ""}, run_key="k",
                  parent_run="parent", flow_version="2", code_digest="c", deadline_ns=7)  # fmt: skip
    ledger.submit(entry).wait()
    found = ledger.run(run_id)
    assert abs(found.lease_until_ns - entry.run.lease_until_ns) < SECOND
    assert replace(found, lease_until_ns=0) == replace(entry.run, lease_until_ns=0)
    totals = Totals(1, 2, Usage(3, 4, 5, 6), Money(7), is_cost_complete=False, is_degraded=True)
    ledger.submit(
        EndRun(end(run_id).outcome, [], "failed", totals, failed_step="s", error="E: a\x00b")
    ).wait()
    found = ledger.run(run_id)
    assert (found.totals, found.failed_step, found.lease_until_ns) == (totals, "s", 0)
    assert found.error in ("E: a\x00b", "E: a\ufffdb")


# The chain


TAMPERING = {
    "an edited row": ("UPDATE outcomes SET name = 'another' WHERE name = 'step-2'", "step"),
    "a changed output": ("UPDATE outcomes SET output_view = '9' WHERE name = 'step-2'", "changed"),
    "a deleted row": ("DELETE FROM outcomes WHERE name = 'step-2'", "missing"),
    "a cut tail": ("DELETE FROM outcomes WHERE kind = 'end'", "end of the run"),
}


@pytest.mark.parametrize(("statement", "said"), TAMPERING.values(), ids=list(TAMPERING))
def test_whatever_somebody_changes_shows(ledger: Ledger, place: Place, statement: str, said: str) -> None:
    run_id = started(ledger, 3)
    ledger.submit(end(run_id)).wait()
    assert ledger.first_break(run_id) is None
    place.execute(statement)
    assert said in str(ledger.first_break(run_id))


# Lists


def test_runs_are_found_by_the_beginning_of_their_id(ledger: Ledger) -> None:
    with pytest.raises(UnknownRun, match="no runs yet"):
        ledger.run("last")
    assert (ledger.runs(), ledger.format()) == ([], 0)
    first, second = started(ledger), started(ledger)
    assert ledger.run(first).id == first
    assert ledger.run(f" {first.lower()} ").id == first
    assert ledger.run("last").id == second
    with pytest.raises(UnknownRun, match="beginning of several runs"):
        ledger.run(first[:4])
    for wrong in ("", "%", "~", "'; DROP TABLE runs"):
        with pytest.raises(UnknownRun):
            ledger.run(wrong)
    assert (ledger.format(), ledger.check()) == (VERSION, "ok")


@pytest.mark.parametrize("text", ["\x00", "a\x00b", "\U0001f600"])
def test_what_no_run_is_called_is_found_nowhere(ledger: Ledger, text: str) -> None:
    """It is no outage, whatever the engine takes for a text."""
    started(ledger)
    for column in ("flow", "tenant", "principal", "session", "run_key", "parent_run"):
        assert ledger.runs(**{column: text}) == []  # type: ignore[arg-type]
    assert ledger.runs(tags={"k": text}) == []
    assert len(ledger.runs(before=f"~{text}")) == 1
    with pytest.raises(UnknownRun):
        ledger.run(text)


def test_runs_are_listed_by_page(ledger: Ledger) -> None:
    ids = [started(ledger) for _ in range(5)]
    assert [run.id for run in ledger.runs(limit=2)] == ids[:2:-1]
    assert [run.id for run in ledger.runs(before=ids[3])] == ids[2::-1]
    assert [run.id for run in ledger.runs(limit=None)] == ids[::-1]
    assert ledger.runs(flow="another") == []


def test_every_filter_and_all_of_them_together(ledger: Ledger) -> None:
    wanted: dict[str, Any] = {
        "tenant": "t",
        "principal": "p",
        "session": "s",
        "run_key": "k",
        "parent_run": "r",
    }
    wanted["tags"] = {"a": "1", "b": "2"}
    mine = started(ledger, **wanted)
    for name in wanted:
        # Each lacks one of them, and has a key of its own.
        given = wanted | {"run_key": f"k-{name}"}
        started(ledger, **{key: value for key, value in given.items() if key != name})
    started(ledger, **{**wanted, "run_key": "k2", "tags": {"a": "1", "b": "1"}})
    created = ledger.run(mine).created_ns
    assert [run.id for run in ledger.runs(**wanted, flow="flow", status="running")] == [mine]
    assert [run.id for run in ledger.runs(**wanted, since_ns=created, until_ns=created + 1)] == [mine]
    assert ledger.runs(**wanted, until_ns=created) == []
    assert ledger.runs(**wanted, since_ns=created + 1) == []
    for name, value in wanted.items():
        found = {run.id for run in ledger.runs(**{name: value})}
        fitting = [run for run in ledger.runs() if getattr(run, name) == value]
        assert found == {run.id for run in fitting}
        assert mine in found
        assert len(ledger.runs()) > len(found)


# Threads, tasks, processes


def test_runs_are_found_by_a_tag_that_they_do_not_have(ledger: Ledger) -> None:
    """Whatever the tags hold: only the name counts, and all of it."""
    tags: list[dict[str, str]] = [
        {},
        {"a": "b"},
        {"case": '"experiment":', "b": ',"experiment":"x"', "c": '{"experiment":1}'},
        {
            "an experiment": "1",
            "experiment ": "2",
            "Experiment": "3",
            'x","experiment': "4",
            "experiments": "5",
        },
    ]
    others: list[dict[str, str]] = [
        {"experiment": "E"},
        {"a": "b", "experiment": ""},
        {"é": "1", "experiment": "E"},
    ]
    ids = [started(ledger, tags=given, principal="ann") for given in (*tags, *others)]
    for narrow in ({}, {"flow": "flow"}, {"principal": "ann", "status": "running"}):
        found = ledger.runs(without_tag="experiment", **narrow)
        assert [run.id for run in found] == ids[len(tags) - 1 :: -1]
    assert [run.id for run in ledger.runs(without_tag="experiment", limit=1)] == [ids[len(tags) - 1]]
    assert [run.id for run in ledger.runs(without_tag="experiment", tags={"a": "b"})] == [ids[1]]
    assert [run.id for run in ledger.runs(without_tag='x","experiment')] == [
        run_id for run_id in reversed(ids) if run_id != ids[3]
    ]
    assert len(ledger.runs(without_tag="é?%")) == len(ids)


def test_many_threads(ledger: Ledger) -> None:
    run_ids = [started(ledger) for _ in range(8)]

    def work(run_id: str) -> int:
        for n in range(1, 21):
            ledger.submit(Append(outcome(run_id, n), [])).wait()
        return len(ledger.history(run_id))

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(work, run_ids)) == [21] * 8
    assert all(ledger.first_break(run_id) is None for run_id in run_ids)


def test_many_tasks_of_many_loops(ledger: Ledger) -> None:
    async def work() -> str:
        run_id = new_id()
        await ledger.submit(start(run_id))
        for n in range(1, 6):
            await ledger.submit(Append(outcome(run_id, n), []))
        await ledger.submit(end(run_id))
        return run_id

    async def all_of_them() -> list[str]:
        return await asyncio.gather(*(work() for _ in range(40)))

    with ThreadPoolExecutor(2) as threads:
        run_ids = [
            run_id
            for found in threads.map(lambda _: asyncio.run(all_of_them()), range(2))
            for run_id in found
        ]
    assert {run.id for run in ledger.runs(status="completed", limit=None)} == set(run_ids)
    assert all(len(ledger.history(run_id)) == 7 for run_id in run_ids)
    assert all(ledger.first_break(run_id) is None for run_id in run_ids)


def test_reading_in_async_code_and_in_a_tick(ledger: Ledger) -> None:
    run_id = started(ledger, 2)
    seen: list[int] = []

    def tick() -> float | None:
        seen.append(len(ledger.history(run_id)))
        ledger.submit(Append(outcome(run_id, 3), [])).wait()
        return None

    async def read() -> int:
        await ledger.submit(Note([]))
        return len(ledger.history(run_id))

    assert asyncio.run(read()) == 3
    ledger.on_tick(tick)
    ledger.nudge()
    wait_for(lambda: len(ledger.history(run_id)) == 4)
    assert seen[0] == 3


def test_processes_that_make_the_ledger_at_once(place: Place) -> None:
    code = (
        "import ledgers\nledger = place.open(); sys.stdin.readline()\n"
        "run_id = ledgers.started(ledger, 20); ledger.close(); print(run_id)"
    )
    children = [place.in_child(code) for _ in range(4)]
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    said = [child.communicate(timeout=60) for child in children]
    assert [error for _, error in said] == [""] * 4
    ledger = place.open()
    assert {run.id for run in ledger.runs()} == {output.strip() for output, _ in said}
    assert all(ledger.first_break(run.id) is None for run in ledger.runs())
    assert place.execute("SELECT count(*) FROM ledger") == [(1,)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_writes_and_does_not_disturb_its_parent(ledger: Ledger) -> None:
    run_id = started(ledger, 1)
    assert len(ledger.history(run_id)) == 2
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
    assert len(ledger.history(run_id)) == 30


def test_what_was_handed_over_is_written_before_it_closes(place: Place) -> None:
    ledger = place.open()
    run_id = started(ledger)
    for n in range(1, 6):
        ledger.submit(Append(outcome(run_id, n), []))
    ledger.close()
    with pytest.raises(LedgerError, match="closed"):
        ledger.submit(Append(outcome(run_id, 6), []))
    again = place.open()
    assert len(again.history(run_id)) == 6
    again.submit(Append(outcome(run_id, 6), [])).wait()
    assert again.first_break(run_id) is None


# Races


def test_nothing_of_a_former_epoch_gets_in_behind_a_takeover(ledger: Ledger, place: Place) -> None:
    """One process appends as fast as it can; others take the run over in the middle, and read what is there."""
    other = place.open()
    for _ in range(15):
        run_id = started(ledger, lease=-1.0)
        accepted: list[int] = []

        def append(run_id: str = run_id, accepted: list[int] = accepted) -> None:
            for n in range(1, 200):
                try:
                    ledger.submit(Append(outcome(run_id, n), [])).wait()
                except Fenced:
                    return
                accepted.append(n)

        thread = threading.Thread(target=append)
        thread.start()
        wait_for(lambda accepted=accepted: len(accepted) > 2)
        assert take_over(other, run_id).epoch == 2
        seen = [link.outcome.name for link in other.history(run_id)]
        thread.join()
        assert seen == ["flow", *(f"step-{n}" for n in accepted)]
        assert [link.outcome.name for link in other.history(run_id)] == seen
        other.submit(Append(outcome(run_id, 999, epoch=2), [])).wait()
        assert other.first_break(run_id) is None


def test_two_writers_of_one_epoch_make_one_chain(ledger: Ledger, other: Ledger) -> None:
    """It must not be, as of a run that a fork has doubled; even then no row is lost and the chain holds."""
    run_id = started(ledger)
    with ThreadPoolExecutor(2) as threads:
        writing = [
            threads.submit(lambda one=one, first=first: [
                one.submit(Append(outcome(run_id, n), [])).wait() for n in range(first, first + 30)
            ])
            for one, first in ((ledger, 100), (other, 200))
        ]  # fmt: skip
        for each in writing:
            each.result()
    assert len(ledger.history(run_id)) == 61
    assert ledger.first_break(run_id) is None


def test_of_many_takers_at_once_each_has_an_epoch_of_its_own(place: Place, ledger: Ledger) -> None:
    run_id = started(ledger, lease=-1.0)
    takers = [place.open() for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        epochs = [run.epoch for run in threads.map(lambda one: take_over(one, run_id), takers)]
    assert sorted(epochs) == [2, 3, 4, 5]
