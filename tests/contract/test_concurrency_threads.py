"""Every way of doing things at once in threads, killed after any outcome and resumed; signals and interruptions."""

from __future__ import annotations

import asyncio
import contextvars
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, as_completed, wait
from pathlib import Path
from typing import Any

import pytest

from durable import cut, history, names, opened_app
from surefoot import App, carry, flow, step
from surefoot.errors import OutsideRun, RunEnded, UsageError

calls: list[str] = []


@pytest.fixture(autouse=True)
def no_calls() -> None:
    calls.clear()


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    with opened_app(tmp_path) as app:
        yield app


@step
def work(what: str) -> str:
    calls.append(what)
    # Not in the order of the calls, and the same in every process.
    time.sleep(0.001 * (sum(what.encode()) % 3))
    return f"{what}."


@step
async def work_async(what: str) -> str:
    calls.append(what)
    await asyncio.sleep(0)
    return f"{what}."


def chain(name: str) -> list[str]:
    first = work(f"{name}0")
    return [first, work(f"{name}1 after {first}")]


@flow
def mapping() -> list[Any]:
    with ThreadPoolExecutor(2) as pool:
        return [*pool.map(chain, "abcd"), work("end")]


@flow
def submitting() -> list[Any]:
    with ThreadPoolExecutor(3) as pool:
        futures = [pool.submit(chain, name) for name in "abcd"]
        done = sorted(future.result() for future in as_completed(futures))
    return [*done, work("end")]


@flow
def carrying() -> list[Any]:
    done: queue.Queue[list[str]] = queue.Queue()

    def put(name: str) -> None:
        done.put(chain(name))

    threads = [threading.Thread(target=carry(put), args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [*sorted(done.get() for _ in threads), work("end")]


@flow
def nesting() -> list[Any]:
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(middle, "ab"))


@flow
def middle(name: str) -> list[Any]:
    with ThreadPoolExecutor(2) as pool:
        return [work(f"{name} middle"), *pool.map(deepest, [f"{name}0", f"{name}1"])]


@flow
def deepest(name: str) -> str:
    return work(f"{name} deepest")


@flow
def with_a_loop() -> list[Any]:
    """Async code called from sync code that the user runs on a loop of their own."""

    async def both() -> list[str]:
        return list(await asyncio.gather(work_async("a"), work_async("b")))

    with ThreadPoolExecutor(1) as pool:
        return [asyncio.run(both()), pool.submit(lambda: asyncio.run(other())).result(), work("end")]


async def other() -> list[str]:
    return list(await asyncio.gather(work_async("c"), work_async("d")))


FLOWS = [mapping, submitting, carrying, nesting, with_a_loop]


@pytest.mark.parametrize("target", FLOWS, ids=lambda target: target.spec.name)
def test_killed_after_any_outcome(tmp_path: Path, target: Any) -> None:
    with opened_app(tmp_path / "whole") as app:
        expected = app.run(target)
        source, rows = Path(app.ledger.where), len(history(app))
    done = sorted(calls)
    assert len(set(done)) == len(done)
    for kept in range(1, rows, 1 + rows // 6):
        cut(source, tmp_path / f"after-{kept}", kept)
        with opened_app(tmp_path / f"after-{kept}") as app:
            before = len([link for link in history(app) if link.outcome.kind == "step"])
            calls.clear()
            assert app.resume("last", flow=target) == expected
            after = [link for link in history(app) if link.outcome.kind == "step"]
            assert len(after) == len(done)
            assert len(calls) == len(done) - before
            assert app.ledger.first_break(app.ledger.run("last").id) is None


def test_context_variables_of_the_user_reach_the_threads(app: App) -> None:
    tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="nobody")

    @flow
    def reading() -> list[str]:
        tenant.set("acme")
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(lambda _: tenant.get(), range(3)))

    assert reading() == ["acme"] * 3
    assert tenant.get() == "acme"  # a sync flow runs in its caller's context


def test_a_failing_sibling_in_a_pool(app: App) -> None:
    """The others go on: what they did stands."""
    fails = [LookupError("lost")]

    @step
    def failing(what: str) -> str:
        if what == "b" and fails:
            raise fails.pop()
        return work(what)

    @flow
    def pooling() -> list[str]:
        with ThreadPoolExecutor(3) as pool:
            futures = [pool.submit(failing, name) for name in "abc"]
            wait(futures, return_when=FIRST_EXCEPTION)
        return [future.result() for future in futures]

    with pytest.raises(LookupError):
        pooling()
    assert app.ledger.run("last").failed_step == "failing"
    calls.clear()
    assert app.resume("last", flow=pooling) == ["a.", "b.", "c."]
    assert calls == ["b"]


