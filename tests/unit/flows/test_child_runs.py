"""Child runs: a flow that is given to the app inside of a run has a record of its own, and is one step of that run."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from durable import history, names
from stopped import begun, ends, is_sound
from surefoot import App, current_run, flow, step
from surefoot.errors import DeadlineExceeded, InDoubt, RunCancelled, StepFailed
from surefoot.ledger import RunRecord
from surefoot.values import RunTags


class Killed(BaseException):
    """What ends a process in the middle, as far as the run can tell."""


DONE: list[str] = []
DYING: list[BaseException] = []
HAS_BEGUN = threading.Event()


@pytest.fixture(autouse=True)
def nothing_done() -> None:
    DONE.clear()
    DYING.clear()
    HAS_BEGUN.clear()


@step
def noted(what: str) -> str:
    DONE.append(what)
    return what


@flow
def child(n: int) -> str:
    noted(f"begin {n}")
    if DYING:
        raise DYING.pop()
    return noted(f"end {n}")


@flow(name="child")
async def child_later(n: int) -> str:
    await asyncio.sleep(0)
    noted(f"begin {n}")
    if DYING:
        raise DYING.pop()
    return noted(f"end {n}")


@flow
def sync_of_sync() -> list[object]:
    return [App.current().run(child, {"n": n}) for n in range(2)]


@flow
def sync_of_async() -> list[object]:
    return [App.current().run(child_later, {"n": n}) for n in range(2)]


@flow
async def async_of_sync() -> list[object]:
    return [await App.current().run_async(child, {"n": n}) for n in range(2)]


@flow
async def async_of_async() -> list[object]:
    return [await App.current().run_async(child_later, {"n": n}) for n in range(2)]


@flow
async def side_by_side() -> list[object]:
    return list(await asyncio.gather(*(App.current().run_async(child_later, {"n": n}) for n in range(2))))


PARENTS = pytest.mark.parametrize(
    "parent",
    [sync_of_sync, sync_of_async, async_of_sync, async_of_async, side_by_side],
    ids=lambda parent: parent.spec.name,
)


def children(app: App, run_id: str = "last") -> list[RunRecord]:
    """The child runs of a run, the first first."""
    return app.ledger.runs(parent_run=app.ledger.run(run_id).id)[::-1]


@PARENTS
def test_a_child_is_a_run_of_its_own_and_one_step_of_its_parent(app: App, parent: Any) -> None:
    assert app.run(parent, tags=RunTags(tenant="acme", tags={"a": "b"})) == ["end 0", "end 1"]
    run = app.ledger.run("last")
    assert run.flow == parent.spec.name, "a child is not the last run"
    assert sorted(names(app)) == ["child", "child"]
    assert {link.outcome.kind for link in history(app)} == {"start", "flow", "end"}
    for one in children(app):
        assert (one.status, one.tenant, one.tags) == ("completed", "acme", {"a": "b"})
        assert len(names(app, one.id)) == 2
        assert is_sound(app, one.id)
    assert (len(children(app)), run.totals.steps) == (2, 2)


@PARENTS
def test_a_parent_that_is_resumed_goes_on_with_the_same_child(app: App, parent: Any) -> None:
    DYING.append(Killed())
    with pytest.raises(Killed):
        app.run(parent)
    before = [one.id for one in children(app)]
    assert app.resume("last", flow=parent) == ["end 0", "end 1"]
    after = [one.id for one in children(app)]
    assert after[: len(before)] == before
    assert len(after) == 2
    assert sorted(DONE) == ["begin 0", "begin 1", "end 0", "end 1"]


@PARENTS
def test_a_child_that_fails_fails_its_parent_and_both_are_tried_again(app: App, parent: Any) -> None:
    DYING.append(ConnectionError("no answer"))
    with pytest.raises(StepFailed, match="ConnectionError: no answer") as caught:
        app.run(parent)
    assert isinstance(caught.value.__cause__, StepFailed)
    assert isinstance(caught.value.__cause__.__cause__, ConnectionError)
    failed = next(one for one in children(app) if one.status == "failed")
    assert caught.value.__cause__.run_id == failed.id
    assert app.ledger.run("last").failed_step == "child"
    assert app.resume("last", flow=parent) == ["end 0", "end 1"]
    assert ends(app, failed.id) == ["failed", "completed"]
    assert len(children(app)) == 2
    assert sorted(DONE) == ["begin 0", "begin 1", "end 0", "end 1"]


def test_a_childs_failure_that_the_parent_survives_stays_one(app: App) -> None:
    dying = [True]

    @flow
    def parent() -> str:
        try:
            app.run(child, {"n": 1})
        except StepFailed as error:
            noted(f"instead of {error.step}")
        if dying:
            dying.clear()
            raise Killed
        return "fine"

    DYING.append(ConnectionError("no answer"))
    with pytest.raises(Killed):
        app.run(parent)
    assert app.resume("last", flow=parent) == "fine"
    assert DONE == ["begin 1", "instead of child"]
    assert [one.status for one in children(app)] == ["failed"]


def test_equal_children_are_two_and_a_child_may_have_children(app: App) -> None:
    @flow
    def middle(n: int) -> list[object]:
        return [app.run(child, {"n": n}) for _ in range(2)]

    @flow
    def top() -> object:
        return app.run(middle, {"n": 1})

    assert app.run(top) == ["end 1", "end 1"]
    [one] = children(app)
    assert [inner.flow for inner in children(app, one.id)] == ["child", "child"]
    assert app.ledger.run("last").flow == "top"


def test_a_child_inside_of_a_step_belongs_to_that_step(app: App) -> None:
    @step
    def outer() -> object:
        return app.run(child, {"n": 1})

    @flow
    def parent() -> object:
        return outer()

    DYING.append(Killed())
    with pytest.raises(Killed):
        app.run(parent)
    assert app.resume("last", flow=parent) == "end 1"
    assert len(children(app)) == 1
    assert DONE == ["begin 1", "end 1"]


def test_a_child_with_a_key_is_the_run_of_that_key(app: App) -> None:
    app.run(child, {"n": 1}, key="one")

    @flow
    def parent() -> object:
        return app.run(child, {"n": 1}, key="one")

    assert app.run(parent) == "end 1"
    assert DONE == ["begin 1", "end 1"]
    assert names(app) == ["child"]


# Deadlines


@flow
async def endless() -> None:
    HAS_BEGUN.set()
    await asyncio.sleep(60)


@flow
def endless_steps() -> None:
    while True:
        HAS_BEGUN.set()
        noted("on")
        time.sleep(0.01)


def test_a_child_has_no_later_deadline_than_its_parent(app: App) -> None:
    @flow(deadline=50)
    def hurried() -> object:
        app.run(child, {"n": 1})
        app.run(child, {"n": 2}, deadline=20)
        return app.run(child, {"n": 3}, deadline=500)

    app.run(hurried)
    run = app.ledger.run("last")
    first, second, third = children(app)
    assert run.deadline_ns is not None
    assert first.deadline_ns == third.deadline_ns == run.deadline_ns
    assert second.deadline_ns is not None
    assert second.deadline_ns < run.deadline_ns


@pytest.mark.parametrize("target", [endless, endless_steps], ids=lambda target: target.spec.name)
def test_the_deadline_of_the_parent_ends_both_and_more_time_is_for_both(app: App, target: Any) -> None:
    @flow(deadline=0.3)
    def parent() -> object:
        return app.run(target)

    with pytest.raises(DeadlineExceeded, match=r"run \w+ has passed its deadline: to go on") as caught:
        app.run(parent)
    run = app.ledger.run("last")
    assert caught.value.run_id == run.id
    [one] = children(app)
    assert (run.status, one.status) == ("failed", "failed")

    @flow(name=target.spec.name)
    def ending() -> str:
        return "fine"

    @flow(name="parent", deadline=0.3)
    def patient() -> object:
        return app.run(ending)

    with pytest.raises(DeadlineExceeded):
        app.resume(run.id, flow=patient)
    assert app.resume(run.id, flow=patient, deadline=60) == "fine"
    assert [one.status for one in children(app, run.id)] == ["completed"]


def test_the_deadline_of_a_child_alone_is_a_failure_that_its_parent_may_survive(app: App) -> None:
    @flow
    async def parent() -> str:
        try:
            await app.run_async(endless, deadline=0.1)
        except StepFailed as error:
            return str(error)
        return "on"

    said = app.run(parent)
    [one] = children(app)
    assert said == (
        f"child run of endless: run {one.id} has passed its deadline: to go on with it, add --deadline SECONDS to "
        f"`surefoot resume {one.id}`"
    )
    assert (one.status, app.ledger.run("last").status) == ("failed", "completed")


# Cancelling


@flow
def sync_of_endless_steps() -> object:
    return App.current().run(endless_steps)


@flow
def sync_of_endless() -> object:
    return App.current().run(endless)


@flow
async def async_of_endless_steps() -> object:
    return await App.current().run_async(endless_steps)


@flow
async def async_of_endless() -> object:
    return await App.current().run_async(endless)


ENDLESS = pytest.mark.parametrize(
    "parent",
    [sync_of_endless_steps, sync_of_endless, async_of_endless_steps, async_of_endless],
    ids=lambda parent: parent.spec.name,
)


def settled(app: App, run_id: str) -> RunRecord:
    """A run as it is once nobody holds it, which for a thread may be a moment behind its parent."""
    end_at = time.monotonic() + 30
    while (run := app.ledger.run(run_id)).status == "running" and time.monotonic() < end_at:
        time.sleep(0.01)
    return run


@ENDLESS
def test_a_child_is_cancelled_with_its_parent(app: App, parent: Any) -> None:
    future = begun(app, lambda: app.run(parent), HAS_BEGUN)
    run = app.cancel("last", reason="no longer wanted", wait=30)
    with pytest.raises(RunCancelled, match="no longer wanted") as caught:
        future.result(30)
    assert (run.status, caught.value.run_id) == ("cancelled", run.id)
    [one] = children(app)
    one = settled(app, one.id)
    assert one.status == "cancelled"
    assert one.error is not None
    assert f"was cancelled: with run {run.id}, which began it (no longer wanted)" in one.error
    assert ends(app) == ends(app, one.id) == ["cancelled"]


@ENDLESS
def test_a_child_that_is_cancelled_alone_fails_its_parent(app: App, parent: Any) -> None:
    future = begun(app, lambda: app.run(parent), HAS_BEGUN)
    [one] = children(app)
    assert app.cancel(one.id, reason="this one", wait=30).status == "cancelled"
    with pytest.raises(StepFailed, match=rf"child run of \w+: run {one.id} was cancelled: this one"):
        future.result(30)
    assert app.ledger.run("last").status == "failed"
    with pytest.raises(StepFailed, match="it cannot go on"):
        app.resume("last", flow=parent)


def undo(result: str) -> None:
    DONE.append(f"undo {result}")


@step(compensate=undo)
def book(place: str) -> str:
    return place


def test_the_children_of_a_run_that_nobody_holds_are_cancelled_with_it(app: App) -> None:
    @flow
    def booking(place: str) -> None:
        book(place)
        if DYING:
            raise DYING.pop()

    @flow(name="child")
    def failing(n: int) -> str:
        raise ValueError("no")

    @flow
    def parent() -> None:
        app.run(booking, {"place": "a"})
        try:
            app.run(failing, {"n": 1})
        except StepFailed:
            DYING.append(Killed())
        app.run(booking, {"place": "b"})

    with pytest.raises(Killed):
        app.run(parent)
    assert [one.status for one in children(app)] == ["completed", "failed", "running"]
    run = app.cancel("last", reason="given up")
    assert run.status == "cancelled"
    assert [one.status for one in children(app)] == ["completed", "failed", "cancelled"]
    assert children(app)[1].error == "ValueError: no", "why it failed stays known"
    assert DONE == ["undo b"], "what a completed child did is its own"


@step(effect=True)
def refund(receipt: str) -> None:
    raise Killed


@step(compensate=refund)
def pay() -> str:
    return "receipt"


def test_a_child_whose_undoing_is_in_doubt_does_not_keep_its_parent_from_ending(app: App) -> None:
    @flow
    def paying() -> None:
        pay()
        raise ValueError("no")

    @flow
    def parent() -> None:
        app.run(paying)

    with pytest.raises(Killed):
        app.run(parent)
    assert app.cancel("last").status == "cancelled"
    [one] = children(app)
    assert one.status == "in_doubt"
    with pytest.raises(InDoubt):
        app.resume(one.id, flow=paying)


def test_what_runs_in_a_child_knows_the_child(app: App) -> None:
    @flow
    def inner() -> str:
        run = current_run()
        assert run is not None
        return run.id

    @flow
    def outer() -> tuple[object, str]:
        run = current_run()
        assert run is not None
        return app.run(inner), run.id

    found: Any = app.run(outer)
    assert found[1] == app.ledger.run("last").id
    assert found[0] == children(app)[0].id
