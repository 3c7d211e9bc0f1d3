"""Cancelling a run: it ends wherever it is, once, for good, and what it did is undone."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from durable import history, names
from stopped import begun, ends, is_sound
from surefoot import App, flow, scope, step
from surefoot.errors import Compensated, InDoubt, RunCancelled, RunEnded, StepFailed, UnknownRun
from surefoot.flows.running import Here


class Killed(BaseException):
    """What ends a process in the middle, as far as the run can tell."""


def cancelled(app: App, future: Future[object]) -> None:
    """Cancel the run of a thread, and see that it ends by that."""
    assert app.cancel("last", reason="no longer wanted", wait=30).status == "cancelled"
    with pytest.raises(RunCancelled, match="no longer wanted"):
        future.result(30)
    assert ends(app) == ["cancelled"]
    assert is_sound(app)


def test_a_sync_flow_ends_at_its_next_step(app: App) -> None:
    has_begun = threading.Event()

    @step
    def part(n: int) -> int:
        has_begun.set()
        time.sleep(0.01)
        return n

    @flow
    def working() -> None:
        for n in range(10_000):
            part(n)

    cancelled(app, begun(app, lambda: app.run(working), has_begun))
    assert len(names(app)) < 1000
    assert app.ledger.run("last").error == (
        f"RunCancelled: run {app.ledger.run('last').id} was cancelled: no longer wanted"
    )


def test_an_async_flow_ends_in_the_middle_of_what_it_awaits(app: App) -> None:
    has_begun, cleaned = threading.Event(), threading.Event()

    @step
    async def endless() -> None:
        try:
            has_begun.set()
            await asyncio.sleep(60)
        finally:
            cleaned.set()

    @flow
    async def working() -> None:
        await endless()

    cancelled(app, begun(app, lambda: app.run(working), has_begun))
    assert cleaned.is_set()
    assert names(app) == ["cancel"], "what was cut off is no outcome"


def test_an_async_flow_ends_though_it_awaits_no_step(app: App) -> None:
    has_begun = threading.Event()

    @flow
    async def waiting() -> None:
        has_begun.set()
        await asyncio.sleep(60)

    cancelled(app, begun(app, lambda: app.run(waiting), has_begun))


def test_the_task_that_awaits_the_run_goes_on(app: App) -> None:
    @step
    async def endless() -> None:
        await asyncio.sleep(60)

    @flow
    async def working() -> None:
        await endless()

    async def main() -> int:
        async def cancel() -> None:
            while not app.ledger.runs():  # noqa: ASYNC110  (the ledger has no event to wait for)
                await asyncio.sleep(0.01)
            await app.cancel_async("last", wait=30)

        asking = asyncio.create_task(cancel())
        with pytest.raises(RunCancelled):
            await app.run_async(working)
        await asking
        task = asyncio.current_task()
        assert task is not None
        return task.cancelling()

    assert asyncio.run(main()) == 0


def test_a_task_that_somebody_else_cancelled_too_stays_cancelled(app: App) -> None:
    @flow
    async def working() -> None:
        here = scope.current()
        task = asyncio.current_task()
        assert isinstance(here, Here)
        assert task is not None
        here.run.cancel("")
        task.cancel()
        await asyncio.sleep(60)

    async def main() -> None:
        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(app.run_async(working))

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["gather", "group"])
def test_parallel_chains_end_with_their_flow(app: App, kind: str) -> None:
    has_begun, cleaned = threading.Event(), list[str]()

    @step
    async def endless(name: str) -> None:
        try:
            if name == "c":
                has_begun.set()
            await asyncio.sleep(60)
        finally:
            cleaned.append(name)

    @flow
    async def working() -> None:
        if kind == "gather":
            await asyncio.gather(*(endless(name) for name in "abc"))
        else:
            async with asyncio.TaskGroup() as group:
                for name in "abc":
                    group.create_task(endless(name))

    cancelled(app, begun(app, lambda: app.run(working), has_begun))
    assert sorted(cleaned) == ["a", "b", "c"]


def test_steps_in_threads_are_begun_no_more(app: App) -> None:
    has_begun = threading.Event()
    done: list[int] = []

    @step
    def part(n: int) -> int:
        has_begun.set()
        time.sleep(0.01)
        done.append(n)
        return n

    @flow
    def working() -> list[int]:
        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(part, range(2000)))

    cancelled(app, begun(app, lambda: app.run(working), has_begun))
    assert len(done) < 1000
    assert names(app).count("part") == len(done), "what was done is recorded"


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_pause_before_the_next_attempt_is_cut_short(app: App, is_async: bool) -> None:
    has_begun = threading.Event()
    tries: list[int] = []

    def attempt() -> None:
        tries.append(1)
        has_begun.set()
        raise ConnectionError("no answer")

    async def attempt_later() -> None:
        attempt()

    retried: Any = step(retries=5, backoff=lambda _: 60.0, name="attempt")
    now, later = retried(attempt), retried(attempt_later)

    @flow
    def working() -> None:
        now()

    @flow
    async def working_later() -> None:
        await later()

    target: Any = working_later if is_async else working
    future = begun(app, lambda: app.run(target), has_begun)
    end_at = time.monotonic() + 30
    while "attempt" not in names(app) and time.monotonic() < end_at:
        time.sleep(0.01)
    cancelled(app, future)
    assert len(tries) == 1


def test_a_flow_that_catches_everything_does_not_go_on(app: App) -> None:
    has_begun, is_stopped = threading.Event(), threading.Event()
    done: list[int] = []
    caught: list[str] = []

    @step
    def part(n: int) -> int:
        done.append(n)
        has_begun.set()
        is_stopped.wait(30)
        return n

    @flow
    def careless() -> str:
        for n in range(5):
            try:
                part(n)
            except BaseException as error:  # noqa: BLE001  (this is what is tried)
                caught.append(type(error).__name__)
        return "fine"

    future = begun(app, lambda: app.run(careless), has_begun)
    app.cancel("last", reason="no longer wanted")
    end_at = time.monotonic() + 30
    while "cancel" not in names(app) and time.monotonic() < end_at:
        time.sleep(0.01)
    is_stopped.set()
    cancelled(app, future)
    assert done == [0]
    assert caught == ["RunCancelled"] * 4


def test_an_async_flow_that_catches_everything_does_not_go_on(app: App) -> None:
    has_begun = threading.Event()
    done: list[int] = []

    @step
    async def part(n: int) -> None:
        done.append(n)
        has_begun.set()
        await asyncio.sleep(60)

    @flow
    async def careless() -> str:
        for n in range(3):
            try:
                await part(n)
            except BaseException:  # noqa: BLE001  (this is what is tried)
                continue
        return "fine"

    cancelled(app, begun(app, lambda: app.run(careless), has_begun))
    assert done == [0]


@step
def first() -> int:
    return 1


def interrupted(app: App, target: Any) -> str:
    """A run that nobody holds."""
    with pytest.raises(Killed):
        app.run(target)
    return app.ledger.run("last").id


@flow
def dying() -> None:
    first()
    raise Killed


def test_a_run_that_nobody_holds_is_ended_at_once(app: App) -> None:
    run_id = interrupted(app, dying)
    run = app.cancel(run_id, reason="given up")
    assert (run.status, ends(app)) == ("cancelled", ["cancelled"])
    assert is_sound(app)


def test_a_cancelled_run_cannot_be_resumed_and_says_so(app: App) -> None:
    run_id = interrupted(app, dying)
    app.cancel(run_id, reason="given up")
    for _ in range(2):
        with pytest.raises(
            RunCancelled, match=f"run {run_id} was cancelled: given up; it cannot go on: start a new run"
        ):
            app.resume(run_id, flow=dying)
    assert ends(app) == ["cancelled"]


def test_cancelling_twice_is_cancelling_once(app: App) -> None:
    run_id = interrupted(app, dying)
    app.cancel(run_id, reason="first")
    before = history(app)
    run = app.cancel(run_id, reason="second")
    assert (run.status, history(app)) == ("cancelled", before)
    assert run.error is not None
    assert run.error.endswith(": first")
    assert app.ledger.messages([run_id]) == []


def test_two_requests_that_wait_end_the_run_once(app: App) -> None:
    has_begun = threading.Event()

    @flow
    async def waiting() -> None:
        has_begun.set()
        await asyncio.sleep(60)

    future = begun(app, lambda: app.run(waiting), has_begun)
    with ThreadPoolExecutor(3) as pool:
        runs = list(pool.map(lambda _: app.cancel("last", wait=30), range(3)))
    assert [run.status for run in runs] == ["cancelled"] * 3
    with pytest.raises(RunCancelled):
        future.result(30)
    assert ends(app) == ["cancelled"]


def test_what_is_over_cannot_be_cancelled(app: App) -> None:
    @flow
    def quick() -> int:
        return first()

    app.run(quick)
    with pytest.raises(RunEnded, match="has completed, there is nothing left to cancel"):
        app.cancel("last", wait=30)
    assert app.ledger.run("last").status == "completed"
    with pytest.raises(UnknownRun):
        app.cancel("01ABC")


def test_a_failed_run_can_be_cancelled_so_that_nobody_goes_on_with_it(app: App) -> None:
    @flow
    def failing() -> None:
        first()
        raise ValueError("no")

    with pytest.raises(StepFailed):
        app.run(failing)
    assert app.cancel("last").status == "cancelled"
    with pytest.raises(RunCancelled):
        app.resume("last", flow=failing)
    assert ends(app) == ["failed", "cancelled"]


def test_cancelling_races_the_end_and_one_of_them_wins(app: App) -> None:
    """Whoever is told that the run completed, or was cancelled, is told what stands in the record."""

    @step
    def part(n: int) -> int:
        time.sleep(0.01)
        return n

    @flow
    def working(n: int) -> int:
        return sum(part(i) for i in range(n))

    def one(n: int) -> tuple[str, str]:
        """How the run ended for its caller, and for whoever cancelled it."""
        key = f"run {n}"
        future = pool.submit(lambda: app.run(working, {"n": n}, key=key))
        while not (found := app.ledger.runs(run_key=key)):
            time.sleep(0.001)
        asked: str
        try:
            asked = app.cancel(found[0].id, wait=30).status
        except RunEnded:
            asked = "completed"
        try:
            future.result(30)
        except RunCancelled:
            return "cancelled", asked
        return "completed", asked

    count = 24
    with ThreadPoolExecutor(2 * count) as pool, ThreadPoolExecutor(count) as askers:
        told = list(askers.map(one, range(count)))
    for n, (for_caller, for_asker) in enumerate(told):
        run = app.ledger.runs(run_key=f"run {n}")[0]
        assert (for_caller, for_asker, ends(app, run.id)) == (run.status, run.status, [run.status])
        assert is_sound(app, run.id)


# Undoing

log: list[str] = []
dying_at: list[int] = []
broken: list[str] = []


@pytest.fixture(autouse=True)
def nothing_done() -> None:
    for record in (log, dying_at, broken):
        record.clear()


def do(what: str) -> None:
    if len(log) in dying_at:
        dying_at.clear()
        raise Killed
    log.append(what)


def cancel_room(result: str) -> None:
    if result in broken:
        raise ConnectionError("the hotel does not answer")
    do(f"cancel {result}")


@step(compensate=cancel_room)
def book(place: str) -> str:
    do(f"book {place}")
    return place


HAS_BOOKED = threading.Event()


@flow
def trip(dies: bool = True) -> None:
    for place in "abc":
        book(place)
    if dies:
        raise Killed
    HAS_BOOKED.set()
    while True:
        first()
        time.sleep(0.01)


@flow
def failing_trip() -> None:
    for place in "abc":
        book(place)
    raise ValueError("sold out")


BOOKED = ["book a", "book b", "book c"]
UNDONE = ["cancel c", "cancel b", "cancel a"]


def test_a_run_in_flight_is_undone_where_it_is(app: App) -> None:
    HAS_BOOKED.clear()
    future = begun(app, lambda: app.run(trip, {"dies": False}), HAS_BOOKED)
    run = app.cancel("last", reason="rain", wait=30)
    with pytest.raises(RunCancelled, match=r"was cancelled: rain; undone: book, book, book; it is over"):
        future.result(30)
    assert (run.status, log) == ("cancelled", BOOKED + UNDONE)
    with pytest.raises(RunCancelled, match="cannot go on"):
        app.resume(run.id, flow=trip)
    assert is_sound(app)


def resume(app: App) -> None:
    with pytest.raises(RunCancelled):
        app.resume("last", flow=trip)


def cancel_again(app: App) -> None:
    app.cancel("last")


ENDERS = pytest.mark.parametrize("end", [resume, cancel_again])


@ENDERS
@pytest.mark.parametrize("dies_at", [3, 4, 5])
def test_a_crash_while_a_cancelled_run_is_undone_goes_on_undoing(
    app: App, dies_at: int, end: Callable[[App], None]
) -> None:
    interrupted(app, trip)
    dying_at.append(dies_at)
    with pytest.raises(Killed):
        app.cancel("last")
    end(app)
    assert (app.ledger.run("last").status, log) == ("cancelled", BOOKED + UNDONE)
    assert is_sound(app)


@pytest.mark.parametrize("dies_at", [3, 4, 5])
def test_what_a_failed_run_has_undone_is_not_undone_again_when_it_is_cancelled(
    app: App, dies_at: int
) -> None:
    dying_at.append(dies_at)
    with pytest.raises(Killed):
        app.run(failing_trip)
    assert app.cancel("last").status == "cancelled"
    assert log == BOOKED + UNDONE


def test_a_failed_run_that_was_undone_is_over_already(app: App) -> None:
    with pytest.raises(StepFailed):
        app.run(failing_trip)
    with pytest.raises(Compensated, match="it is over"):
        app.cancel("last")
    assert app.ledger.run("last").status == "failed"
    assert log == BOOKED + UNDONE


@ENDERS
def test_a_request_that_was_taken_by_a_dead_process_is_kept(app: App, end: Callable[[App], None]) -> None:
    """It had made the request its own, and died before it ended the run."""
    HAS_BOOKED.clear()

    @flow(name="trip")
    def stuck() -> None:
        for place in "abc":
            book(place)
        app.cancel("last")
        end_at = time.monotonic() + 30
        while "cancel" not in names(app) and time.monotonic() < end_at:
            time.sleep(0.01)
        raise Killed

    with pytest.raises(Killed):
        app.run(stuck)
    assert app.ledger.run("last").status == "running"
    end(app)
    assert (app.ledger.run("last").status, log) == ("cancelled", BOOKED + UNDONE)


def test_a_compensation_that_fails_is_said_and_tried_again_once_per_request(app: App) -> None:
    interrupted(app, trip)
    broken.append("b")
    for _ in range(2):
        with pytest.raises(RunCancelled, match=r"not undone: book .ConnectionError.* tries that again"):
            app.cancel("last", wait=0.5)
        assert app.ledger.run("last").status == "failed"
    assert log == [*BOOKED, "cancel c", "cancel a"]
    with pytest.raises(RunCancelled, match="not undone"):
        app.resume("last", flow=trip)
    broken.clear()
    assert app.cancel("last").status == "cancelled"
    assert log == [*BOOKED, "cancel c", "cancel a", "cancel b"]
    assert [link.outcome.status for link in history(app) if link.outcome.name == "undo book"] == [
        *("completed", "failed", "completed"),
        *("failed", "failed", "completed"),
    ]


DYING: list[bool] = []


@step(effect=True)
def refund(receipt: str) -> None:
    if DYING:
        DYING.clear()
        raise Killed
    log.append(f"refund {receipt}")


@step(compensate=refund)
def pay() -> str:
    return "receipt"


@flow
def paying() -> None:
    pay()
    raise Killed


def test_a_compensation_in_doubt_waits_for_somebody_who_knows(app: App) -> None:
    interrupted(app, paying)
    DYING[:] = [True]
    with pytest.raises(Killed):
        app.cancel("last")
    for _ in range(2):
        with pytest.raises(InDoubt, match="'undo pay'") as caught:
            app.cancel("last")
        assert app.ledger.run("last").status == "in_doubt"
    assert log == []
    with pytest.raises(RunCancelled, match="undone: pay; it is over"):
        app.resume("last", flow=paying, decisions={caught.value.steps[0]: "retry"})
    assert (app.ledger.run("last").status, log) == ("cancelled", ["refund receipt"])
