"""Group commit: everybody's entry is durable when they are told so, whoever wrote it."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest

from surefoot.errors import LedgerError
from surefoot.ledger.writer import Settled, Writer


class Store:
    """Remembers batches; fails where it is told to."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.threads: set[str] = set()
        self.fail_next: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.writer: Writer[int] = Writer(self.commit, name="test-writer", on_fork=lambda: None)

    def commit(self, entries: Sequence[int]) -> Sequence[Settled]:
        assert self.gate.wait(10)
        self.threads.add(threading.current_thread().name)
        failure, self.fail_next = self.fail_next, None
        if failure is not None:
            raise failure
        self.batches.append(list(entries))
        return [(None, ValueError(f"refused {n}")) if n < 0 else (n * 10, None) for n in entries]

    @property
    def written(self) -> list[int]:
        return [n for batch in self.batches for n in batch]


@pytest.fixture
def store() -> Any:
    store = Store()
    yield store
    store.writer.close()


def test_a_sync_caller_commits_in_its_own_thread(store: Store) -> None:
    assert store.writer.submit(1).result() == 10
    assert store.threads == {threading.current_thread().name}
    assert all(thread.name != "test-writer" for thread in threading.enumerate())


def test_a_task_is_served_by_the_thread(store: Store) -> None:
    async def main() -> None:
        pending = store.writer.submit(1)
        await pending
        assert pending.is_done
        assert pending.result() == 10

    asyncio.run(main())
    assert store.threads == {"test-writer"}


def test_entries_are_written_in_the_order_in_which_they_were_handed_over(store: Store) -> None:
    pendings = [store.writer.submit(n) for n in range(1200)]
    pendings[-1].wait()
    assert store.written == list(range(1200))
    assert all(pending.is_done for pending in pendings)
    assert max(len(batch) for batch in store.batches) <= 512


def test_waiting_for_an_early_entry_does_not_leave_the_late_ones(store: Store) -> None:
    pendings = [store.writer.submit(n) for n in range(1200)]
    pendings[0].wait()
    pendings[-1].wait()
    assert store.written == list(range(1200))


def test_what_waits_while_a_commit_is_under_way_goes_into_one_batch(store: Store) -> None:
    async def main() -> None:
        store.gate.clear()
        first = asyncio.ensure_future(_awaited(store, 0))
        await asyncio.sleep(0.05)
        rest = [asyncio.ensure_future(_awaited(store, n)) for n in range(1, 100)]
        await asyncio.sleep(0.05)
        store.gate.set()
        await asyncio.gather(first, *rest)

    asyncio.run(main())
    assert [len(batch) for batch in store.batches] == [1, 99]


async def _awaited(store: Store, n: int) -> None:
    await store.writer.submit(n)


def test_what_tasks_hand_over_in_one_turn_of_their_loop_is_one_commit(store: Store) -> None:
    async def main() -> None:
        await asyncio.gather(*(_awaited(store, n) for n in range(50)))
        await asyncio.gather(*(_awaited(store, n) for n in range(50)))

    asyncio.run(main())
    assert [len(batch) for batch in store.batches] == [50, 50]


def test_many_threads_and_tasks_at_once(store: Store) -> None:
    results: list[object] = []

    def sync(offset: int) -> None:
        results.extend(store.writer.submit(offset + n).result() for n in range(200))

    async def mixed() -> None:
        async def chain(offset: int) -> None:
            for n in range(50):
                pending = store.writer.submit(offset + n)
                if n % 3:
                    await pending
                results.append(pending.result())

        await asyncio.gather(*(chain(10_000 + 100 * k) for k in range(20)))

    threads = [threading.Thread(target=sync, args=(1000 * k,)) for k in range(4)]
    threads.append(threading.Thread(target=lambda: asyncio.run(mixed())))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4 * 200 + 20 * 50
    assert sorted(store.written) == sorted({*store.written})
    assert len(store.written) == len(results)


