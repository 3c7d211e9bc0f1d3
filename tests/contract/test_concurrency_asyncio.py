"""Every way of doing things at once on an event loop, on both loops, killed after any outcome and resumed."""

from __future__ import annotations

import asyncio
import functools
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from durable import cut, history, names, opened_app
from surefoot import App, flow, step
from surefoot.errors import RunEnded

Run = Callable[[Coroutine[Any, Any, Any]], Any]

calls: list[str] = []


@pytest.fixture(autouse=True)
def no_calls() -> None:
    calls.clear()


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    with opened_app(tmp_path) as app:
        yield app


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a coroutine on a loop of its own."""
    if request.param == "uvloop":
        return pytest.importorskip("uvloop").run  # type: ignore[no-any-return]
    return asyncio.run


@step
async def work(what: str) -> str:
    calls.append(what)
    # Not in the order of the calls, and the same in every process.
    await asyncio.sleep(0.001 * (sum(what.encode()) % 3))
    return f"{what}."


async def chain(name: str) -> list[str]:
    first = await work(f"{name}0")
    return [first, await work(f"{name}1 after {first}")]


@flow
async def gathering() -> list[Any]:
    return [*await asyncio.gather(*(chain(name) for name in "abc")), await work("end")]


@flow
async def grouping() -> list[Any]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(chain(name)) for name in "abc"]
    return [*(task.result() for task in tasks), await work("end")]


@flow
async def waiting() -> list[Any]:
    tasks = [asyncio.create_task(chain(name)) for name in "abc"]
    done, _ = await asyncio.wait(tasks)
    assert len(done) == 3
    return [*(task.result() for task in tasks), await work("end")]


@flow
async def as_completing() -> list[Any]:
    tasks = [asyncio.create_task(chain(name)) for name in "abc"]
    read = [await task for task in asyncio.as_completed(tasks)]
    return [*sorted(read), await work("end")]


@flow
async def shielding() -> list[Any]:
    return [await asyncio.shield(asyncio.create_task(chain("a"))), await work("end")]


@flow
async def timing() -> list[Any]:
    async with asyncio.timeout(60):
        return [await chain("a"), await asyncio.wait_for(chain("b"), 60)]


@flow
async def admitting() -> list[Any]:
    few = asyncio.Semaphore(2)

    async def admitted(name: str) -> list[str]:
        async with few:
            return await chain(name)

    return [*await asyncio.gather(*(admitted(name) for name in "abcd")), await work("end")]


@flow
async def queueing() -> list[Any]:
    """A task for each piece that comes out of a queue, a few at a time."""
    queue: asyncio.Queue[str | None] = asyncio.Queue(2)
    few = asyncio.Semaphore(3)
    done: list[str] = []

    async def produce() -> None:
        for name in "abcdef":
            await queue.put(name)
        await queue.put(None)

    async def consume(name: str) -> None:
        async with few:
            done.append(await work(name))

    async with asyncio.TaskGroup() as group:
        group.create_task(produce())
        while (name := await queue.get()) is not None:
            group.create_task(consume(name))
    return [*sorted(done), await work("end")]


@step(pure=True)
async def harmless(what: str) -> str:
    return await work(what)


@flow
async def sharing_out() -> list[Any]:
    """Which worker gets which piece depends on how long each takes: it may be another one after a crash."""
    pieces = list("abcdef")
    done: list[str] = []

    async def worker() -> None:
        while pieces:
            done.append(await harmless(pieces.pop(0)))

    await asyncio.gather(*(worker() for _ in range(3)))
    return [*sorted(done), await work("end")]


@flow
async def in_threads() -> list[Any]:
    loop = asyncio.get_running_loop()
    return [
        *await asyncio.gather(*(asyncio.to_thread(block, name) for name in "abc")),
        await loop.run_in_executor(None, functools.partial(block, "d")),
    ]


@step
def block(what: str) -> str:
    calls.append(what)
    return f"{what}."


@flow
async def nesting() -> list[Any]:
    return [await middle("a"), *await asyncio.gather(middle("b"), middle("c")), below("d")]


@flow
async def middle(name: str) -> list[Any]:
    return [await work(f"{name} middle"), below(f"{name}1"), await deepest(name)]


@flow
def below(name: str) -> list[Any]:
    """Sync code in the midst of async code: it blocks the loop, as it would without a run."""
    return [block(f"{name} below"), block(f"{name} below again")]


@flow
async def deepest(name: str) -> str:
    return await work(f"{name} deepest")


FLOWS = [
    *(
        gathering,
        grouping,
        waiting,
        as_completing,
        shielding,
        timing,
        admitting,
        queueing,
        in_threads,
        nesting,
    )
]


@pytest.mark.parametrize("target", FLOWS, ids=lambda target: target.spec.name)
def test_killed_after_any_outcome(tmp_path: Path, run: Run, target: Any) -> None:
    with opened_app(tmp_path / "whole") as app:
        expected = run(target())
        source, rows = Path(app.ledger.where), len(history(app))
    done = sorted(calls)
    assert len(set(done)) == len(done)
    for kept in range(1, rows, 1 + rows // 6):
        cut(source, tmp_path / f"after-{kept}", kept)
        with opened_app(tmp_path / f"after-{kept}") as app:
            before = len([link for link in history(app) if link.outcome.kind == "step"])
            calls.clear()
            assert run(app.resume_async("last", flow=target)) == expected
            after = [link for link in history(app) if link.outcome.kind == "step"]
            assert len(after) == len(done)
            assert len(calls) == len(done) - before
            assert app.ledger.first_break(app.ledger.run("last").id) is None


def test_workers_that_share_out_pieces(tmp_path: Path, run: Run) -> None:
    """A piece may be done again by another worker; none is left out, and the run does not stop over it."""
    with opened_app(tmp_path / "whole") as app:
        expected = run(sharing_out())
        source, rows = Path(app.ledger.where), len(history(app))
    for kept in range(1, rows):
        cut(source, tmp_path / f"after-{kept}", kept)
        with opened_app(tmp_path / f"after-{kept}") as app:
            assert run(app.resume_async("last", flow=sharing_out)) == expected
            assert app.ledger.first_break(app.ledger.run("last").id) is None


def test_a_failing_sibling_in_a_group(app: App, run: Run) -> None:
    """The group cancels the others; what had an outcome before keeps it."""
    fails = [True]

    @step
    async def failing() -> str:
        await asyncio.sleep(0.005)
        if fails:
            fails.clear()
            raise LookupError("lost")
        return "found"

    @step
    async def slow(what: str) -> str:
        calls.append(what)
        await asyncio.sleep(0.5 if fails else 0)
        return what

    @flow
    async def grouped() -> list[str]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work("quick")), group.create_task(failing())]
            tasks.append(group.create_task(slow("slow")))
        return [task.result() for task in tasks]

    with pytest.raises(ExceptionGroup) as caught:
        run(grouped())
    assert [str(error) for error in caught.value.exceptions] == ["lost"]
    assert app.ledger.run("last").failed_step == "failing"
    assert sorted(names(app)) == ["failing", "work"]
    calls.clear()
    assert run(app.resume_async("last", flow=grouped)) == ["quick.", "found", "slow"]
    assert calls == ["slow"]


def test_a_failing_group_that_the_flow_survived_is_replayed(app: App, run: Run) -> None:
    fails = [True]

    @step
    async def failing(what: str) -> str:
        calls.append(what)
        await asyncio.sleep(0.05)
        raise LookupError(what)

    @flow
    async def surviving() -> list[str]:
        said: list[str] = []
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(failing("a"))
                group.create_task(work("b"))
        except* LookupError as lost:
            said = [str(error) for error in lost.exceptions]
        if fails:
            fails.clear()
            raise ValueError("the first time")
        return [*said, await work("end")]

    with pytest.raises(ValueError, match="first time"):
        run(surviving())
    before = list(calls)
    assert run(app.resume_async("last", flow=surviving)) == ["a", "end."]
    assert calls == [*before, "end"]


def test_a_step_that_timed_out_is_no_outcome(app: App, run: Run) -> None:
    slow = [True]

    @step
    async def answer() -> str:
        calls.append("answer")
        if slow:
            await asyncio.sleep(5)
        return "answer"

    @flow
    async def bounded() -> str:
        async with asyncio.timeout(0.02 if slow else None):
            return await answer()

    with pytest.raises(TimeoutError):
        run(bounded())
    assert names(app) == []
    slow.clear()
    assert run(app.resume_async("last", flow=bounded)) == "answer"


def test_a_shielded_step_goes_on_and_is_recorded(app: App, run: Run) -> None:
    @step
    async def slow() -> str:
        await asyncio.sleep(0.03)
        return "slow"

    @flow
    async def shielded() -> list[str]:
        task = asyncio.create_task(slow())
        try:
            async with asyncio.timeout(0.005):
                await asyncio.shield(task)
        except TimeoutError:
            calls.append("timeout")
        return [await task]

    assert run(shielded()) == ["slow"]
    assert calls == ["timeout"]
    assert names(app) == ["slow"]


def test_a_task_that_outlives_its_run_records_nothing(app: App, run: Run) -> None:
    @flow
    async def leaving() -> None:
        async def late() -> str:
            await asyncio.sleep(0.01)
            return await work("late")

        tasks.append(asyncio.create_task(late()))

    async def main() -> None:
        await leaving()
        with pytest.raises(RunEnded, match="await every task"):
            await tasks[0]

    tasks: list[asyncio.Task[str]] = []
    run(main())
    assert calls == []
    assert names(app) == []


async def idle() -> None:
    """A task of a library's own."""


