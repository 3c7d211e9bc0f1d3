"""What a circuit breaker costs a call, and how many of 1,000 tasks it lets through while it is tried again."""

from __future__ import annotations

import statistics
import sys
from contextlib import ExitStack
from pathlib import Path

from benchmarks.harness import ROUNDS_FACTOR, Ratio, Report, Worker, peer, version_of

CALLS, TASKS = 20_000, 1_000
ROUNDS = 7
BUDGET_US = 5.0
PEERS = {
    "aiobreaker": ("aiobreaker", "aiobreaker==1.2.0"),
    "purgatory": ("purgatory-circuitbreaker", "purgatory-circuitbreaker==0.7.2"),
    "circuitbreaker": ("circuitbreaker", "circuitbreaker==2.1.3"),
}
NOT_DECLARED = "typing-extensions==4.15.0"
"""What purgatory imports and does not ask for."""


def run() -> Report:
    """CPU of a call that does nothing behind each breaker, less that of the call alone, in interleaved rounds."""
    ours = Path(sys.executable)
    theirs = peer("breakers", *(requirement for _, requirement in PEERS.values()), NOT_DECLARED)
    pythons = {"bare": ours, "surefoot": ours, "surefoot_words": ours, **dict.fromkeys(PEERS, theirs)}
    taken: dict[str, list[float]] = {name: [] for name in pythons}
    admitted: dict[str, int] = {}
    with ExitStack() as stack:
        workers = {
            name: stack.enter_context(Worker(python, "guarded_calls", name))
            for name, python in pythons.items()
        }
        for number in range(ROUNDS * ROUNDS_FACTOR + 1):
            for name, worker in workers.items():
                cpu = worker.ask("calls", CALLS)["cpu"] / CALLS * 1e6
                if number:
                    taken[name].append(cpu)
        for name, worker in workers.items():
            admitted[name] = round(worker.ask("probes", TASKS)["admitted"])
    medians = {name: statistics.median(found) for name, found in taken.items()}
    costs = {name: median - medians["bare"] for name, median in medians.items()}
    versions = {
        "surefoot": version_of(ours, "surefoot"),
        **{name: version_of(theirs, distribution) for name, (distribution, _) in PEERS.items()},
    }
    shown = {"surefoot": "surefoot, `with`", "surefoot_words": "surefoot, as calls of models do"}
    return Report(
        name="breakers",
        title=f"An async call that does nothing, {CALLS:,} times behind a closed breaker; "
        f"median of {ROUNDS * ROUNDS_FACTOR} interleaved rounds.",
        columns=["breaker", "version", "CPU µs a call", f"of {TASKS:,} tasks let through half-open"],
        rows=[
            [
                shown.get(name, name),
                versions.get(name.partition("_")[0], ""),
                f"{costs[name]:.2f}",
                f"{admitted[name]:,}",
            ]
            for name in pythons
            if name != "bare"
        ],
        notes=[
            f"- Less the {medians['bare']:.2f} µs of the call alone.",
            "- Ours measures time and counts in a sliding window; the others count failures in a row.",
            "- Half-open: enough calls have failed, the cooldown has passed, and all tasks begin at once.",
        ],
        ratios=[
            Ratio(f"budget:call-{BUDGET_US:g}us", costs["surefoot"] / BUDGET_US, 1.0),
            Ratio("budget:1-probe", admitted["surefoot"] / 1, 1.0),
            *(Ratio(name, costs["surefoot"] / costs[name], 3.0) for name in ("aiobreaker", "purgatory")),
        ],
    )
