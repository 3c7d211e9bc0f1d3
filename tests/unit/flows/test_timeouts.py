"""Attempts that take too long: given up, fenced off, and not repeated while they still run."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from durable import history, names
from surefoot import App, Done, current_run, flow, step
from surefoot.errors import InDoubt, StepFailed, StepTimeout, UsageError

HANGS = 0.02


def rows(app: App) -> list[tuple[str, int, str]]:
    return [
        (link.outcome.name, link.outcome.attempt, link.outcome.status)
        for link in history(app)
        if link.outcome.kind == "step"
    ]


class Gate:
    """Where a body hangs until a test lets it go on, and what came of that."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.threads: list[threading.Thread] = []
        self.refused: list[BaseException] = []

    def pass_through(self) -> None:
        self.threads.append(threading.current_thread())
        assert self.opened.wait(10)

    def join(self) -> None:
        self.opened.set()
        for thread in self.threads:
            thread.join(10)


@pytest.fixture
def gate() -> Any:
    gate = Gate()
    yield gate
    gate.join()


def test_what_is_in_time_is_as_without_a_timeout(app: App) -> None:
    @step
    def inner(n: int) -> int:
        return n + 1

    @step(timeout=10)
    def outer(n: int) -> int:
        run = current_run()
        assert run is not None
        return inner(n) + inner(n)

    @step(timeout=10)
    async def outer_async(n: int) -> int:
        await asyncio.sleep(0)
        return inner(n) + inner(n)

    @flow
    async def both() -> list[int]:
        return [outer(1), await outer_async(1)]

    assert app.run(both) == [4, 4]
    assert names(app) == ["inner", "inner", "outer", "inner", "inner", "outer_async"]
    lanes = {link.outcome.lane for link in history(app)}
    assert lanes == {0}, "a thread of its own is no lane of its own"

    with pytest.raises(ZeroDivisionError):
        step(timeout=10)(lambda: 1 // 0)()


def test_a_failure_inside_of_the_thread_is_the_steps_own(app: App) -> None:
    @step(timeout=10)
    def broken() -> None:
        raise TimeoutError("the socket's own")

    @flow
    def work() -> None:
        broken()

    with pytest.raises(TimeoutError, match="the socket's own"):
        work()


def test_sync_code_that_overruns_has_failed_and_its_late_work_is_refused(app: App, gate: Gate) -> None:
    @step
    def late() -> None:
        raise AssertionError("it began after its step was given up")

    @step(timeout=HANGS, retries=3, backoff=lambda _: 0.0)
    def slow() -> str:
        gate.pass_through()
        try:
            late()
        except StepTimeout as error:
            gate.refused.append(error)
        return "too late"

    @step
    def after() -> str:
        gate.join()
        return "after"

    @flow
    def work() -> str:
        try:
            slow()
        except StepTimeout as error:
            assert f"step 'slow' took longer than its timeout of {HANGS}" in str(error)  # noqa: PT017
        return after()

    assert app.run(work) == "after"
    assert rows(app) == [("slow", 1, "failed"), ("after", 1, "completed")]
    assert len(gate.threads) == 1, "it is not repeated while it still runs"
    assert "'late' is not recorded any more" in str(gate.refused[0])
    assert app.resume("last", flow=work) == "after"


def test_a_step_under_way_in_a_given_up_attempt_is_refused_its_outcome(app: App, gate: Gate) -> None:
    @step
    def inner() -> str:
        gate.pass_through()
        return "done"

    @step(timeout=HANGS, fallback="instead")
    def slow() -> str:
        try:
            return inner()
        except StepTimeout as error:
            gate.refused.append(error)
            raise

    @flow
    def work() -> str:
        result = slow()
        gate.join()
        return result

    assert app.run(work) == "instead"
    assert rows(app) == [("slow", 1, "failed"), ("slow", 2, "completed")]
    assert "the outcome of step 'inner' is not recorded any more" in str(gate.refused[0])


def test_it_is_tried_again_once_it_is_at_rest(app: App) -> None:
    tries: list[int] = []

    @step(timeout=0.2, retries=1, backoff=lambda _: 0.0)
    def slow() -> str:
        tries.append(1)
        if len(tries) == 1:
            time.sleep(0.25)
        return "second"

    @flow
    def work() -> str:
        return slow()

    assert app.run(work) == "second"
    assert rows(app) == [("slow", 1, "failed"), ("slow", 2, "completed")]


def ignoring() -> Callable[[], Any]:
    async def body() -> str:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            return "did not mind"
        return "never"

    return body


def raising() -> Callable[[], Any]:
    async def body() -> str:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            raise ValueError("in the clean-up") from None
        return "never"

    return body


def hanging() -> Callable[[], Any]:
    async def body() -> str:
        await asyncio.sleep(30)
        return "never"

    return body


@pytest.mark.parametrize("make", [hanging, ignoring, raising])
def test_async_code_is_cancelled_and_tried_again(app: App, make: Callable[[], Callable[[], Any]]) -> None:
    tries: list[int] = []
    body = make()

    @step(timeout=HANGS, retries=1, backoff=lambda _: 0.0)
    async def slow() -> str:
        tries.append(1)
        return await body() if len(tries) == 1 else "second"  # type: ignore[no-any-return]

    @flow
    async def work() -> str:
        return await slow()

    assert app.run(work) == "second"
    assert rows(app) == [("slow", 1, "failed"), ("slow", 2, "completed")]
    assert app.resume("last", flow=work) == "second"


def test_a_timeout_that_ended_the_run_is_tried_again_at_resume(app: App) -> None:
    tries: list[int] = []

    @step(timeout=HANGS)
    async def slow() -> str:
        tries.append(1)
        if len(tries) == 1:
            await asyncio.sleep(30)
        return "second"

    @flow
    async def work() -> str:
        return await slow()

    with pytest.raises(StepFailed) as caught:
        app.run(work)
    assert isinstance(caught.value.__cause__, StepTimeout)
    assert app.resume("last", flow=work) == "second"


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_an_effect_that_overran_is_in_doubt(app: App, gate: Gate, is_async: bool) -> None:
    if is_async:

        @step(effect=True, timeout=HANGS, retries=3, fallback="no")
        async def mail() -> str:
            await asyncio.sleep(30)
            return "sent"

        @flow
        async def work() -> str:
            return await mail()

    else:

        @step(effect=True, timeout=HANGS, retries=3, fallback="no")
        def mail() -> str:  # type: ignore[misc]
            gate.pass_through()
            return "sent"

        @flow
        def work() -> str:  # type: ignore[misc]
            return mail()  # type: ignore[return-value]

    with pytest.raises(InDoubt, match="'mail'"):
        app.run(work)
    gate.join()
    assert rows(app) == [("mail", 1, "running")]
    assert app.ledger.run("last").status == "in_doubt"
    assert app.resume("last", flow=work, decisions={"mail": Done("seen")}) == "seen"


@pytest.mark.parametrize(
    ("said", "output"), [(Done("sent at last"), "sent at last"), (True, None), (False, "second")]
)
def test_a_check_settles_an_effect_that_overran(app: App, said: Any, output: object) -> None:
    tries: list[int] = []

    @step(effect=True, timeout=HANGS, retries=1, backoff=lambda _: 0.0, check=lambda _key: said)
    async def mail() -> str:
        tries.append(1)
        if len(tries) == 1:
            await asyncio.sleep(30)
        return "second"

    @flow
    async def work() -> object:
        return await mail()

    assert app.run(work) == output
    assert len(tries) == (2 if said is False else 1)


def test_a_check_is_not_asked_while_the_effect_still_runs(app: App, gate: Gate) -> None:
    asked: list[str] = []

    def check(key: str) -> bool:
        asked.append(key)
        return False

    @step(effect=True, timeout=HANGS, check=check)
    def mail() -> str:
        gate.pass_through()
        return "sent"

    @flow
    def work() -> str:
        return mail()

    with pytest.raises(InDoubt):
        app.run(work)
    assert asked == []
    gate.join()
    with pytest.raises(UsageError, match="none of them"):
        app.resume("last", flow=work, decisions={"post": "retry"})


def test_an_interruption_in_the_thread_is_no_outcome(app: App) -> None:
    class Interrupted(BaseException):
        pass

    dying = [True]

    @step(timeout=10)
    def slow() -> str:
        if dying[0]:
            raise Interrupted
        return "done"

    @flow
    def work() -> str:
        return slow()

    with pytest.raises(Interrupted):
        app.run(work)
    assert rows(app) == []
    dying[0] = False
    assert app.resume("last", flow=work) == "done"
