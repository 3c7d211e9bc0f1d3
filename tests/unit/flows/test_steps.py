"""Steps: plain outside of a run, recorded inside, their results restored as what they were."""

from __future__ import annotations

import asyncio
import pickle
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel

from durable import history, names
from surefoot import App, current_run, current_step, flow, last_run, step
from surefoot.errors import NotData, RunEnded, UsageError


class Crash(BaseException):
    """The process ends here."""


class Colour(Enum):
    RED = "red"


@dataclass
class Point:
    x: int
    y: float


class Verdict(BaseModel):
    answer: str
    score: int = 0


@step
def double(x: int) -> int:
    return 2 * x


@step
async def double_async(x: int) -> int:
    await asyncio.sleep(0)
    return 2 * x


def resumed(app: App, target: Any) -> Any:
    return app.resume(app.ledger.run("last").id, flow=target)


def test_a_step_outside_a_run_is_a_plain_function(app: App) -> None:
    assert double(4) == 8
    assert asyncio.run(double_async(4)) == 8
    assert app.ledger.runs() == []
    assert current_run() is None
    assert current_step() is None


def test_a_step_keeps_what_its_function_says_of_itself() -> None:
    assert double.__name__ == "double"
    assert repr(double) == "<step double>"


@flow
def doubled(x: int) -> int:
    return double(x)


def test_steps_and_flows_are_pickled_by_name() -> None:
    """For pools of processes, where they are plain functions again."""
    assert pickle.loads(pickle.dumps((double, doubled))) == (double, doubled)


def test_code_inside_knows_run_and_step(app: App) -> None:
    seen: list[Any] = []

    @step
    def look() -> None:
        seen.append((current_run(), current_step()))

    @flow
    def observed() -> None:
        seen.append((current_run(), current_step()))
        look()

    observed()
    run = last_run()
    (outer, no_step), (inner, inner_step) = seen
    assert no_step is None
    assert outer.id == inner.id == run.id
    assert outer.flow == "observed"
    assert (inner_step.name, inner_step.attempt) == ("look", 1)
    assert inner_step.idempotency_key.startswith(run.id)


def test_the_idempotency_key_is_the_same_for_every_attempt_and_process(app: App) -> None:
    seen: list[tuple[str, int]] = []

    @step(retries=1, backoff=lambda _: 0.0)
    def send(to: str) -> None:
        here = current_step()
        assert here is not None
        seen.append((here.idempotency_key, here.attempt))
        if len(seen) == 1:
            raise OSError
        if len(seen) == 2:
            raise Crash

    @flow
    def mailing() -> None:
        send("a")

    with pytest.raises(Crash):
        mailing()
    resumed(app, mailing)
    assert [attempt for _, attempt in seen] == [1, 2, 2]
    assert len({key for key, _ in seen}) == 1


RESULTS: list[Any] = [
    *(None, True, 7, 1.5, "text", "", [1, 2], {"a": {"b": [None]}}, (1, (2, 3)), {1: "one"}),
    *({1, 2}, frozenset({"a"}), b"\x00\xff", Decimal("1.10"), date(2026, 1, 2), Colour.RED),
    *(datetime(2026, 1, 2, tzinfo=UTC), UUID(int=7), float("inf"), 10**30, Point(1, 2.0)),
    *(Verdict(answer="yes"), [Point(1, 2.0), Verdict(answer="no")], {"$": ["blob", "x", 1]}, "x" * 100_000),
]


@pytest.mark.parametrize("value", RESULTS, ids=lambda value: f"{type(value).__name__}-{str(value)[:20]}")
def test_a_replayed_result_is_what_it_was(app: App, value: Any) -> None:
    calls: list[int] = []

    @step
    def give() -> Any:
        calls.append(1)
        return value

    @flow
    def giving() -> Any:
        result = give()
        if len(calls) == 1:
            calls.append(0)
            raise Crash
        return result

    with pytest.raises(Crash):
        giving()
    result = resumed(app, giving)
    assert calls == [1, 0]
    assert type(result) is type(value)
    assert result == value


def test_a_result_that_is_no_data_says_what_and_where_and_is_not_run_again(app: App) -> None:
    calls: list[int] = []

    @step(retries=5, backoff=lambda _: 0.0)
    def connect() -> object:
        calls.append(1)
        return object()

    @flow
    def connecting() -> object:
        return connect()

    with pytest.raises(NotData, match=r"connect\(\)") as caught:
        connecting()
    assert "object" in str(caught.value)
    assert calls == [1]
    assert app.ledger.run("last").failed_step == "connect"


