"""Failures: tried again, survived, or the end of the run; and what a resume makes of each."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref
from typing import Any

import pytest

from durable import history, names
from surefoot import App, flow, step
from surefoot.errors import RecordedError, StepFailed
from surefoot.ledger import Outcome


class Crash(BaseException):
    """The process ends here."""


class OutOfStock(Exception):
    def __init__(self, item: str, *, left: int) -> None:
        super().__init__(f"no {item}, {left} left")
        self.item = item
        self.left = left


def steps(app: App) -> list[Outcome]:
    return [link.outcome for link in history(app) if link.outcome.kind == "step"]


def last_id(app: App) -> str:
    return app.ledger.run("last").id


def test_every_attempt_is_recorded(app: App) -> None:
    calls: list[int] = []

    @step(retries=2, backoff=lambda failures: 0.0)
    def flaky() -> int:
        calls.append(1)
        if len(calls) < 3:
            raise OSError(f"no {len(calls)}")
        return len(calls)

    @flow
    def trying() -> int:
        return flaky()

    assert trying() == 3
    assert [(o.attempt, o.status) for o in steps(app)] == [(1, "failed"), (2, "failed"), (3, "completed")]
    assert steps(app)[0].retry_at_ns is not None
    assert len({o.key for o in steps(app)}) == 1


def test_attempts_count_over_crashes(app: App) -> None:
    calls: list[int] = []

    @step(retries=2, backoff=lambda failures: 0.0)
    async def flaky() -> int:
        calls.append(1)
        if len(calls) == 2:
            raise Crash
        raise OSError(len(calls))

    @flow
    async def trying() -> int:
        return await flaky()

    with pytest.raises(Crash):
        asyncio.run(trying())
    with pytest.raises(StepFailed):
        app.resume(last_id(app), flow=trying)
    assert [(o.attempt, o.status) for o in steps(app)] == [(1, "failed"), (2, "failed"), (3, "failed")]
    assert len(calls) == 4


def test_a_resumed_retry_waits_for_its_time(app: App) -> None:
    calls: list[float] = []

    @step(retries=1, backoff=lambda failures: 0.4)
    def flaky() -> str:
        calls.append(time.time())
        if len(calls) == 1:
            raise OSError
        return "ok"

    class Stop(BaseException):
        pass

    @flow
    async def trying() -> str:
        return await asyncio.to_thread(flaky)

    async def interrupted() -> None:
        task = asyncio.create_task(app.run_async(trying))
        while not calls:  # noqa: ASYNC110  (the step runs in a thread)
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(interrupted())
    due = steps(app)[0].retry_at_ns
    assert due is not None
    assert app.resume(last_id(app), flow=trying) == "ok"
    assert calls[-1] >= due / 1e9


def test_only_chosen_errors_are_tried_again(app: App) -> None:
    calls: list[int] = []

    @step(retries=3, backoff=lambda failures: 0.0, retry_on=[OSError])
    def picky() -> int:
        calls.append(1)
        raise ValueError("not this one")

    @flow
    def trying() -> int:
        return picky()

    with pytest.raises(ValueError, match="not this one"):
        trying()
    assert calls == [1]


def test_a_failure_that_the_flow_survived_replays_as_the_same_exception(app: App) -> None:
    calls: list[str] = []
    caught: list[OutOfStock] = []

    @step
    def order(item: str) -> str:
        calls.append(item)
        raise OutOfStock(item, left=2)

    @step
    def apologise() -> str:
        calls.append("sorry")
        if calls.count("sorry") == 1:
            raise Crash
        return "sorry"

    @flow
    def shopping() -> str:
        try:
            return order("tea")
        except OutOfStock as error:
            caught.append(error)
            return apologise()

    with pytest.raises(Crash):
        shopping()
    assert app.resume(last_id(app), flow=shopping) == "sorry"
    assert calls == ["tea", "sorry", "sorry"]
    assert type(caught[1]) is OutOfStock
    assert (caught[1].item, caught[1].left, str(caught[1])) == ("tea", 2, "no tea, 2 left")


def test_only_the_failure_that_ended_the_run_is_tried_again(app: App) -> None:
    calls: list[str] = []

    @step
    def survived() -> None:
        calls.append("survived")
        raise KeyError("x")

    @step
    def fatal() -> str:
        calls.append("fatal")
        if calls.count("fatal") == 1:
            raise OSError("down")
        return "up"

    @flow
    def trying() -> str:
        try:
            survived()
        except KeyError:
            # Raised while another is handled, which is no reason to do that other one again.
            return fatal()
        return "never"

    with pytest.raises(OSError, match="down") as caught:
        trying()
    assert any("surefoot resume" in note and "'fatal'" in note for note in caught.value.__notes__)
    assert app.ledger.run("last").failed_step == "fatal"
    assert app.resume(last_id(app), flow=trying) == "up"
    assert calls == ["survived", "fatal", "fatal"]


@pytest.mark.parametrize("is_explicit", [True, False])
def test_a_failure_that_was_wrapped_is_the_one_that_ended_the_run(app: App, is_explicit: bool) -> None:
    calls: list[int] = []

    @step
    def fetch() -> int:
        calls.append(1)
        if len(calls) == 1:
            raise OSError("down")
        return 1

    @flow
    def wrapping() -> int:
        try:
            return fetch()
        except OSError as error:
            if is_explicit:
                raise RuntimeError("cannot go on") from error
            raise RuntimeError("cannot go on")  # noqa: B904  (the other way to wrap)

    with pytest.raises(RuntimeError):
        wrapping()
    assert app.ledger.run("last").failed_step == "fetch"
    assert app.resume(last_id(app), flow=wrapping) == 1


def test_failures_of_a_group_are_all_tried_again(app: App) -> None:
    calls: list[str] = []

    @step
    async def fetch(name: str) -> str:
        calls.append(name)
        if calls.count(name) == 1 and name != "c":
            raise OSError(name)
        return name

    @flow
    async def fetching() -> list[str]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(fetch(name)) for name in "abc"]
        return [task.result() for task in tasks]

    with pytest.raises(ExceptionGroup):
        asyncio.run(fetching())
    assert app.resume(last_id(app), flow=fetching) == ["a", "b", "c"]
    assert sorted(calls) == ["a", "a", "b", "b", "c"]


def test_a_step_that_was_tried_again_and_done_is_not_done_once_more(app: App) -> None:
    """Failed in the first process, done in the second, which was killed before its end: the third takes the result."""
    calls: list[str] = []

    @step
    def charge() -> str:
        calls.append("charge")
        if calls.count("charge") == 1:
            raise OSError("down")
        return "paid"

    @step
    def ship() -> str:
        calls.append("ship")
        if calls.count("ship") == 1:
            raise Crash
        return "shipped"

    @flow
    def selling() -> list[str]:
        return [charge(), ship()]

    with pytest.raises(OSError, match="down"):
        selling()
    with pytest.raises(Crash):
        app.resume(last_id(app), flow=selling)
    assert app.resume(last_id(app), flow=selling) == ["paid", "shipped"]
    assert calls == ["charge", "charge", "ship", "ship"]


def test_an_attempt_that_ended_takes_nothing_from_the_one_before(app: App) -> None:
    calls: list[str] = []

    @step
    def ask(question: str) -> int:
        calls.append(question)
        return len(calls)

    @step(retries=1, backoff=lambda failures: 0.0)
    def ask_and_parse() -> int:
        answer = ask("?")
        if answer < 2:
            raise ValueError("rubbish")
        if len(calls) == 2:
            calls.append("crash")
            raise Crash
        return answer

    @flow
    def asking() -> int:
        return ask_and_parse()

    with pytest.raises(Crash):
        asking()
    # The second attempt was under way: it goes on with what it had.
    assert app.resume(last_id(app), flow=asking) == 2
    assert calls == ["?", "?", "crash"]


def test_an_error_class_that_is_gone_replays_by_its_name(app: App) -> None:
    gone = type("Gone", (Exception,), {"__module__": "somewhere.else"})

    @step
    def fails() -> None:
        raise gone("x")

    caught: list[BaseException] = []

    @flow
    def trying() -> str:
        try:
            fails()
        except Exception as error:  # noqa: BLE001  (the class is what is looked at)
            caught.append(error)
        if len(caught) == 1:
            raise Crash
        return "survived"

    with pytest.raises(Crash):
        trying()
    assert app.resume(last_id(app), flow=trying) == "survived"
    assert isinstance(caught[1], RecordedError)
    assert caught[1].type_name == "somewhere.else:Gone"


def test_an_error_that_holds_what_is_no_data_can_end_a_run_and_be_resumed(app: App) -> None:
    class Odd(Exception):
        def __init__(self, thing: object) -> None:
            super().__init__(thing)
            self.thing = thing

    calls: list[int] = []

    @step
    def fails() -> str:
        calls.append(1)
        if len(calls) == 1:
            raise Odd(object())
        return "ok"

    @flow
    def trying() -> str:
        return fails()

    with pytest.raises(Odd):
        trying()
    assert app.resume(last_id(app), flow=trying) == "ok"


def test_a_flow_that_fails_outside_of_steps_is_recorded_and_goes_on(app: App) -> None:
    calls: list[int] = []

    @step
    def once() -> int:
        calls.append(1)
        return 1

    @flow
    def buggy() -> int:
        result = once()
        if len(calls) == 1:
            calls.append(2)
            raise ZeroDivisionError("oops\nsecond line")
        return result

    with pytest.raises(ZeroDivisionError) as caught:
        buggy()
    run = app.ledger.run("last")
    assert (run.status, run.failed_step, run.error) == ("failed", None, "ZeroDivisionError: oops")
    assert any(run.id in note for note in caught.value.__notes__)
    assert app.resume(run.id, flow=buggy) == 1
    assert names(app) == ["once"]


def test_what_a_failed_run_held_is_let_go(app: App) -> None:
    """No ring of exception, traceback and frames keeps a failed run's data until some later collection."""

    class Big:
        pass

    alive: list[weakref.ref[Any]] = []

    @flow
    def failing() -> None:
        big = Big()
        alive.append(weakref.ref(big))
        raise ValueError(str(big))

    gc.disable()
    try:
        with pytest.raises(ValueError, match="Big"):
            failing()
        assert alive[0]() is None
    finally:
        gc.enable()


