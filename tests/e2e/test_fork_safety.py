"""A process that forks at any moment, whatever lock its threads hold: the child works, the runs stay its parent's."""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import multiprocessing
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from durable import names
from postgres import postgres_server, postgres_url
from surefoot import App, current_run, flow, step
from surefoot.config import load
from surefoot.errors import RunEnded
from surefoot.ledger.writer import Writer
from surefoot.locks import ForkSafeLock, QuietLock, made_once
from surefoot.values import new_id

__all__ = ["postgres_server", "postgres_url"]

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning"),
]

SOURCE = Path(__file__).parents[2] / "src" / "surefoot"
SECONDS = 20


@pytest.fixture(params=["sqlite", "postgres"])
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[App]:
    environ = {"SUREFOOT_LEDGER_SYNCHRONOUS": "normal"}
    if request.param == "postgres":
        environ["SUREFOOT_LEDGER_URL"] = request.getfixturevalue("postgres_url")
    app = App(load(tmp_path, environ=environ))
    try:
        with app.entered():
            yield app
    finally:
        app.close()


@step
def double(x: int) -> int:
    return 2 * x


@step
async def double_async(x: int) -> int:
    await asyncio.sleep(0)
    return 2 * x


@step
def counting(count: int) -> Iterator[int]:
    yield from range(count)


@flow
def doubling() -> int:
    return sum(double(n) for n in counting(4))


@flow
async def doubling_async() -> int:
    return sum(await asyncio.gather(*(double_async(n) for n in range(4))))


