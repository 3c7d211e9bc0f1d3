"""Fills a ledger with runs as they are after months: flows, tenants and statuses of unequal frequency, a year of dates.

Rows go in through the ledger's own writer, so that they are what a run would have left: a row for the run, its start
and its end, and in every fiftieth run ten steps of 1 KiB between them.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.contenders.serving import STEPS, payload
from surefoot import App
from surefoot.ledger import (
    END_KEY,
    START_KEY,
    Append,
    EndRun,
    Entry,
    LedgerEntry,
    Outcome,
    Payload,
    Pending,
    RunRecord,
    StartRun,
    Totals,
)
from surefoot.values import first_id

YEAR_NS = 365 * 86_400 * 10**9
WITH_STEPS = 50
FLOWS, TENANTS, PRINCIPALS, SESSIONS, TEAMS = 20, 50, 500, 100_000, 12
STATUSES = {"completed": 92_000, "failed": 6_000, "cancelled": 1_500, "waiting": 450, "in_doubt": 50}
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_AT_ONCE = 4_000


def some(of: random.Random, what: str, number: int) -> str:
    """One of `number` names: low numbers are frequent, high ones rare, as with words (the square of a uniform)."""
    return f"{what}-{int(of.random() ** 3 * number):0{len(str(number - 1))}}"


def runs_of(number: int, *, seed: int = 4) -> Iterator[RunRecord]:
    """So many runs over the last year, the oldest first."""
    of = random.Random(seed)
    now = time.time_ns()
    statuses, weights = list(STATUSES), list(STATUSES.values())
    last = ""
    for index in range(number):
        at = now - YEAR_NS + YEAR_NS * index // number
        run_id = first_id(at)[:10] + "".join(of.choices(_CROCKFORD, k=16))
        tenant = some(of, "tenant", TENANTS)
        # A tenant has some of the flows, so that there are pairs that are frequent alone and never occur together.
        flow = some(of, "flow", FLOWS) if index % 3 else f"flow-{int(tenant[-2:]) % FLOWS:02}"
        yield RunRecord(
            id=run_id,
            flow=flow,
            entry=Entry("flows", flow, "/srv/app/flows.py"),
            status="running",
            created_ns=at,
            flow_version="2",
            code_digest="0123456789abcdef",
            tenant=tenant,
            principal=some(of, "principal", PRINCIPALS),
            session=some(of, "session", SESSIONS),
            tags={
                "env": of.choices(["prod", "staging", "dev"], [90, 8, 2])[0],
                "team": some(of, "team", TEAMS),
            },
            run_key=f"invoice-{index}" if index % 5 == 0 else None,
            parent_run=last if index % 20 == 0 and last else None,
            ended_ns=at + of.randrange(10**9, 60 * 10**9),
            error=of.choices(statuses, weights)[0],
        )
        if index % 20 == 0:
            last = run_id


def entries_of(run: RunRecord, *, with_steps: bool) -> Iterator[LedgerEntry]:
    """What a run hands to the ledger. Its end is in `ended_ns` and, for want of a better place, `error`."""
    status: Any = run.error
    began: dict[str, Any] = {
        "run_id": run.id,
        "path": b"",
        "parent_attempt": 0,
        "digest": b"",
        "occurrence": 0,
        "lane": 0,
        "attempt": 1,
        "epoch": 1,
    }
    begun, ended = run.created_ns, run.ended_ns or run.created_ns
    start = Outcome(
        **began,
        key=START_KEY,
        kind="start",
        name=run.flow,
        status="running",
        started_ns=begun,
        ended_ns=begun,
        inputs=Payload('{"inputs":{"question":"What are the key risks?"},"init":{}}'),
    )
    open_run = {name: getattr(run, name) for name in ("id", "flow", "entry", "created_ns", "flow_version")}
    open_run |= {
        name: getattr(run, name) for name in ("code_digest", "tenant", "principal", "session", "tags")
    }
    open_run |= {"run_key": run.run_key, "parent_run": run.parent_run, "status": "running"}
    yield StartRun(RunRecord(**open_run), start, [])
    for number in range(STEPS if with_steps else 0):
        step: dict[str, Any] = {**began, "digest": number.to_bytes(16), "parent_attempt": 1}
        yield Append(
            Outcome(
                **step,
                key=(number + 1).to_bytes(16),
                kind="step",
                name=f"step_{number}",
                status="completed",
                started_ns=begun + number,
                ended_ns=begun + number + 1,
                inputs=Payload(f'{{"number":{number}}}'),
                output=Payload(json.dumps(payload(number))),
            ),
            [],
        )
    failed = status == "failed"
    end = Outcome(
        **began,
        key=END_KEY,
        kind="end",
        name=run.flow,
        status="failed" if failed else "completed",
        started_ns=ended,
        ended_ns=ended,
        output=Payload('"The risks are few, and they are named."'),
    )
    totals = Totals(steps=STEPS if with_steps else 0)
    if status != "waiting":
        yield EndRun(
            end,
            [],
            status,
            totals,
            failed_step="step_3" if failed else None,
            error="ModelTimeout: it did not answer" if failed else None,
        )


def fill(app: App, number: int) -> None:
    """Put so many runs into the ledger of an app."""
    pending: list[Pending] = []
    for index, run in enumerate(runs_of(number)):
        entries = entries_of(run, with_steps=index % WITH_STEPS == 0)
        pending.extend(app.ledger.submit(entry) for entry in entries)
        if len(pending) >= _AT_ONCE:
            settle(pending)
            print(f"\r{index + 1:,} of {number:,} runs", end="", file=sys.stderr, flush=True)
    settle(pending)
    print(file=sys.stderr)


def settle(pending: list[Pending]) -> None:
    # Only the first wait writes; whatever was refused is raised by the others.
    for one in pending:
        one.wait()
    pending.clear()


def main(folder: Path, number: int) -> None:
    done = folder / "filled.txt"
    if done.is_file() and done.read_text(encoding="utf-8") == str(number):
        return
    os.chdir(folder)
    os.environ["SUREFOOT_LEDGER_SYNCHRONOUS"] = "normal"
    app = App()
    app.prepare()
    fill(app, number)
    app.close()
    done.write_text(str(number), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
