"""The clock is set back by hours: ids stay apart, nothing ends before it began, and one worker holds a run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from engines import Place
from ledgers import end, outcome, start, started, take_over
from surefoot import App, flow, step, values
from surefoot.config import load
from surefoot.errors import RunBusy
from surefoot.flows import Keeper
from surefoot.flows.openrun import OpenRun
from surefoot.ledger import Append, Ledger, Renew, TakeOver, lease_of, this_process
from surefoot.values import new_id

HOUR = 3_600_000_000_000
ELSEWHERE = replace(this_process(), host="elsewhere", pid=999_999)


class Clock:
    """The clock of this process, as far from the true one as it is set; the server's own is what it is."""

    def __init__(self) -> None:
        self._true = time.time_ns
        self.ahead_ns = 0

    def __call__(self) -> int:
        return self._true() + self.ahead_ns


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "time_ns", clock)
    # Ids never run backwards in a process: those of other tests must not come from this future.
    monkeypatch.setattr(values, "_last_tick", values._last_tick)
    return clock


def now_of(place: Place, clock: Clock) -> int:
    """What the clock says by which the ledger's leases go."""
    return clock() if place.engine == "sqlite" else clock() - clock.ahead_ns


# Leases


@pytest.mark.parametrize("ahead", [-3 * HOUR, 3 * HOUR])
def test_a_lease_is_as_long_as_was_asked_for_whatever_the_clock_did_on_its_way(
    place: Place, ledger: Ledger, clock: Clock, ahead: int
) -> None:
    renewed, taken = started(ledger), started(ledger, lease=-1.0)
    waiting = [
        ledger.submit(Renew([(renewed, 1)], lease_of(30))),
        ledger.submit(TakeOver(taken, this_process(), lease_of(30))),
    ]
    clock.ahead_ns = ahead
    for pending in waiting:
        pending.wait()
    for run_id in (renewed, taken):
        left = ledger.run(run_id).lease_until_ns - now_of(place, clock)
        assert 0 < left <= lease_of(31)


def test_a_run_in_good_hands_is_not_taken_over_as_the_clock_goes_back(
    place: Place, ledger: Ledger, other: Ledger, clock: Clock
) -> None:
    run_id = started(ledger, owner=ELSEWHERE)
    waiting = other.submit(TakeOver(run_id, this_process(), lease_of(30)))
    clock.ahead_ns = -3 * HOUR
    with pytest.raises(RunBusy):
        waiting.wait()
    with pytest.raises(RunBusy):
        take_over(other, run_id)
    ledger.submit(Renew([(run_id, 1)], lease_of(30))).wait()
    with pytest.raises(RunBusy, match=r"lasts another (30|29|28) s"):
        take_over(other, run_id)
    # And when its owner falls silent, nobody waits for three hours.
    ledger.submit(Renew([(run_id, 1)], lease_of(-0.001))).wait()
    assert take_over(other, run_id).epoch == 2
    ledger.submit(Append(outcome(started(ledger), 1), [])).wait()


def test_a_lease_of_a_clock_that_was_ahead_is_cut_and_not_ignored(
    place: Place, ledger: Ledger, other: Ledger, clock: Clock
) -> None:
    run_id = started(ledger, owner=ELSEWHERE)
    far = now_of(place, clock) + 5 * HOUR
    place.execute("UPDATE runs SET lease_until_ns = ? WHERE id = ?", far, run_id)
    # Its owner may be alive, so it is busy still; but for no longer than the longest lease.
    with pytest.raises(RunBusy, match=r"lasts another 3[56]"):
        take_over(other, run_id)
    assert ledger.run(run_id).lease_until_ns <= now_of(place, clock) + HOUR
    # The owner is, and prolongs it.
    assert ledger.submit(Renew([(run_id, 1)], lease_of(30))).result() == []
    assert 0 < ledger.run(run_id).lease_until_ns - now_of(place, clock) <= lease_of(30)
    with pytest.raises(RunBusy):
        take_over(other, run_id)


def wait_for(condition: Callable[[], bool]) -> None:
    end_at = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end_at, "it did not happen in time"
        time.sleep(0.01)


def test_a_keeper_keeps_its_run_while_the_clock_goes_back_and_forth(
    place: Place, ledger: Ledger, other: Ledger, clock: Clock
) -> None:
    keeper = Keeper(ledger, lease_seconds=0.6)
    run_id = started(ledger, lease=0.6, owner=ELSEWHERE)
    run = OpenRun(run_id, "flow", 1, ledger)
    keeper.hold(run)
    for ahead in (-3 * HOUR, 0, -HOUR):
        before = ledger.run(run_id).lease_until_ns
        clock.ahead_ns = ahead
        wait_for(lambda before=before: ledger.run(run_id).lease_until_ns != before)
        assert ledger.run(run_id).lease_until_ns - now_of(place, clock) <= lease_of(0.6)
    assert not run.is_fenced
    keeper.let_go(run)
    wait_for(lambda: ledger.run(run_id).lease_until_ns < now_of(place, clock))
    assert take_over(other, run_id).epoch == 2


