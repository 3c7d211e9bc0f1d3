"""Steps in threads: pools and `to_thread` see the run, other threads do if they are told."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

from durable import history, names
from surefoot import App, carry, current_run, flow, step
from surefoot.errors import OutsideRun
from surefoot.flows.lanes import family, family_below


@step
def double(x: int) -> int:
    return 2 * x


@step(plain=True)
def plain(x: int) -> int:
    return 2 * x


def in_thread(function: object) -> object:
    found: list[object] = []

    def work() -> None:
        try:
            found.append(function())  # type: ignore[operator]
        except Exception as error:  # noqa: BLE001  (it is looked at by the test)
            found.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return found[0]


def test_pools_carry_the_run(app: App) -> None:
    with ThreadPoolExecutor(2) as made_before:

        @flow
        def pooling() -> list[int]:
            with ThreadPoolExecutor(2) as pool:
                mapped = list(pool.map(double, range(5)))
            return [*mapped, made_before.submit(double, 10).result()]

        assert pooling() == [0, 2, 4, 6, 8, 20]
        assert made_before.submit(current_run).result() is None
    assert names(app) == ["double"] * 6
    lanes = [link.outcome.lane for link in history(app) if link.outcome.kind == "step"]
    assert len(set(lanes)) == 6


def test_executors_of_loops_carry_the_run(app: App) -> None:
    @flow
    async def working() -> list[int]:
        loop = asyncio.get_running_loop()
        return [await loop.run_in_executor(None, double, 1), await asyncio.to_thread(double, 2)]

    assert asyncio.run(working()) == [2, 4]
    assert names(app) == ["double", "double"]


def test_a_thread_without_the_run_is_told_how_to_carry_it(app: App) -> None:
    seen: list[object] = []

    @flow
    def threading_flow() -> None:
        seen.extend(
            in_thread(work) for work in (lambda: double(1), lambda: plain(1), carry(lambda: double(1)))
        )

    threading_flow()
    error, from_plain, carried = seen
    assert isinstance(error, OutsideRun)
    assert "carry(fn)" in str(error)
    assert (from_plain, carried) == (2, 2)
    assert names(app) == ["double"]


def test_a_thread_outside_of_runs_is_free(app: App) -> None:
    assert in_thread(lambda: double(2)) == 4


def test_code_carried_by_several_threads_at_once(app: App) -> None:
    @flow
    def crowding() -> int:
        work = carry(double)
        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return 1

    assert crowding() == 1
    assert names(app) == ["double"] * 8


def test_tasks_on_a_loop_with_a_task_factory_of_its_own(app: App) -> None:
    made: list[int] = []

    def factory(loop: asyncio.AbstractEventLoop, work: object) -> asyncio.Task[object]:
        made.append(1)
        return asyncio.Task(work, loop=loop)  # type: ignore[arg-type]

    @step
    async def wait(n: int) -> int:
        await asyncio.sleep(0)
        return n

    @flow
    async def waiting() -> list[int]:
        return list(await asyncio.gather(*(wait(n) for n in range(3))))

    async def main() -> list[int]:
        asyncio.get_running_loop().set_task_factory(factory)
        return await waiting()

    assert asyncio.run(main()) == [0, 1, 2]
    assert len(made) >= 3
    lanes = {link.outcome.lane for link in history(app) if link.outcome.kind == "step"}
    assert len(lanes) == 3
    assert {family(lane) for lane in lanes} == {0}


def test_lanes_are_the_same_whichever_claims_first(app: App) -> None:
    @step
    async def leaf(n: int) -> None:
        await asyncio.sleep(0)

    async def chain(n: int, slow: int) -> None:
        for _ in range(3 * (n == slow)):
            await asyncio.sleep(0)
        await leaf(n)
        await asyncio.gather(leaf(10 * n), leaf(10 * n + 1))

    @flow
    async def branching(slow: int) -> None:
        await asyncio.gather(*(chain(n, slow) for n in (1, 2)))

    def lanes() -> dict[str, int]:
        return {
            link.outcome.inputs.view: link.outcome.lane
            for link in history(app)
            if link.outcome.kind == "step"
        }

    asyncio.run(branching(1))
    first = lanes()
    asyncio.run(branching(2))
    assert list(lanes()) != list(first)
    assert lanes() == first
    assert len(set(first.values())) == 6
    for n in (1, 2):
        below = {family(first[f'{{"n":{10 * n + more}}}']) for more in (0, 1)}
        assert below == {family_below(first[f'{{"n":{n}}}'])}


def test_two_flows_with_tasks_in_one_context_of_the_users(app: App) -> None:
    import contextvars

    @step
    async def leaf(n: int) -> int:
        await asyncio.sleep(0)
        return n

    @flow
    async def sharing() -> list[int]:
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(leaf(n), context=context) for n in (1, 2)]
        return [await task for task in tasks]

    assert asyncio.run(sharing()) == [1, 2]


def test_the_main_thread_stays_free_while_runs_are_open_in_others(app: App) -> None:
    inside, go_on = threading.Event(), threading.Event()

    @flow
    def waiting() -> None:
        inside.set()
        assert go_on.wait(5)

    thread = threading.Thread(target=lambda: app.run(waiting))
    thread.start()
    assert inside.wait(5)
    assert double(3) == 6
    go_on.set()
    thread.join()
    assert names(app) == []
