"""`make crash`: thousands of runs, killed over and over on each engine, and nothing lost, nothing twice."""

from __future__ import annotations

import argparse
import logging
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import cast

import orders
from claims import settled_doubts
from grounds import Engine
from killing import Load
from proof import Proof, prove

ENGINES: tuple[Engine, ...] = ("sqlite", "postgres")


def main() -> int:
    # The model's server need not tell that callers were killed.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    given = arguments()
    seed = given.seed if given.seed is not None else random.randrange(1_000_000)
    load = Load(
        orders=given.runs,
        in_flight=given.in_flight,
        workers=given.workers,
        kills=given.kills,
        server_kills=given.server_kills if given.server_kills is not None else max(1, given.kills // 4),
        seed=seed,
        seconds=given.seconds,
    )
    say(
        f"{load.orders} runs of {len(orders.STEPS)} steps, {load.in_flight} in flight, killed {load.kills} times; "
        f"the same again: SEED={seed}"
    )
    began, proofs = time.monotonic(), dict[Engine, Proof]()
    place = Path(tempfile.mkdtemp(prefix="surefoot-crash-"))
    try:
        for engine in cast("list[Engine]", given.engine or list(ENGINES)):
            proofs[engine] = prove(engine, place / engine, load, tell=say)
            show(engine, proofs[engine])
    finally:
        if given.keep:
            say(f"everything is in {place}")
        else:
            shutil.rmtree(place)
    return closing(proofs, load, time.monotonic() - began)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make crash", description=__doc__)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--in-flight", type=int, default=100)
    parser.add_argument("--workers", type=int, default=1, help="processes that share the load")
    parser.add_argument("--kills", type=int, default=24, help="kill -9 of the worker, on each engine")
    parser.add_argument(
        "--server-kills", type=int, help="kill -9 of the Postgres server (default: a quarter)"
    )
    parser.add_argument("--engine", choices=ENGINES, action="append", help="only this one")
    parser.add_argument("--seed", type=int, default=os.environ.get("SEED") or None)
    parser.add_argument("--seconds", type=float, default=1800.0, help="after which a load counts as hanging")
    parser.add_argument("--keep", action="store_true", help="leave ledgers and files for looking at")
    return parser.parse_args()


def show(engine: str, proof: Proof) -> None:
    course, evidence = proof.course, proof.evidence
    again = len(evidence.executed) - len({key for key, _, _ in evidence.executed})
    doubts = Counter(row.name for row in settled_doubts(evidence))
    say(
        f"{engine}: {course.kills} kills of the worker, {course.early_kills} of them as it started or resumed; "
        f"{course.server_kills} of the server; {course.processes} processes, {course.seconds:.1f} s"
    )
    say(
        f"{engine}: {again} default steps done again, {doubts['charge']} effects in doubt settled by their check and "
        f"{doubts['mail']} by an operator, {len(evidence.acknowledged)} outcomes acknowledged"
    )
    for verdict in proof.verdicts:
        say(f"{engine}: {'ok    ' if verdict.has_passed else 'FAILED'} {verdict.sentence}")
        for line in verdict.against:
            say(f"    {line}")


def closing(proofs: dict[Engine, Proof], load: Load, seconds: float) -> int:
    verdicts = [verdict for proof in proofs.values() for verdict in proof.verdicts]
    failed = sum(not verdict.has_passed for verdict in verdicts)
    runs = sum(len(proof.evidence.runs) for proof in proofs.values())
    say(
        f"kills {sum(proof.course.kills for proof in proofs.values())}, "
        f"server kills {sum(proof.course.server_kills for proof in proofs.values())}, "
        f"runs {runs}, steps {runs * len(orders.STEPS)}, {seconds:.0f} s, SEED={load.seed}"
    )
    say(f"{len(verdicts) - failed} passed, {failed} failed")
    return 1 if failed else 0


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
