"""Ours: a step for each call in one run, and the same as calls of a scripted model; with a receiver or without one."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.contenders import traced
from benchmarks.contenders.serving import IN_FLIGHT, MODEL, serve
from surefoot import App, flow, generate, last_run, scripted, step
from surefoot.ledger import deliveries
from surefoot.traces.exporter import delivery_name

RECEIVER = "bench"
WAIT_S, LOOK_S = 60.0, 0.2
SAID = traced.answer("")["choices"][0]["message"]["content"]


@step
def answer(text: str) -> dict[str, Any]:
    return traced.answer(text)


@step(name="answer")
async def answer_async(text: str) -> dict[str, Any]:
    return traced.answer(text)


@flow
def one_by_one(begin: int, end: int) -> None:
    for number in range(begin, end):
        answer(traced.question(number))


@flow
async def many_at_once(begin: int, end: int) -> None:
    left = iter(range(begin, end))

    async def work() -> None:
        for number in left:
            await answer_async(traced.question(number))

    await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))


@flow(trusted=True)
def generated(begin: int, end: int) -> None:
    with scripted(lambda _: SAID):
        for number in range(begin, end):
            generate.sync([{"role": "user", "content": traced.question(number)}], using=f"openai:{MODEL}")


class Runs:
    """Rounds of one run with so many calls each."""

    def __init__(self, app: App, begin: Callable[[range], object]) -> None:
        self._app = app
        self._begin = begin

    def calls(self, numbers: range) -> None:
        with self._app.entered():
            self._begin(numbers)

    def flush(self) -> None:
        """Wait until the background has sent the run, where a receiver is set."""
        if not self._app.config.traces:
            return
        query = deliveries.told_query(delivery_name(RECEIVER), last_run().id)
        until = time.monotonic() + WAIT_S
        while [deliveries.delivery_of(row).standing for row in self._app.ledger.ask(query)] != ["delivered"]:
            if time.monotonic() > until:
                raise SystemExit("the trace was not sent")
            time.sleep(LOOK_S)

    def round(self) -> Callable[[int], dict[str, float]]:
        """A round, whose record is looked at after it."""
        perform = traced.rounds(self.calls, self.flush)

        def checked(number: int) -> dict[str, float]:
            took = perform(number)
            totals = self._app.ledger.run("last").totals
            if totals.steps + totals.calls < number:
                raise SystemExit(f"{totals.steps + totals.calls} of {number} calls were recorded")
            return took

        return checked


def bare(numbers: range) -> None:
    for number in numbers:
        traced.answer(traced.question(number))


def main(folder: Path, url: str, synchronous: str) -> None:
    os.chdir(folder)
    (folder / "surefoot.toml").write_text(f'[traces.{RECEIVER}]\nurl = "{url}"\n' if url else "")
    os.environ["SUREFOOT_LEDGER_SYNCHRONOUS"] = synchronous
    app = App()
    app.prepare()
    serve(
        {
            "one": Runs(app, lambda numbers: one_by_one(numbers.start, numbers.stop)).round(),
            "many": Runs(app, lambda numbers: asyncio.run(many_at_once(numbers.start, numbers.stop))).round(),
            "generated": Runs(app, lambda numbers: generated(numbers.start, numbers.stop)).round(),
            "bare": traced.rounds(bare, lambda: None),
        }
    )
    app.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
