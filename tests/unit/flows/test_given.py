"""The time, chance and sleep: recorded once, and the same for every process that goes on with the run."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from durable import history, names
from surefoot import App, flow, now, random, sleep, step, uuid4
from surefoot.errors import DeadlineExceeded, OutsideRun, UsageError


class Crash(BaseException):
    """The process ends here."""


def test_a_resumed_run_gets_the_same(app: App) -> None:
    seen: list[object] = []
    crashes = [True]

    @step
    def use(what: list[object]) -> list[object]:
        return what

    @flow
    def asking() -> list[object]:
        got = use([now(), uuid4(), random(), now(), random()])
        seen.append(got)
        if crashes:
            crashes.clear()
            raise Crash
        return got

    with pytest.raises(Crash):
        asking()
    assert app.resume("last", flow=asking) == seen[0] == seen[1]
    first, key, chance, second, other = seen[0]
    assert isinstance(first, datetime)
    assert first.tzinfo is UTC
    assert second >= first
    assert isinstance(key, UUID)
    assert 0 <= chance < 1
    assert chance != other
    assert names(app) == ["now", "uuid4", "random", "now", "random", "use"]


def test_outside_of_a_run_they_are_plain(app: App) -> None:
    assert abs(now() - datetime.now(UTC)) < timedelta(minutes=1)
    assert uuid4() != uuid4()
    began = time.monotonic()
    sleep(0.01)
    asyncio.run(_awaited(0.01))
    assert time.monotonic() - began >= 0.02
    assert app.ledger.runs() == []


async def _awaited(seconds: float) -> None:
    await sleep(seconds)


def test_values_need_no_commit_of_their_own(app: App) -> None:
    """What is recorded behind them is written behind them, so nobody waits for them."""

    @flow
    def asking() -> int:
        return len([random() for _ in range(200)])

    assert asking() == 200
    assert len(names(app)) == 200
    assert app.ledger.first_break(app.ledger.run("last").id) is None


def test_in_a_thread_without_the_run_they_say_so(app: App) -> None:
    raised: list[BaseException] = []

    def ask() -> None:
        try:
            now()
        except OutsideRun as error:
            raised.append(error)

    @flow
    def asking() -> None:
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()

    asking()
    assert "carry" in str(raised[0])


@pytest.mark.parametrize("is_async", [False, True])
def test_a_run_that_was_killed_in_its_sleep_sleeps_for_what_is_left(app: App, is_async: bool) -> None:
    @flow
    def sleeping() -> str:
        sleep(60)
        return "awake"

    @flow
    async def sleeping_async() -> str:
        await sleep(60)
        return "awake"

    target = sleeping_async if is_async else sleeping
    asked = []
    for later in (0, 20):
        with pytest.MonkeyPatch.context() as patch:
            pauses = _dying_of(patch, later=later)
            with pytest.raises(Crash):
                app.run(target) if later == 0 else app.resume("last", flow=target)
        asked += pauses
    first, second = asked
    assert 55 < first <= 60
    assert 0 < second <= 40
    with pytest.MonkeyPatch.context() as patch:
        pauses = _dying_of(patch, later=61)
        assert app.resume("last", flow=target) == "awake"
    assert pauses in ([], [0.0])
    assert names(app) == ["now", "sleep"]
    # Replayed, it takes no time.
    with pytest.MonkeyPatch.context() as patch:
        pauses = _dying_of(patch, later=61)
        assert app.resume("last", flow=target) == "awake"
    assert pauses == []


def _dying_of(patch: pytest.MonkeyPatch, *, later: float) -> list[float]:
    """The clock so many seconds later, and a process that dies as it falls asleep; for how long it was going to."""
    from surefoot.flows.stopping import Brake

    pauses: list[float] = []
    real, real_sleep = time.time, asyncio.sleep

    def pause(brake: Brake, seconds: float) -> None:
        pauses.append(seconds)
        if seconds > 0:
            raise Crash

    async def pause_async(seconds: float) -> None:
        pause(Brake("none"), seconds)
        await real_sleep(0)

    patch.setattr(time, "time", lambda: real() + later)
    patch.setattr(Brake, "pause", pause)
    patch.setattr(asyncio, "sleep", pause_async)
    return pauses


def test_sleeps_side_by_side_take_as_long_as_the_longest(app: App) -> None:
    @flow
    async def sleeping() -> None:
        await asyncio.gather(*(sleep(0.5) for _ in range(20)))

    began = time.monotonic()
    asyncio.run(sleeping())
    assert time.monotonic() - began < 9
    assert names(app).count("sleep") == 20


def test_a_sync_flow_inside_of_a_running_loop_blocks(app: App) -> None:
    @flow
    def sleeping() -> float:
        began = time.monotonic()
        sleep(0.05)
        return time.monotonic() - began

    async def notebook() -> float:
        return sleeping()

    assert asyncio.run(notebook()) >= 0.05


@pytest.mark.parametrize("is_async", [False, True])
def test_a_deadline_ends_a_sleep(app: App, is_async: bool) -> None:
    @flow(deadline=0.2)
    def sleeping() -> None:
        sleep(60)

    @flow(deadline=0.2)
    async def sleeping_async() -> None:
        await sleep(60)

    began = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        app.run(sleeping_async if is_async else sleeping)
    assert time.monotonic() - began < 10
    assert [link.outcome.name for link in history(app)][-1] in ("sleeping", "sleeping_async")


def test_a_clock_that_was_set_back_makes_no_sleep_longer(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    real = time.time

    @flow
    def sleeping() -> None:
        sleep(0.05)

    monkeypatch.setattr("surefoot.flows.given.time.time", lambda: real() - 3600)
    began = time.monotonic()
    sleeping()
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
def test_what_is_no_time_is_refused(seconds: float) -> None:
    with pytest.raises(UsageError, match="give seconds"):
        sleep(seconds)
