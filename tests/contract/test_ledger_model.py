"""Any sequence of what processes do with runs does what a model of it says: fence, lease, takeover and inbox.

`LONG=1` looks at far more of them, and at others each time.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from engines import Place
from ledgers import end, outcome, start
from surefoot.errors import AlreadyRecorded, Fenced, RunBusy, UnknownRun
from surefoot.ledger import (
    Adopt,
    Append,
    EndRun,
    Ledger,
    LedgerEntry,
    Message,
    Owner,
    Payload,
    Release,
    Renew,
    RunRecord,
    Send,
    TakeOver,
    Totals,
    lease_of,
    this_process,
)
from surefoot.ledger.holding import FINAL
from surefoot.values import RunStatus, new_id

IS_LONG = bool(os.environ.get("LONG"))
EXAMPLES, STEPS = (3_000, 60) if IS_LONG else (40, 40)

# Far longer than a test takes, so that what counts is which of them it was.
HELD, EXPIRED = lease_of(1_800), lease_of(-1_800)

HERE = this_process()
OWNERS = {
    "north": Owner("north", "boot-n", 1, "1"),
    "south": Owner("south", "boot-s", 1, "1"),
    "here": HERE,
    # On this host, and not there any more: who comes need not wait for its lease.
    "gone": replace(HERE, pid=2**22 + 1, started="1"),
}

which = st.sampled_from(sorted(OWNERS))
# Mostly those whose word counts, or counted once.
whoever = st.sampled_from([*sorted(OWNERS), *["holder"] * 5, *["former"] * 3])
# A number for which no run was started yet is that of a run that is not there.
runs = st.sampled_from([0, 0, 0, 0, 1, 1, 2])
steps = st.integers(1, 9)
leases = st.sampled_from([HELD, HELD, EXPIRED])


@dataclass
class Run:
    """What the model knows of one."""

    id: str
    owner: Owner
    is_held: bool
    """Whether its lease lasts."""
    key: str | None = None
    epoch: int = 1
    status: RunStatus = "running"
    rows: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    """The name and the epoch of every outcome."""
    taken: set[tuple[str, bool]] = field(default_factory=set[tuple[str, bool]])
    """The names of steps that are there, each with whether it is an intent."""
    inbox: list[str] = field(default_factory=list[str])
    adopted: list[str] = field(default_factory=list[str])


@dataclass
class Process:
    """One of those who share the ledger, and the runs that it takes for its own, by epoch: it may be wrong."""

    owner: Owner
    ledger: Ledger
    believes: dict[str, int] = field(default_factory=dict[str, int])


class Sharing(RuleBasedStateMachine):
    """Processes on one ledger. What was there before belongs to other tenants, and nobody looks at it."""

    place: Place

    def __init__(self) -> None:
        super().__init__()
        self.processes = {
            name: Process(owner, self.place.opened[n]) for n, (name, owner) in enumerate(OWNERS.items())
        }
        self.tenant = new_id()
        self.runs: list[Run] = []
        self.touched: list[Run] = []
        self.numbers = count(1)
        self.sent: list[Message] = []

    # What is done, and what should come of it

    def at(self, index: int) -> Run | None:
        """A run; None for one that nobody has started."""
        run = self.runs[index] if index < len(self.runs) else None
        if run is not None:
            self.touched.append(run)
        return run

    def who(self, name: str, run: Run | None) -> Process:
        """A process by its name, or by what it is to a run."""
        if name in self.processes:
            return self.processes[name]
        holder = next((one for one in self.processes.values() if run and one.owner == run.owner), None)
        former = next(
            (
                one
                for one in self.processes.values()
                if run and one.believes.get(run.id, run.epoch) != run.epoch
            ),
            None,
        )
        found = former or holder if name == "former" else holder
        return found or self.processes["here"]

    def fence(self, process: Process, run: Run | None) -> type[Exception] | None:
        """What a process is told that writes to a run as if it held it."""
        if run is None:
            return UnknownRun
        return None if process.believes.get(run.id) == run.epoch else Fenced

    @staticmethod
    def expect(act: Callable[[], Any], error: type[Exception] | None) -> Any:
        if error is None:
            return act()
        with pytest.raises(error) as caught:
            act()
        assert caught.type is error
        return None

    def submit(self, process: Process, entry: LedgerEntry, error: type[Exception] | None = None) -> Any:
        return self.expect(process.ledger.submit(entry).result, error)

    # Runs

    @precondition(lambda self: len(self.runs) < 3)
    @rule(name=which, lease=leases, key=st.sampled_from([None, "a", "b"]))
    def start_a_run(self, name: str, lease: int, key: str | None) -> None:
        process = self.processes[name]
        run = Run(new_id(), process.owner, lease > 0, key, rows=[("flow", 1)])
        entry = start(run.id, lease=lease / 1e9, owner=run.owner, run_key=key, tenant=self.tenant)
        former = next((one for one in self.runs if key is not None and one.key == key), None)
        found = self.submit(process, entry)
        if former is not None:
            assert isinstance(found, RunRecord)
            assert (found.id, found.epoch, found.status) == (former.id, former.epoch, former.status)
        else:
            assert found is None
            self.runs.append(run)
            self.touched.append(run)
            process.believes[run.id] = 1

    @rule(name=whoever, index=runs, status=st.sampled_from(["completed", "failed", "waiting", "cancelled"]))
    def end_a_run(self, name: str, index: int, status: RunStatus) -> None:
        run = self.at(index)
        process = self.who(name, run)
        run_id = run.id if run else new_id()
        epoch = process.believes.pop(run_id, 0)
        error = UnknownRun if run is None else None if epoch == run.epoch else Fenced
        row = end(run_id, epoch=epoch).outcome
        self.submit(process, EndRun(row, [], status, Totals()), error)
        if run is not None and error is None:
            run.rows.append(("flow", epoch))
            run.status, run.is_held = status, False

    # Rows

    def row(
        self, process: Process, index: int, n: int, *, is_intent: bool
    ) -> tuple[Append, type[Exception] | None]:
        run = self.at(index)
        error = self.fence(process, run)
        run_id = run.id if run else new_id()
        row = outcome(
            run_id, n, epoch=process.believes.get(run_id, 0), status="running" if is_intent else "completed"
        )
        if run is not None and error is None:
            if (row.name, is_intent) in run.taken:
                error = AlreadyRecorded
            else:
                run.taken.add((row.name, is_intent))
                run.rows.append((row.name, run.epoch))
        return Append(row, []), error

    @rule(name=whoever, index=runs, n=steps, is_intent=st.booleans())
    def append(self, name: str, index: int, n: int, *, is_intent: bool) -> None:
        process = self.who(name, self.at(index))
        entry, error = self.row(process, index, n, is_intent=is_intent)
        self.submit(process, entry, error)

    @rule(name=whoever, several=st.lists(st.tuples(runs, steps, st.booleans()), min_size=2, max_size=6))
    def append_several_at_once(self, name: str, several: list[tuple[int, int, bool]]) -> None:
        process = self.who(name, self.at(several[0][0]))
        rows = [self.row(process, index, n, is_intent=is_intent) for index, n, is_intent in several]
        waiting = [(process.ledger.submit(entry), error) for entry, error in rows]
        for pending, error in waiting:
            self.expect(pending.result, error)

    # Leases

    @rule(name=whoever, index=runs, lease=leases, is_heeded=st.booleans())
    def renew(self, name: str, index: int, lease: int, *, is_heeded: bool) -> None:
        process = self.who(name, self.at(index))
        held = [(run, process.believes[run.id]) for run in self.runs if run.id in process.believes]
        lost = self.submit(process, Renew([(run.id, epoch) for run, epoch in held], lease))
        assert sorted(lost) == sorted(run.id for run, epoch in held if epoch != run.epoch)
        for run, epoch in held:
            if epoch == run.epoch:
                run.is_held = lease > 0
            elif is_heeded:
                del process.believes[run.id]
        self.touched += [run for run, _ in held]

    @rule(name=whoever, index=runs)
    def release(self, name: str, index: int) -> None:
        run = self.at(index)
        process = self.who(name, run)
        run_id = run.id if run else new_id()
        epoch = process.believes.pop(run_id, 0)
        self.submit(process, Release(run_id, epoch))
        if run is not None and epoch == run.epoch:
            run.is_held = False

    @rule(index=runs)
    def let_a_lease_expire(self, index: int) -> None:
        if (run := self.at(index)) is not None and run.status == "running":
            self.submit(self.processes["here"], Renew([(run.id, run.epoch)], EXPIRED))
            run.is_held = False

    # Takeovers

    def is_busy(self, run: Run, taker: Owner) -> bool:
        return run.is_held and run.owner not in (taker, OWNERS["gone"]) and run.status not in FINAL

    def took(self, process: Process, run: Run, record: RunRecord, lease: int) -> None:
        assert (record.id, record.status) == (run.id, run.status if run.status in FINAL else "running")
        if run.status not in FINAL:
            run.epoch, run.owner, run.status, run.is_held = run.epoch + 1, process.owner, "running", lease > 0
            process.believes[run.id] = run.epoch
        assert (record.epoch, record.owner) == (run.epoch, run.owner)

    @rule(name=which, index=runs, lease=leases)
    def take_over(self, name: str, index: int, lease: int) -> None:
        process, run = self.processes[name], self.at(index)
        entry = TakeOver(run.id if run else new_id(), process.owner, lease)
        if run is None:
            self.submit(process, entry, UnknownRun)
        elif self.is_busy(run, process.owner):
            self.submit(process, entry, RunBusy)
        else:
            self.took(process, run, self.submit(process, entry), lease)

    @rule(index=runs)
    def take_over_by_two_at_once(self, index: int) -> None:
        """Of a run that nobody holds, one of them gets hold; the other is told so."""
        run = self.at(index)
        two = [self.processes[name] for name in ("north", "south")]
        if run is None or run.status in FINAL or any(self.is_busy(run, one.owner) for one in two):
            return
        waiting = [one.ledger.submit(TakeOver(run.id, one.owner, HELD)) for one in two]
        for one in two:
            one.ledger.nudge()
        winners: list[tuple[Process, RunRecord]] = []
        for one, pending in zip(two, waiting, strict=True):
            try:
                taken = pending.result()
            except RunBusy:
                continue
            assert isinstance(taken, RunRecord)
            winners.append((one, taken))
        assert len(winners) == 1
        self.took(*winners[0][:1], run, winners[0][1], HELD)

    @rule(index=runs, name=which, n=steps)
    def write_on_with_it_elsewhere(self, index: int, name: str, n: int) -> None:
        """A lease runs out and another takes over; the former owner does not know, and then the other writes."""
        self.let_a_lease_expire(index)
        self.take_over(name, index, HELD)
        self.append("former", index, n, is_intent=True)
        self.renew("former", index, EXPIRED, is_heeded=False)
        self.append(name, index, n, is_intent=False)

    # The inbox

    @rule(name=which, index=runs)
    def send(self, name: str, index: int) -> None:
        run = self.at(index)
        message = Message(new_id(), run.id if run else new_id(), "event", 1, "{}")
        self.submit(self.processes[name], Send(message), None if run else UnknownRun)
        if run is not None:
            self.sent.append(message)
            run.inbox.append(message.id)

    @precondition(lambda self: self.sent)
    @rule(name=which, index=st.integers(0, 20))
    def send_again(self, name: str, index: int) -> None:
        self.submit(self.processes[name], Send(self.sent[index % len(self.sent)]))

    @precondition(lambda self: self.sent)
    @rule(
        name=whoever,
        index=runs,
        chosen=st.lists(st.integers(0, 20), min_size=1, max_size=2),
        is_any=st.booleans(),
    )
    def adopt(self, name: str, index: int, chosen: list[int], *, is_any: bool) -> None:
        run = self.at(index)
        process = self.who(name, run)
        error = self.fence(process, run)
        fitting = [one for one in self.sent if is_any or (run and one.run_id == run.id)] or self.sent
        ids = sorted({fitting[n % len(fitting)].id for n in chosen})
        run_id, number = run.id if run else new_id(), 100 + next(self.numbers)
        row = outcome(
            run_id,
            number,
            kind="message",
            epoch=process.believes.get(run_id, 0),
            output=Payload(f'"{" ".join(ids)}"'),
        )
        if run is not None and error is None and not set(ids) <= set(run.inbox):
            error = AlreadyRecorded
        self.submit(process, Adopt(ids, row, []), error)
        if run is not None and error is None:
            run.inbox = [message for message in run.inbox if message not in ids]
            run.adopted += ids
            run.rows.append((row.name, run.epoch))

    # Processes

    @rule(name=which)
    def restart(self, name: str) -> None:
        """Whoever comes back knows of no run that it holds."""
        process = self.processes[name]
        process.ledger.close()
        self.place.opened.remove(process.ledger)
        process.ledger = self.place.open()
        process.believes.clear()

    # What holds at any time

    def check(self, run: Run, ledger: Ledger) -> None:
        record = ledger.run(run.id)
        assert (record.epoch, record.status, record.owner) == (run.epoch, run.status, run.owner)
        assert (record.lease_until_ns > start("").run.created_ns) == run.is_held
        history = ledger.history(run.id)
        assert [(link.outcome.name, link.outcome.epoch) for link in history] == run.rows
        assert [epoch for _, epoch in run.rows] == sorted(epoch for _, epoch in run.rows)
        assert ledger.first_break(run.id) is None
        assert [message.id for message in ledger.messages([run.id])] == run.inbox
        adopted = [link.outcome.output.view for link in history if link.outcome.kind == "message"]
        assert " ".join(text.strip('"') for text in adopted).split() == run.adopted
        assert sorted(run.adopted + run.inbox) == sorted(one.id for one in self.sent if one.run_id == run.id)

    @invariant()
    def what_was_touched_is_as_the_model_says(self) -> None:
        touched, self.touched = self.touched, []
        for run in {run.id: run for run in touched}.values():
            self.check(run, self.processes["south"].ledger)

    def teardown(self) -> None:
        for run in self.runs:
            self.check(run, self.processes["north"].ledger)


# To find the shortest sequence that fails takes its time.
@pytest.mark.timeout(0 if IS_LONG else 600)
def test_whatever_processes_do_the_ledger_does_what_the_model_says(place: Place) -> None:
    for _ in OWNERS:
        place.open()
    machine = type("Sharing", (Sharing,), {"place": place})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            derandomize=not IS_LONG,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