def in_child(work: Callable[[], object]) -> None:
    """Fork, work in the child, and fail if it failed or got stuck."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            faulthandler.dump_traceback_later(SECONDS - 1)  # where it got stuck
            signal.alarm(SECONDS)
            code = 0 if work() else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


class Held:
    """Locks that another thread holds while the block lasts."""

    def __init__(self, locks: list[Any]) -> None:
        self._locks = locks
        self._is_held, self._let_go = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._hold)

    def __enter__(self) -> None:
        self._thread.start()
        assert self._is_held.wait(SECONDS)

    def __exit__(self, *_: object) -> None:
        self._let_go.set()
        self._thread.join()

    def _hold(self) -> None:
        with ExitStack() as stack:
            for lock in self._locks:
                stack.enter_context(lock)
            self._is_held.set()
            self._let_go.wait(SECONDS)


LOCKS_OF_THEIR_OWN = {
    "locks.py": "the fork-safe lock itself",
    "flows/openrun.py": "Keeper.forget disowns the runs that it keeps",
    "flows/stopping.py": "belongs to a run, which a child disowns",
    "flows/timing.py": "belongs to one attempt of a step, whose run a child disowns",
    "flows/opened.py": "made anew in a child",
    "flows/background.py": "made anew in a child",
    "flows/lease.py": "made anew in a child",
    "flows/lanes.py": "a thread's own",
    "flows/contexts.py": "a thread's own",
    "flows/transactions/databases.py": "made anew in a child",
    "flows/transactions/postgres.py": "forgotten with its database in a child",
    "flows/transactions/postgres_async.py": "forgotten with its database in a child",
    "flows/transactions/sqlite.py": "forgotten with its database in a child",
    "ledger/postgres_loop.py": "made anew in a child",
    "ledger/payloads.py": "made anew in a child",
    "ledger/encoding/refusals.py": "only its class is looked at",
    "ledger/filelock.py": "a place in a queue, which a child leaves",
    "ledger/queueing.py": "belongs to one call that waits, whose queue is made anew in a child",
    "ledger/writer.py": "made anew in a child",
    "ledger/sqlite.py": "a thread's own",
    "models/sdk/patches.py": "a thread's own",
    "models/local/process.py": "made anew in a child",
    "models/local/server.py": "a process of its own, which never forks",
    "limits/cache/leases.py": "made anew in a child",
    "evals/ragas/process.py": "made anew in a child",
    "evals/ragas/child.py": "a process of its own, which never forks",
    "evals/online/watching.py": "made and waited for by a thread that no child has",
    "traces/exporter.py": "made anew in a child",
    "traces/measuring.py": "made anew in a child",
    "server/hooks/courier.py": "made and waited for by threads that no child has",
    "cli/progress.py": "the command line draws in one process and does not fork",
    # A forked child of a server makes none of its runs: these stay with the process that serves.
    "server/working/executor.py": "a child serves nothing: no worker, no loop, and nobody who puts runs in",
    "server/working/feed.py": "of a run that the parent makes; nobody in a child reads it",
    "server/working/job.py": "of a run that the parent makes; nobody in a child waits for it",
    "server/crew/crew.py": "whoever keeps the processes of a server begins commands, and forks none of itself",
    "server/crew/tally.py": "a child serves nothing: nobody asks it for figures",
    "server/working/recovery.py": "a child serves nothing: its thread is not there, and nobody sets the events",
}


def test_every_lock_is_known_to_survive_a_fork() -> None:
    """A lock that is new here has to be a `ForkSafeLock`, or to say what becomes of it in a child."""
    plain = re.compile(r"threading\.(Lock|RLock|Condition|Semaphore|BoundedSemaphore|Event|Barrier|local)\(")
    found = {
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*.py")
        if plain.search(path.read_text(encoding="utf-8"))
    }
    assert found - LOCKS_OF_THEIR_OWN.keys() == set()
    decorator = re.compile(r"^\s*@(functools\.)?cached_property\b", re.MULTILINE)
    cached = [path for path in SOURCE.rglob("*.py") if decorator.search(path.read_text(encoding="utf-8"))]
    assert cached == [], "functools.cached_property has a lock of its own in Python 3.11: use locks.made_once"


def all_locks() -> list[Any]:
    """Every lock of ours that is in this process and that nobody holds."""
    kinds = (type(threading.Lock()), type(threading.RLock()), ForkSafeLock)
    ours = [thing for thing in gc.get_objects() if str(type(thing).__module__).startswith("surefoot")]
    ours += [vars(module) for name, module in sys.modules.items() if name.startswith("surefoot")]
    ours += [part for thing in ours for part in gc.get_referents(thing) if type(part) is dict]
    found = {id(part): part for thing in ours for part in gc.get_referents(thing) if isinstance(part, kinds)}
    # A fork waits for the commits and for the reading that are under way.
    waited_for = [id(thing._mutex) for thing in ours if isinstance(thing, Writer)]
    waited_for += [id(thing._lock) for thing in ours if isinstance(thing, QuietLock)]
    free = [part for key, part in found.items() if key not in waited_for]
    locks = [part for part in free if isinstance(part, ForkSafeLock) or part.acquire(blocking=False)]
    for lock in locks:
        if not isinstance(lock, ForkSafeLock):
            lock.release()
    return locks


def test_a_child_that_is_forked_while_other_threads_hold_every_lock(app: App) -> None:
    doubling()
    app.run(doubling_async)
    _ = app.prompts

    def work() -> bool:
        assert len(new_id()) == 26
        assert app.prompts.prompts() == []
        assert doubling() == 12
        assert asyncio.run(doubling_async()) == 12
        return app.run(doubling_async) == 12

    locks = all_locks()
    assert len(locks) > 15
    with Held(locks):
        in_child(work)
    assert doubling() == 12
    runs = app.ledger.runs()
    assert [run.status for run in runs] == ["completed"] * 6
    assert all(app.ledger.first_break(run.id) is None for run in runs)


def test_a_child_that_is_forked_in_the_midst_of_many_runs(app: App) -> None:
    """Not one moment but many: threads run flows all the while."""
    is_over = threading.Event()
    failed: list[BaseException] = []

    def running() -> None:
        try:
            while not is_over.is_set():
                assert doubling() == 12
        except BaseException as error:  # noqa: BLE001  (the test fails by it)
            failed.append(error)

    threads = [threading.Thread(target=running) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(12):
            in_child(lambda: doubling() == 12)
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
    assert failed == []
    assert {run.status for run in app.ledger.runs(limit=None)} == {"completed"}
    assert all(app.ledger.first_break(run.id) is None for run in app.ledger.runs(limit=None))


def test_a_child_does_not_go_on_with_its_parents_run(app: App) -> None:
    """Not even by a generator that the parent has begun, whose context still knows the run."""

    @flow
    def forking() -> list[int]:
        reader = counting(3)
        read = [next(reader)]
        run = current_run()
        assert run is not None
        own = app.keeper._runs[run.id]

        def work() -> bool:
            with pytest.raises(RunEnded):
                next(reader)
            return double(2) == 4 and current_run() is None

        with Held([own.lock]):
            in_child(work)
        return [*read, *reader]

    assert forking() == [0, 1, 2]
    assert names(app) == ["counting"]


def test_a_child_of_a_run_has_runs_of_its_own(app: App) -> None:
    @flow
    def forking() -> int:
        in_child(lambda: doubling() == 12 and app.run(doubling_async) == 12)
        return double(1)

    assert forking() == 2
    assert sorted((run.flow, run.status) for run in app.ledger.runs()) == [
        *(("doubling", "completed"), ("doubling_async", "completed"), ("forking", "completed"))
    ]


def test_a_lock_that_the_forking_thread_holds_stays_held() -> None:
    lock = ForkSafeLock()

    def work() -> bool:
        with lock:
            pass
        return True

    with lock:
        in_child(work)
        in_child(lambda: Held([lock]) is not None)
    with lock, lock:
        pass


def test_what_is_made_once_is_made_once_by_many_threads() -> None:
    made: list[int] = []

    class Maker:
        @made_once
        def thing(self) -> int:
            """A thing."""
            time.sleep(0.01)
            made.append(1)
            return len(made)

    maker = Maker()
    threads = [threading.Thread(target=lambda: maker.thing) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (maker.thing, made) == (1, [1])
    assert Maker.thing.__doc__ == "A thing."


# Pools of processes


def test_a_pool_of_processes_runs_steps_plainly(app: App) -> None:
    """What another process does is no part of the run; around it, a step records what came of it."""

    @step
    def in_pool(numbers: list[int]) -> list[int]:
        with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
            return list(pool.map(double, numbers))

    @flow
    def pooling() -> list[int]:
        return in_pool([1, 2, 3])

    assert pooling() == [2, 4, 6]
    assert names(app) == ["in_pool"]


SPAWNING = """
import multiprocessing, os, sys
sys.path.insert(0, {support!r})
from pathlib import Path
from durable import opened_app
from surefoot import flow, last_run, step

@step
def double(x):
    return 2 * x

@flow
def doubling(x):
    return double(x)

def work(number):
    with opened_app(Path(os.environ["PROJECT"])) as app:
        return doubling(number), last_run().status

@flow
def spawning():
    with multiprocessing.get_context({method!r}).Pool(2) as pool:
        return pool.map(double, [1, 2]), pool.map(work, [3, 4])

if __name__ == "__main__":
    with opened_app(Path(os.environ["PROJECT"])) as app:
        doubling(0)
        result = spawning()
        runs = app.ledger.runs()
        print(result, sorted((run.flow, run.status, run.totals.steps) for run in runs))
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_processes_that_multiprocessing_begins_inside_of_a_run(tmp_path: Path, method: str) -> None:
    import subprocess

    script = tmp_path / "spawning.py"
    support = str(Path(__file__).parents[1] / "support")
    script.write_text(SPAWNING.format(support=support, method=method))
    environ = {**os.environ, "PROJECT": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, env=environ, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == (
        "([2, 4], [(6, 'completed'), (8, 'completed')]) "
        "[('doubling', 'completed', 1), ('doubling', 'completed', 1), ('doubling', 'completed', 1), "
        "('spawning', 'completed', 0)]"
    )
