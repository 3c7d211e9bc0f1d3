"""What every contender shares: the work, and answering the benchmark that asks for rounds of it, line by line."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import statistics
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Self, TextIO

STEPS = 10
IN_FLIGHT = 100
BYTES = 1024

_FIELDS = {f"field_{number:02}": "a value of some length, as they are" for number in range(18)}


def _padding(secret: str) -> str:
    value = {"number": f"{0:012}", "secret": secret, **_FIELDS, "padding": ""}
    return "x" * (BYTES - len(json.dumps(value, separators=(",", ":"))))


_PADDING = _padding("")


def payload(number: int) -> dict[str, Any]:
    """An object that is 1 KiB of compact JSON, different for each number."""
    return {"number": f"{number:012}", "secret": "", **_FIELDS, "padding": _PADDING}


def payload_with(secret: str) -> Callable[[int], dict[str, Any]]:
    """`payload` of the same size that holds a secret."""
    padding = _padding(secret)
    return lambda number: {"number": f"{number:012}", "secret": secret, **_FIELDS, "padding": padding}


def unique() -> str:
    """An id for a run."""
    return uuid.uuid4().hex


def _cpu() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


class Round:
    """Wall and CPU seconds while it is open, of this process and of children that ended; how long single steps took."""

    def __init__(self) -> None:
        self.step_seconds: list[float] = []

    def __enter__(self) -> Self:
        self._wall, self._cpu = time.perf_counter(), _cpu()
        return self

    def __exit__(self, *error: object) -> None:
        self.cpu, self.wall = _cpu() - self._cpu, time.perf_counter() - self._wall

    def result(self, steps: int) -> dict[str, float]:
        single = statistics.median(self.step_seconds) if self.step_seconds else self.wall / steps
        return {"steps": steps, "wall": self.wall, "cpu": self.cpu, "step_p50": single}


async def in_flight(run: Callable[[], Awaitable[object]], number: int) -> None:
    """Do `number` runs, of which `IN_FLIGHT` are under way at a time."""
    left = iter(range(number))

    async def work() -> None:
        for _ in left:
            await run()

    await asyncio.gather(*(work() for _ in range(min(IN_FLIGHT, number))))


Answers = dict[str, Callable[[int], dict[str, float]]]
"""For each kind of round: do so many runs of it, and say what it took."""


def answering() -> TextIO:
    """Where answers go. What libraries print must not stand between them, those that hold on to the output too."""
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return out


def serve(answers: Answers) -> None:
    """Answer lines of `KIND NUMBER` with JSON until the input ends."""
    out = answering()
    print("ready", file=out, flush=True)
    for line in sys.stdin:
        kind, number = line.split()
        print(json.dumps(answers[kind](int(number))), file=out, flush=True)


async def serve_async(answers: dict[str, Callable[[int], Awaitable[dict[str, float]]]]) -> None:
    """`serve` for contenders whose connections belong to a loop."""
    out = answering()
    print("ready", file=out, flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        kind, number = line.split()
        print(json.dumps(await answers[kind](int(number))), file=out, flush=True)


PROMPT = "Summarize for a customer, in one paragraph, what follows. " * 18
MODEL = "gpt-4o-mini"


def question(number: int) -> str:
    """A prompt of about 1 KiB, another for each number."""
    return f"{number:012} {PROMPT}"


Ask = Callable[[str], Awaitable[object]]
"""Send a prompt to the model, and give the text of its answer."""


AT_ONCE = 10


async def calls(ask: Ask, numbers: range, *, at_once: int = 1) -> None:
    """A call for each number, so many under way at a time; all of their answers are texts."""
    left = iter(numbers)

    async def work() -> None:
        for number in left:
            answer = await ask(question(number))
            if not (isinstance(answer, str) and len(answer) > 1000):
                raise SystemExit(f"the answer is none: {answer!r:.100}")

    await asyncio.gather(*(work() for _ in range(at_once)))


def rounds_of_calls(ask: Ask, *, at_once: int = 1) -> Callable[[int], Awaitable[dict[str, float]]]:
    """A round of so many calls."""

    async def perform(number: int) -> dict[str, float]:
        with Round() as taken:
            await calls(ask, range(number), at_once=at_once)
        return taken.result(number)

    return perform


def one_and_many(kind: str, ask: Ask) -> dict[str, Callable[[int], Awaitable[dict[str, float]]]]:
    """Rounds of calls one after the other, and of `AT_ONCE` at a time under the name `KIND-many`."""
    return {kind: rounds_of_calls(ask), f"{kind}-many": rounds_of_calls(ask, at_once=AT_ONCE)}


def arguments() -> tuple[Path, str]:
    """The folder to work in, and the address of a Postgres database or nothing for SQLite."""
    return Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else ""