def test_runs_of_before_and_after_are_listed_in_the_order_in_which_they_began(
    ledger: Ledger, clock: Clock
) -> None:
    ids: list[str] = []
    for ahead in (0, -3 * HOUR, -HOUR, -30 * HOUR):
        clock.ahead_ns = ahead
        ids += [started(ledger), started(ledger)]
    assert len(set(ids)) == len(ids)
    assert [run.id for run in ledger.runs()] == ids[::-1]
    ledger.submit(end(ids[0])).wait()
    assert [run.id for run in ledger.runs(status="running")] == ids[:0:-1]


# Whole runs

executed: list[int] = []
moments: dict[int, Callable[[], object]] = {}


@pytest.fixture(autouse=True)
def nothing_executed() -> Iterator[None]:
    executed.clear()
    moments.clear()
    yield
    moments.clear()


@step
def part(n: int) -> int:
    executed.append(n)
    if n in moments:
        moments.pop(n)()
    return n


@flow
def parts(count: int) -> list[int]:
    return [part(n) for n in range(count)]


def app_of(place: Place) -> App:
    environ = {"SUREFOOT_LEDGER_SYNCHRONOUS": "normal", "SUREFOOT_RUNS_STRICT": "true"}
    if place.engine == "postgres":
        environ["SUREFOOT_LEDGER_URL"] = place.url
    return App(load(place.folder, environ=environ))


def assert_in_order(app: App) -> None:
    run = app.ledger.run("last")
    assert run.ended_ns is not None
    assert run.ended_ns >= run.created_ns
    for link in app.ledger.history(run.id):
        assert link.outcome.ended_ns >= link.outcome.started_ns
    assert app.ledger.first_break(run.id) is None


def test_a_run_goes_on_while_the_clock_is_set_back_and_nothing_ends_before_it_began(
    place: Place, clock: Clock
) -> None:
    app = app_of(place)

    def set_to(ahead: int) -> Callable[[], None]:
        return lambda: setattr(clock, "ahead_ns", ahead)

    moments.update({2: set_to(-3 * HOUR), 4: set_to(HOUR), 5: set_to(-9 * HOUR)})
    with app.entered():
        assert parts(7) == list(range(7))
    assert executed == list(range(7))
    assert_in_order(app)
    app.close()


def _interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("ahead", [-3 * HOUR, 3 * HOUR])
def test_a_run_is_resumed_by_a_clock_that_was_set_anew(place: Place, clock: Clock, ahead: int) -> None:
    app = app_of(place)
    moments[3] = _interrupt
    with app.entered(), pytest.raises(KeyboardInterrupt):
        parts(6)
    run_id = app.ledger.run("last").id
    app.close()
    clock.ahead_ns = ahead
    executed.clear()
    again = app_of(place)
    assert again.resume(run_id, flow=parts) == list(range(6))
    assert executed == [3, 4, 5]
    assert_in_order(again)
    assert again.ledger.run(run_id).epoch == 2
    again.close()


attempts: list[str] = []


@step(retries=2, backoff=lambda _: 0.05)
def unsure() -> str:
    attempts.append("")
    if len(attempts) == 1:
        raise ConnectionError("away")
    if len(attempts) == 2:
        raise KeyboardInterrupt
    return "done"


@flow
def being_unsure() -> str:
    return unsure()


def test_a_retry_that_was_due_soon_is_not_waited_for_until_the_clock_is_where_it_was(
    place: Place, clock: Clock
) -> None:
    attempts.clear()
    app = app_of(place)
    with app.entered(), pytest.raises(KeyboardInterrupt):
        being_unsure()
    run_id = app.ledger.run("last").id
    app.close()
    clock.ahead_ns = -3 * HOUR
    again = app_of(place)
    assert again.resume(run_id, flow=being_unsure, deadline=60) == "done"
    assert_in_order(again)
    again.close()


@step
def counting(clock: str) -> Iterator[int]:
    moments.pop(0)()
    yield 1
    yield 2


@flow
def counted() -> int:
    for number in counting("c"):
        if number == 1:
            moments.pop(1)()
    return 0


def test_a_stream_that_somebody_has_seen_is_noted_though_the_clock_went_back(
    place: Place, clock: Clock
) -> None:
    app = app_of(place)
    seen: list[int] = []
    moments[0] = lambda: setattr(clock, "ahead_ns", -3 * HOUR)
    moments[1] = lambda: seen.append(len(app.ledger.details(app.ledger.run("last").id)))
    with app.entered():
        counted()
    assert seen == [1]
    app.close()


def test_ids_stay_apart_and_in_order(clock: Clock) -> None:
    ids: list[str] = []
    for ahead in (0, -3 * HOUR, HOUR, -30 * HOUR, 0):
        clock.ahead_ns = ahead
        ids += [new_id() for _ in range(100)]
    assert ids == sorted(set(ids))
    assert start(ids[0]).run.id == ids[0]
