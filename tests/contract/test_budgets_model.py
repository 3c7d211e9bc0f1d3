"""Any sequence of holds, parts, settlements and deaths leaves the accounts as a model says, and under their limits.

`LONG=1` looks at far more of them, and at others each time.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from itertools import count

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
from surefoot.effects import drive
from surefoot.errors import BudgetExceeded
from surefoot.ledger import Budget, Budgets, Owner, Settle, this_process
from surefoot.ledger.entries import SweepHolds
from surefoot.ledger.holds import AccountHold
from surefoot.ledger.rows import owner_text
from surefoot.values import Caller, Money, Settlement

IS_LONG = bool(os.environ.get("LONG"))
EXAMPLES, STEPS = (2_000, 60) if IS_LONG else (20, 40)

OWNERS = [replace(this_process(), host=f"host-{n}") for n in range(2)]
LIMITS = {"all": 100, "tenants": 60}
TENANTS = ("acme", "other")
names = count()

amounts = st.integers(0, 50)
which = st.integers(0, 1)
picks = st.integers(0, 10**6)


@dataclass
class Account:
    """What the model knows of one."""

    limit: int
    spent: int = 0
    held: int = 0
    unsure: int = 0

    def has_room(self, amount: int) -> bool:
        return self.spent + self.held + amount <= self.limit


@dataclass
class Row:
    """One hold in the ledger: what is held on it, by calls under way and by those whose settlement was lost."""

    owner: int
    accounts: list[Account]
    held: int = 0
    is_swept: bool = False

    def change(self, *, held: int = 0, charged: int = 0) -> None:
        self.held += held
        for account in self.accounts:
            account.spent += charged
            if self.is_swept:
                account.spent += held
                account.unsure += held
            else:
                account.held += held

    def sweep(self) -> None:
        held = self.held
        self.change(held=-held)
        self.is_swept = True
        self.change(held=held)


@dataclass
class Call:
    """One hold of a process, or a part of one."""

    hold: AccountHold
    row: Row
    held: int


@dataclass
class Process:
    owner: Owner
    budgets: Budgets
    calls: list[Call] = field(default_factory=list[Call])


class Spending(RuleBasedStateMachine):
    """Two processes on one ledger."""

    place: Place

    def __init__(self) -> None:
        super().__init__()
        # Accounts of their own for each example.
        name = next(names)
        budgets = [
            Budget(f"all {name}", Money(LIMITS["all"]), per="ever"),
            Budget(f"tenants {name}", Money(LIMITS["tenants"]), of="tenant", per="ever"),
        ]
        self.processes: list[Process] = []
        for owner, ledger in zip(OWNERS, self.place.opened, strict=False):
            process = Process(owner, Budgets(ledger, budgets))
            process.budgets._owner = owner_text(owner) or ""
            process.budgets._has_swept = True
            self.processes.append(process)
        self.all = Account(LIMITS["all"])
        self.tenants = {tenant: Account(LIMITS["tenants"]) for tenant in TENANTS}
        self.rows: list[Row] = []
        self.settlements: list[Settlement] = []

    def has_calls(self) -> bool:
        return any(process.calls for process in self.processes)

    def call(self, pick: int) -> tuple[Process, Call]:
        found = [(process, call) for process in self.processes for call in process.calls]
        return found[pick % len(found)]

    def end(self, process: Process, call: Call, charged: int | None) -> Settlement:
        process.calls.remove(call)
        settlement = call.hold.settlement(None if charged is None else Money(charged))
        assert settlement is not None
        return settlement

    @rule(owner=which, tenant=which, amount=amounts)
    def begin(self, owner: int, tenant: int, amount: int) -> None:
        process, accounts = self.processes[owner], [self.all, self.tenants[TENANTS[tenant]]]
        program = process.budgets.hold(
            Caller(tenant=TENANTS[tenant]), Money(amount), what="the call", patience=0.0
        )
        if all(account.has_room(amount) for account in accounts):
            row = Row(owner, accounts)
            self.rows.append(row)
            process.calls.append(Call(drive(program), row, amount))
            row.change(held=amount)
        else:
            with pytest.raises(BudgetExceeded) as refused:
                drive(program)
            short = next(account for account in accounts if not account.has_room(amount))
            assert (refused.value.limit, refused.value.asked) == (short.limit, amount)
            if amount <= short.limit:
                assert (refused.value.spent, refused.value.held) == (short.spent, short.held)

    @precondition(has_calls)
    @rule(pick=picks, amount=amounts)
    def ask_for_more(self, pick: int, amount: int) -> None:
        _, call = self.call(pick)
        if all(account.has_room(amount) for account in call.row.accounts):
            drive(call.hold.more(Money(amount)))
            call.held += amount
            call.row.change(held=amount)
        else:
            with pytest.raises(BudgetExceeded):
                drive(call.hold.more(Money(amount)))

    @precondition(has_calls)
    @rule(pick=picks, amount=amounts)
    def take_a_part(self, pick: int, amount: int) -> None:
        process, call = self.call(pick)
        missing = max(0, amount - call.held)
        if missing and not all(account.has_room(missing) for account in call.row.accounts):
            with pytest.raises(BudgetExceeded):
                drive(call.hold.part(Money(amount)))
            return
        process.calls.append(Call(drive(call.hold.part(Money(amount))), call.row, amount))
        call.held -= amount - missing
        call.row.change(held=missing)

    @precondition(has_calls)
    @rule(pick=picks, tenths=st.integers(0, 10), is_all=st.booleans())
    def settle(self, pick: int, tenths: int, is_all: bool) -> None:
        process, call = self.call(pick)
        charged = None if is_all else call.held * tenths // 10
        settlement = self.end(process, call, charged)
        self.settlements.append(settlement)
        process.budgets._ledger.submit(Settle(settlement)).wait()
        call.row.change(held=-call.held, charged=call.held if charged is None else charged)

    @precondition(lambda self: bool(self.settlements))
    @rule(pick=picks, owner=which)
    def settle_again(self, pick: int, owner: int) -> None:
        settlement = self.settlements[pick % len(self.settlements)]
        self.processes[owner].budgets._ledger.submit(Settle(settlement)).wait()

    @precondition(has_calls)
    @rule(pick=picks, tenths=st.integers(0, 10))
    def lose_a_settlement(self, pick: int, tenths: int) -> None:
        """What it says never gets there: what was held stays so."""
        process, call = self.call(pick)
        self.end(process, call, call.held * tenths // 10)

    @rule(owner=which)
    def sweep(self, owner: int) -> None:
        """A process counts as gone; it may have been stopped only, and goes on."""
        gone = owner_text(OWNERS[owner]) or ""
        self.processes[1 - owner].budgets._ledger.submit(SweepHolds([gone])).wait()
        for row in self.rows:
            if row.owner == owner and not row.is_swept:
                row.sweep()

    @invariant()
    def accounts_are_as_the_model_says(self) -> None:
        found = {
            (one.of, one.whose): (one.spent.nanos, one.held.nanos, one.unsure.nanos)
            for one in self.processes[0].budgets.accounts()
        }
        expected = {("everything", ""): self.all} | {
            ("tenant", tenant): account for tenant, account in self.tenants.items()
        }
        for key, account in expected.items():
            assert found.get(key, (0, 0, 0)) == (account.spent, account.held, account.unsure)
            assert account.spent + account.held <= account.limit
            assert 0 <= account.unsure <= account.spent


@pytest.mark.timeout(0 if IS_LONG else 600)
def test_whatever_is_held_and_settled_the_accounts_are_what_the_model_says(place: Place) -> None:
    for _ in OWNERS:
        place.open()
    machine = type("Spending", (Spending,), {"place": place})
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
