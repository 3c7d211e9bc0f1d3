"""Code that no longer fits its record: the run stops before something is done twice."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from durable import names
from surefoot import App, flow, step
from surefoot.errors import Diverged

executed: list[str] = []


class Crash(BaseException):
    """The process ends here."""


@step
def charge(amount: int) -> str:
    executed.append(f"charge {amount}")
    return f"charged {amount}"


@step(name="debit")
def charge_renamed(amount: int) -> str:
    executed.append(f"debit {amount}")
    return f"charged {amount}"


@step(pure=True)
def look(at: int) -> int:
    executed.append(f"look {at}")
    return at


@step
def wrapped(amount: int) -> str:
    return charge(amount)


@step(key="invoice")
def bill(amount: int) -> str:
    executed.append(f"bill {amount}")
    return f"billed {amount}"


@step
def crash() -> None:
    if "crashed" not in executed:
        executed.append("crashed")
        raise Crash


@pytest.fixture(autouse=True)
def nothing_executed() -> None:
    executed.clear()


def resumed_with(app: App, before: Callable[[], Any], after: Callable[[], Any], **options: Any) -> Any:
    """What the second version of a flow returns for a run that the first version crashed in."""
    with pytest.raises(Crash):
        app.run(flow(name="paying")(before))
    executed.append("resumed")
    return app.resume(app.ledger.run("last").id, flow=flow(name="paying")(after), **options)


def done_after() -> list[str]:
    return executed[executed.index("resumed") + 1 :]


def old() -> object:
    result = charge(5)
    crash()
    return result


def with_other_inputs() -> object:
    result = charge(6)
    crash()
    return result


def with_another_name() -> object:
    result = charge_renamed(5)
    crash()
    return result


def moved_into_a_step() -> object:
    result = wrapped(5)
    crash()
    return result


@pytest.mark.parametrize("new", [with_other_inputs, with_another_name, moved_into_a_step])
def test_an_effect_that_changed_stops_the_run_before_it_runs(app: App, new: Callable[[], Any]) -> None:
    with pytest.raises(Diverged) as caught:
        resumed_with(app, old, new)
    assert "--accept-divergence" in str(caught.value)
    assert "'charge' was already done" in str(caught.value)
    assert done_after() == []


@pytest.mark.parametrize("new", [with_other_inputs, with_another_name, moved_into_a_step])
def test_a_stopped_run_goes_on_with_the_old_code(app: App, new: Callable[[], Any]) -> None:
    with pytest.raises(Diverged):
        resumed_with(app, old, new)
    assert app.resume(app.ledger.run("last").id, flow=flow(name="paying")(old)) == "charged 5"
    assert done_after() == []


@pytest.mark.parametrize("new", [with_other_inputs, with_another_name, moved_into_a_step])
def test_a_divergence_can_be_accepted(app: App, new: Callable[[], Any]) -> None:
    result = resumed_with(app, old, new, accept_divergence=True)
    assert len(done_after()) == 1
    assert result in ("charged 5", "charged 6")


def test_an_effect_that_moved_out_of_a_step_under_way_stops_the_run(app: App) -> None:
    @step
    def around() -> str:
        result = charge(5)
        crash()
        return result

    with pytest.raises(Diverged) as caught:
        resumed_with(app, around, lambda: charge(5))
    assert "another place" in str(caught.value)
    assert done_after() == []


def test_pure_steps_never_stop_a_run(app: App) -> None:
    def before() -> object:
        look(1)
        crash()
        return None

    def after() -> object:
        return look(2)

    assert resumed_with(app, before, after) == 2
    assert done_after() == ["look 2"]


def test_new_steps_around_what_is_done_are_just_done(app: App) -> None:
    def after() -> object:
        first = look(0)
        result = charge(5)
        return first, result, charge(6)

    assert resumed_with(app, old, after) == (0, "charged 5", "charged 6")
    assert done_after() == ["look 0", "charge 6"]


def test_steps_that_are_no_longer_asked_for_are_reported(app: App, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="surefoot"):
        assert resumed_with(app, old, lambda: None) is None
    assert "'charge' is recorded, but the code did not ask for it" in caplog.text


def test_a_key_with_changed_inputs_stops_the_run(app: App) -> None:
    def before() -> object:
        bill(1)
        crash()
        return None

    with pytest.raises(Diverged) as caught:
        resumed_with(app, before, lambda: bill(2))
    assert "'invoice'" in str(caught.value)
    assert done_after() == []
    run_id = app.ledger.run("last").id
    assert app.resume(run_id, flow=flow(name="paying")(lambda: bill(2)), accept_divergence=True) == "billed 2"
    assert done_after() == ["bill 2"]


def test_a_divergence_is_no_outcome_of_the_steps_around_it(app: App) -> None:
    """An enclosing step with retries does not go on trying, and is not recorded as failed."""
    tries: list[int] = []

    @step(retries=3, backoff=lambda failures: 0.0)
    def around(customer: str) -> str:
        tries.append(1)
        return charge(5)

    with pytest.raises(Diverged):
        resumed_with(app, old, lambda: around("Ada"))
    assert tries == [1]
    assert names(app) == ["charge"]


def test_cancelled_work_does_not_look_like_changed_code(app: App) -> None:
    """The flow gave one request up after a time and made another; no more of that is known than that it began."""
    crashes: list[int] = []

    @step
    async def fetch(url: str) -> str:
        if url == "slow":
            await asyncio.sleep(5)
        return url

    @flow
    async def fetching() -> str:
        try:
            async with asyncio.timeout(0.02):
                return await fetch("slow")
        except TimeoutError:
            result = await fetch("quick")
        if not crashes:
            crashes.append(1)
            raise Crash
        return result

    with pytest.raises(Crash):
        asyncio.run(fetching())
    assert asyncio.run(app.resume_async(app.ledger.run("last").id, flow=fetching)) == "quick"


def test_a_fan_out_may_lose_and_gain_items(app: App) -> None:
    def all_of(*amounts: int) -> Callable[[], Any]:
        @step
        async def pay(amount: int) -> str:
            executed.append(f"pay {amount}")
            return f"paid {amount}"

        async def paying() -> list[str]:
            result = await asyncio.gather(*(pay(amount) for amount in amounts))
            crash()
            return list(result)

        return paying

    assert resumed_with(app, all_of(1, 2, 3), all_of(3, 4, 2)) == ["paid 3", "paid 4", "paid 2"]
    assert done_after() == ["pay 4"]
