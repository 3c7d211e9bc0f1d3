"""Steps that name a breaker: what they call is left alone while it is down, and a fallback answers."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from durable import opened_app
from surefoot import App, Done, current_run, flow, last_run, step
from surefoot.errors import BreakerOpen, InDoubt, RunCancelled, StepFailed, StepTimeout, UsageError
from surefoot.ledger import Outcome
from surefoot.limits.breakers import Breakers, Rules

PATIENT = {"retries": 2, "backoff": lambda _: 0.0}


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Database:
    """What a step calls: it counts the calls that reach it, and fails while it is down."""

    def __init__(self) -> None:
        self.is_down = True
        self.calls = 0

    def ask(self, query: str) -> str:
        self.calls += 1
        if self.is_down:
            raise ConnectionRefusedError(f"no database answers {query}")
        return f"found {query}"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture(autouse=True)
def app(tmp_path: Path, clock: Clock) -> Iterator[App]:
    with opened_app(tmp_path) as app:
        rules = Rules(minimum=3, cooldown=10.0, slow_seconds=5.0)
        vars(app)["breakers"] = Breakers({"db": rules}, clock=clock, chance=lambda: 1.0)
        yield app


def steps_of(app: App) -> list[Outcome]:
    return [link.outcome for link in app.ledger.history(last_run().id) if link.outcome.kind == "step"]


def shown(app: App) -> list[tuple[int, str, bool]]:
    return [(outcome.attempt, outcome.status, outcome.is_degraded) for outcome in steps_of(app)]


def state(app: App) -> str:
    (reading,) = app.breakers.readings()
    return reading.state


def test_an_open_breaker_ends_the_attempts_and_the_fallback_answers(
    app: App, clock: Clock, database: Database
) -> None:
    @step(breaker="db", fallback=lambda query: f"no idea about {query}", **PATIENT)  # type: ignore[call-overload]
    def search(query: str) -> str:
        return database.ask(query)

    @flow
    def answer(query: str) -> str:
        return search(query)

    assert answer("fees") == "no idea about fees"
    # Three calls that failed have opened it: the next run asks nothing more.
    assert (database.calls, state(app)) == (3, "open")
    assert shown(app) == [
        (1, "failed", False),
        (2, "failed", False),
        (3, "failed", False),
        (4, "completed", True),
    ]
    assert answer("hours") == "no idea about hours"
    assert database.calls == 3
    assert shown(app) == [(1, "failed", False), (2, "completed", True)]
    assert last_run().totals.is_degraded
    database.is_down = False
    clock.now += 10.0
    assert answer("fees") == "found fees"
    assert (database.calls, state(app)) == (4, "closed")
    assert shown(app) == [(1, "completed", False)]
    assert not last_run().totals.is_degraded


def test_without_a_fallback_the_step_fails_with_what_opened_it_and_a_resumed_run_tries_again(
    app: App, clock: Clock, database: Database
) -> None:
    @step(breaker="db", **PATIENT)  # type: ignore[call-overload]
    def search(query: str) -> str:
        return database.ask(query)

    @flow
    def answer(query: str) -> str:
        return search(query)

    with pytest.raises(ConnectionRefusedError):
        answer("fees")
    with pytest.raises(BreakerOpen, match=r"'db' is open since .*: 3 of 3 calls failed in 30 s") as refused:
        answer("fees")
    assert (database.calls, refused.value.breaker, refused.value.retry_after) == (3, "db", 10.0)
    # However many retries there are: none is made.
    assert shown(app) == [(1, "failed", False)]
    run_id = last_run().id
    database.is_down = False
    clock.now += 10.0
    assert app.resume(run_id, flow=answer) == "found fees"


def test_a_refusal_that_the_flow_survived_replays_as_it_was_and_asks_no_breaker(
    app: App, clock: Clock, database: Database
) -> None:
    is_broken = True

    @step(breaker="db")
    def search(query: str) -> str:
        return database.ask(query)

    @step
    def reply(text: str) -> str:
        if is_broken:
            raise RuntimeError("killed here")
        return text

    @flow
    def answer() -> str:
        try:
            return search("fees")
        except BreakerOpen as refusal:
            return reply(f"{refusal.breaker} {refusal.retry_after} {refusal}")

    for _ in range(3):
        with pytest.raises(ConnectionRefusedError):
            answer()
    with pytest.raises(RuntimeError):
        answer()
    is_broken, database.is_down = False, False
    clock.now += 10.0
    replayed = app.resume(last_run().id, flow=answer)
    assert isinstance(replayed, str)
    assert replayed.startswith("db 10.0 breaker 'db' is open since")
    # Its cooldown is over, and nobody tried it.
    assert (database.calls, state(app)) == (3, "open")


def test_a_fallback_answers_an_open_breaker_whatever_is_retried(app: App, database: Database) -> None:
    @step(breaker="db", fallback="none", retry_on=[KeyError])
    def search(query: str) -> str:
        return database.ask(query)

    @flow
    def answer() -> str:
        return search("fees")

    for _ in range(3):
        with pytest.raises(ConnectionRefusedError):
            answer()
    assert answer() == "none"
    assert last_run().totals.is_degraded


def test_async_steps_and_one_probe_for_many(app: App, clock: Clock, database: Database) -> None:
    database.is_down = False
    gate = asyncio.Event()

    @step(breaker="db", fallback="none")
    async def search(query: int) -> str:
        found = database.ask(str(query))
        await gate.wait()
        return found

    @flow
    async def answers() -> list[str]:
        async def opening() -> None:
            for _ in range(1000):
                await asyncio.sleep(0)
            gate.set()

        found = await asyncio.gather(*(search(number) for number in range(100)), opening())
        return [text for text in found if text is not None]

    for _ in range(3):
        app.breakers.enter("db").failed()
    clock.now += 10.0
    found = asyncio.run(answers())
    assert (database.calls, state(app)) == (1, "closed")
    assert sorted(found) == ["found 0", *["none"] * 99]


def test_a_step_that_is_cancelled_tells_nothing_and_its_permit_is_free(app: App, clock: Clock) -> None:
    has_begun = asyncio.Event()

    @step(breaker="db")
    async def hanging() -> None:
        has_begun.set()
        await asyncio.sleep(60)

    @flow
    async def waiting() -> None:
        await hanging()

    async def cancelled() -> None:
        task = asyncio.create_task(waiting())
        await has_begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    for _ in range(3):
        app.breakers.enter("db").failed()
    clock.now += 10.0
    asyncio.run(cancelled())
    assert state(app) == "half-open"
    app.breakers.enter("db").succeeded()


def test_what_comes_of_a_cancelled_run_is_no_failure_of_what_was_called(app: App) -> None:
    @step
    def inner() -> None: ...

    @step(breaker="db")
    def wrapping() -> None:
        run = current_run()
        assert run is not None
        app.cancel(run.id)
        try:
            # It is noticed at some step.
            while True:
                inner()
        except RunCancelled as error:
            raise ConnectionError("the client closed its connection") from error

    @flow
    def cancelling() -> None:
        wrapping()

    for _ in range(3):
        with pytest.raises(RunCancelled):
            cancelling()
    assert state(app) == "closed"
    assert app.breakers.readings()[0].counts == (0, 0, 0)


def test_mistakes_in_code_tell_nothing_and_a_failed_child_call_is_a_failure(app: App) -> None:
    @step(breaker="db")
    def mistaken() -> object:
        return object()

    @step(breaker="inner")
    def inner() -> None:
        raise OSError("down")

    @step(breaker="db", fallback="degraded")
    def outer() -> str:
        inner()
        return "well"

    @flow
    def once(work: str) -> str:
        return outer() if work == "outer" else str(mistaken())

    for _ in range(5):
        with pytest.raises(UsageError):
            once("mistaken")
    assert app.breakers.readings()[0].counts.failed == 0
    # The first refusal of the inner breaker, as that of a model, is caught by the fallback of the step around.
    assert [once("outer") for _ in range(12)] == ["degraded"] * 12
    assert {reading.breaker: reading.state for reading in app.breakers.readings()}["db"] == "open"


@pytest.mark.parametrize("is_async", [False, True])
def test_a_timeout_is_a_failure(app: App, is_async: bool) -> None:
    is_over = threading.Event()

    @step(breaker="db", timeout=0.05)
    def hangs() -> None:
        is_over.wait(30)

    @step(breaker="db", timeout=0.05)
    async def hangs_async() -> None:
        await asyncio.sleep(30)

    @flow
    def sync_flow() -> None:
        hangs()

    @flow
    async def async_flow() -> None:
        await hangs_async()

    for _ in range(3):
        with pytest.raises(StepTimeout):
            asyncio.run(async_flow()) if is_async else sync_flow()
    is_over.set()
    assert state(app) == "open"
    with pytest.raises(BreakerOpen):
        asyncio.run(async_flow()) if is_async else sync_flow()


def test_slow_steps_open_it_too(app: App, clock: Clock) -> None:
    @step(breaker="db")
    def slow() -> int:
        clock.now += 6.0
        return 1

    @flow
    def slowly() -> int:
        return slow() + slow() + slow()

    assert slowly() == 3
    assert app.breakers.readings()[0].why == "3 of 3 calls took 5 s or longer in 30 s"


# Effects and transactions


def test_an_effect_that_was_refused_has_not_begun(app: App, clock: Clock, database: Database) -> None:
    checks: list[str] = []

    def check(key: str) -> bool | Done:
        checks.append(key)
        return False

    @step(effect=True, check=check, breaker="db")
    def charge(amount: int) -> str:
        return database.ask(str(amount))

    @flow
    def buy() -> str:
        return charge(5)

    for _ in range(3):
        with pytest.raises(ConnectionRefusedError):
            buy()
    with pytest.raises(BreakerOpen):
        buy()
    # No start is on record, so there is nothing to be in doubt about.
    assert [outcome.status for outcome in steps_of(app)] == ["failed"]
    assert not steps_of(app)[0].is_intent
    database.is_down = False
    clock.now += 10.0
    assert app.resume(last_run().id, flow=buy) == "found 5"
    assert (database.calls, checks) == (4, [])


def test_an_effect_that_ran_out_of_time_is_in_doubt_and_a_failure(app: App) -> None:
    is_over = threading.Event()

    @step(effect=True, breaker="db", timeout=0.05)
    def charge() -> None:
        is_over.wait(30)

    @flow
    def buy() -> None:
        charge()

    for _ in range(3):
        with pytest.raises(InDoubt):
            buy()
    is_over.set()
    assert state(app) == "open"


def test_a_transaction_counts_as_one_call_and_a_lost_database_opens_it(
    app: App, clock: Clock, tmp_path: Path
) -> None:
    path = tmp_path / "orders.db"
    with sqlite3.connect(path) as setup:
        setup.execute("CREATE TABLE orders (name TEXT)")
    setup.close()
    is_down = True

    def connect() -> sqlite3.Connection:
        if is_down:
            raise sqlite3.OperationalError("unable to open database file")
        return sqlite3.connect(path, isolation_level=None)

    @step(transaction=connect, breaker="db", fallback="kept for later")
    def order(connection: sqlite3.Connection, name: str) -> str:
        connection.execute("INSERT INTO orders VALUES (?)", (name,))
        return f"ordered {name}"

    @flow
    def ordering(name: str) -> str:
        return order(name)

    assert [ordering("tea") for _ in range(4)] == ["kept for later"] * 4
    assert state(app) == "open"
    assert shown(app) == [(1, "failed", False), (2, "completed", True)]
    is_down = False
    clock.now += 10.0
    assert ordering("tea") == "ordered tea"
    assert (state(app), shown(app)) == ("closed", [(1, "completed", False)])


# Generators


def test_a_generator_step_is_asked_before_its_first_item_and_its_fallback_gives_items(
    app: App, clock: Clock, database: Database
) -> None:
    @step(breaker="db", fallback=["from", "memory"])
    def stream() -> Iterator[str]:
        yield database.ask("first")
        yield "second"

    @flow
    def reading() -> list[str]:
        return list(stream())

    assert [reading() for _ in range(4)] == [["from", "memory"]] * 4
    assert (database.calls, state(app)) == (3, "open")
    assert last_run().totals.is_degraded
    assert shown(app) == [(1, "failed", False), (2, "completed", True)]
    database.is_down = False
    clock.now += 10.0
    assert reading() == ["found first", "second"]
    assert state(app) == "closed"


def test_a_generator_without_a_fallback_raises_at_its_first_item(app: App, database: Database) -> None:
    @step(breaker="db")
    async def stream() -> AsyncIterator[str]:
        yield database.ask("first")

    @flow
    async def reading() -> list[str]:
        return [item async for item in stream()]

    for _ in range(3):
        with pytest.raises(ConnectionRefusedError):
            asyncio.run(reading())
    with pytest.raises(BreakerOpen):
        asyncio.run(reading())
    assert database.calls == 3


def test_how_long_a_reader_takes_is_no_matter_of_the_generator(app: App, clock: Clock) -> None:
    @step(breaker="db")
    def stream() -> Iterator[int]:
        yield from range(3)

    @flow
    def slowly() -> int:
        total = 0
        for item in stream():
            clock.now += 60.0
            total += item
        return total

    @flow
    def barely() -> int:
        return next(iter(stream()))

    assert [slowly() for _ in range(4)] == [3] * 4
    assert state(app) == "closed"
    clock.now += 60.0
    # What is left early has answered; what fails in the middle has failed.
    assert [barely() for _ in range(4)] == [0] * 4
    assert app.breakers.readings()[0].counts == (4, 0, 0)


def test_a_generator_that_breaks_off_has_failed(app: App) -> None:
    @step(breaker="db")
    def stream() -> Iterator[int]:
        yield 1
        raise ConnectionResetError

    @flow
    def reading() -> list[int]:
        return list(stream())

    for _ in range(3):
        with pytest.raises(ConnectionResetError):
            reading()
    assert state(app) == "open"


# What makes no sense


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"breaker": "db", "plain": True}, "is plain"),
        ({"breaker": " "}, "without a name"),
        ({"breaker": "models"}, "endpoints of models"),
        ({"breaker": "models/api.openai.com"}, "endpoints of models"),
        ({"breaker": "db", "transaction": "ledger"}, "the ledger's own database"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused_where_it_is_declared(options: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=f"step 'odd' .*{says}"):

        @step(**options)  # type: ignore[call-overload, untyped-decorator]
        def odd(connection: object) -> None: ...


def test_outside_of_a_run_a_step_is_a_plain_function(app: App, database: Database) -> None:
    @step(breaker="db")
    def search(query: str) -> str:
        return database.ask(query)

    for _ in range(5):
        with pytest.raises(ConnectionRefusedError):
            search("fees")
    assert app.breakers.readings() == []


def test_an_app_of_its_own_has_breakers_of_its_own(app: App, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "surefoot.toml").write_text("[breakers.db]\nminimum = 1\ncooldown = 60.0\n")

    @step(breaker="db")
    def search() -> None:
        raise OSError("down")

    @flow
    def searching() -> None:
        search()

    with opened_app(tmp_path / "other") as other:
        with pytest.raises(StepFailed):
            other.run(searching)
        with pytest.raises(StepFailed, match="is open"):
            other.run(searching)
    assert app.breakers.readings() == []
