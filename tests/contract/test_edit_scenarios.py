"""A flow is killed anywhere and goes on with code that was edited, or was not.

The promises: what is durable is never done again; no result is taken for another one; code that is unchanged is never
stopped; where an edit could repeat an effect, the run stops before it does, says so, and goes on with consent.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from durable import opened_app
from edits import (
    Edit,
    Killed,
    Mode,
    World,
    ask,
    at,
    crash,
    durable,
    finished,
    go_on,
    reference,
    resume,
    run,
    side_by_side,
    stepped,
    world,
)
from surefoot import App, Workflow, step

CRASHES = int(os.environ.get("SUREFOOT_TEST_CRASHES", "24"))
"""Per scenario and mode; every point is among them at least once. `make crash` has more of them."""

charge = stepped("charge")
debit = stepped("debit")
mail = stepped("mail")
book = stepped("book")
look = stepped("look", pure=True)
bill = stepped("bill", key="invoice")
order = stepped("order", key=lambda what: what["id"])


async def chain(who: str) -> list[Any]:
    await world().dawdle()
    with at(f"{who}1"):
        first = await charge("same")
    with at(f"{who}2"):
        second = await mail(f"{who} {first}")
    with at(f"{who}3"):
        return [first, second, await charge("same")]


async def gather_of_chains() -> Any:
    return await side_by_side(*(chain(who) for who in "abc")), await mail("end")


async def _parcel(what: str) -> list[Any]:
    return await side_by_side(*(charge("same") for _ in range(1)), book(what))


parcel = stepped("parcel", _parcel)


async def gather_of_nested_steps() -> Any:
    async def placed(who: str) -> Any:
        with at(who):
            return await parcel(who)

    return await side_by_side(*(placed(who) for who in "abc"))


async def same_call_many_times() -> Any:
    results: list[Any] = []
    for n in range(4):
        with at(str(n)):
            results.append(await charge("same"))
    return results, await mail("end")


async def after_an_unrecorded_await() -> Any:
    async def late(who: str) -> Any:
        await world().dawdle()
        with at(who):
            return await charge("same")

    return await side_by_side(*(late(who) for who in "abcd"))


async def with_keys() -> Any:
    async def placed(who: str) -> Any:
        with at(who):
            return await order({"id": "o"}), await order({"id": f"o-{who}"})

    return await side_by_side(placed("a"), placed("b")), await order({"id": "last"})


async def plain() -> Any:
    return await charge(1), await mail(3)


async def with_a_step_inserted() -> Any:
    first = await book("new")
    return first, await charge(1), await book("other"), await mail(3)


async def three_steps() -> Any:
    return await charge(1), await book(2), await mail(3)


async def with_two_steps_swapped() -> Any:
    second = await book(2)
    return await charge(1), second, await mail(3)


async def with_a_step_renamed() -> Any:
    return await debit(1), await mail(3)


def loop(*items: int) -> Any:
    async def code() -> Any:
        return [await charge(item) for item in items], await mail("end")

    return code


def fan_out(*items: int) -> Any:
    async def code() -> Any:
        return await side_by_side(*(charge(item) for item in items)), await mail("end")

    return code


def letter(prompt: str) -> Any:
    async def code() -> Any:
        answer = await ask(prompt)
        return await mail(answer), await charge(1)

    return code


async def unrecorded_now() -> Any:
    first = await charge(1)
    return first, await mail(f"process {world().process}")


async def _order_of(what: str) -> Any:
    return await charge(5), await book(what)


whole_order = stepped("whole_order", _order_of)


async def in_line() -> Any:
    return await charge(5), await book("x"), await mail("end")


async def in_a_step() -> Any:
    return *await whole_order("x"), await mail("end")


@dataclass(frozen=True)
class Account:
    owner: str

    async def pay(self, cents: int) -> Any:
        return await PAY[world().mode](self, cents) if world().mode == "async" else PAY["sync"](self, cents)


@step(name="pay")
async def _pay_async(self: Account, cents: int) -> str:
    return await world().act(f"{self.owner} pays {cents}")


@step(name="pay")
def _pay(self: Account, cents: int) -> str:
    return str(finished(world().act(f"{self.owner} pays {cents}")))


PAY: dict[str, Any] = {"async": _pay_async, "sync": _pay}


async def two_objects() -> Any:
    ada, bob = Account("ada"), Account("bob")
    return await side_by_side(ada.pay(5), bob.pay(5)), await ada.pay(7), await bob.pay(7)


async def one_question() -> Any:
    return await ask("what"), await mail("x")


async def another_question() -> Any:
    return await ask("who"), await ask("what"), await mail("x")


def looking(n: int) -> Any:
    async def code() -> Any:
        return await look(n), await charge(1), await look(n), await mail("x")

    return code


def billing(cents: int) -> Any:
    async def code() -> Any:
        return await charge(1), await bill(cents), await mail("x")

    return code


class Shop(Workflow):
    """Its settings are no part of what its steps do."""

    def __init__(self, currency: str) -> None:
        super().__init__()
        self.currency = currency
        self.connection = object()


def shopping(currency: str) -> Any:
    async def code() -> Any:
        shop = Shop(currency)
        return await sell({"shop": "x"}), await _sold(shop, 3)

    return code


@step(name="sold")
async def _sold_async(shop: Shop, cents: int) -> str:
    return await world().act(f"sold {cents}")


@step(name="sold")
def _sold_sync(shop: Shop, cents: int) -> str:
    return str(finished(world().act(f"sold {cents}")))


async def _sold(shop: Shop, cents: int) -> Any:
    return await _sold_async(shop, cents) if world().mode == "async" else _sold_sync(shop, cents)


sell = stepped("sell")


def same(code: Any, *, is_racing: bool = False) -> Edit:
    return Edit(code, code, is_racing=is_racing)


MOVED = frozenset({"charge 5", "book x"})

SCENARIOS: dict[str, Edit] = {
    "same code: a gather of chains": same(gather_of_chains, is_racing=True),
    "same code: a gather of nested steps": same(gather_of_nested_steps),
    "same code: the same call many times": same(same_call_many_times),
    "same code: after an unrecorded await": same(after_an_unrecorded_await, is_racing=True),
    "same code: with key=": same(with_keys),
    "same code: two objects": same(two_objects),
    "same code: an unrecorded now()": Edit(
        unrecorded_now, unrecorded_now, {"mail process 1": "mail process 2"}
    ),
    "a step inserted": Edit(plain, with_a_step_inserted),
    "a step removed": Edit(three_steps, plain),
    "two steps swapped": Edit(three_steps, with_two_steps_swapped),
    "a step renamed": Edit(plain, with_a_step_renamed, {"charge 1": "debit 1"}),
    "a loop with a new item in front": Edit(loop(1, 2, 3), loop(0, 1, 2, 3), {"charge 1": "charge 0"}),
    "a loop with an item edited": Edit(loop(1, 2, 3), loop(1, 20, 3), {"charge 2": "charge 20"}),
    "a prompt edited before an e-mail": Edit(letter("v1"), letter("v2"), {"mail ask v1": "mail ask v2"}),
    "moved into a step": Edit(in_line, in_a_step, {"charge 5": "charge 5"}, MOVED),
    "moved out of a step": Edit(in_a_step, in_line, {"charge 5": "charge 5"}, MOVED),
    "a fan-out with new items": Edit(fan_out(1, 2, 3), fan_out(0, 1, 2, 3, 4)),
    "a fan-out with an item edited": Edit(fan_out(1, 2, 3), fan_out(1, 20, 3)),
    "another model call inserted": Edit(one_question, another_question),
    "a pure step edited": Edit(looking(1), looking(2)),
    "inputs edited under a key": Edit(billing(2), billing(3), {"bill 2": "bill 3"}),
    "a workflow with other settings": Edit(shopping("EUR"), shopping("USD")),
}


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    with opened_app(tmp_path) as app:
        yield app


def test_all_scenarios_of_the_design_are_here() -> None:
    assert len(SCENARIOS) == 22


@pytest.mark.parametrize("mode", ["async", "sync"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_killed_anywhere_and_resumed(name: str, mode: Mode, app: App) -> None:
    edit = SCENARIOS[name]
    _, points = reference(edit.before, app, mode, process=1)
    for seed in range(max(CRASHES, points)):
        is_touched = seed // points % 2 == 1
        killed = crash(edit, app, mode, point=1 + seed % points, seed=seed, is_touched=is_touched)
        if edit.is_racing and is_touched:
            never_does_more_than_once_in_all(edit, app, killed)
        elif stopping := {undone for done, undone in edit.stops.items() if done in killed.kept}:
            stops_until_consent(edit, app, killed, stopping)
        else:
            goes_on(edit, app, killed)


def goes_on(edit: Edit, app: App, killed: Killed) -> None:
    resumed = killed.next_world(2)
    output, stopped = go_on(edit.after, app, resumed, killed.run_id)
    assert stopped is None, f"stopped for nothing, {killed.where}: {stopped}"
    assert not killed.kept & set(resumed.done), f"done again, {killed.where}"
    assert output == reference(edit.after, app, killed.mode, process=2)[0], killed.where


def stops_until_consent(edit: Edit, app: App, killed: Killed, undone: set[str]) -> None:
    run_id, where = killed.run_id, killed.where
    resumed = killed.next_world(2)
    _, stopped = go_on(edit.after, app, resumed, run_id)
    assert stopped is not None, f"not stopped, {where}: {resumed.done}"
    assert not (killed.kept | undone) & set(resumed.done), f"stopped too late, {where}"
    assert any(repr(label.split()[0]) in str(stopped) for label in killed.kept), where
    assert f"surefoot resume {run_id} --accept-divergence" in str(stopped)
    kept = durable(app, run_id) - undone - edit.moved
    consented = killed.next_world(3)
    output = resume(edit.after, app, consented, run_id, accept=True)
    assert not kept & set(consented.done), f"done again with consent, {where}"
    assert output == reference(edit.after, app, killed.mode, process=3)[0], where


def never_does_more_than_once_in_all(edit: Edit, app: App, killed: Killed) -> None:
    """A result may stand where its equal stood, which may stop the run; but no work is done in excess."""
    resumed, whole = killed.next_world(2), World(killed.mode)
    _, stopped = go_on(edit.after, app, resumed, killed.run_id)
    run(edit.after, app, whole)
    done = len(killed.kept) + len(resumed.done)
    assert done < len(whole.done) if stopped else done == len(whole.done), f"done again, {killed.where}"