def test_an_argument_that_is_no_data_says_how_to_go_on(app: App) -> None:
    @step
    def ask(client: object) -> int:
        return 1

    @flow
    def asking() -> int:
        return ask(object())

    with pytest.raises(NotData, match="client") as caught:
        asking()
    assert any("key=" in note for note in caught.value.__notes__)


def test_a_flow_whose_result_is_no_data_fails(app: App) -> None:
    @flow
    def opaque() -> object:
        double(1)
        return iter([])

    with pytest.raises(NotData, match=r"opaque\(\)"):
        opaque()
    assert app.ledger.run("last").status == "failed"
    assert app.ledger.first_break(app.ledger.run("last").id) is None


def test_generator_flows_are_refused_where_they_are_declared() -> None:
    def generate() -> Any:
        yield 1

    async def generate_async() -> Any:
        yield 1

    for function in (generate, generate_async):
        with pytest.raises(UsageError, match="generator"):
            flow(function)


def test_methods_are_steps_of_their_object(app: App) -> None:
    @dataclass
    class Shop:
        name: str

        @step
        def price(self, item: str) -> str:
            return f"{self.name}:{item}"

        @staticmethod
        @step
        def tax(item: str) -> int:
            return 7

    @flow
    def buying() -> list[Any]:
        return [Shop("a").price("tea"), Shop("b").price("tea"), Shop.tax("tea")]

    assert buying() == ["a:tea", "b:tea", 7]
    assert names(app) == ["price", "price", "tax"]
    recorded = [link.outcome for link in history(app) if link.outcome.kind == "step"]
    assert recorded[0].digest != recorded[1].digest


def test_arguments_are_recorded_by_name_however_they_are_given(app: App) -> None:
    @step
    def add(a: int, /, b: int, *rest: int, c: int = 3, **more: int) -> int:
        return a + b + sum(rest) + c + sum(more.values())

    @flow
    def adding() -> int:
        return add(1, 2) + add(1, b=2) + add(1, 2, 4, c=5, d=6)

    assert adding() == 6 + 6 + 18
    one, two, three = [link.outcome for link in history(app) if link.outcome.kind == "step"]
    assert one.inputs == two.inputs
    assert one.digest == two.digest
    assert (one.occurrence, two.occurrence, three.occurrence) == (0, 1, 0)


def test_a_call_that_does_not_fit_raises_as_python_does(app: App) -> None:
    @flow
    def wrong() -> int:
        return double(1, 2)  # type: ignore[call-arg]

    with pytest.raises(TypeError, match="argument"):
        wrong()


def test_a_plain_step_is_never_recorded(app: App) -> None:
    @step(plain=True)
    def helper() -> int:
        return 1

    @flow
    def helping() -> int:
        return helper()

    assert helping() == 1
    assert names(app) == []


def test_a_task_that_outlives_its_run_is_told_so(app: App) -> None:
    late: list[asyncio.Task[int]] = []

    @step
    async def slow(x: int) -> int:
        await asyncio.sleep(0.05)
        return x

    async def afterwards() -> int:
        await asyncio.sleep(0.05)
        return await double_async(1)

    @flow
    async def hasty() -> str:
        late.append(asyncio.create_task(slow(1)))
        late.append(asyncio.create_task(afterwards()))
        await asyncio.sleep(0)
        return "done"

    async def main() -> None:
        assert await hasty() == "done"
        for task in late:
            with pytest.raises(RunEnded, match="await every task"):
                await task

    asyncio.run(main())
    run = app.ledger.run("last")
    assert run.status == "completed"
    assert names(app) == []
    assert app.ledger.first_break(run.id) is None


def test_two_runs_in_one_process_keep_apart(app: App) -> None:
    @step
    async def note(who: str, n: int) -> str:
        await asyncio.sleep(0)
        here = current_run()
        assert here is not None
        return here.id

    @flow
    async def talking(who: str) -> list[str]:
        return [await note(who, n) for n in range(5)]

    async def main() -> list[list[str]]:
        return await asyncio.gather(*(talking(who) for who in "abc"))

    for ids, run in zip(asyncio.run(main()), sorted(app.ledger.runs(), key=lambda run: run.id), strict=True):
        assert set(ids) == {run.id}
        assert names(app, run.id) == ["note"] * 5
