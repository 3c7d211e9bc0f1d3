"""Compensations: what a run did is undone when it fails for good, and never done again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from durable import history, names
from surefoot import App, Workflow, current_run, current_step, flow, step
from surefoot.errors import (
    Compensated,
    DeadlineExceeded,
    Diverged,
    InDoubt,
    RunCancelled,
    StepFailed,
    UsageError,
)
from surefoot.ledger import Outcome


class Killed(BaseException):
    """What ends a process in the middle, as far as the run can tell."""


class World:
    """What was booked and cancelled, in order; at the n-th of these the process dies."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.dies_at: int | None = None

    def do(self, what: str) -> str:
        if len(self.log) == self.dies_at:
            self.dies_at = None
            raise Killed
        self.log.append(what)
        return what


WORLD = World()


def unbook(result: str, place: str, nights: int = 1) -> None:
    WORLD.do(f"cancel {result} ({place}, {nights})")


async def unbook_later(result: str, place: str) -> None:
    await asyncio.sleep(0)
    WORLD.do(f"cancel {result} ({place}, 1)")


@step(compensate=unbook)
def book(place: str) -> str:
    return WORLD.do(f"book {place}")


@step(name="book", compensate=unbook_later)
async def book_later(place: str) -> str:
    await asyncio.sleep(0)
    return WORLD.do(f"book {place}")


@step
def pay(amount: int) -> None:
    raise ConnectionError("the bank is closed")


@flow(name="trip")
def trip_now() -> None:
    for place in ("rome", "oslo", "bath"):
        book(place)
    pay(3)


@flow(name="trip")
async def trip_later() -> None:
    for place in ("rome", "oslo", "bath"):
        await book_later(place)
    pay(3)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setitem(globals(), "WORLD", world)
    return world


BOOKED = ["book rome", "book oslo", "book bath"]
UNDONE = ["cancel book bath (bath, 1)", "cancel book oslo (oslo, 1)", "cancel book rome (rome, 1)"]

BOTH = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])


def undo_rows(app: App) -> list[Outcome]:
    return [link.outcome for link in history(app) if link.outcome.name.startswith("undo ")]


@BOTH
def test_a_failed_run_is_undone_in_reverse_order_and_over(app: App, world: World, is_async: bool) -> None:
    flow = trip_later if is_async else trip_now
    with pytest.raises(StepFailed, match="undone: book, book, book; the run is over") as caught:
        app.run(flow)
    assert isinstance(caught.value.__cause__, ConnectionError)
    assert world.log == [*BOOKED, *UNDONE]
    run = app.ledger.run("last")
    assert (run.status, run.failed_step) == ("failed", "pay")
    assert run.error == "ConnectionError: the bank is closed (undone: book, book, book)"
    assert [(o.name, o.status) for o in undo_rows(app)] == [("undo book", "completed")] * 3
    assert '"place":"bath"' in undo_rows(app)[0].inputs.view
    with pytest.raises(Compensated, match="start a new run"):
        app.resume(run.id, flow=flow)
    assert app.ledger.run(run.id).status == "failed"
    assert app.ledger.first_break(run.id) is None
    assert world.log == [*BOOKED, *UNDONE]


@BOTH
@pytest.mark.parametrize("dies_at", range(7))
def test_a_crash_while_undoing_goes_on_undoing(app: App, world: World, dies_at: int, is_async: bool) -> None:
    flow = trip_later if is_async else trip_now
    world.dies_at = dies_at
    with pytest.raises((Killed, StepFailed)) as caught:
        app.run(flow)
    assert isinstance(caught.value, Killed) == (dies_at < 6)
    if dies_at < 6:
        with pytest.raises(StepFailed, match="ConnectionError: the bank is closed"):
            app.resume("last", flow=flow)
    assert world.log == [*BOOKED, *UNDONE]
    assert names(app).count("pay") == 1
    with pytest.raises(Compensated):
        app.resume("last", flow=flow)


def test_the_flow_is_not_run_forward_again_while_it_is_undone(app: App, world: World) -> None:
    world.dies_at = 4
    with pytest.raises(Killed):
        app.run(trip_now)

    @flow(name="trip")
    def other() -> None:
        raise AssertionError("the flow was run")

    with pytest.raises(StepFailed, match="the bank is closed"):
        app.resume("last", flow=other)
    assert world.log == [*BOOKED, *UNDONE]


def test_a_step_that_no_other_process_finds_is_named(app: App) -> None:
    dying = [True]

    def undo(result: str) -> None:
        if dying[0]:
            raise Killed

    @step(compensate=undo)
    def reserve() -> str:
        return "seat"

    @flow
    def work() -> None:
        reserve()
        raise ValueError("no")

    with pytest.raises(Killed):
        app.run(work)
    dying[0] = False
    with pytest.raises(StepFailed, match=r"not undone: reserve .*declare it at the top of its module"):
        app.resume("last", flow=work)


