"""A process that spends money under a budget, and is killed at moments of its own choosing.

What the provider knows is a file of its own for each process: a line for each call that was answered, on the disk
before anything is settled.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from engines import Place
from ledgers import outcome, started
from surefoot.effects import drive_async
from surefoot.errors import BudgetExceeded
from surefoot.ledger import Append, Budget, Budgets
from surefoot.values import Caller, CallFacts, Money, Usage

IN_FLIGHT = 20
CRASHES = 0.05
MOMENTS = ("held", "answered", "settling", "settled")


@dataclass(frozen=True, slots=True)
class Task:
    """One call: what it may cost, what it will, and where its process is killed; nowhere for most."""

    number: int
    worst: Money
    cost: Money
    killed_when: str

    def kill_when(self, moment: str) -> None:
        if moment == self.killed_when:
            os.kill(os.getpid(), signal.SIGKILL)


def tasks_of(process: int, count: int) -> list[Task]:
    """Some cents for ten of them, at most; what they cost is anything up to that."""
    chance = random.Random(process)
    found: list[Task] = []
    for number in range(count):
        worst = chance.randint(1_000_000, 15_000_000)
        killed = chance.choice(MOMENTS) if chance.random() < CRASHES else ""
        found.append(Task(number, Money(worst), Money(chance.randint(worst // 4, worst)), killed))
    return found


class World:
    """What is outside of the ledger, in files of one process."""

    def __init__(self, folder: Path, process: int) -> None:
        self._begun = folder / f"begun-{process}"
        self._bills = folder / f"bills-{process}"
        self._refused = folder / f"refused-{process}"

    def begin(self, task: Task) -> None:
        """It is not tried again, whatever becomes of it."""
        _write(self._begun, f"{task.number}")

    def bill(self, task: Task, hold: str) -> None:
        """The provider has answered: this is paid."""
        _write(self._bills, f"{hold} {task.cost.nanos}")

    def refuse(self, task: Task) -> None:
        _write(self._refused, f"{task.number}")

    def begun(self) -> set[int]:
        return {int(line) for line in _lines(self._begun)}

    def refused(self) -> int:
        return len(_lines(self._refused))

    def bills(self) -> Iterator[tuple[str, int]]:
        for line in _lines(self._bills):
            hold, cost = line.split()
            yield hold, int(cost)


def _write(file: Path, line: str) -> None:
    number = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(number, f"{line}\n".encode())
    os.fsync(number)
    os.close(number)


def _lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


def budgets_of(place: Place, cap: Money) -> list[Budget]:
    _ = place
    return [Budget("all", cap, per="ever"), Budget("tenants", cap, of="tenant", per="ever")]


async def spend(place: Place, process: int, count: int, cap: Money) -> None:
    """All tasks that were not begun yet, so many at a time."""
    ledger = place.open()
    budgets = Budgets(ledger, budgets_of(place, cap))
    world = World(place.folder, process)
    begun = world.begun()
    left = iter([task for task in tasks_of(process, count) if task.number not in begun])
    run_id = started(ledger)

    async def worker() -> None:
        for task in left:
            world.begin(task)
            caller = Caller((run_id,), ("flow",), tenant="acme")
            try:
                hold = await drive_async(budgets.hold(caller, task.worst, what="the call", patience=0.0))
            except BudgetExceeded:
                world.refuse(task)
                continue
            task.kill_when("held")
            world.bill(task, hold.id)
            task.kill_when("answered")
            await asyncio.sleep(0)
            facts = CallFacts("openai", "gpt", "gpt", Usage(), task.cost)
            row = outcome(run_id, task.number + 1, kind="call", name=hold.id, call=facts)
            pending = ledger.submit(Append(row, [], hold.settlement(task.cost)))
            if task.killed_when == "settling":
                ledger.nudge()
                task.kill_when("settling")
            await pending
            task.kill_when("settled")

    await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))
    ledger.close()
