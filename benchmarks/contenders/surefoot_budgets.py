"""Budgets: rows of 1 KiB in one run, alone, with a budget around each, and holds that are settled without a row.

Kinds are `row`, `row-with-budget` and `budget`, each also as `KIND-one`: one at a time by blocking code.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from benchmarks.contenders.serving import Round, arguments, in_flight, payload, serve
from surefoot.effects import drive, drive_async
from surefoot.ledger import (
    START_KEY,
    Append,
    Budget,
    Budgets,
    Entry,
    Freight,
    Keyring,
    Ledger,
    Outcome,
    Payload,
    Payloads,
    PostgresLedger,
    RunRecord,
    SqliteLedger,
    StartRun,
    encode,
    lease_until,
    this_process,
)
from surefoot.values import Caller, Money, Settlement, new_id

WORST, COST = Money(2_000), Money(1_500)


class Spender:
    """One run, and a budget of everybody and one of each tenant."""

    def __init__(self, folder: Path, url: str) -> None:
        self._payloads = Payloads(Keyring(folder / "key"))
        self._ledger: Ledger = (
            PostgresLedger(url, self._payloads) if url else SqliteLedger(folder / "ledger.db", self._payloads)
        )
        limit = Money.dollars(1_000_000)
        self._budgets = Budgets(
            self._ledger, [Budget("all", limit, per="ever"), Budget("tenants", limit, of="tenant")]
        )
        self._run = new_id()
        self._caller = Caller((self._run,), ("flow",), tenant="acme")
        self._number = 0
        self._begin()

    def _begin(self) -> None:
        run = RunRecord(
            id=self._run,
            flow="flow",
            entry=Entry("module", "flow"),
            status="running",
            created_ns=time.time_ns(),
            owner=this_process(),
            lease_until_ns=lease_until(3_000.0),
        )
        begun = self._outcome(Payload("null"), key=START_KEY, kind="start", status="running")
        self._ledger.submit(StartRun(run, begun, [])).wait()

    def _outcome(self, output: Payload, **rest: Any) -> Outcome:
        self._number += 1
        now = time.time_ns()
        given: dict[str, Any] = {"key": self._number.to_bytes(16), "kind": "call", "status": "completed"}
        return Outcome(
            run_id=self._run,
            path=b"",
            parent_attempt=1,
            name="openai:gpt-4o",
            digest=bytes(16),
            occurrence=0,
            lane=0,
            attempt=1,
            epoch=1,
            started_ns=now,
            ended_ns=now,
            inputs=Payload("null"),
            output=output,
            **(given | rest),
        )

    def entry(self, settlement: Settlement | None = None) -> Append:
        """A row as a step hands it over."""
        freight: Freight = []
        output = self._payloads.store(self._run, encode(payload(self._number)), freight)
        return Append(self._outcome(output), freight, settlement)

    async def row(self) -> None:
        await self._ledger.submit(self.entry())

    async def row_with_budget(self) -> None:
        hold = await drive_async(self._holding())
        await self._ledger.submit(self.entry(hold.settlement(COST)))

    async def budget(self) -> None:
        hold = await drive_async(self._holding())
        await drive_async(hold.settle(COST))

    def row_one(self) -> None:
        self._ledger.submit(self.entry()).wait()

    def row_with_budget_one(self) -> None:
        hold = drive(self._holding())
        self._ledger.submit(self.entry(hold.settlement(COST))).wait()

    def budget_one(self) -> None:
        drive(drive(self._holding()).settle(COST))

    def _holding(self) -> Any:
        return self._budgets.hold(self._caller, WORST, what="the call", patience=0.0)


def main(folder: Path, url: str) -> None:
    spender = Spender(folder, url)

    def many(work: Callable[[], Awaitable[object]]) -> Callable[[int], dict[str, float]]:
        def perform(number: int) -> dict[str, float]:
            with Round() as taken:
                asyncio.run(in_flight(work, number))
            return taken.result(number)

        return perform

    def one(work: Callable[[], object]) -> Callable[[int], dict[str, float]]:
        def perform(number: int) -> dict[str, float]:
            with Round() as taken:
                for _ in range(number):
                    begin = time.perf_counter()
                    work()
                    taken.step_seconds.append(time.perf_counter() - begin)
            return taken.result(number)

        return perform

    serve(
        {
            "row": many(spender.row),
            "row-with-budget": many(spender.row_with_budget),
            "budget": many(spender.budget),
            "row-one": one(spender.row_one),
            "row-with-budget-one": one(spender.row_with_budget_one),
            "budget-one": one(spender.budget_one),
        }
    )


if __name__ == "__main__":
    main(*arguments())
