"""Errors that say that this process must not go on end the run, whatever the flow makes of them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from durable import open_app
from ledgers import take_over
from surefoot import App, current_run, flow, scope, step
from surefoot.errors import Diverged, Fenced, StepFailed
from surefoot.scope import Ending, Work


class Killed(BaseException):
    pass


def taken_over_by_another(folder: Path) -> None:
    run = current_run()
    assert run is not None
    other = open_app(folder)
    try:
        take_over(other.ledger, run.id)
    finally:
        other.close()


def test_a_run_that_was_taken_over_does_nothing_more_though_the_flow_goes_on(
    app: App, tmp_path: Path
) -> None:
    done: list[str] = []

    @step
    def work(what: str) -> None:
        done.append(what)
        if what == "first":
            taken_over_by_another(tmp_path)

    @flow
    def careless() -> str:
        for what in ("first", "second", "third"):
            try:
                work(what)
            except Exception:  # noqa: BLE001  (this is what is tried)
                done.append(f"{what} failed")
        return "fine"

    with pytest.raises(Fenced):
        app.run(careless)
    assert done == ["first", "first failed", "second failed", "third failed"]
    assert app.ledger.run("last").status == "running", "it is the other's"


def test_a_refusal_that_only_the_caller_of_a_model_saw_counts(app: App, tmp_path: Path) -> None:
    """An SDK may wrap what the ledger says, and the flow take it for an error of the provider."""
    done: list[str] = []

    @step
    def after() -> None:
        done.append("after")

    @flow
    def careless() -> str:
        here = scope.current()
        assert here is not None
        claim = here.claim(Work("call", "chat", {"model": "m"}))
        taken_over_by_another(tmp_path)
        ticket = claim.finish(Ending("completed", {"answer": 1}))
        with pytest.raises(Fenced):
            ticket.wait()
        after()
        return "fine"

    with pytest.raises(Fenced):
        app.run(careless)
    assert done == []


def test_a_divergence_that_is_caught_ends_the_run_in_it(app: App) -> None:
    amounts, dying, done = [1], [True], []

    @step
    def charge(amount: int) -> int:
        done.append(amount)
        return amount

    @step
    def tell(what: str) -> None:
        done.append(what)

    @flow
    async def pay() -> str:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(asyncio.sleep(0))
                charge(amounts[0])
        except ExceptionGroup:
            tell("instead")
        if dying[0]:
            raise Killed
        return "fine"

    with pytest.raises(Killed):
        app.run(pay)
    amounts[0], dying[0] = 2, False
    with pytest.raises(Diverged):
        app.resume("last", flow=pay)
    assert done == [1]
    amounts[0] = 1
    assert app.resume("last", flow=pay) == "fine"


def test_a_failure_of_an_earlier_attempt_at_the_run_is_tried_again_when_it_is_reached(app: App) -> None:
    """The second attempt at the run ended before it came to the step that had ended the first."""
    tries: list[int] = []
    between = [False]

    @step
    def late() -> str:
        tries.append(1)
        if len(tries) == 1:
            raise ConnectionError("late")
        return "fine"

    @flow
    def work() -> str:
        if between[0]:
            raise ValueError("between")
        return late()

    with pytest.raises(StepFailed, match="late"):
        app.run(work)
    between[0] = True
    with pytest.raises(StepFailed, match="between"):
        app.resume("last", flow=work)
    between[0] = False
    assert app.resume("last", flow=work) == "fine"
    assert len(tries) == 2


def test_what_was_finished_inside_stands_though_another_failure_came_between(app: App) -> None:
    done: list[str] = []
    fails, between = ["b"], [False]

    @step
    def part(name: str) -> str:
        done.append(name)
        if name in fails:
            fails.remove(name)
            raise ConnectionError(name)
        return name

    @step
    def outer() -> list[str]:
        return [part(name) for name in "abc"]

    @flow
    def work() -> list[str]:
        if between[0]:
            raise ValueError("between")
        return outer()

    with pytest.raises(StepFailed, match="ConnectionError: b"):
        app.run(work)
    between[0] = True
    with pytest.raises(StepFailed, match="between"):
        app.resume("last", flow=work)
    between[0] = False
    assert app.resume("last", flow=work) == ["a", "b", "c"]
    assert done == ["a", "b", "b", "c"]