def test_a_step_that_failed_because_of_one_inside_goes_on_inside(app: App) -> None:
    done: list[str] = []
    outages = [OSError("down"), OSError("still down")]

    @step
    def paid(name: str) -> str:
        done.append(name)
        return name

    @step
    def shaky() -> str:
        if outages:
            raise outages.pop()
        return "sent"

    @step
    def inner() -> list[str]:
        return [paid("b"), shaky()]

    @step
    def outer() -> list[str]:
        first = paid("a")
        try:
            return [first, *inner(), paid("c")]
        except OSError as error:
            raise RuntimeError("outer gave up") from error

    @flow
    def work() -> list[str]:
        return outer()

    with pytest.raises(RuntimeError):
        work()
    with pytest.raises(StepFailed):
        app.resume(last_id(app), flow=work)
    assert done == ["a", "b"]
    assert app.resume(last_id(app), flow=work) == ["a", "b", "sent", "c"]
    assert done == ["a", "b", "c"]
    assert app.ledger.first_break(last_id(app)) is None


def test_a_crash_while_a_failed_step_goes_on_inside_changes_nothing(app: App) -> None:
    done: list[str] = []
    outages = [OSError("down")]
    crashes = [Crash()]

    @step
    def paid(name: str) -> str:
        done.append(name)
        return name

    @step
    def shaky() -> str:
        if outages:
            raise outages.pop()
        return "sent"

    @step
    def outer() -> list[str]:
        answers = [paid("a"), shaky(), paid("b")]
        if crashes:
            raise crashes.pop()
        return answers

    @flow
    def work() -> list[str]:
        return outer()

    with pytest.raises(OSError, match="down"):
        work()
    with pytest.raises(Crash):
        app.resume(last_id(app), flow=work)
    assert app.resume(last_id(app), flow=work) == ["a", "sent", "b"]
    assert done == ["a", "b"]


def test_a_step_that_failed_by_itself_does_what_is_inside_anew(app: App) -> None:
    """A retried "call and parse" has to make a new call: the recorded answer would not parse again."""
    answers = ["rubbish", "42"]

    @step
    def call() -> str:
        return answers.pop(0)

    @step
    def parsed() -> int:
        return int(call())

    @flow
    def work() -> int:
        return parsed()

    with pytest.raises(ValueError, match="invalid literal"):
        work()
    assert app.resume(last_id(app), flow=work) == 42