async def items() -> AsyncIterator[int]:
    yield 1


async def connect() -> None:
    """As a client does once in a while."""
    await asyncio.create_task(idle())


async def look_up() -> None:
    await asyncio.get_running_loop().run_in_executor(None, socket.gethostname)
    await asyncio.to_thread(socket.gethostname)


async def drop_a_generator() -> None:
    """Its loop closes it in a task of its own, and knows no better than to do so in the context of here."""
    left = items()
    assert await anext(left) == 1
    del left
    await asyncio.sleep(0.001)


@pytest.mark.parametrize("beside", [connect, look_up, drop_a_generator])
@pytest.mark.parametrize("is_first", [True, False], ids=["before", "after"])
def test_tasks_that_claim_nothing_are_not_counted(
    run: Run, tmp_path: Path, beside: Callable[[], Coroutine[Any, Any, None]], is_first: bool
) -> None:
    """They are not the same in every process: what is connected already, what the collector has found."""
    begins: list[bool] = []

    async def chained(name: str) -> str:
        return await work(f"{name} after {await work('the same')}")

    @flow
    async def unsteady() -> list[str]:
        if begins:
            await beside()
        return list(await asyncio.gather(*map(chained, "abc")))

    if is_first:
        begins.append(True)
    with opened_app(tmp_path / "whole") as app:
        expected = run(unsteady())
        source, rows = Path(app.ledger.where), len(history(app))
    if is_first:
        begins.clear()
    else:
        begins.append(True)
    for kept in range(1, rows):
        cut(source, tmp_path / f"after-{kept}", kept)
        with opened_app(tmp_path / f"after-{kept}") as app:
            before = len(names(app))
            calls.clear()
            assert run(app.resume_async("last", flow=unsteady)) == expected
            assert len(calls) == 6 - before


