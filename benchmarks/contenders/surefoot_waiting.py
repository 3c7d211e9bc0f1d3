"""Ours: many runs under way at once, all of which wait inside a step until they are let go."""

from __future__ import annotations

import asyncio
import os
import resource
import sys
from pathlib import Path
from typing import Any

from benchmarks.contenders.serving import arguments, payload, serve_async
from surefoot import App, flow, step

BEFORE = 5

_let_go = asyncio.Event()
_all_wait = asyncio.Event()
_left = 0


@step
async def make(number: int) -> dict[str, Any]:
    return payload(number)


@step
async def wait_here(number: int) -> int:
    global _left
    _left -= 1
    if not _left:
        _all_wait.set()
    await _let_go.wait()
    return number


@flow
async def waiting(number: int) -> int:
    for index in range(BEFORE):
        await make(index)
    return await wait_here(number)


def resident_mb() -> float:
    if sys.platform == "linux":
        with Path("/proc/self/status").open(encoding="ascii") as status:
            return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS"))
    return peak_mb()


def peak_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1024 if sys.platform == "linux" else peak / 1024 / 1024


async def main(folder: Path) -> None:
    os.chdir(folder)
    app = App()

    async def hold(number: int) -> dict[str, float]:
        global _left
        _left = number
        with app.entered():
            runs = [asyncio.create_task(waiting(index)) for index in range(number)]
        if runs:
            await _all_wait.wait()
        # Let the writer note the steps that are open, and let a heartbeat or two pass.
        await asyncio.sleep(1.0)
        found = {"resident": resident_mb(), "peak": peak_mb(), "steps": float(number * BEFORE)}
        _let_go.set()
        ended = await asyncio.gather(*runs)
        if ended != list(range(number)):
            raise SystemExit("not all of the runs have ended as they should")
        return found

    await serve_async({"waiting": hold})
    app.close()


if __name__ == "__main__":
    asyncio.run(main(arguments()[0]))
