"""Results whose class has changed between crash and resume."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass, make_dataclass
from typing import Any

import pytest

from surefoot import App, flow, step
from surefoot.errors import NotRestored, StepFailed

executed: list[str] = []


@dataclass
class Price:
    """Where a class called the same has moved to."""

    cents: int
    currency: str = "EUR"


@pytest.fixture
def module() -> Iterator[types.ModuleType]:
    executed.clear()
    made = sys.modules["shop_of_classes_test"] = types.ModuleType("shop_of_classes_test")
    old: Any = make_dataclass("Price", [("cents", int)])
    old.__module__ = made.__name__
    made.Price = old  # type: ignore[attr-defined]
    yield made
    del sys.modules["shop_of_classes_test"]


def look_up() -> Any:
    executed.append("looked up")
    return sys.modules["shop_of_classes_test"].Price(5)


def annotated() -> Price:
    return look_up()  # type: ignore[no-any-return]


def crashed(app: App, looking: Any) -> str:
    def crash() -> None:
        step(name="look")(looking)()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        flow(name="pricing")(crash)()
    return app.ledger.run("last").id


def go_on(app: App, run_id: str, looking: Any) -> object:
    return app.resume(run_id, flow=flow(name="pricing")(step(name="look")(looking)))


def test_a_class_that_moved_is_found_by_the_annotation(app: App, module: types.ModuleType) -> None:
    run_id = crashed(app, annotated)
    del module.Price
    assert go_on(app, run_id, annotated) == Price(5, "EUR")
    assert executed == ["looked up"]


def test_without_an_annotation_the_run_says_what_is_gone(app: App, module: types.ModuleType) -> None:
    run_id = crashed(app, look_up)
    del module.Price
    with pytest.raises((NotRestored, StepFailed), match=r"shop_of_classes_test:Price"):
        go_on(app, run_id, look_up)
    assert executed == ["looked up"]


def test_a_class_that_is_still_there_is_not_validated(app: App, module: types.ModuleType) -> None:
    run_id = crashed(app, annotated)
    assert type(go_on(app, run_id, annotated)) is module.Price
