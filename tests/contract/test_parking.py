"""Runs that a process lets go of: those that only wait, and those that it hands over; on both engines."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from durable import names
from surefoot import App, flow, send, sleep, step, wait_for
from surefoot import flows as running
from surefoot.config import load
from surefoot.errors import RunCancelled, StepFailed, StepTimeout
from surefoot.ledger import RunRecord, due_runs, letters_of

PARKS = 0.05
FAR_NS = 1 << 61


@pytest.fixture(params=["sqlite", "postgres"])
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[App]:
    environ = {"SUREFOOT_LEDGER_SYNCHRONOUS": "normal", "SUREFOOT_RUNS_STRICT": "true"}
    if request.param == "postgres":
        environ["SUREFOOT_LEDGER_URL"] = request.getfixturevalue("postgres_url")
    app = App(load(tmp_path, environ=environ))
    try:
        with app.entered():
            yield app
    finally:
        app.close()


@step
def before() -> str:
    MADE.append("before")
    return "before"


MADE: list[str] = []
gate = threading.Event()


@pytest.fixture(autouse=True)
def _anew() -> None:
    MADE.clear()
    gate.clear()


@flow
def asks() -> str:
    before()
    try:
        return str(wait_for("answer", timeout=3600).result())
    except Exception:  # noqa: BLE001  (what a careless flow does must not swallow that it is let go of)
        return "swallowed"


@flow
async def asks_twice() -> list[str]:
    async with asyncio.TaskGroup() as group:
        one = group.create_task(_answer("one"))
        two = group.create_task(_answer("two"))
    return [one.result(), two.result()]


async def _answer(event: str) -> str:
    return str(await wait_for(event))


@step
def asks_inside() -> str:
    return str(wait_for("answer").result())


@flow
def asks_in_a_step() -> str:
    return asks_inside()


@flow
def sleeps() -> str:
    before()
    sleep(0.5)
    return "woken"


@flow
async def works_and_asks() -> str:
    async def work() -> str:
        return await slowly()

    task = asyncio.create_task(work())
    said = await wait_for("answer")
    return f"{said} {await task}"


@step
async def slowly() -> str:
    await asyncio.to_thread(gate.wait, 60)
    return "worked"


@flow
def works() -> str:
    before()
    while not gate.is_set():
        time.sleep(0.01)
    before()
    return "worked"


def let_run(app: App, target: Any, *, parks: float | None = PARKS, run_id: str = "") -> object:
    """Begin a run as a server does, or go on with it."""
    found, spec = running.find_spec(target)
    options = running.Options(parks=parks)

    def make(inputs: Any, init: Any) -> running.Target:
        return running.target_of(found, spec, inputs, init=init, make_client=app.client)

    def logic() -> running.Logic[object]:
        if run_id:
            return running.resume(app.ledger.run(run_id), make, options)
        return running.begin(make({}, {}), options)

    with app.entered():
        if spec.is_async:
            return asyncio.run(running.drive_async(logic()))
        return running.drive(logic())


def parked(app: App, target: Any, **options: Any) -> RunRecord:
    with pytest.raises(running.Suspended):
        let_run(app, target, **options)
    return app.ledger.run("last")


def test_a_run_that_only_waits_is_parked_and_goes_on(app: App) -> None:
    run = parked(app, asks)
    assert (run.status, run.owner) == ("waiting", None)
    now = time.time_ns()
    assert now < run.lease_until_ns < now + 3_700 * 10**9
    assert due_runs(app.ledger, ["asks"], now_ns=now, pending_before_ns=now, most=9) == []
    assert letters_of(app.ledger, ["asks"]) == {}
    send(run.id, "answer", "yes")
    assert list(letters_of(app.ledger, ["asks"])) == [run.id]
    assert let_run(app, asks, run_id=run.id) == "yes"
    assert MADE == ["before"]
    assert app.ledger.run(run.id).status == "completed"
    assert app.ledger.first_break(run.id) is None


def test_a_parked_run_is_parked_again_where_another_event_came(app: App) -> None:
    run = parked(app, asks)
    send(run.id, "other", 1)
    assert parked(app, asks, run_id=run.id).status == "waiting"
    assert MADE == ["before"]


def test_its_time_comes(app: App) -> None:
    run = parked(app, sleeps)
    assert run.status == "waiting"
    due = due_runs(app.ledger, ["sleeps"], now_ns=run.lease_until_ns, pending_before_ns=0, most=9)
    assert [one.id for one in due] == [run.id]
    assert due_runs(app.ledger, ["others"], now_ns=run.lease_until_ns, pending_before_ns=0, most=9) == []
    assert let_run(app, sleeps, run_id=run.id, parks=None) == "woken"
    assert (time.time_ns() - run.created_ns) / 1e9 >= 0.5


def test_several_waits_are_parked_together_even_in_a_group_of_tasks(app: App) -> None:
    run = parked(app, asks_twice)
    assert run.status == "waiting"
    assert run.lease_until_ns > FAR_NS
    send(run.id, "one", 1)
    assert parked(app, asks_twice, run_id=run.id).status == "waiting"
    send(run.id, "two", 2)
    assert let_run(app, asks_twice, run_id=run.id) == ["1", "2"]


def test_a_run_that_works_beside_its_wait_is_not_parked(app: App) -> None:
    threading.Timer(0.3, gate.set).start()
    # Once that is done it only waits.
    run = parked(app, works_and_asks)
    assert "slowly" in names(app, run.id)
    send(run.id, "answer", "yes")
    assert let_run(app, works_and_asks, run_id=run.id) == "yes worked"


def test_a_wait_inside_of_a_step_is_not_parked(app: App) -> None:
    def answer() -> None:
        while not (found := app.ledger.runs(flow="asks_in_a_step")):
            time.sleep(0.01)
        time.sleep(0.3)
        with app.entered():
            send(found[0].id, "answer", "here")

    answering = threading.Thread(target=answer)
    answering.start()
    assert let_run(app, asks_in_a_step) == "here"
    answering.join()


def test_a_parked_run_is_cancelled_at_once(app: App) -> None:
    run = parked(app, asks)
    assert app.cancel(run.id, reason="enough").status == "cancelled"
    with pytest.raises(RunCancelled):
        let_run(app, asks, run_id=run.id)


def test_embedded_runs_wait_where_they_are(app: App) -> None:
    with pytest.raises((StepFailed, StepTimeout)):
        app.run(times_out)
    assert app.ledger.run("last").status == "failed"


@flow
def times_out() -> str:
    return str(wait_for("answer", timeout=0.2).result())


@pytest.mark.parametrize("target", [works, works_and_asks], ids=["sync", "async"])
def test_runs_are_handed_over_in_the_middle(app: App, target: Any) -> None:
    def hand_over() -> None:
        held: Callable[[], list[Any]] = lambda: app.keeper.held  # noqa: E731
        while not held() or not app.ledger.runs(flow=target.spec.name):
            time.sleep(0.01)
        time.sleep(0.1)
        assert app.keeper.hand_over() == 1
        gate.set()

    handing = threading.Thread(target=hand_over)
    handing.start()
    with pytest.raises(running.Suspended):
        let_run(app, target, parks=None)
    handing.join()
    run = app.ledger.run("last")
    assert (run.status, run.lease_until_ns) == ("running", 0)
    now = time.time_ns()
    due = due_runs(app.ledger, [target.spec.name], now_ns=now, pending_before_ns=now, most=9)
    assert [one.id for one in due] == [run.id]
    if target is works:
        assert let_run(app, target, run_id=run.id) == "worked"
        assert MADE == ["before", "before"]


def test_what_is_given_up_records_nothing_more(app: App) -> None:
    def give_up() -> None:
        while "before" not in MADE:
            time.sleep(0.01)
        assert app.keeper.give_up() == 1
        gate.set()

    giving = threading.Thread(target=give_up)
    giving.start()
    with pytest.raises(Exception, match="taken over"):
        let_run(app, works)
    giving.join()
    assert let_run(app, works, run_id=app.ledger.run("last").id) == "worked"
    # The step that came too late was not done.
    assert MADE == ["before", "before"]