def test_eager_tasks(app: App) -> None:
    factory = getattr(asyncio, "eager_task_factory", None)
    if factory is None:
        pytest.skip("eager tasks came with Python 3.12")

    async def main() -> Any:
        asyncio.get_running_loop().set_task_factory(factory)
        return await gathering()

    assert asyncio.run(main())[-1] == "end."
    lanes = {
        link.outcome.inputs.view: link.outcome.lane for link in history(app) if link.outcome.kind == "step"
    }
    assert len({lanes[f'{{"what":"{name}0"}}'] for name in "abc"}) == 3


def test_tasks_of_anyio(app: App) -> None:
    anyio = pytest.importorskip("anyio")

    @flow
    async def grouped() -> list[str]:
        read: list[str] = []

        async def one(name: str) -> None:
            read.append(await work(name))

        async with anyio.create_task_group() as group:
            for name in "abc":
                group.start_soon(one, name)
        read.append(await anyio.to_thread.run_sync(block, "d"))
        return sorted(read)

    assert anyio.run(grouped) == ["a.", "b.", "c.", "d."]
    assert sorted(names(app)) == ["block", "work", "work", "work"]


def test_asyncio_run_is_not_needed_where_a_loop_runs(app: App) -> None:
    """As in a notebook's cell: blocking and awaited calls, in code that a loop runs."""

    async def cell() -> list[Any]:
        return [app.run(gathering), await gathering(), gather_blocking()]

    @flow
    def gather_blocking() -> object:
        return block("x")

    whole, awaited, blocked = asyncio.run(cell())
    assert whole == awaited
    assert blocked == "x."
