"""Budgets on every engine: money is held before it is spent, on all accounts or on none, and settled exactly once."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from dataclasses import replace
from typing import Any

import pytest

from engines import Place
from ledgers import outcome, started, take_over
from surefoot.effects import drive, drive_async
from surefoot.errors import AlreadyRecorded, BudgetExceeded, ConfigError, Fenced
from surefoot.ledger import Account, Append, Budget, Budgets, Ledger, Owner, Settle, this_process
from surefoot.ledger.accounts import Swept
from surefoot.ledger.entries import KeepHolds, SweepHolds
from surefoot.ledger.holds import AccountHold
from surefoot.ledger.rows import owner_text
from surefoot.values import Caller, Money

DOLLAR = 1_000_000_000
NOBODY = Caller()


class SetClock:
    """A clock that stands where it is set."""

    def __init__(self, text: str) -> None:
        self.set(text)

    def set(self, text: str) -> None:
        from datetime import datetime

        self.now = int(datetime.fromisoformat(text).timestamp()) * DOLLAR

    def wall_ns(self) -> int:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += round(seconds * 1e9)


def cents(number: int) -> Money:
    return Money(number * DOLLAR // 100)


def budget(limit: int, **rest: Any) -> Budget:
    return Budget(rest.pop("name", "all"), cents(limit), **rest)


def held(
    budgets: Budgets, amount: int, caller: Caller = NOBODY, *, patience: float = 0.0, what: str = "the call"
) -> AccountHold:
    return drive(budgets.hold(caller, cents(amount), what=what, patience=patience))


def figures(budgets: Budgets, whose: str | None = None) -> list[tuple[int, int, int]]:
    """Of each account what is spent, held and unsure, in cents."""
    return [
        (one.spent.nanos * 100 // DOLLAR, one.held.nanos * 100 // DOLLAR, one.unsure.nanos * 100 // DOLLAR)
        for one in budgets.accounts()
        if whose is None or one.whose == whose
    ]


def refusal(budgets: Budgets, amount: int, caller: Caller = NOBODY, **rest: Any) -> BudgetExceeded:
    with pytest.raises(BudgetExceeded) as refused:
        held(budgets, amount, caller, **rest)
    return refused.value


def orphan(ledger: Ledger, budgets: Budgets, amount: int, *, owner: Owner) -> AccountHold:
    """A hold of another process."""
    theirs = Budgets(ledger, budgets.budgets)
    theirs._owner = owner_text(owner) or ""
    return held(theirs, amount)


GONE = replace(this_process(), pid=2**22 + 1, started="1")


# One call


def test_the_most_that_a_call_may_cost_is_held_and_what_it_has_cost_is_spent(ledger: Ledger) -> None:
    budgets = Budgets(ledger, [budget(100)])
    hold = held(budgets, 60)
    assert figures(budgets) == [(0, 60, 0)]
    refused = refusal(budgets, 41)
    assert (refused.limit, refused.spent, refused.held, refused.asked) == (
        DOLLAR,
        0,
        60 * DOLLAR // 100,
        41 * DOLLAR // 100,
    )
    drive(hold.settle(cents(10)))
    assert figures(budgets) == [(10, 0, 0)]
    drive(held(budgets, 90).settle(None))
    assert figures(budgets) == [(100, 0, 0)]
    assert refusal(budgets, 1).left == 0


def test_a_refusal_says_what_is_spent_held_and_left_and_what_to_change(ledger: Ledger) -> None:
    clock = SetClock("2026-11-27T14:30:00+00:00")
    budgets = Budgets(
        ledger, [budget(1000), budget(50, name="acme", of="tenant", only="ac*", per="day")], clock=clock
    )
    caller = Caller(("01RUN",), ("answer",), tenant="acme")
    drive(held(budgets, 20, caller).settle(cents(15)))
    hold = held(budgets, 30, caller)
    refused = refusal(budgets, 6, caller, what="the call to openai:gpt-4o")
    assert (refused.budget, refused.whose) == ("acme", "acme")
    assert (refused.spent, refused.held, refused.left) == (
        15 * DOLLAR // 100,
        30 * DOLLAR // 100,
        DOLLAR // 20,
    )
    assert refused.renews_ns == SetClock("2026-11-28T00:00:00+00:00").now
    text = str(refused)
    for part in (
        "run 01RUN: the call to openai:gpt-4o was not made: it may cost $0.06",
        "the budget 'acme' of tenant 'acme' has $0.05 left",
        "limit $0.50, spent $0.15, held $0.30",
        "2026-11-28 00:00 UTC",
        "[budgets.acme] limit",
        "[budgets.acme] cap_output",
        'exceeded = "wait"',
    ):
        assert part in text
    drive(hold.settle(None))


def test_what_can_never_fit_is_refused_at_once_even_where_calls_wait(ledger: Ledger) -> None:
    budgets = Budgets(ledger, [budget(50, exceeded="wait", patience=3600.0)])
    drive(held(budgets, 20).settle(cents(20)))
    refused = refusal(budgets, 51, patience=3600.0)
    assert refused.spent == 20 * DOLLAR // 100
    assert "it can never fit" in str(refused)
    assert figures(budgets) == [(20, 0, 0)]


def test_a_call_of_no_cost_is_let_through_a_budget_that_is_used_up(ledger: Ledger) -> None:
    budgets = Budgets(ledger, [budget(10)])
    drive(held(budgets, 10).settle(None))
    drive(held(budgets, 0).settle(Money()))
    assert figures(budgets) == [(10, 0, 0)]


def test_what_no_budget_is_about_writes_nothing(ledger: Ledger) -> None:
    budgets = Budgets(ledger, [budget(10, of="tenant", only="acme"), budget(10, name="runs", of="run")])
    assert not budgets.bound(NOBODY)
    hold = held(budgets, 1000)
    assert hold.settlement(cents(5)) is None
    assert ledger.format() == 0
    assert budgets.bound(Caller(tenant="acme"))


def test_more_than_was_held_is_booked_in_truth_and_logged(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    budgets = Budgets(ledger, [budget(100)])
    drive(held(budgets, 90, what="the call to openai:gpt-4o").settle(cents(150)))
    assert figures(budgets) == [(150, 0, 0)]
    assert "the call to openai:gpt-4o has cost $1.50 where $0.90 was held" in caplog.text
    refused = refusal(budgets, 1)
    assert (refused.spent, refused.left) == (150 * DOLLAR // 100, 0)


def test_a_second_attempt_holds_more(ledger: Ledger) -> None:
    budgets = Budgets(ledger, [budget(100)])
    hold = held(budgets, 40)
    drive(hold.more(cents(40)))
    assert figures(budgets) == [(0, 80, 0)]
    with pytest.raises(BudgetExceeded):
        drive(hold.more(cents(40)))
    assert figures(budgets) == [(0, 80, 0)]
    drive(hold.settle(cents(75)))
    assert figures(budgets) == [(75, 0, 0)]


# Accounts


def test_of_several_accounts_all_are_charged_or_none(ledger: Ledger) -> None:
    budgets = Budgets(
        ledger,
        [budget(1000), budget(100, name="tenants", of="tenant"), budget(30, name="flows", of="flow")],
    )
    caller = Caller(("01A",), ("answer",), tenant="acme")
    refused = refusal(budgets, 31, caller)
    assert (refused.budget, refused.whose) == ("flows", "answer")
    hold = held(budgets, 30, caller)
    assert figures(budgets) == [(0, 30, 0)] * 3
    assert refusal(budgets, 1, caller).budget == "flows"
    assert figures(budgets) == [(0, 30, 0)] * 3
    drive(hold.settle(cents(30)))
    drive(held(budgets, 30, replace(caller, flows=("other",))).settle(None))
    assert figures(budgets, "acme") == [(60, 0, 0)]
    assert figures(budgets, "") == [(60, 0, 0)]


def test_what_a_child_run_spends_is_spent_by_all_around_it(ledger: Ledger) -> None:
    budgets = Budgets(ledger, [budget(100, name="runs", of="run"), budget(500, name="flows", of="flow")])
    child = Caller(("01OUTER", "01MIDDLE", "01INNER"), ("outer", "step", "outer"))
    drive(held(budgets, 60, child).settle(cents(50)))
    assert {one.whose: one.spent for one in budgets.accounts()} == {
        **dict.fromkeys(("01OUTER", "01MIDDLE", "01INNER"), cents(50)),
        **dict.fromkeys(("outer", "step"), cents(50)),
    }
    sibling = Caller(("01OUTER", "01OTHER"), ("outer", "step"))
    refused = refusal(budgets, 51, sibling)
    assert (refused.budget, refused.whose, refused.renews_ns) == ("runs", "01OUTER", None)
    # The newest runs come first.
    assert [one.whose for one in budgets.accounts(runs=2)] == ["01OUTER", "01MIDDLE", "outer", "step"]


def test_a_budget_of_runs_may_be_about_those_of_one_flow(ledger: Ledger) -> None:
    budgets = Budgets(ledger, [budget(10, of="run", only="answer*")])
    assert not budgets.bound(Caller(("01A",), ("other",)))
    caller = Caller(("01A", "01B"), ("other", "answers"))
    assert refusal(budgets, 11, caller).whose == "01B"


def test_callers_without_a_tenant_share_an_account(ledger: Ledger) -> None:
    budgets = Budgets(ledger, [budget(10, of="tenant")])
    drive(held(budgets, 10).settle(None))
    refused = refusal(budgets, 1, Caller(("01A",), ("answer",)))
    assert "of calls without a tenant" in str(refused)
    drive(held(budgets, 10, Caller(tenant="acme")).settle(None))
    assert figures(budgets) == [(10, 0, 0)] * 2


@pytest.mark.parametrize(
    ("per", "before", "after"),
    [
        ("hour", "2026-11-27T14:59:59+00:00", "2026-11-27T15:00:00+00:00"),
        ("day", "2026-02-28T23:59:59+00:00", "2026-03-01T00:00:00+00:00"),
        ("month", "2026-12-31T23:59:59+00:00", "2027-01-01T00:00:00+00:00"),
    ],
)
def test_a_budget_begins_anew_with_its_period(ledger: Ledger, per: Any, before: str, after: str) -> None:
    clock = SetClock(before)
    budgets = Budgets(ledger, [budget(10, per=per), budget(100, name="whole", per="ever")], clock=clock)
    late = held(budgets, 6)
    drive(held(budgets, 4).settle(None))
    refused = refusal(budgets, 1)
    assert refused.renews_ns == SetClock(after).now
    clock.set(after)
    drive(held(budgets, 10).settle(cents(3)))
    # What was held before is spent in that period.
    drive(late.settle(cents(6)))
    assert figures(budgets) == [(3, 0, 0), (13, 0, 0)]
    clock.set(before)
    assert figures(budgets) == [(10, 0, 0), (13, 0, 0)]


def test_names_may_hold_anything(ledger: Ledger) -> None:
    budgets = Budgets(ledger, [budget(10, name='a "b" [c]', of="tenant"), budget(10, of="principal")])
    for name in ("%", "a b", "'; DROP TABLE accounts", "é\n", "x" * 5000):
        drive(held(budgets, 7, Caller(tenant=name, principal=name)).settle(cents(6)))
        assert refusal(budgets, 5, Caller(tenant=name)).whose == name
    assert figures(budgets) == [(6, 0, 0)] * 10


def test_settings_that_mean_nothing_are_refused() -> None:
    with pytest.raises(ConfigError, match="needs to know of what"):
        budget(1, only="acme")
    with pytest.raises(ConfigError, match="at most"):
        Budget("all", Money(10**19))


# Settling


def test_a_settlement_counts_once_with_its_outcome(ledger: Ledger, place: Place) -> None:
    budgets = Budgets(ledger, [budget(100)])
    run_id = started(ledger)
    settlement = held(budgets, 40).settlement(cents(25))
    assert settlement is not None
    ledger.submit(Append(outcome(run_id, 1), [], settlement)).wait()
    ledger.submit(Settle(settlement)).wait()
    ledger.submit(Append(outcome(run_id, 2), [], settlement)).wait()
    assert figures(budgets) == [(25, 0, 0)]
    assert place.execute("SELECT count(*) FROM holds")[0][0] == 0
    assert ledger.first_break(run_id) is None


def test_a_hold_ends_once(ledger: Ledger) -> None:
    budgets = Budgets(ledger, [budget(100)])
    hold = held(budgets, 40)
    drive(hold.settle(cents(25)))
    drive(hold.settle(cents(25)))
    assert hold.settlement(None) is None
    assert figures(budgets) == [(25, 0, 0)]


def test_an_outcome_that_is_refused_is_spent_all_the_same(ledger: Ledger, other: Ledger) -> None:
    budgets = Budgets(ledger, [budget(100)])
    run_id = started(ledger, 1, lease=-1.0, owner=replace(this_process(), host="elsewhere"))
    mate = started(ledger)
    with pytest.raises(AlreadyRecorded):
        ledger.submit(Append(outcome(run_id, 1), [], held(budgets, 10).settlement(cents(1)))).wait()
    take_over(other, run_id)
    good = held(budgets, 10).settlement(cents(2))
    late = ledger.submit(Append(outcome(run_id, 2), [], held(budgets, 10).settlement(cents(4))))
    ledger.submit(Append(outcome(mate, 1), [], good)).wait()
    with pytest.raises(Fenced):
        late.wait()
    assert figures(budgets) == [(7, 0, 0)]


def test_many_settlements_in_one_commit(ledger: Ledger) -> None:
    budgets = Budgets(ledger, [budget(1000), budget(600, name="runs", of="run")])
    runs = [started(ledger) for _ in range(5)]

    async def call(n: int) -> None:
        run_id = runs[n % 5]
        caller = Caller((run_id,), ("answer",))
        hold = await drive_async(budgets.hold(caller, cents(10), what="the call", patience=0.0))
        await ledger.submit(Append(outcome(run_id, n), [], hold.settlement(cents(n % 4))))

    async def all_of_them() -> None:
        await asyncio.gather(*(call(n) for n in range(1, 61)))

    asyncio.run(all_of_them())
    assert figures(budgets, "") == [(sum(n % 4 for n in range(1, 61)), 0, 0)]
    for at, run_id in enumerate(runs):
        assert figures(budgets, run_id) == [(sum(n % 4 for n in range(1, 61) if n % 5 == at), 0, 0)]
        assert ledger.first_break(run_id) is None


# Parts of a hold


def test_a_ladder_holds_the_sum_and_each_of_its_calls_gives_back_its_part(ledger: Ledger) -> None:
    budgets = Budgets(ledger, [budget(100)])
    ladder = held(budgets, 90)
    cheap = drive(ladder.part(cents(10)))
    drive(cheap.settle(cents(4)))
    assert figures(budgets) == [(4, 80, 0)]
    strong = drive(ladder.part(cents(50)))
    assert (strong.held, ladder.held, strong.id) == (cents(50), cents(30), ladder.id)
    # The ladder ends first: what no part has taken is free.
    drive(ladder.settle(Money()))
    assert figures(budgets) == [(4, 50, 0)]
    drive(strong.settle(None))
    assert figures(budgets) == [(54, 0, 0)]


def test_a_part_that_is_larger_than_what_is_left_sets_aside_the_rest(ledger: Ledger) -> None:
    budgets = Budgets(ledger, [budget(100)])
    ladder = held(budgets, 30)
    part = drive(ladder.part(cents(70)))
    assert figures(budgets) == [(0, 70, 0)]
    with pytest.raises(BudgetExceeded):
        drive(ladder.part(cents(31)))
    drive(part.more(cents(20)))
    drive(part.settle(cents(85)))
    drive(ladder.settle(Money()))
    assert figures(budgets) == [(85, 0, 0)]


def test_the_parts_of_a_ladder_that_are_settled_in_one_commit(ledger: Ledger, place: Place) -> None:
    budgets = Budgets(ledger, [budget(100)])
    run_id = started(ledger)
    ladder = held(budgets, 90)
    parts = [drive(ladder.part(cents(20))) for _ in range(4)]
    settlements = [part.settlement(cents(n)) for n, part in enumerate(parts, 1)]
    waiting = [
        ledger.submit(Append(outcome(run_id, n), [], settlement))
        for n, settlement in enumerate(settlements, 1)
    ]
    last = ladder.settlement(Money())
    assert last is not None
    for _ in range(2):
        waiting.append(ledger.submit(Settle(last)))
        waiting += [ledger.submit(Settle(one)) for one in settlements if one is not None]
    for pending in waiting:
        pending.wait()
    assert figures(budgets) == [(10, 0, 0)]
    assert place.execute("SELECT count(*) FROM holds")[0][0] == 0


def test_a_settlement_that_was_lost_is_not_freed_by_the_next(ledger: Ledger) -> None:
    """Of a ladder one call's outcome could not be written: what it held may be spent."""
    budgets = Budgets(ledger, [budget(100)])
    ladder = held(budgets, 60)
    assert drive(ladder.part(cents(20))).settlement(cents(5)) is not None
    drive(ladder.settle(Money()))
    assert figures(budgets) == [(0, 20, 0)]
    assert ledger.submit(SweepHolds([owner_text(this_process()) or ""])).result() == [
        Swept(ladder.id, "", 20 * DOLLAR // 100)
    ]
    assert figures(budgets) == [(20, 0, 20)]


# Processes that are gone


def test_a_hold_of_a_process_that_is_gone_is_booked_at_the_most_it_held(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    budgets = Budgets(ledger, [budget(100)])
    lost = orphan(ledger, budgets, 30, owner=GONE)
    alive = orphan(ledger, budgets, 20, owner=replace(this_process(), host="elsewhere"))
    # The first hold of a process looks for what others have left behind.
    mine = held(budgets, 10)
    assert figures(budgets) == [(30, 30, 30)]
    assert "1 calls were under way in processes that are gone or silent: the $0.30" in caplog.text
    refused = refusal(budgets, 41)
    assert (refused.spent, refused.held) == (30 * DOLLAR // 100, 30 * DOLLAR // 100)
    assert "$0.30 by calls whose end nobody knows" in str(refused)
    for hold in (mine, alive):
        drive(hold.settle(cents(1)))
    assert figures(budgets) == [(32, 0, 30)]
    assert lost.held == cents(30)


def test_a_process_that_was_only_stopped_puts_the_truth_in_place_of_the_worst(ledger: Ledger) -> None:
    budgets = Budgets(ledger, [budget(100)])
    late = orphan(ledger, budgets, 30, owner=GONE)
    ladder = orphan(ledger, budgets, 40, owner=GONE)
    held_now = held(budgets, 5)
    assert figures(budgets) == [(70, 5, 70)]
    drive(late.settle(cents(12)))
    assert figures(budgets) == [(52, 5, 40)]
    part = drive(ladder.part(cents(30)))
    drive(part.settle(cents(3)))
    assert figures(budgets) == [(25, 5, 10)]
    # What is asked for more is booked as what was held.
    drive(ladder.more(cents(20)))
    assert figures(budgets) == [(45, 5, 30)]
    drive(ladder.settle(cents(2)))
    drive(ladder.settle(cents(2)))
    assert figures(budgets) == [(17, 5, 0)]
    drive(held_now.settle(None))
    assert figures(budgets) == [(22, 0, 0)]


def test_a_lease_that_has_ended_or_reaches_too_far_is_nobodys(ledger: Ledger, place: Place) -> None:
    budgets = Budgets(ledger, [budget(100)])
    old, far, fresh = (held(budgets, 10) for _ in range(3))
    day = 24 * 3600 * DOLLAR
    place.execute("UPDATE holds SET lease_until_ns = lease_until_ns - ? WHERE id = ?", day, old.id)
    place.execute("UPDATE holds SET lease_until_ns = lease_until_ns + ? WHERE id = ?", day, far.id)
    swept = ledger.submit(SweepHolds()).result()
    assert isinstance(swept, list)
    assert {one.hold for one in swept} == {old.id, far.id}
    assert ledger.submit(SweepHolds()).result() == []
    assert figures(budgets) == [(20, 10, 20)]
    drive(fresh.settle(None))


def test_a_swept_hold_is_forgotten_in_the_end(ledger: Ledger, place: Place) -> None:
    budgets = Budgets(ledger, [budget(100)])
    late = orphan(ledger, budgets, 30, owner=GONE)
    drive(held(budgets, 1).settle(Money()))
    place.execute("UPDATE holds SET swept_ns = swept_ns - ?", 31 * 24 * 3600 * DOLLAR)
    ledger.submit(SweepHolds()).wait()
    assert place.execute("SELECT count(*) FROM holds")[0][0] == 0
    drive(late.settle(cents(2)))
    assert figures(budgets) == [(30, 0, 30)]


def test_leases_are_prolonged_while_calls_are_under_way(ledger: Ledger, place: Place) -> None:
    budgets = Budgets(ledger, [budget(100)], lease_seconds=0.3)
    hold = held(budgets, 10)
    first = place.execute("SELECT lease_until_ns FROM holds")[0][0]
    until = time.monotonic() + 20
    while place.execute("SELECT lease_until_ns FROM holds")[0][0] <= first:
        assert time.monotonic() < until
        time.sleep(0.02)
    drive(hold.settle(cents(1)))
    # A call that is given up without a word is not kept.
    lost = held(budgets, 10)
    ledger.submit(KeepHolds([lost.id], 3600 * DOLLAR)).wait()
    del lost
    while budgets._alive.ids() or budgets._is_ticking:
        assert time.monotonic() < until
        time.sleep(0.02)
    assert figures(budgets) == [(1, 10, 0)]


def test_a_caller_that_is_cancelled_leaves_nothing_held(ledger: Ledger, place: Place) -> None:
    budgets = Budgets(ledger, [budget(100)])
    drive(held(budgets, 1).settle(Money()))

    async def interrupted() -> None:
        task = asyncio.ensure_future(
            drive_async(budgets.hold(NOBODY, cents(10), what="the call", patience=0.0))
        )
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(interrupted())
    drive(held(budgets, 1).settle(Money()))
    assert figures(budgets) == [(0, 0, 0)]
    assert place.execute("SELECT count(*) FROM holds")[0][0] == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_keeps_no_hold_of_its_parent_and_has_its_own(ledger: Ledger, place: Place) -> None:
    budgets = Budgets(ledger, [budget(100)], lease_seconds=3600.0)
    hold = held(budgets, 30)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.alarm(30)
            is_clean = budgets._alive.ids() == [] and not budgets._is_ticking
            mine = held(budgets, 20)
            drive(held(budgets, 10).settle(cents(5)))
            code = 0 if is_clean and mine.held == cents(20) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    owners = {row[0] for row in place.execute("SELECT owner FROM holds")}
    assert len(owners) == 2
    assert budgets._alive.ids() == [hold.id]
    # What the child left behind is booked; what the parent holds is not.
    ledger.submit(SweepHolds([owner for owner in owners if owner != budgets._owner])).wait()
    assert figures(budgets) == [(25, 30, 20)]
    drive(hold.settle(cents(1)))
    assert figures(budgets) == [(26, 0, 20)]


# Waiting


def waiting(budgets: Budgets, amount: int, done: list[object], **rest: Any) -> threading.Thread:
    def ask() -> None:
        try:
            done.append(held(budgets, amount, patience=rest.get("patience", 60.0)))
        except BudgetExceeded as refused:
            done.append(refused)

    thread = threading.Thread(target=ask)
    thread.start()
    return thread


def until_queued(budgets: Budgets, number: int) -> None:
    until = time.monotonic() + 20
    while sum(map(len, budgets._queues._queues.values())) != number:
        assert time.monotonic() < until
        time.sleep(0.005)


def test_a_call_waits_until_another_one_has_cost_less(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nobody would ask again by itself before this test has given up.
    monkeypatch.setattr("surefoot.ledger.budgets._LONGEST_PAUSE", 600.0)
    budgets = Budgets(ledger, [budget(100, exceeded="wait", patience=600.0)])
    first = held(budgets, 90)
    done: list[object] = []
    thread = waiting(budgets, 50, done, patience=600.0)
    until_queued(budgets, 1)
    assert done == []
    drive(first.settle(cents(10)))
    thread.join(20)
    assert isinstance(done[0], AccountHold)
    assert figures(budgets) == [(10, 50, 0)]
    assert budgets._queues._queues == {}


def test_a_task_waits_until_another_process_has_settled(ledger: Ledger, other: Ledger) -> None:
    budgets = Budgets(ledger, [budget(100, exceeded="wait")])
    theirs = held(Budgets(other, budgets.budgets), 90)
    seen: list[str] = []

    async def ask() -> None:
        await drive_async(budgets.hold(NOBODY, cents(50), what="the call", patience=60.0))
        seen.append("granted")

    async def both() -> None:
        task = asyncio.ensure_future(ask())
        await asyncio.to_thread(until_queued, budgets, 1)
        seen.append("settling")
        await drive_async(theirs.settle(cents(20)))
        await asyncio.wait_for(task, 20)

    asyncio.run(both())
    assert seen == ["settling", "granted"]


def test_those_who_wait_are_served_in_order(ledger: Ledger) -> None:
    budgets = Budgets(ledger, [budget(100, exceeded="wait")])
    first = held(budgets, 100)
    order: list[int] = []

    async def ask(n: int, amount: int) -> None:
        hold = await drive_async(budgets.hold(NOBODY, cents(amount), what="the call", patience=60.0))
        order.append(n)
        await drive_async(hold.settle(Money()))

    async def all_of_them() -> None:
        tasks = []
        # The large one is first and is not overtaken by those that would fit sooner.
        for n, amount in enumerate((95, 1, 2, 3)):
            tasks.append(asyncio.ensure_future(ask(n, amount)))
            await asyncio.to_thread(until_queued, budgets, n + 1)
        await drive_async(first.settle(Money()))
        await asyncio.wait_for(asyncio.gather(*tasks), 20)

    asyncio.run(all_of_them())
    assert order[0] == 0
    assert sorted(order) == [0, 1, 2, 3]
    assert figures(budgets) == [(0, 0, 0)]


def test_whoever_waits_is_refused_when_his_patience_is_over(ledger: Ledger) -> None:
    budgets = Budgets(ledger, [budget(100, exceeded="wait")])
    first = held(budgets, 90)
    refused = refusal(budgets, 20, patience=0.05)
    assert "it has waited" in str(refused)
    assert "patience" in str(refused)
    assert budgets._queues._queues == {}
    drive(first.settle(None))
    # Nothing that is under way could make room: there is nothing to wait for.
    assert refusal(budgets, 20, patience=3600.0).held == 0
    assert figures(budgets) == [(90, 0, 0)]


def test_a_budget_that_refuses_goes_before_one_that_waits(ledger: Ledger) -> None:
    budgets = Budgets(ledger, [budget(100, exceeded="wait"), budget(50, name="tenants", of="tenant")])
    first = held(budgets, 45, Caller(tenant="acme"))
    second = held(budgets, 45, Caller(tenant="other"))
    assert refusal(budgets, 20, Caller(tenant="acme"), patience=3600.0).budget in ("all", "tenants")
    for hold in (first, second):
        drive(hold.settle(None))


def test_a_call_waits_for_the_next_period(ledger: Ledger) -> None:
    clock = SetClock("2026-11-27T23:59:59+00:00")
    budgets = Budgets(ledger, [budget(100, exceeded="wait")], clock=clock)
    drive(held(budgets, 100).settle(None))
    done: list[object] = []
    thread = waiting(budgets, 50, done)
    until_queued(budgets, 1)
    clock.set("2026-11-28T00:00:01+00:00")
    thread.join(20)
    assert isinstance(done[0], AccountHold)
    assert figures(budgets) == [(0, 50, 0)]


# Seen by people, and carried by tools


def test_accounts_tell_what_is_left(ledger: Ledger) -> None:
    clock = SetClock("2026-11-27T14:30:00+00:00")
    budgets = Budgets(ledger, [budget(100), budget(50, name="tenants", of="tenant", only="a*")], clock=clock)
    assert [(one.budget, one.whose, one.left) for one in budgets.accounts()] == [("all", "", cents(100))]
    drive(held(budgets, 30, Caller(tenant="acme")).settle(cents(30)))
    held_one = held(budgets, 10, Caller(tenant="acme"))
    found = budgets.accounts()
    assert found[1] == Account(
        "tenants",
        "tenant",
        "acme",
        "day",
        "2026-11-27",
        SetClock("2026-11-28T00:00:00+00:00").now,
        cents(50),
        cents(30),
        cents(10),
        Money(),
    )
    assert [one.left for one in found] == [cents(60), cents(10)]
    drive(held_one.settle(None))


def test_both_drivers(ledger: Ledger) -> None:
    budgets = Budgets(ledger, [budget(100)])

    async def on_a_loop() -> None:
        hold = await drive_async(budgets.hold(NOBODY, cents(10), what="the call", patience=0.0))
        await drive_async(hold.more(cents(5)))
        await drive_async(hold.settle(cents(3)))

    asyncio.run(on_a_loop())
    hold = held(budgets, 10)
    drive(hold.more(cents(5)))
    drive(hold.settle(cents(3)))
    assert figures(budgets) == [(6, 0, 0)]
