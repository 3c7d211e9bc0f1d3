"""Breakers as calls meet them: from any thread and task, with words that come once, late or never."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
from collections.abc import Callable

import pytest

from surefoot.errors import (
    BreakerOpen,
    BudgetExceeded,
    LedgerError,
    ModelUnavailable,
    RunCancelled,
    StepTimeout,
    Throttled,
    TransactionInDoubt,
    UsageError,
)
from surefoot.limits.breakers import Breakers, Change, Rules, Trial, is_failure
from surefoot.limits.breakers.registry import MOST


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def made(clock: Clock, **rules: float) -> Breakers:
    given = {"minimum": 4, "cooldown": 8.0, **rules}
    return Breakers(
        {"db": Rules(**given), "models": Rules(minimum=2)},  # type: ignore[arg-type]
        clock=clock,
        wall=lambda: 1_764_225_667.0,
        chance=lambda: 1.0,
    )


def opened(breakers: Breakers, name: str = "db", count: int = 4) -> None:
    for _ in range(count):
        breakers.enter(name).failed()


def let_through(breakers: Breakers, name: str = "db") -> Trial | None:
    try:
        return breakers.enter(name)
    except BreakerOpen:
        return None


def test_a_refusal_says_what_opened_it_since_when_when_it_is_tried_and_which_setting(clock: Clock) -> None:
    breakers = made(clock)
    breakers.enter("db").succeeded()
    opened(breakers, count=3)
    clock.now += 4.6
    with pytest.raises(BreakerOpen) as refused:
        breakers.enter("db")
    assert str(refused.value) == (
        "breaker 'db' is open since 06:41:07 UTC: 3 of 4 calls failed in 30 s. It is tried again in 3.4 s; this call "
        "was not made ([breakers.db] cooldown)"
    )
    assert (refused.value.breaker, refused.value.retry_after) == ("db", pytest.approx(3.4))
    clock.now += 3.4
    breakers.enter("db").failed()
    clock.now += 16.0
    probe = breakers.enter("db")
    with pytest.raises(BreakerOpen) as refused:
        breakers.enter("db")
    assert str(refused.value) == (
        "breaker 'db' is open since 06:41:07 UTC: 3 of 4 calls failed in 30 s, and 1 attempt to try it again failed. "
        "It is being tried now by as many calls as may; this call was not made ([breakers.db] probes = 1)"
    )
    probe.succeeded()
    breakers.enter("db").succeeded()


def test_names_go_by_their_settings_endpoints_by_those_of_models_and_others_by_the_defaults(
    clock: Clock,
) -> None:
    breakers = made(clock)
    for _ in range(2):
        breakers.endpoints.enter("api.example.org").failed()
    with pytest.raises(BreakerOpen, match=r"'models/api\.example\.org' .*\(\[breakers\.models\] cooldown\)"):
        breakers.endpoints.enter("api.example.org")
    # An endpoint and what a step calls by the same name are two things.
    breakers.enter("api.example.org").succeeded()
    opened(breakers, "a b", count=10)
    with pytest.raises(BreakerOpen, match=r'\[breakers\."a b"\]'):
        breakers.enter("a b")
    opened(breakers, "db/read", count=9)
    assert let_through(breakers, "db/read") is not None


def test_of_a_thousand_tasks_as_many_go_through_as_there_are_permits(clock: Clock) -> None:
    breakers = made(clock, probes=3)
    opened(breakers)
    clock.now += 8.0
    admitted: list[Trial] = []

    async def call() -> None:
        await asyncio.sleep(0)
        if (trial := let_through(breakers)) is not None:
            admitted.append(trial)
            await asyncio.sleep(0)

    async def storm() -> None:
        await asyncio.gather(*(call() for _ in range(1000)))

    asyncio.run(storm())
    assert len(admitted) == 3
    for trial in admitted:
        trial.succeeded()
    asyncio.run(storm())
    assert len(admitted) == 1003


def test_of_many_threads_as_many_go_through_as_there_are_permits(clock: Clock) -> None:
    breakers = made(clock, probes=2)
    opened(breakers)
    admitted: list[Trial] = []
    begin = threading.Barrier(16)

    def storm() -> None:
        begin.wait(30)
        tried = (let_through(breakers) for _ in range(200))
        admitted.extend(trial for trial in tried if trial is not None)

    for episode in range(1, 6):
        clock.now += 200.0
        threads = [threading.Thread(target=storm) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(admitted) == 2 * episode
        for trial in admitted[-2:]:
            trial.failed()


def test_counts_of_many_threads_add_up(clock: Clock) -> None:
    breakers = made(clock, error_rate=1.0)

    def calls() -> None:
        for number in range(500):
            trial = breakers.enter("db")
            trial.failed() if number % 5 == 0 else trial.succeeded()

    breakers.enter("db").succeeded()
    threads = [threading.Thread(target=calls) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (reading,) = breakers.readings()
    assert reading.counts == (4001, 800, 0)


@pytest.mark.parametrize("first", ["succeeded", "failed", "dropped"])
def test_the_first_word_counts(clock: Clock, first: str) -> None:
    breakers = made(clock, error_rate=0.9)
    trial = breakers.enter("db")
    for word in (first, "failed", "succeeded", "dropped", "failed"):
        getattr(trial, word)()
    (reading,) = breakers.readings()
    assert reading.counts == {"succeeded": (1, 0, 0), "failed": (1, 1, 0), "dropped": (0, 0, 0)}[first]
    clock.now += 60.0
    opened(breakers)
    clock.now += 8.0
    probe = breakers.enter("db")
    getattr(probe, first)()
    for word in ("succeeded", "failed", "dropped"):
        getattr(probe, word)()
    state = {"succeeded": "closed", "failed": "open", "dropped": "half-open"}[first]
    assert breakers.readings()[0].state == state


def test_a_probe_that_is_collected_without_a_word_gives_its_permit_back(clock: Clock) -> None:
    breakers = made(clock)
    opened(breakers)
    clock.now += 8.0

    class Cycle:
        def __init__(self) -> None:
            self.probe = breakers.enter("db")
            self.itself = self

    cycle: Cycle | None = Cycle()
    assert let_through(breakers) is None
    cycle = None
    gc.collect()
    assert cycle is None
    with breakers.enter("db"):
        pass
    assert breakers.readings()[0].state == "closed"


def test_a_cancelled_task_tells_nothing_and_its_permit_is_free(clock: Clock) -> None:
    breakers = made(clock)
    opened(breakers)
    clock.now += 8.0

    async def hanging() -> None:
        with breakers.enter("db"):
            await asyncio.Event().wait()

    async def cancelled() -> None:
        task = asyncio.create_task(hanging())
        await asyncio.sleep(0)
        assert let_through(breakers) is None
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        breakers.enter("db").succeeded()

    asyncio.run(cancelled())
    assert breakers.readings()[0].state == "closed"


def test_the_time_of_a_stream_is_that_to_its_first_part(clock: Clock) -> None:
    breakers = made(clock, slow_seconds=2.0, error_rate=1.0)
    for _ in range(8):
        trial = breakers.enter("db")
        clock.now += 0.5
        trial.answered()
        clock.now += 60.0
        trial.answered()
        trial.succeeded()
    assert breakers.readings()[0].counts == (1, 0, 0)
    clock.now += 60.0
    for _ in range(4):
        trial = breakers.enter("db")
        clock.now += 2.5
        trial.succeeded()
    assert breakers.readings()[0].why == "4 of 4 calls took 2 s or longer in 30 s"


ON_BEHALF: list[tuple[BaseException, bool]] = [
    (ConnectionRefusedError(), True),
    (ValueError("the answer makes no sense"), True),
    (TimeoutError(), True),
    (StepTimeout(), True),
    (ModelUnavailable(), True),
    (BreakerOpen(), True),
    (TransactionInDoubt(), True),
    (UsageError(), False),
    (RunCancelled(""), False),
    (BudgetExceeded(), False),
    (Throttled(), False),
    (LedgerError(), False),
    (KeyboardInterrupt(), False),
    (asyncio.CancelledError(), False),
]


@pytest.mark.parametrize(("error", "is_one"), ON_BEHALF, ids=lambda value: type(value).__name__)
def test_which_exceptions_are_failures_of_what_was_called(
    clock: Clock, error: BaseException, is_one: bool
) -> None:
    assert is_failure(error) is is_one
    breakers = made(clock)

    def call() -> None:
        with breakers.enter("db"):
            raise error

    for _ in range(4):
        with pytest.raises(type(error)):
            call()
    assert breakers.readings()[0].state == ("open" if is_one else "closed")


def test_each_change_is_logged_and_shown_and_a_listener_that_fails_does_no_harm(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    breakers = made(clock)
    seen: list[Change] = []

    def broken(_: Change) -> None:
        raise RuntimeError("the pager is down")

    breakers.listen(broken)
    breakers.listen(seen.append)
    with caplog.at_level(logging.INFO, logger="surefoot.limits"):
        opened(breakers)
        clock.now += 8.0
        breakers.enter("db").failed()
        clock.now += 16.0
        breakers.enter("db").succeeded()
    assert [(change.state, change.failures, change.retry_after) for change in seen] == [
        ("open", 0, 8.0),
        ("open", 1, 16.0),
        ("closed", 1, 0.0),
    ]
    said = [
        (record.levelname, record.getMessage()) for record in caplog.records if record.levelname != "ERROR"
    ]
    why, tried = "breaker 'db' is open: 4 of 4 calls failed in 30 s", "1 attempt to try it again failed"
    assert said == [
        ("WARNING", f"{why}; it is tried again in 8.0 s ([breakers.db])"),
        ("WARNING", f"{why}, and {tried}; it is tried again in 16.0 s ([breakers.db])"),
        ("INFO", "breaker 'db' is closed again; it was open since 06:41:07 UTC"),
    ]
    assert sum(record.levelname == "ERROR" for record in caplog.records) == 3


def test_ever_new_names_do_not_fill_the_memory_and_what_is_open_is_not_forgotten(clock: Clock) -> None:
    breakers = made(clock)
    opened(breakers)
    for number in range(2 * MOST):
        breakers.endpoints.enter(f"host-{number}").succeeded()
    assert len(breakers.readings()) == MOST
    assert let_through(breakers) is None


@pytest.mark.parametrize("end", ["succeeded", "failed"])
def test_words_from_the_garbage_collector_in_the_midst_of_another_word(
    clock: Clock, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes wherever memory is asked for: here, while the lock of the breaker is held."""
    breakers = made(clock, probes=2)
    opened(breakers)
    clock.now += 8.0
    first, second = breakers.enter("db"), breakers.enter("db")
    circuit = breakers._breakers["db"].circuit
    before: Callable[..., object] = circuit.ended

    def collected(*args: object) -> object:
        second.__del__()  # type: ignore[attr-defined]
        return before(*args)

    with monkeypatch.context() as patch:
        patch.setattr(circuit, "ended", collected)
        getattr(first, end)()
    if end == "succeeded":
        breakers.enter("db").succeeded()
        assert breakers.readings()[0].state == "closed"
    else:
        assert breakers.readings()[0].state == "open"
