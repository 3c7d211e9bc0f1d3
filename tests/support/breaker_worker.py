"""One of several processes behind one breaker: many tasks that call a server again and again, until they are to end.

Run as `breaker_worker.py REDIS_URL PORT TASKS SETTINGS`, it says on each line how it stands, and ends with its input.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from dataclasses import dataclass

from surefoot.errors import BreakerOpen
from surefoot.limits import SharedRedis
from surefoot.limits.breakers import Breakers, Rules


@dataclass(slots=True)
class Figures:
    """What this process did so far."""

    under_way: int = 0
    succeeded: int = 0
    failed: int = 0
    refused: int = 0
    slowest: float = 0.0


async def ask(port: int) -> None:
    """One call. Raises `OSError` where the server does not answer well."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        if await reader.readline() != b"well\n":
            raise OSError("the server is not well")
    finally:
        writer.close()


async def calling(breakers: Breakers, port: int, turns: asyncio.Semaphore, figures: Figures) -> None:
    loop = asyncio.get_running_loop()
    while True:
        began = loop.time()
        try:
            trial = breakers.enter("db")
        except BreakerOpen:
            figures.refused += 1
            await asyncio.sleep(random.uniform(0.02, 0.1))
            continue
        finally:
            figures.slowest = max(figures.slowest, loop.time() - began)
        figures.under_way += 1
        try:
            with trial:
                async with turns:
                    await ask(port)
            figures.succeeded += 1
        except OSError:
            figures.failed += 1
        finally:
            figures.under_way -= 1
        await asyncio.sleep(random.uniform(0.02, 0.2))


async def main(url: str, port: int, tasks: int, settings: str) -> None:
    redis = SharedRedis(lambda: url, timeout=0.5)
    breakers = Breakers({"db": Rules(**json.loads(settings))}, redis=redis)
    figures, turns = Figures(), asyncio.Semaphore(20)
    running = [asyncio.create_task(calling(breakers, port, turns, figures)) for _ in range(tasks)]
    ended = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    while not ended.done():
        await asyncio.sleep(0.05)
        (reading,) = breakers.readings() or [None]
        if reading is not None:
            shown = {"state": reading.state, "is_shared": reading.is_shared, "under_way": figures.under_way}
            shown |= {"succeeded": figures.succeeded, "refused": figures.refused, "slowest": figures.slowest}
            sys.stdout.write(f"{json.dumps(shown)}\n")
            sys.stdout.flush()
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    breakers.close()
    redis.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))