def test_a_refused_entry_concerns_nobody_else(store: Store) -> None:
    good, bad, also_good = (store.writer.submit(n) for n in (1, -1, 2))
    assert also_good.result() == 20
    assert good.result() == 10
    with pytest.raises(ValueError, match="refused -1"):
        bad.wait()


def test_a_failed_batch_reaches_all_of_its_waiters_and_the_next_one_works(store: Store) -> None:
    store.fail_next = LedgerError("the disk is full")
    pendings = [store.writer.submit(n) for n in range(3)]
    errors: list[BaseException] = []
    for pending in pendings:
        with pytest.raises(LedgerError, match="disk is full") as caught:
            pending.wait()
        errors.append(caught.value)
    # Each waiter may add notes to an error of its own.
    assert len({id(error) for error in errors}) == 3
    assert store.writer.submit(5).result() == 50


def test_a_failed_batch_reaches_tasks_too(store: Store) -> None:
    async def main() -> list[object]:
        store.fail_next = LedgerError("the disk is full")
        pendings = [store.writer.submit(n) for n in range(3)]
        return await asyncio.gather(*(_outcome(pending) for pending in pendings))

    async def _outcome(pending: Any) -> object:
        try:
            await pending
        except LedgerError as error:
            return str(error)
        return "written"

    assert asyncio.run(main()) == ["the disk is full"] * 3


def test_an_interrupted_commit_leaves_nobody_waiting(store: Store) -> None:
    class Interrupt(BaseException):
        pass

    other = store.writer.submit(1)

    def interrupted(entries: Sequence[int]) -> Sequence[Settled]:
        raise Interrupt

    store.writer._commit = interrupted
    with pytest.raises(Interrupt):
        store.writer.submit(2).wait()
    store.writer._commit = store.commit
    with pytest.raises(LedgerError, match="interrupted"):
        other.wait()
    assert store.writer.submit(3).result() == 30


def test_closing_writes_what_is_queued_and_refuses_the_rest(store: Store) -> None:
    pending = [store.writer.submit(n) for n in range(1000)]
    store.writer.close()
    assert store.written == list(range(1000))
    assert all(one.is_done for one in pending)
    with pytest.raises(LedgerError, match="closed"):
        store.writer.submit(1)


def test_a_cancelled_task_does_not_take_its_entry_along(store: Store) -> None:
    async def main() -> None:
        store.gate.clear()
        task = asyncio.ensure_future(_awaited(store, 7))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        store.gate.set()
        await store.writer.submit(8)

    asyncio.run(main())
    assert store.written == [7, 8]


def test_a_loop_that_is_gone_does_not_stop_the_writer(store: Store) -> None:
    loop = asyncio.new_event_loop()
    store.gate.clear()
    task = loop.create_task(_awaited(store, 1))
    loop.run_until_complete(asyncio.sleep(0.05))
    task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    store.gate.set()
    assert store.writer.submit(2).result() == 20


def test_ticks_come_about_as_often_as_they_are_wanted(store: Store) -> None:
    ticks: list[float] = []

    def tick() -> float:
        ticks.append(time.monotonic())
        return 0.1

    store.writer.on_tick(tick)

    async def main() -> None:
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            await store.writer.submit(1)

    asyncio.run(main())
    assert len(store.batches) > 20
    assert 2 <= len(ticks) <= 8


def test_a_tick_that_fails_does_not_end_the_thread(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    def tick() -> float:
        raise RuntimeError("a broken tick")

    store.writer.on_tick(tick)
    asyncio.run(_awaited(store, 1))
    asyncio.run(_awaited(store, 2))
    assert store.written == [1, 2]
    assert "a broken tick" in caplog.text


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_begins_anew(store: Store) -> None:
    asyncio.run(_awaited(store, 1))
    queued = store.writer.submit(2)
    child = os.fork()
    if child == 0:
        status, before = 1, list(store.written)
        try:
            assert store.writer.submit(3).result() == 30
            asyncio.run(_awaited(store, 4))
            # The parent's thread may have written what was queued before the fork; the child never does.
            status = 0 if store.written == [*before, 3, 4] else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    queued.wait()
    assert store.written == [1, 2]
