"""Deadlines of runs, and the ceilings of what one may do: they end it, whatever it is at."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from durable import names, open_app
from stopped import ends, is_sound
from surefoot import App, flow, scope, step
from surefoot.errors import DeadlineExceeded, RunLimit, StepFailed, UsageError
from surefoot.scope import Ending, Work
from surefoot.values import CallFacts, Money


class Killed(BaseException):
    """What ends a process in the middle, as far as the run can tell."""


@step
def part(n: int, seconds: float = 0.01) -> int:
    time.sleep(seconds)
    return n


@step
async def part_later(n: int, seconds: float) -> int:
    await asyncio.sleep(seconds)
    return n


@step(retries=5, backoff=lambda _: 60.0)
def retried() -> None:
    raise ConnectionError("no answer")


@step(retries=5, backoff=lambda _: 60.0)
async def retried_later() -> None:
    raise ConnectionError("no answer")


@flow(deadline=0.15)
def at_a_step() -> int:
    return sum(part(n) for n in range(10_000))


@flow(deadline=0.15)
def in_a_pause() -> None:
    retried()


@flow(deadline=0.15)
def in_threads() -> list[int]:
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(part, range(2_000)))


@flow(deadline=0.15)
def caught_by_the_flow() -> str:
    for n in range(300):
        try:
            part(n)
        except Exception:  # noqa: BLE001  (this is what is tried)
            continue
    return "fine"


@flow(deadline=0.15)
async def in_a_step() -> int:
    return await part_later(1, 60)


@flow(deadline=0.15)
async def awaiting_no_step() -> None:
    await asyncio.sleep(60)


@flow(deadline=0.15)
async def in_a_pause_later() -> None:
    await retried_later()


@flow(deadline=0.15)
async def side_by_side() -> list[int]:
    return list(await asyncio.gather(part_later(1, 60), part_later(2, 60)))


STOPPED = [
    *(at_a_step, in_a_pause, in_threads, caught_by_the_flow),
    *(in_a_step, awaiting_no_step, in_a_pause_later, side_by_side),
]


@pytest.mark.parametrize("target", STOPPED, ids=lambda target: target.spec.name)
def test_a_run_that_passes_its_deadline_fails_where_it_is(app: App, target: Any) -> None:
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded) as caught:
        app.run(target)
    assert time.monotonic() - began < 30
    run = app.ledger.run("last")
    assert str(caught.value) == (
        f"run {run.id} has passed its deadline: to go on with it, add --deadline SECONDS to `surefoot resume {run.id}`"
    )
    assert (run.status, run.error) == (
        "failed",
        f"DeadlineExceeded: run {run.id} has passed its deadline",
    )
    assert is_sound(app)


def test_a_direct_call_fails_by_the_deadline_too(app: App) -> None:
    with pytest.raises(DeadlineExceeded) as caught:
        at_a_step()
    assert any("--deadline SECONDS" in note for note in caught.value.__notes__)


AMPLE = (0.2, 1.0, 5.0, 25.0)
"""Deadlines in seconds, of which a busy machine needs a later one to get as far as a test has to."""

DONE: list[int] = []
DYING: list[int] = []


def with_ample_time(app: App, target: Any, raises: type[BaseException]) -> BaseException:
    """What it raises, which it comes to within one of these deadlines."""
    for seconds in AMPLE:
        DONE.clear()
        with pytest.raises((raises, DeadlineExceeded)) as caught:
            app.run(target, deadline=seconds)
        if caught.type is raises:
            return caught.value
    raise AssertionError(f"it got no further than {DONE} within {AMPLE[-1]} s")


def let_it_pass(app: App) -> None:
    """Wait until the deadline of the last run is over."""
    end_ns = app.ledger.run("last").deadline_ns
    assert end_ns is not None
    while time.time_ns() <= end_ns:
        time.sleep(0.01)


@pytest.fixture(autouse=True)
def nothing_done() -> None:
    DONE.clear()
    DYING.clear()


@step
def noted(n: int) -> int:
    DONE.append(n)
    return n


@flow
def dying() -> int:
    noted(1)
    if DYING:
        raise Killed
    return noted(2)


def test_the_deadline_counts_from_the_start_of_the_run_and_not_from_its_resume(app: App) -> None:
    DYING.append(1)
    with_ample_time(app, dying, Killed)
    before = app.ledger.run("last")
    assert before.deadline_ns is not None
    assert before.deadline_ns - before.created_ns in [int(seconds * 1e9) for seconds in AMPLE]
    DYING.clear()
    let_it_pass(app)
    for _ in range(2):
        with pytest.raises(DeadlineExceeded):
            app.resume("last", flow=dying)
    assert app.ledger.run("last").deadline_ns == before.deadline_ns
    assert DONE == [1], "nothing more is begun"
    assert app.resume("last", flow=dying, deadline=60) == 2
    assert (DONE, ends(app)) == ([1, 2], ["failed", "failed", "completed"])


def test_a_new_deadline_is_bounded_too(app: App) -> None:
    with pytest.raises(DeadlineExceeded):
        app.run(in_a_step)
    with pytest.raises(DeadlineExceeded):
        app.resume("last", flow=in_a_step, deadline=0.1)


def test_a_run_in_time_is_not_touched(app: App) -> None:
    @flow(deadline=60)
    async def quick() -> int:
        return await part_later(1, 0)

    assert app.run(quick) == 1


def test_the_call_goes_before_the_flow_and_the_flow_before_the_settings(tmp_path: Path) -> None:
    @flow
    def plain() -> None:
        noted(1)

    @flow(deadline=50)
    def bounded() -> None:
        noted(1)

    app = open_app(tmp_path, deadline=500)

    def seconds() -> int:
        run = app.ledger.run("last")
        assert run.deadline_ns is not None
        return round((run.deadline_ns - run.created_ns) / 1e9)

    try:
        found: list[int] = []
        for target, options in ((plain, {}), (bounded, {}), (bounded, {"deadline": 5.0})):
            app.run(target, **options)  # type: ignore[arg-type]
            found.append(seconds())
    finally:
        app.close()
    assert found == [500, 50, 5]


@pytest.mark.parametrize("seconds", [0, -1.0])
def test_a_deadline_that_has_passed_before_it_begins_is_refused(app: App, seconds: float) -> None:
    with pytest.raises(UsageError, match="give seconds above 0"):

        @flow(deadline=seconds)
        def never() -> None: ...

    with pytest.raises(UsageError, match="give seconds above 0"):
        app.run(dying, deadline=seconds)
    assert app.ledger.runs() == []


def test_a_step_that_failed_as_the_deadline_passed_is_tried_again_with_more_time(app: App) -> None:
    tries: list[int] = []

    @step
    def late() -> str:
        tries.append(1)
        if len(tries) == 1:
            let_it_pass(app)
            raise ConnectionError("no answer")
        return "fine"

    @flow
    def working() -> str:
        return late()

    for seconds in AMPLE:
        with pytest.raises(DeadlineExceeded) as caught:
            app.run(working, deadline=seconds)
        if tries:
            break
    assert isinstance(caught.value.__cause__, ConnectionError)
    assert app.resume("last", flow=working, deadline=60) == "fine"
    assert len(tries) == 2


def undo(result: int) -> None:
    let_it_pass(App.current())
    DONE.append(-result)


@step(compensate=undo)
def undoable(n: int) -> int:
    DONE.append(n)
    return n


def test_a_deadline_that_passes_while_a_failed_run_is_undone_changes_nothing(app: App) -> None:
    @flow
    def failing() -> None:
        undoable(1)
        undoable(2)
        raise ValueError("sold out")

    failed = with_ample_time(app, failing, StepFailed)
    assert isinstance(failed, StepFailed)
    assert "ValueError: sold out" in str(failed)
    assert failed.is_over
    assert DONE == [1, 2, -2, -1]
    assert app.ledger.run("last").error == "ValueError: sold out (undone: undoable, undoable)"


def test_a_run_whose_deadline_passed_while_nobody_held_it_is_undone(app: App) -> None:
    @flow
    def trip() -> None:
        undoable(1)
        raise Killed

    with_ample_time(app, trip, Killed)
    let_it_pass(app)
    with pytest.raises(DeadlineExceeded, match="has passed its deadline; undone: undoable; it is over"):
        app.resume("last", flow=trip)
    assert DONE == [1, -1]


# Ceilings


@pytest.fixture
def low(tmp_path: Path) -> Iterator[App]:
    """An app in which a run may take three steps and make two calls."""
    app = open_app(tmp_path, max_steps=3, max_calls=2)
    with app.entered():
        yield app
    app.close()


@flow
def five() -> int:
    return sum(noted(n) for n in range(5))


def with_more(folder: Path, target: Any, **ceilings: Any) -> object:
    app = open_app(folder, **ceilings)
    try:
        return app.resume("last", flow=target)
    finally:
        app.close()


@pytest.mark.attack("dos-03")
def test_a_run_ends_at_the_ceiling_of_steps_and_goes_on_under_a_higher_one(low: App, tmp_path: Path) -> None:
    with pytest.raises(
        RunLimit, match=r"has made 3 steps, as many as runs\.max_steps allows: raise the setting"
    ):
        low.run(five)
    assert DONE == [0, 1, 2]
    assert low.ledger.run("last").status == "failed"
    with pytest.raises(RunLimit, match="has made 3 steps"):
        low.resume("last", flow=five)
    assert DONE == [0, 1, 2]
    assert with_more(tmp_path, five, max_steps=5) == 10
    assert DONE == [0, 1, 2, 3, 4]


def test_replayed_steps_and_attempts_count_once(low: App) -> None:
    fails = [True, True]

    @step(retries=3, backoff=lambda _: 0.0)
    def flaky() -> str:
        if fails:
            fails.pop()
            raise ConnectionError("no answer")
        return "fine"

    @flow
    def working() -> str:
        answer = flaky()
        noted(1)
        if DYING:
            DYING.pop()
            raise Killed
        noted(2)
        return answer

    DYING[:] = [1, 1]
    for _ in range(2):
        with pytest.raises(Killed):
            low.run(working, key="one")
    assert low.run(working, key="one") == "fine"


def test_a_ceiling_of_steps_that_is_caught_ends_the_run_all_the_same(low: App) -> None:
    @flow
    def careless() -> str:
        for n in range(9):
            try:
                noted(n)
            except Exception:  # noqa: BLE001  (this is what is tried)
                continue
        return "fine"

    with pytest.raises(RunLimit):
        low.run(careless)
    assert DONE == [0, 1, 2]


def call(n: int) -> None:
    here = scope.current()
    assert here is not None
    claim = here.claim(Work("call", "chat", {"n": n}))
    if claim.recorded is None:
        DONE.append(n)
        claim.finish(Ending("completed", {"answer": n})).wait()


@flow
def asking() -> str:
    noted(10)
    for n in range(4):
        call(n)
        if n in DYING:
            raise Killed
    return "fine"


@pytest.mark.attack("dos-03")
def test_a_run_ends_at_the_ceiling_of_calls_which_steps_do_not_count_towards(
    low: App, tmp_path: Path
) -> None:
    DYING[:] = [0]
    with pytest.raises(Killed):
        low.run(asking)
    DYING.clear()
    with pytest.raises(RunLimit, match=r"has made 2 model calls, as many as runs\.max_calls allows"):
        low.resume("last", flow=asking)
    assert DONE == [10, 0, 1]
    assert with_more(tmp_path, asking, max_calls=4) == "fine"
    assert DONE == [10, 0, 1, 2, 3]
    assert names(low).count("chat") == 4


@flow
def spending() -> str:
    here = scope.current()
    assert here is not None
    for n in range(4):
        claim = here.claim(Work("call", "chat", {"n": n}))
        if claim.recorded is None:
            DONE.append(n)
            facts = CallFacts("openai", "gpt-4o", "gpt-4o", cost=Money.dollars("0.40"))
            claim.finish(Ending("completed", {"answer": n}, call=facts)).wait()
    return "fine"


def test_a_run_makes_no_call_once_it_has_cost_as_much_as_it_may(tmp_path: Path) -> None:
    app = open_app(tmp_path, max_cost="1.00")
    try:
        for _ in range(2):
            with pytest.raises(RunLimit, match=r"has cost \$1\.20, and runs\.max_cost is \$1\.00: raise"):
                app.resume("last", flow=spending) if DONE else app.run(spending)
            # What is recorded counts for the process that goes on with the run.
            assert DONE == [0, 1, 2]
    finally:
        app.close()
    assert with_more(tmp_path, spending, max_cost=2) == "fine"
    assert DONE == [0, 1, 2, 3]


def test_a_run_at_a_ceiling_can_go_on_and_is_not_undone(low: App, tmp_path: Path) -> None:
    @flow
    def working() -> int:
        return sum(undoable(n) for n in range(4))

    with pytest.raises(RunLimit):
        low.run(working)
    assert DONE == [0, 1, 2]
    assert with_more(tmp_path, working, max_steps=9) == 6
