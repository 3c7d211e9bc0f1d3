"""Programs of all shapes, killed after each of their commits in turn and resumed unchanged."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from durable import cut, history, open_app
from surefoot import Workflow, carry, flow, step

numbers = count()
executed: list[int] = []
_lock = threading.Lock()


def work() -> int:
    """Each time another result: what is done twice, or mixed up, shows."""
    with _lock:
        executed.append(next(numbers))
        return executed[-1]


@step
def draw(of: str) -> int:
    return work()


@step
async def draw_async(of: str) -> int:
    await asyncio.sleep(0)
    return work()


@step
def draw_twice(of: str) -> list[int]:
    return [draw(of), draw(of), work()]


@step
async def draw_side_by_side(of: str) -> list[int]:
    return [*await asyncio.gather(draw_async(of), draw_async(of)), work()]


@step(key=lambda order, client: order)
def keyed(order: str, client: object) -> int:
    return work()


@flow
def in_line() -> object:
    return [draw("a") for _ in range(3)], draw("b"), [draw(str(n)) for n in range(3)]


@flow
def nested() -> object:
    return draw_twice("x"), draw_twice("x"), draw("x"), draw_twice("y")


@flow
async def side_by_side() -> object:
    async def chain(name: str) -> object:
        first = await draw_async("same")
        return (
            first,
            await draw_async(f"{name} {first}"),
            await draw_side_by_side(name),
            await draw_async("same"),
        )

    return await asyncio.gather(*(chain(name) for name in "abc")), await draw_async("last")


@flow
async def task_group() -> object:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(draw_async(name)) for name in ("a", "a", "b")]
    return [task.result() for task in tasks]


@flow
async def in_other_threads() -> object:
    async def chain(name: str) -> object:
        return await asyncio.to_thread(draw, "same"), await asyncio.to_thread(draw_twice, name)

    return await asyncio.gather(chain("a"), chain("b")), await asyncio.to_thread(draw, "same")


@flow
def in_a_pool() -> object:
    def chain(name: str) -> object:
        first = draw("same")
        return first, draw(f"{name} {first}")

    with ThreadPoolExecutor(3) as pool:
        mapped = list(pool.map(chain, "abcd"))
        one = pool.submit(draw, "one").result()
    return mapped, one, draw("same")


@flow
def in_threads_of_its_own() -> object:
    found: dict[str, object] = {}

    def chain(name: str) -> None:
        found[name] = draw("same"), draw(name)

    threads = [threading.Thread(target=carry(chain), args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


@flow
def loops_of_its_own() -> object:
    async def both() -> list[int]:
        return list(await asyncio.gather(draw_async("same"), draw_async("same")))

    return asyncio.run(both()), draw("same"), asyncio.run(both())


@flow
def with_keys() -> object:
    return keyed("o-1", object()), keyed("o-2", object()), keyed("o-1", object())


class Inner(Workflow):
    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def run(self, of: str) -> list[int]:
        return [draw(of) for _ in range(self.times)]


class InnerAsync(Workflow):
    async def run(self, of: str) -> int:
        return await draw_async(of)


@flow
async def flows_in_flows() -> object:
    return Inner(2).run("w"), Inner(3).run("w"), in_line(), await InnerAsync().run("w")


PROGRAMS: list[Callable[[], Any]] = [
    *(in_line, nested, side_by_side, task_group, in_other_threads, in_a_pool),
    *(in_threads_of_its_own, loops_of_its_own, with_keys, flows_in_flows),
]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.spec.name)
def test_no_step_is_done_twice_and_none_gets_the_result_of_another(program: Any, tmp_path: Path) -> None:
    app = open_app(tmp_path / "whole")
    whole = app.run(program)
    rows = history(app)
    app.close()
    for kept in range(1, len(rows)):
        folder = tmp_path / str(kept)
        cut(tmp_path / "whole" / ".surefoot" / "ledger.db", folder, kept)
        app = open_app(folder)
        run_id = app.ledger.run("last").id
        recorded = {
            number for row in rows[:kept] for number in numbers_in(app.ledger.view(row.outcome.output))
        }
        executed.clear()
        resumed = app.resume(run_id, flow=program)
        assert not recorded & set(executed)
        # What was recorded stands where it stood; what is new was done just now, and once.
        before, after = flat(whole), flat(resumed)
        assert len(before) == len(after)
        for old, new in zip(before, after, strict=True):
            assert new == old if old in recorded else new in executed, f"after {kept} rows"
        assert len(set(after)) == len(after)
        assert len(executed) == len([old for old in before if old not in recorded])
        assert app.resume(run_id, flow=program) == resumed
        assert app.ledger.first_break(run_id) is None
        app.close()


def numbers_in(text: str) -> list[int]:
    return [int(part) for part in "".join(c if c.isdigit() else " " for c in text).split()]


def flat(value: object) -> list[int]:
    if isinstance(value, dict):
        return [number for key in sorted(value) for number in flat(value[key])]
    if isinstance(value, list | tuple):
        return [number for part in value for number in flat(part)]
    assert isinstance(value, int)
    return [value]
