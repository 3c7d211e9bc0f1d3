"""What a claim does with the settlement of its work: committed with the outcome, or booked without one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from durable import open_app
from surefoot import App, flow, step
from surefoot.effects import drive
from surefoot.errors import NotData, RunEnded
from surefoot.ledger import Budget, Budgets, Note
from surefoot.ledger.holds import AccountHold
from surefoot.scope import Claim, Ending, Work, current
from surefoot.values import Money


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    app = open_app(tmp_path)
    app.budgeting = Budgets(
        app.ledger, [Budget("all", Money.dollars(1)), Budget("runs", Money.dollars(1), of="run")]
    )
    with app.entered():
        yield app
    app.close()


def claimed(app: App) -> tuple[Claim, AccountHold]:
    here = current()
    assert here is not None
    assert app.budgeting is not None
    claim = here.claim(Work("call", "openai:gpt", {"a": 1}, "gpt"))
    hold = drive(app.budgeting.hold(here.caller, Money(400), what="the call", patience=0.0))
    return claim, hold


def spent(app: App) -> list[tuple[int, int]]:
    return [(one.spent.nanos, one.held.nanos) for one in app.budgets()]


def test_with_its_outcome(app: App) -> None:
    @flow
    def asking() -> str:
        claim, hold = claimed(app)
        assert spent(app) == [(0, 400)] * 2
        claim.finish(Ending("completed", "yes", settlement=hold.settlement(Money(123)))).wait()
        return "done"

    assert asking() == "done"
    assert spent(app) == [(123, 0)] * 2


def test_where_the_outcome_cannot_be_recorded(app: App) -> None:
    @flow
    def asking() -> str:
        claim, hold = claimed(app)
        with pytest.raises(NotData):
            claim.finish(Ending("completed", object(), settlement=hold.settlement(Money(7))))
        claim.finish(Ending("completed", "yes")).wait()
        return "done"

    assert asking() == "done"
    assert spent(app) == [(7, 0)] * 2


def test_behind_the_end_of_its_run(app: App) -> None:
    left: list[tuple[Claim, AccountHold]] = []

    @flow
    def asking() -> str:
        left.append(claimed(app))
        return "done"

    assert asking() == "done"
    claim, hold = left[0]
    with pytest.raises(RunEnded):
        claim.finish(Ending("completed", "yes", settlement=hold.settlement(Money(9)))).wait()
    app.ledger.submit(Note([])).wait()
    assert spent(app) == [(9, 0)] * 2


def test_of_what_was_left_early_and_then_dropped(app: App) -> None:
    """A reader that ends in an error: nothing of what it read counts, but what that has cost is spent."""
    holds: list[AccountHold] = []

    @step
    def items() -> Iterator[int]:
        claim, hold = claimed(app)
        holds.append(hold)
        try:
            yield 1
            yield 2
        finally:
            claim.finish(Ending("completed", "half", settlement=hold.settlement(Money(11))))

    @flow
    def reading() -> None:
        for _ in items():
            raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        reading()
    app.ledger.submit(Note([])).wait()
    assert spent(app) == [(11, 0)] * 2
