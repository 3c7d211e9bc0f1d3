"""A budget that processes share, which are killed over and over: what is truly paid never exceeds it.

`make limits` has the whole of it; `make test` a smaller one.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest

from begun import Begun
from budgeted import World, budgets_of
from engines import Place
from surefoot.ledger import Budgets
from surefoot.ledger.entries import SweepHolds
from surefoot.values import Money

IS_WHOLE = os.environ.get("SUREFOOT_TEST_LIMITS") == "all"
PROCESSES = 3
TASKS = 1000 if IS_WHOLE else 60
CAP = Money.dollars(10) if IS_WHOLE else Money.dollars("0.60")
SECONDS = 900 if IS_WHOLE else 90


def begin(place: Place, process: int) -> Begun:
    code = (
        "import asyncio, sys; from budgeted import spend; from surefoot.values import Money\n"
        "process, count, cap = map(int, sys.argv[1:]); asyncio.run(spend(place, process, count, Money(cap)))"
    )
    return place.in_child(code, str(process), str(TASKS), str(CAP.nanos))


@pytest.mark.timeout(0 if IS_WHOLE else 300)
def test_what_is_paid_never_exceeds_the_cap_and_nothing_is_freed_silently(
    place: Place,
) -> None:
    kills = spend_all(place)
    ledger = place.open()
    budgets = Budgets(ledger, budgets_of(place, CAP))
    worlds = [World(place.folder, process) for process in range(PROCESSES)]
    # The last processes are gone too: what they had begun is booked now.
    ledger.submit(SweepHolds(ledger.hold_owners())).wait()
    bills = dict(bill for world in worlds for bill in world.bills())
    paid = sum(bills.values())
    everybody, tenant = budgets.accounts()
    assert paid <= CAP.nanos
    assert everybody.spent.nanos + everybody.held.nanos <= CAP.nanos
    assert (everybody.spent, everybody.held, everybody.unsure) == (tenant.spent, tenant.held, tenant.unsure)
    assert everybody.held == Money()
    # Each bill was either settled with its outcome, or is covered by what is booked for its hold.
    calls = place.execute("SELECT name, cost_nanos FROM outcomes WHERE kind = 'call'")
    settled: dict[str, int] = dict(map(tuple, calls))
    swept = dict(map(tuple, place.execute("SELECT id, held FROM holds WHERE swept_ns IS NOT NULL")))
    assert everybody.unsure.nanos == sum(swept.values())
    assert everybody.spent.nanos == sum(settled.values()) + sum(swept.values())
    for hold, cost in bills.items():
        assert settled.get(hold) == cost or (hold not in settled and cost <= swept[hold])
    assert settled.keys() <= bills.keys()
    assert not settled.keys() & swept.keys()
    refused = sum(world.refused() for world in worlds)
    assert sum(len(world.begun()) for world in worlds) == PROCESSES * TASKS
    assert refused > 0
    assert kills > 0
    unused = CAP.nanos - paid
    print(  # noqa: T201  (the figures that `make limits` shows)
        f"\n{place.engine}: {PROCESSES} x {TASKS} tasks, {kills} kills: cap {CAP}, truly paid {Money(paid)}, "
        f"{len(bills)} calls paid, {refused} refused; not used {Money(unused)} ({unused / CAP.nanos:.1%}), of which "
        f"{Money(everybody.unsure.nanos)} is booked for {len(swept)} calls that were cut off"
    )


def spend_all(place: Place) -> int:
    """Let the processes work, each begun again when it was killed; how often that was."""
    kills, until = 0, time.monotonic() + SECONDS
    at_work = {process: begin(place, process) for process in range(PROCESSES)}
    while at_work:
        assert time.monotonic() < until, "they do not come to an end"
        for process, child in list(at_work.items()):
            try:
                _, said = child.communicate(timeout=0.05)
            except subprocess.TimeoutExpired:
                continue
            if child.returncode == -signal.SIGKILL:
                kills += 1
                at_work[process] = begin(place, process)
            else:
                assert child.returncode == 0, said
                del at_work[process]
    return kills
