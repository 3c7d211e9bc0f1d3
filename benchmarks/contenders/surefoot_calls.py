"""Ours: the OpenAI SDK inside a run, recorded and replayed; and `generate`, where it is there, outside and inside."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import openai

import surefoot
from benchmarks.contenders.serving import AT_ONCE, MODEL, Ask, Round, calls, rounds_of_calls, serve_async
from surefoot import App, flow, last_run

_asks: dict[str, Ask] = {}


class Unfinished(Exception):
    """How a run ends that is to be resumed again and again."""


@flow
async def recording(kind: str, number: int, at_once: int) -> int:
    await calls(_asks[kind], range(number), at_once=at_once)
    return number


@flow
async def replaying(kind: str, number: int) -> None:
    await calls(_asks[kind], range(number))
    raise Unfinished


def in_runs(app: App, kind: str, *, at_once: int = 1) -> Callable[[int], Awaitable[dict[str, float]]]:
    """A round of one run with so many calls, its start and end included."""

    async def perform(number: int) -> dict[str, float]:
        with app.entered(), Round() as taken:
            await recording(kind, number, at_once)
        calls_of_run = app.ledger.run("last").totals.calls
        if calls_of_run != number:
            raise SystemExit(f"{calls_of_run} calls were recorded of {number}")
        return taken.result(number)

    return perform


class Replays:
    """Resumes of runs with so many recorded calls; each is recorded once and never ends."""

    def __init__(self, app: App, kind: str) -> None:
        self._app, self._kind = app, kind
        self._runs: dict[int, str] = {}

    async def __call__(self, number: int) -> dict[str, float]:
        if number not in self._runs:
            with self._app.entered():
                try:
                    await replaying(self._kind, number)
                except Unfinished:
                    self._runs[number] = last_run().id
        with Round() as taken:
            try:
                await self._app.resume_async(self._runs[number])
            except Exception as error:
                if not isinstance(error.__cause__, Unfinished):
                    raise
        return taken.result(number)


async def main(folder: Path, url: str, synchronous: str) -> None:
    os.chdir(folder)
    os.environ["SUREFOOT_LEDGER_SYNCHRONOUS"] = synchronous
    os.environ |= {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "key"}
    app = App()
    app.prepare()
    answers: dict[str, Callable[[int], Awaitable[dict[str, float]]]] = {}
    async with openai.AsyncOpenAI() as sdk:

        async def by_sdk(prompt: str) -> str | None:
            answer = await sdk.chat.completions.create(
                model=MODEL, messages=[{"role": "user", "content": prompt}]
            )
            return answer.choices[0].message.content

        _asks["wrapped"] = by_sdk
        answers |= {
            "wrapped": in_runs(app, "wrapped"),
            "wrapped-many": in_runs(app, "wrapped", at_once=AT_ONCE),
            "replayed": Replays(app, "wrapped"),
        }
        generate: Any = getattr(surefoot, "generate", None)
        if generate is not None:

            async def by_generate(prompt: str) -> str:
                return str(await generate([{"role": "user", "content": prompt}], using=f"openai:{MODEL}"))

            outside = rounds_of_calls(by_generate)

            async def without_a_run(number: int) -> dict[str, float]:
                with app.entered():
                    return await outside(number)

            _asks["generate"] = by_generate
            answers |= {
                "outside": without_a_run,
                "generate": in_runs(app, "generate"),
                "generate-many": in_runs(app, "generate", at_once=AT_ONCE),
            }
        await serve_async(answers)
    app.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
