"""`shadow_rate`: who is drawn, what is recorded, what `app.shadows` and `surefoot stats` make of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from durable import cut, history, names, opened_app
from surefoot import App, Router, Tier, Tiered, flow, generate, scripted, step
from surefoot.cli.root import invoked
from surefoot.errors import RunLimit
from surefoot.models import ModelRequest
from surefoot.models.generating.shadowing import is_drawn
from surefoot.traces import wilson

CHEAP, STRONG = "openai:gpt-4o-mini", "openai:gpt-4o"


@pytest.fixture(autouse=True)
def own_policy() -> None:
    """The policy is that of the app."""


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "surefoot.toml").write_text("[models]\nretries = 0\n")
    with opened_app(folder) as app:
        yield app


def question(number: int) -> list[dict[str, str]]:
    return [{"role": "user", "content": f"Is {number} even?"}]


def parity(asked: ModelRequest) -> object:
    """The cheap model says yes to all numbers."""
    number = int(asked.text.split()[1])
    return "yes" if number % 2 == 0 or asked.model == "gpt-4o-mini" else "no"


def ladder(rate: float) -> Tiered:
    return Tiered([Tier(CHEAP), Tier(STRONG)], shadow_rate=rate)


@flow
def even(number: int, rate: float) -> str:
    return generate.sync(question(number), using=ladder(rate))


def test_each_answer_of_the_cheap_tier_is_compared(app: App) -> None:
    with scripted(parity) as script:
        assert [app.run(even, {"number": number, "rate": 1}) for number in range(4)] == ["yes"] * 4
    assert [request.model for request in script.requests] == ["gpt-4o-mini", "gpt-4o"] * 4
    assert names(app) == ["openai.chat", "tier 1", "openai.chat", "shadow", "generate"]
    seen = app.shadows("even")
    assert (seen.compared, seen.agreeing, seen.failed, seen.share) == (4, 2, 0, 0.5)
    assert [one.agrees for one in sorted(seen.shadows, key=lambda one: one.run_id)] == [
        True,
        False,
        True,
        False,
    ]
    assert {(one.model, one.strong, one.tier) for one in seen.shadows} == {(CHEAP, STRONG, 1)}
    assert [(one.said, one.strong_said) for one in seen.shadows if one.agrees is False] == [("yes", "no")] * 2
    assert [*seen.by_day.values()] == [(4, 2)]
    assert app.shadows("even", since=timedelta(hours=-1)).shadows == ()
    assert app.shadows("other").share is None


def test_a_shadow_that_fails_harms_nobody(app: App) -> None:
    with scripted(lambda asked: "yes" if asked.model == "gpt-4o-mini" else scripted.fails(500)):
        assert app.run(even, {"number": 1, "rate": 1}) == "yes"
    (one,) = app.shadows("even").shadows
    assert one.agrees is None
    assert one.failure.startswith("ModelUnavailable")
    assert app.ledger.run("last").status == "completed"


def test_a_comparison_that_raises_harms_nobody(app: App) -> None:
    def broken(one: str, other: str) -> bool:
        raise LookupError(one + other)

    @flow
    def careless() -> str:
        return generate.sync(question(1), using=Tiered([CHEAP, STRONG], shadow_rate=1, same=broken))

    with scripted(parity):
        assert app.run(careless) == "yes"
    assert app.shadows("careless").shadows[0].failure == "LookupError: yesno"


def test_a_run_that_stops_in_a_shadow_stops(app: App, tmp_path: Path) -> None:
    (tmp_path / "app" / "surefoot.toml").write_text("[runs]\nmax_calls = 1\n")
    with opened_app(tmp_path / "app") as bounded, scripted(parity), pytest.raises(RunLimit):
        bounded.run(even, {"number": 1, "rate": 1})
    assert app.shadows("even").shadows == ()


def test_the_share_that_is_drawn_is_drawn_again(app: App, tmp_path: Path) -> None:
    """By the run and the step alone: a resume draws the same, and pays no recorded shadow again."""
    with scripted(parity):
        for number in range(60):
            app.run(even, {"number": number, "rate": 0.5})
    drawn = {run.id for run in app.ledger.runs(limit=None) if "shadow" in names(app, run.id)}
    # 60 draws of probability 1/2 lie within 10 and 50 but for one time in a million.
    assert 10 < len(drawn) < 50

    with opened_app(tmp_path / "other") as other:
        with scripted(parity):
            other.run(even, {"number": 1, "rate": 1})
        source, rows = Path(other.ledger.where), len(history(other))
    for kept in range(1, rows):
        cut(source, tmp_path / f"after-{kept}", kept)
        with opened_app(tmp_path / f"after-{kept}") as again, scripted(parity) as script:
            made = sum(link.outcome.kind == "call" for link in history(again))
            assert again.resume("last", flow=even) == "yes"
            assert len(script.requests) == 2 - made
            assert again.shadows("even").agreeing == 0
            assert again.shadows("even").compared == 1


def test_nobody_is_drawn_outside_of_runs_or_from_the_last_tier(app: App) -> None:
    assert not is_drawn(1)

    @flow
    def refusing() -> str:
        tiers = [Tier(CHEAP, accept=lambda value: False), Tier(STRONG)]
        return generate.sync(question(1), using=Tiered(tiers, shadow_rate=1))

    with scripted(parity) as script:
        assert generate.sync(question(1), using=ladder(1)) == "yes"
        assert app.run(refusing) == "no"
    assert len(script.requests) == 3
    assert "shadow" not in names(app)


def test_routes_have_shadows_too(app: App) -> None:
    @flow
    def routed(route: str) -> str:
        routes: dict[str, Any] = {"simple": CHEAP, "complex": Tiered([CHEAP, STRONG])}
        return generate.sync(question(1), using=Router(lambda text: route, routes, shadow_rate=1))

    with scripted(parity):
        app.run(routed, {"route": "simple"})
        app.run(routed, {"route": "complex"})
    (one,) = app.shadows("routed").shadows
    assert (one.route, one.model, one.strong, one.agrees) == ("simple", CHEAP, STRONG, False)


def test_a_route_that_came_to_the_strong_model_has_none(app: App) -> None:
    @flow
    def routed() -> str:
        climbing = Tiered([Tier(CHEAP, accept=lambda value: False), Tier(STRONG)])
        routes: dict[str, Any] = {"simple": climbing, "complex": STRONG}
        return generate.sync(question(1), using=Router(lambda text: "simple", routes, shadow_rate=1))

    with scripted(parity) as script:
        assert app.run(routed) == "no"
    assert len(script.requests) == 2
    assert app.shadows("routed").shadows == ()


def test_a_step_of_that_name_is_none(app: App) -> None:
    @step
    def shadow() -> dict[str, bool]:
        return {"agrees": True}

    @flow
    def own() -> object:
        return shadow()

    app.run(own)
    assert app.shadows("own").shadows == ()


def test_stats_show_them(
    app: App, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with scripted(parity):
        for number in range(4):
            app.run(even, {"number": number, "rate": 1})
    monkeypatch.chdir(app.settings.root)
    assert invoked(["stats", "even"]) == 0
    printed = capsys.readouterr().out
    assert "shadows  2 of 4 agree with the strong model (50%; with 95 % confidence 15% to 85%)" in printed


def test_wilson_by_known_values() -> None:
    # R: prop.test(x, n, correct = FALSE)$conf.int
    assert wilson(2, 4) == pytest.approx((0.1500390, 0.8499610), abs=1e-6)
    assert wilson(81, 263) == pytest.approx((0.2552757, 0.3661953), abs=1e-4)
    assert wilson(0, 20) == pytest.approx((0, 0.1611252), abs=1e-6)
    assert wilson(20, 20) == pytest.approx((0.8388748, 1), abs=1e-6)
    assert wilson(0, 0) == (0, 1)
