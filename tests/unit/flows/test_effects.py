"""Effects: their start is recorded, and what nobody knows is never repeated."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from durable import history, names
from surefoot import App, Done, current_step, flow, step
from surefoot.errors import InDoubt, StepFailed, UsageError


class Killed(BaseException):
    """What ends a process in the middle of a body, as far as the run can tell."""


class Bank:
    """The world: what was charged, and whether the process dies before or after it."""

    def __init__(self) -> None:
        self.charged: list[int] = []
        self.keys: list[str] = []
        self.dies: str | None = None

    def charge(self, amount: int) -> str:
        here = current_step()
        assert here is not None
        self.keys.append(here.idempotency_key)
        if self.dies == "before":
            raise Killed
        self.charged.append(amount)
        if self.dies == "after":
            raise Killed
        return f"receipt {amount}"


@pytest.fixture
def bank() -> Bank:
    return Bank()


def paying(bank: Bank, *, is_async: bool, **options: Any) -> Any:
    """A flow that reads, charges and tells, in sync or async code."""

    @step
    def price() -> int:
        return 5

    @step
    def tell(receipt: object) -> str:
        return f"sent {receipt}"

    if is_async:

        @step(effect=True, **options)
        async def charge(amount: int) -> str:
            await asyncio.sleep(0)
            return bank.charge(amount)

        @flow
        async def pay() -> str:
            return tell(await charge(price()))

        return pay

    @step(effect=True, name="charge", **options)
    def charge_now(amount: int) -> str:
        return bank.charge(amount)

    @flow(name="pay")
    def pay_now() -> str:
        return tell(charge_now(price()))

    return pay_now


def statuses(app: App) -> list[tuple[str, int, str]]:
    return [
        (link.outcome.name, link.outcome.attempt, link.outcome.status)
        for link in history(app)
        if link.outcome.kind == "step"
    ]


BOTH = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])


@BOTH
def test_the_start_of_an_effect_is_recorded_before_its_body_runs(
    app: App, bank: Bank, is_async: bool
) -> None:
    seen: list[list[tuple[str, int, str]]] = []
    pay = paying(bank, is_async=is_async)
    charge = bank.charge

    def looking(amount: int) -> str:
        seen.append(statuses(app))
        return charge(amount)

    bank.charge = looking  # type: ignore[method-assign]
    assert app.run(pay) == "sent receipt 5"
    assert seen == [[("price", 1, "completed"), ("charge", 1, "running")]]
    intent, outcome = (link.outcome for link in history(app) if link.outcome.name == "charge")
    assert (intent.key, intent.digest, intent.lane, intent.inputs) == (
        *(outcome.key, outcome.digest, outcome.lane),
        outcome.inputs,
    )
    assert app.ledger.run("last").totals.steps == 3


@BOTH
@pytest.mark.parametrize("dies", ["before", "after"])
def test_without_a_check_the_run_waits_for_somebody_who_knows(
    app: App, bank: Bank, dies: str, is_async: bool
) -> None:
    pay = paying(bank, is_async=is_async)
    bank.dies = dies
    with pytest.raises(Killed):
        app.run(pay)
    bank.dies = None
    run = app.ledger.run("last")
    for _ in range(2):
        with pytest.raises(InDoubt) as caught:
            app.resume(run.id, flow=pay)
        assert caught.value.run_id == run.id
        assert caught.value.steps == ("charge",)
        assert f"surefoot resume {run.id} --step charge --done JSON" in str(caught.value)
        assert f"surefoot resume {run.id} --step charge --retry" in str(caught.value)
        assert app.ledger.run(run.id).status == "in_doubt"
        assert app.ledger.run(run.id).failed_step == "charge"
    assert len(bank.keys) == 1
    if dies == "after":
        assert app.resume(run.id, flow=pay, decisions={"charge": Done("receipt 5")}) == "sent receipt 5"
        assert bank.charged == [5]
    else:
        assert app.resume(run.id, flow=pay, decisions={"charge": "retry"}) == "sent receipt 5"
        assert bank.charged == [5]
        assert len(set(bank.keys)) == 1, "the key is the same for every attempt"
        assert ("charge", 1, "cancelled") in statuses(app)
        assert ("charge", 2, "completed") in statuses(app)
    assert names(app).count("price") == 1
    assert app.ledger.run(run.id).status == "completed"


async def later(value: object) -> object:
    await asyncio.sleep(0)
    return value


@BOTH
@pytest.mark.parametrize("is_check_async", [False, True], ids=["sync check", "async check"])
@pytest.mark.parametrize(
    ("said", "dies", "output"),
    [
        (False, "before", "sent receipt 5"),
        (None, "before", "sent receipt 5"),
        (True, "after", "sent None"),
        (Done("receipt of the bank"), "after", "sent receipt of the bank"),
    ],
)
def test_a_check_tells(  # noqa: PLR0917
    app: App, bank: Bank, said: Any, dies: str, output: str, is_check_async: bool, is_async: bool
) -> None:
    asked: list[str] = []

    def check(key: str) -> Any:
        asked.append(key)
        return later(said) if is_check_async else said

    pay = paying(bank, is_async=is_async, check=check)
    bank.dies = dies
    with pytest.raises(Killed):
        app.run(pay)
    assert not asked
    bank.dies = None
    assert app.resume("last", flow=pay) == output
    assert asked == bank.keys[:1]
    assert bank.charged == [5]
    assert app.resume("last", flow=pay) == output


def broken(_key: str) -> bool:
    raise ConnectionError("the bank does not answer")


@pytest.mark.parametrize(
    ("check", "said"),
    [
        (broken, "its check raised ConnectionError: the bank does not answer"),
        (lambda _key: "yes", "gave a value of str"),
    ],
)
def test_a_check_that_does_not_tell_leaves_it_in_doubt(
    app: App, bank: Bank, check: Callable[[str], Any], said: str
) -> None:
    pay = paying(bank, is_async=False, check=check)
    bank.dies = "after"
    with pytest.raises(Killed):
        app.run(pay)
    with pytest.raises(InDoubt, match=said):
        app.resume("last", flow=pay)
    assert app.ledger.run("last").status == "in_doubt"
    bank.dies = None
    # The check may be mended, or somebody decides.
    assert app.resume("last", flow=paying(bank, is_async=False, check=lambda _key: Done("r"))) == "sent r"


def test_all_effects_in_doubt_are_named_and_decided_one_by_one(app: App, bank: Bank) -> None:
    dying = [True]

    @step(effect=True)
    async def mail(to: str) -> str:
        await asyncio.sleep(0.01)
        if dying[0]:
            raise Killed
        return f"to {to}"

    @step(effect=True)
    async def charge(amount: int) -> int:
        await asyncio.sleep(0.05)
        return amount

    @flow
    async def both() -> list[Any]:
        return list(await asyncio.gather(charge(1), mail("ann"), mail("bob")))

    with pytest.raises(Killed):
        app.run(both)
    dying[0] = False
    with pytest.raises(InDoubt, match="3 steps were begun") as caught:
        app.resume("last", flow=both)
    selectors = caught.value.steps
    assert selectors[0] == "charge"
    assert all(len(selector) == 8 and selector in str(caught.value) for selector in selectors[1:])
    assert '{"to":"ann"}' in str(caught.value)
    with pytest.raises(UsageError, match="'mail' means several steps"):
        app.resume("last", flow=both, decisions={"mail": "retry"})
    with pytest.raises(UsageError, match="'post' is none of them"):
        app.resume("last", flow=both, decisions={"post": "retry"})
    assert app.ledger.run("last").status == "in_doubt"
    with pytest.raises(InDoubt, match="2 steps"):
        app.resume("last", flow=both, decisions={"charge": Done(1)})
    decisions: dict[str, Any] = {selectors[1]: "retry", selectors[2]: Done("by hand")}
    assert sorted(map(str, app.resume("last", flow=both, decisions=decisions))) == ["1", "by hand", "to ann"]  # type: ignore[call-overload]


def test_a_decision_is_kept_though_the_process_dies_right_after(app: App, bank: Bank) -> None:
    pay = paying(bank, is_async=False)
    bank.dies = "after"
    with pytest.raises(Killed):
        app.run(pay)

    @step
    def price() -> int:
        raise AssertionError("it is recorded")

    @flow(name="pay")
    def dying() -> str:
        raise Killed

    with pytest.raises(Killed):
        app.resume("last", flow=dying, decisions={"charge": Done("seen on the statement")})
    assert app.resume("last", flow=pay) == "sent seen on the statement"


def test_a_run_without_doubts_takes_no_decisions(app: App, bank: Bank) -> None:
    pay = paying(bank, is_async=False)
    app.run(pay)
    with pytest.raises(UsageError, match="completed: there is nothing to decide"):
        app.resume("last", flow=pay, decisions={"charge": "retry"})


@BOTH
def test_an_exception_of_an_effect_is_a_failure_and_retried_only_if_asked(
    app: App, bank: Bank, is_async: bool
) -> None:
    class Failing(Bank):
        def charge(self, amount: int) -> str:
            super().charge(amount)
            if len(self.keys) < 3:
                raise ConnectionError("reset")
            return "third"

    failing = Failing()
    with pytest.raises(StepFailed, match="reset"):
        app.run(paying(failing, is_async=is_async))
    assert len(failing.keys) == 1
    asked = Failing()
    pay = paying(asked, is_async=is_async, retries=2, backoff=lambda _: 0.0)
    assert app.run(pay) == "sent third"
    assert [row for row in statuses(app) if row[0] == "charge"] == [
        *[
            ("charge", 1, "running"),
            ("charge", 1, "failed"),
            ("charge", 2, "running"),
            ("charge", 2, "failed"),
        ],
        *[("charge", 3, "running"), ("charge", 3, "completed")],
    ]
    assert len(set(asked.keys)) == 1


def test_a_doubt_that_the_flow_catches_ends_the_run_all_the_same(app: App, bank: Bank) -> None:
    after: list[str] = []

    @step(effect=True)
    def charge(amount: int) -> str:
        return bank.charge(amount)

    @step
    def tell(what: str) -> None:
        after.append(what)

    @flow
    def careless() -> str:
        try:
            charge(5)
        except Exception:  # noqa: BLE001  (this is what is tried)
            after.append("caught")
        try:
            tell("going on")
        except Exception:  # noqa: BLE001
            after.append("caught again")
        return "fine"

    bank.dies = "after"
    with pytest.raises(Killed):
        app.run(careless)
    with pytest.raises(InDoubt):
        app.resume("last", flow=careless)
    assert after == ["caught", "caught again"]
    assert app.ledger.run("last").status == "in_doubt"
    with pytest.raises(InDoubt):
        asyncio.run(app.resume_async("last", flow=careless))


def test_an_effect_that_the_flow_cancels_is_in_doubt_at_the_next_resume(app: App) -> None:
    sent: list[str] = []
    dying = [True]

    @step(effect=True)
    async def mail(to: str) -> None:
        await asyncio.sleep(30)
        sent.append(to)

    @flow
    async def impatient() -> str:
        try:
            await asyncio.wait_for(mail("ann"), 0.01)
        except TimeoutError:
            if dying[0]:
                raise Killed from None
        return "went on"

    with pytest.raises(Killed):
        app.run(impatient)
    dying[0] = False
    with pytest.raises(InDoubt, match="'mail'"):
        app.resume("last", flow=impatient)
    assert app.resume("last", flow=impatient, decisions={"mail": Done()}) == "went on"
    assert sent == []


def test_an_effect_whose_inputs_changed_in_doubt_stops_the_run(app: App, bank: Bank) -> None:
    from surefoot.errors import Diverged

    amounts = [5]

    @step(effect=True)
    def charge(amount: int) -> str:
        return bank.charge(amount)

    @flow
    def pay() -> str:
        return charge(amounts[0])

    bank.dies = "after"
    with pytest.raises(Killed):
        app.run(pay)
    bank.dies = None
    amounts[0] = 6
    with pytest.raises(Diverged, match="other inputs"):
        app.resume("last", flow=pay)
    assert bank.charged == [5]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"effect": True, "pure": True}, "pure and an effect"),
        ({"check": lambda _key: True}, "asked about effects only"),
        ({"stand_in": 1}, "takes the place of effects only"),
        ({"effect": True, "plain": True}, "need the record"),
        ({"retries": -1}, "retries=-1"),
        ({"timeout": 0}, "timeout=0"),
    ],
)
def test_what_contradicts_itself_is_refused_where_it_is_declared(options: dict[str, Any], said: str) -> None:
    def work() -> None: ...

    with pytest.raises(UsageError, match=f"step 'work' .*{said}"):
        step(**options)(work)