def cancel_seat(seat: int, price: int) -> None:
    LOG.append(f"cancel {seat} for {price}")


LOG: list[str] = []
FAILING = [True]


@step(compensate=cancel_seat)
def reserve(row: int, price: int) -> int:
    LOG.append(f"reserve {row}")
    return row * 10


@step
def reserve_all(rows: list[int]) -> list[int]:
    return [reserve(row, 7) for row in rows]


@flow
def inner(row: int) -> int:
    return reserve(row, 8)


@flow
def seats() -> None:
    reserve_all([1, 2])
    inner(3)
    reserve(4, 9)
    if FAILING:
        raise Killed


def test_what_lies_inside_of_finished_steps_and_flows_is_undone_by_another_process(app: App) -> None:
    LOG.clear()
    with pytest.raises(Killed):
        app.run(seats)

    @flow(name="seats")
    def failing() -> None:
        raise ValueError("sold out")

    # It has not called the steps, and finds them by their declaration.
    with pytest.raises(StepFailed, match="sold out"):
        app.resume("last", flow=failing)
    assert LOG[4:] == ["cancel 40 for 9", "cancel 30 for 8", "cancel 20 for 7", "cancel 10 for 7"]


class Travel(Workflow):
    def __init__(self, agency: str) -> None:
        super().__init__()
        self.agency = agency

    def unbook(self, result: str, place: str) -> None:
        LOG.append(f"{self.agency} cancels {result} in {place}")

    @step(compensate=unbook)
    def book(self, place: str) -> str:
        return f"hotel at {self.agency}"

    def run(self) -> None:
        self.book("rome")
        if FAILING[0]:
            raise Killed
        raise ValueError("sold out")


def test_a_method_is_undone_by_a_method(app: App) -> None:
    LOG.clear()
    with pytest.raises(Killed):
        app.run(Travel, init={"agency": "acme"})
    FAILING[0] = False
    try:
        with pytest.raises(StepFailed, match="undone: book"):
            app.resume("last", flow=Travel)
    finally:
        FAILING[0] = True
    assert LOG == ["acme cancels hotel at acme in rome"]


TRIES: list[str] = []
BROKEN = [True]


@step(retries=1, backoff=lambda _: 0.0)
def cancel(result: str) -> None:
    TRIES.append(result)
    if result == "b" and BROKEN[0]:
        raise ConnectionError("the hotel does not answer")


@step(compensate=cancel)
def take(place: str) -> str:
    return place


@flow
def three() -> None:
    for place in "abc":
        take(place)
    raise ValueError("no")


def test_one_that_fails_leaves_the_others_undone_and_is_tried_again_at_resume(app: App) -> None:
    TRIES.clear()
    BROKEN[0] = True
    with pytest.raises(StepFailed, match=r"not undone: take .ConnectionError: the hotel does not answer"):
        app.run(three)
    assert TRIES == ["c", "b", "b", "a"], "with the retries of the step that undoes"
    assert app.ledger.run("last").status == "failed"
    with pytest.raises(StepFailed, match="not undone"):
        app.resume("last", flow=three)
    assert TRIES[4:] == ["b"]
    BROKEN[0] = False
    with pytest.raises(StepFailed, match="the run is over"):
        app.resume("last", flow=three)
    assert TRIES[5:] == ["b"]
    with pytest.raises(Compensated, match="start a new run"):
        app.resume("last", flow=three)


def test_what_never_completed_has_nothing_to_undo(app: App) -> None:
    undone: list[object] = []

    @step(compensate=undone.append, fallback="none")
    def degraded() -> str:
        raise ValueError("no")

    @step(compensate=undone.append)
    def failing() -> str:
        raise ValueError("no")

    @flow
    def work() -> None:
        degraded()
        failing()

    with pytest.raises(StepFailed):
        app.run(work)
    assert undone == []


def test_a_survived_failure_undoes_nothing(app: App) -> None:
    undone: list[str] = []

    def undo(result: str) -> None:
        undone.append(result)

    @step(compensate=undo)
    def book() -> str:
        return "room"

    @flow
    def work() -> str:
        book()
        try:
            return str(int("no number"))
        except ValueError:
            return "fine"

    assert app.run(work) == "fine"
    assert undone == []


