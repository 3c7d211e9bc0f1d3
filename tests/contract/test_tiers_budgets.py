"""A ladder under a budget: all of it is held before the first tier, and what no tier takes is free again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from durable import cut, history, names, opened_app
from surefoot import App, Call, Tier, Tiered, flow, generate, step
from surefoot.errors import BudgetExceeded, StepFailed, UnboundedCall
from surefoot.models import Judge
from surefoot.values import Money
from wire import WireServer

ASKED = [{"role": "user", "content": "What are the risks?"}]
CHEAP, STRONG = "openai:gpt-4o-mini", "openai:gpt-4o"


@pytest.fixture(autouse=True)
def own_policy() -> None:
    """The policy is that of the app."""


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Iterator[WireServer]:
    """What a script answers is not paid, so that this is a server."""
    with WireServer(reply=lambda model, text: model) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.openai_url)
        monkeypatch.setenv("OPENAI_API_KEY", "key-of-a-test")
        yield server


@contextmanager
def app_with(folder: Path, limit: str, more: str = "") -> Iterator[App]:
    folder.mkdir(exist_ok=True)
    (folder / "surefoot.toml").write_text(f"[budgets.all]\nlimit = {limit}\n[models]\nretries = 0\n{more}")
    with opened_app(folder) as app:
        yield app


def ladder(accept: Any = lambda value: False, **more: Any) -> Tiered:
    return Tiered(
        [Tier(Call(CHEAP, max_tokens=100), accept=accept, **more), Tier(Call(STRONG, max_tokens=1000))]
    )


@flow
def climbing() -> str:
    return generate.sync(ASKED, using=ladder())


def standing(app: App) -> tuple[Money, Money]:
    (account,) = app.budgets()
    return account.spent, account.held


def test_it_is_refused_before_the_cheap_tier_is_paid(wire: WireServer, tmp_path: Path) -> None:
    """There is money for the cheap tier alone, and for the strong one there would be none."""
    with app_with(tmp_path / "app", "0.005") as app:
        with pytest.raises(BudgetExceeded, match="a ladder of openai:gpt-4o-mini and openai:gpt-4o"):
            climbing()
        assert wire.count() == 0
        assert standing(app) == (Money(), Money())
        # Alone it would be let through.
        generate.sync(ASKED, using=Call(CHEAP, max_tokens=100))
        assert wire.count() == 1


def test_what_the_strong_tier_did_not_need_is_free(wire: WireServer, tmp_path: Path) -> None:
    seen: list[Money] = []

    with app_with(tmp_path / "app", "1") as app:

        def watched(value: str) -> bool:
            seen.append(standing(app)[1])
            return value == "gpt-4o-mini"

        @flow
        def cheap_enough() -> str:
            return generate.sync(ASKED, using=ladder(watched))

        assert app.run(cheap_enough) == "gpt-4o-mini"
        spent, held = standing(app)
        # While the cheap tier was judged, the strong one's worst case was held: more than its 1,000 tokens at $10.
        assert seen[0] > Money.dollars("0.01")
        assert held == Money()
        assert spent == app.ledger.run("last").totals.cost
        assert spent > Money()


@pytest.mark.parametrize("is_async", [True, False])
def test_both_tiers_are_paid_out_of_it(wire: WireServer, tmp_path: Path, is_async: bool) -> None:
    @flow
    async def climbing_async() -> str:
        return await generate(ASKED, using=ladder())

    with app_with(tmp_path / "app", "1") as app:
        assert app.run(climbing_async if is_async else climbing) == "gpt-4o"
        assert standing(app) == (app.ledger.run("last").totals.cost, Money())


def test_samples_and_a_judge_are_held_too(wire: WireServer, tmp_path: Path) -> None:
    held: list[Money] = []

    def most(**more: Any) -> Money:
        held.clear()

        def watched(value: str) -> bool:
            held.append(standing(app)[1])
            return True

        @flow
        def asking() -> str:
            return generate.sync(ASKED, using=ladder(watched, **more))

        app.run(asking)
        return held[0]

    with app_with(tmp_path / "app", "1") as app:
        plain = most()
        sampled = most(agreement=3)
        both = most(agreement=3, judge=Judge(Call(STRONG, max_tokens=500)))
        assert plain < sampled < both
        assert both > plain + Money.dollars("0.005")
        assert standing(app)[1] == Money()


def test_turns_beyond_the_first_are_set_aside_as_they_come(wire: WireServer, tmp_path: Path) -> None:
    @step
    def look_up() -> str:
        return "a page"

    @flow
    def with_tools() -> str:
        tiers = [Tier(Call(CHEAP, tools=[look_up]), accept=lambda value: False), Tier(STRONG)]
        return generate.sync(ASKED, using=Tiered(tiers))

    with app_with(tmp_path / "app", "1") as app:
        assert app.run(with_tools) == "gpt-4o"
        assert [one.body["model"] for one in wire.received] == ["gpt-4o-mini", "gpt-4o-mini", "gpt-4o"]
        assert standing(app) == (app.ledger.run("last").totals.cost, Money())


def test_a_ladder_of_which_a_tier_has_no_price_is_not_begun(wire: WireServer, tmp_path: Path) -> None:
    with app_with(tmp_path / "app", "1") as app:

        @flow
        def unpriced() -> str:
            return generate.sync(ASKED, using=Tiered([Tier(CHEAP), Tier("openai:nobody-knows")]))

        with pytest.raises(UnboundedCall, match=r"openai:nobody-knows.*\[prices"):
            unpriced()
        assert wire.count() == 0
        assert standing(app) == (Money(), Money())


def test_one_that_fails_or_is_given_up_holds_nothing(wire: WireServer, tmp_path: Path) -> None:
    def broken(value: str) -> bool:
        raise LookupError(value)

    @flow
    def failing() -> str:
        return generate.sync(ASKED, using=ladder(broken))

    with app_with(tmp_path / "app", "1") as app:
        with pytest.raises(LookupError):
            failing()
        spent, held = standing(app)
        assert held == Money()
        assert spent == app.ledger.run("last").totals.cost


def test_one_that_is_cancelled_holds_nothing(wire: WireServer, tmp_path: Path) -> None:
    @flow
    async def impatient() -> str:
        async def cancels(value: str) -> bool:
            assert standing(app)[1] > Money()
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(60)
            return bool(value)

        try:
            return await generate(ASKED, using=ladder(cancels))
        except asyncio.CancelledError:
            return "gave up"

    with app_with(tmp_path / "app", "1") as app:
        assert app.run(impatient) == "gave up"
        # What is given up is handed over, and written with the next outcome at the latest.
        assert app.run(climbing) == "gpt-4o"
        assert standing(app)[1] == Money()
        assert wire.count() == 3


def test_a_resume_that_pays_nothing_needs_no_money(wire: WireServer, tmp_path: Path) -> None:
    """What is recorded is not held again: a run goes on under a budget that it has used up itself."""
    with app_with(tmp_path / "app", "0.02") as app:
        assert app.run(climbing) == "gpt-4o"
        total, source = len(history(app)), Path(app.ledger.where)
    outcomes: list[str] = []
    for kept in range(1, total):
        folder = tmp_path / f"after-{kept}"
        cut(source, folder, kept)
        with app_with(folder, "0.000001") as again:
            is_paid = names(again).count("openai.chat") == 2
            before = wire.count()
            if is_paid:
                assert again.resume("last", flow=climbing) == "gpt-4o"
            else:
                with pytest.raises(StepFailed, match="BudgetExceeded"):
                    again.resume("last", flow=climbing)
            outcomes.append("resumed" if is_paid else "refused")
            assert wire.count() == before
    assert outcomes == ["refused"] * 3 + ["resumed"] * 3