def test_a_thread_that_outlives_its_run_records_nothing(app: App) -> None:
    go_on = threading.Event()
    seen: list[BaseException] = []

    def late() -> None:
        assert go_on.wait(20)
        try:
            work("late")
        except RunEnded as error:
            seen.append(error)

    @flow
    def leaving() -> None:
        threads.append(threading.Thread(target=carry(late)))
        threads[0].start()

    threads: list[threading.Thread] = []
    leaving()
    go_on.set()
    threads[0].join()
    assert len(seen) == 1
    assert "join every thread" in str(seen[0])
    assert calls == []
    assert names(app) == []


def test_a_timer_and_a_pool_made_before_the_first_run(app: App) -> None:
    """A timer is a thread that is begun by hand: it is told how to carry the run."""
    seen: list[object] = []

    def lost() -> None:
        try:
            work("lost")
        except OutsideRun as error:
            seen.append(error)

    @flow
    def timing() -> None:
        for target in (lost, carry(lambda: seen.append(work("carried")))):
            timer = threading.Timer(0, target)
            timer.start()
            timer.join()

    timing()
    assert isinstance(seen[0], OutsideRun)
    assert seen[1:] == ["carried."]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
def test_an_interruption_that_is_raised_in_a_thread_of_a_pool(app: App, error: BaseException) -> None:
    stops = [error]

    @step
    def interrupted() -> str:
        if stops:
            raise stops.pop()
        return "done"

    @flow
    def pooling() -> str:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(interrupted).result()

    with pytest.raises(type(error)):
        pooling()
    run = app.ledger.run("last")
    assert (run.status, run.lease_until_ns) == ("running", 0)
    assert names(app) == []
    assert app.resume(run.id, flow=pooling) == "done"


def test_ctrl_c_while_threads_of_a_pool_work(app: App) -> None:
    """It reaches the main thread; the pool's work ends, and is recorded no more once the run is released."""
    slow = [True]
    begun = threading.Event()

    @step
    def sleeping(what: str) -> str:
        begun.set()
        time.sleep(0.1 if slow else 0)
        return work(what)

    @flow
    def pooling() -> list[str]:
        with ThreadPoolExecutor(2) as pool:
            futures = [pool.submit(sleeping, name) for name in "ab"]
            if slow:
                assert begun.wait(20)
                os.kill(os.getpid(), signal.SIGINT)
            return [future.result() for future in futures]

    with pytest.raises(KeyboardInterrupt):
        pooling()
    run = app.ledger.run("last")
    assert (run.status, run.lease_until_ns) == ("running", 0)
    slow.clear()
    assert app.resume(run.id, flow=pooling) == ["a.", "b."]
    assert app.ledger.first_break(run.id) is None


def test_without_an_asyncio_loop_it_says_what_is_supported() -> None:
    """As under trio, which drives coroutines too."""

    @flow
    async def awaiting() -> str:
        return await work_async("a")

    with pytest.raises(UsageError, match="trio is not supported"):
        awaiting().send(None)


SIGNALLED = """
import asyncio, os, signal, sys, time
from pathlib import Path
sys.path.insert(0, {support!r})
from durable import open_app
from surefoot import flow, step

app = open_app(Path.cwd())
is_first = not os.path.exists("first")
Path("first").touch()

@step
def quick(): return "quick"

@step
def slow():
    if is_first:
        print("ready", flush=True)
        time.sleep(60)
    return "slow"

@step
async def slow_async():
    if is_first:
        print("ready", flush=True)
        await asyncio.sleep(60)
    return "slow"

@flow
def blocking(): return [quick(), slow()]

@flow
async def awaited(): return [quick(), await slow_async()]

async def served():
    task = asyncio.current_task()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await awaited()

if __name__ == "__main__":
    if sys.argv[1] == "resume":
        print(app.resume("last"))
        sys.exit()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with app.entered():
        match sys.argv[1]:
            case "blocking": blocking()
            case "background": app.run(awaited)
            case "served": asyncio.run(served())
"""


@pytest.mark.parametrize("way", ["blocking", "background", "served"])
def test_a_process_that_is_told_to_end_lets_its_run_go(tmp_path: Path, way: str) -> None:
    """SIGTERM with a handler that exits or cancels, as servers and containers have."""
    script = tmp_path / "signalled.py"
    script.write_text(SIGNALLED.format(support=str(Path(__file__).parents[1] / "support")))
    command = [sys.executable, str(script), way]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGTERM)
        process.wait(20)
    with opened_app(tmp_path) as app:
        run = app.ledger.run("last")
        assert (run.status, run.lease_until_ns) == ("running", 0)
        assert names(app) == ["quick"]
    command[-1] = "resume"
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "['quick', 'slow']\n", done.stderr