def test_a_run_that_can_go_on_is_not_undone(app: App) -> None:
    """Interrupted, diverged and in doubt are no failures for good."""
    undone: list[str] = []
    amounts, dying = [1], [True]

    def undo(result: str) -> None:
        undone.append(result)

    @step(compensate=undo)
    def book(amount: int) -> str:
        return f"room {amount}"

    @step(effect=True)
    def mail() -> None:
        if dying[0]:
            raise Killed

    @flow
    def work() -> str:
        book(amounts[0])
        mail()
        return "sent"

    with pytest.raises(Killed):
        app.run(work)
    dying[0] = False
    with pytest.raises(InDoubt):
        app.resume("last", flow=work)
    amounts[0] = 2
    with pytest.raises(Diverged):
        app.resume("last", flow=work)
    amounts[0] = 1
    assert app.resume("last", flow=work, decisions={"mail": "retry"}) == "sent"
    assert undone == []


SEEN: list[tuple[str, str, int]] = []
DYING = [False]


@step(effect=True)
def refund(receipt: str, amount: int) -> None:
    here = current_step()
    assert here is not None
    SEEN.append((here.name, receipt, amount))
    if DYING[0]:
        raise Killed


@step(effect=True, compensate=refund)
def charge(amount: int) -> str:
    return f"receipt {amount}"


@flow
def paying() -> None:
    charge(5)
    raise ValueError("no stock")


def test_an_effect_undoes_and_may_be_in_doubt_itself(app: App) -> None:
    SEEN.clear()
    DYING[0] = True
    with pytest.raises(Killed):
        app.run(paying)
    DYING[0] = False
    with pytest.raises(InDoubt, match="'undo charge'") as caught:
        app.resume("last", flow=paying)
    assert app.ledger.run("last").status == "in_doubt"
    with pytest.raises(StepFailed, match="no stock"):
        app.resume("last", flow=paying, decisions={caught.value.steps[0]: "retry"})
    assert SEEN == [("undo charge", "receipt 5", 5)] * 2
    with pytest.raises(Compensated):
        app.resume("last", flow=paying)


def test_parallel_steps_are_undone_in_the_order_in_which_they_were_done(app: App) -> None:
    log: list[str] = []

    def undo(result: str) -> None:
        log.append(result)

    @step(compensate=undo)
    async def book(place: str, pause: float) -> str:
        await asyncio.sleep(pause)
        return place

    @flow
    async def trip() -> None:
        await asyncio.gather(book("late", 0.05), book("early", 0.0))
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        asyncio.run(trip())
    assert log == ["late", "early"]


@pytest.mark.parametrize(
    ("undo", "said"),
    [
        (lambda: None, "takes no result"),
        (lambda result, colour: None, "asks for colour"),
    ],
)
def test_a_compensation_that_does_not_fit_is_refused_where_it_is_declared(undo: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):

        @step(compensate=undo)
        def book(place: str) -> str:
            return place


@step
async def wait_for_ever() -> None:
    await asyncio.sleep(60)


@step
def cancel_from_within() -> None:
    run = current_run()
    assert run is not None
    App.current().cancel(run.id, reason="no longer wanted")


@flow
async def cancelled_trip() -> None:
    await book_later("rome")
    cancel_from_within()
    await wait_for_ever()


@flow(deadline=0.3)
async def hurried_trip() -> None:
    await book_later("rome")
    await wait_for_ever()


def test_a_cancelled_run_is_undone(app: App, world: World) -> None:
    with pytest.raises(RunCancelled):
        app.run(cancelled_trip)
    assert world.log == ["book rome", "cancel book rome (rome, 1)"]
    assert app.ledger.run("last").status == "cancelled"
    assert app.ledger.first_break(app.ledger.run("last").id) is None


def test_a_run_that_is_cancelled_while_nobody_holds_it_is_undone_by_whoever_ends_it(
    app: App, world: World
) -> None:
    world.dies_at = 2
    with pytest.raises(Killed):
        app.run(trip_now)
    assert app.cancel("last").status == "cancelled"
    assert world.log == ["book rome", "book oslo", "cancel book oslo (oslo, 1)", "cancel book rome (rome, 1)"]


def test_a_run_that_passes_its_deadline_is_undone(app: App, world: World) -> None:
    with pytest.raises(DeadlineExceeded):
        app.run(hurried_trip)
    assert world.log == ["book rome", "cancel book rome (rome, 1)"]
    with pytest.raises(Compensated):
        app.resume("last", flow=hurried_trip, deadline=60)


def test_async_code_ends_and_undoes_a_run_that_nobody_holds(app: App, world: World) -> None:
    world.dies_at = 2
    with pytest.raises(Killed):
        app.run(trip_later)
    assert asyncio.run(app.cancel_async("last")).status == "cancelled"
    assert world.log == ["book rome", "book oslo", "cancel book oslo (oslo, 1)", "cancel book rome (rome, 1)"]
