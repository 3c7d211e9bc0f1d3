"""What a run may cost by those that were: `app.estimate`, `surefoot estimate` and `surefoot run --estimate`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from command_line import surefoot
from faults import FaultServer
from surefoot import App, Call, flow, generate
from surefoot.config import load
from surefoot.errors import UnboundedCall, UnknownFlow
from surefoot.values import Money

SETTINGS = """
[budgets.all]
limit = "5.00"
[budgets.each]
limit = "1.00"
of = "run"
[budgets.others]
limit = "1.00"
of = "tenant"
only = "somebody-else"
"""


@pytest.fixture(autouse=True)
def own_policy() -> None:
    """The policy is that of the app."""


@pytest.fixture(scope="module")
def server() -> Iterator[FaultServer]:
    with FaultServer() as server:
        yield server


@pytest.fixture
def environ(server: FaultServer) -> dict[str, str]:
    return {
        "SUREFOOT_LEDGER_SYNCHRONOUS": "normal",
        "OPENAI_API_KEY": "key-of-a-test",
        "OPENAI_BASE_URL": server.openai_url,
        "ANTHROPIC_API_KEY": "key-of-a-test",
        "ANTHROPIC_BASE_URL": server.anthropic_url,
    }


@pytest.fixture
def app(tmp_path: Path, environ: dict[str, str]) -> Iterator[App]:
    (tmp_path / "surefoot.toml").write_text(SETTINGS)
    app = App(load(tmp_path, environ=environ))
    try:
        with app.entered():
            yield app
    finally:
        app.close()


def said(text: str) -> Any:
    return [{"role": "user", "content": text}]


@flow
def in_a_row(count: int) -> int:
    for number in range(count):
        generate.sync(said(f"call {number}"), using=Call("openai:gpt-4o", max_tokens=1_000))
    generate.sync(said("last"), using=Call("anthropic:claude-sonnet-5", max_tokens=100))
    return count


def test_calls_at_most_and_cost_of_each_model_and_what_is_caution(app: App) -> None:
    for count in (1, 2, 2, 3):
        in_a_row(count)
    found = app.estimate(in_a_row)
    assert (found.flow, found.runs, found.others) == ("in_a_row", 4, 0)
    gpt, claude = found.models
    assert (gpt.model, claude.model) == ("openai:gpt-4o", "anthropic:claude-sonnet-5")
    assert (gpt.calls.median, gpt.calls.most, claude.calls.most) == (2, 3, 1)
    # 1,000 tokens of an answer at 10 dollars for a million, or 17 where priority is served.
    assert 3 * 10_000_000 < gpt.worst.most < 3 * 20_000_000
    assert 0 < gpt.spent.median <= gpt.spent.p95 <= gpt.spent.most < gpt.worst.most
    assert gpt.caution is not None
    assert 0.9 < gpt.caution < 1
    assert found.total.calls.most == 4
    assert found.total.worst.most == gpt.worst.most + claude.worst.most
    totals = [run.totals.cost.nanos for run in app.ledger.runs(flow="in_a_row")]
    assert found.total.spent.most == max(totals)
    # One after the other: never more than one of them is held.
    assert found.at_once.most < gpt.worst.most / 2
    assert (found.total.unpriced, found.total.unbounded) == (0, 0)


def test_calls_side_by_side_are_held_together(app: App, server: FaultServer) -> None:
    @flow
    async def side_by_side() -> int:
        one = Call("openai:gpt-4o", max_tokens=1_000)
        return len(await asyncio.gather(*(generate(said(f"call {n}"), using=one) for n in range(5))))

    server.delay = 0.1
    try:
        asyncio.run(side_by_side())
    finally:
        server.delay = 0.0
    found = app.estimate(side_by_side)
    assert found.at_once.most == found.total.worst.most


def test_the_budgets_that_a_run_draws_from_are_shown_with_what_is_left(app: App) -> None:
    in_a_row(1)
    found = app.estimate(in_a_row)
    spent = app.ledger.run("last").totals.cost
    everybody, each = sorted(found.budgets, key=lambda one: one.budget)
    assert (everybody.budget, everybody.left) == ("all", Money.dollars(5) - spent)
    # That of a run is new.
    assert (each.budget, each.left) == ("each", Money.dollars(1))
    assert len(app.estimate(in_a_row, tenant="somebody-else").budgets) == 3


def test_calls_of_child_runs_are_those_of_their_parent(app: App) -> None:
    @flow
    def parent() -> int:
        return in_a_row(2)

    parent()
    assert app.estimate(parent).total.calls.most == 3


def test_calls_that_a_budget_would_refuse_are_counted_apart(tmp_path: Path, environ: dict[str, str]) -> None:
    @flow
    def unpriced() -> str:
        return generate.sync(said("x"), using=Call("openai:nobodys-model", max_tokens=5))

    app = App(load(tmp_path, environ=environ))
    with app.entered():
        unpriced()
        found = app.estimate(unpriced)
        assert (found.total.unbounded, found.total.unpriced, found.total.caution) == (1, 1, None)
        assert '[prices."openai:nobodys-model"]' in found.reasons[0]
    app.close()
    (tmp_path / "surefoot.toml").write_text(SETTINGS)
    app = App(load(tmp_path, environ=environ))
    with app.entered(), pytest.raises(UnboundedCall):
        unpriced()
    app.close()


def test_runs_that_have_not_completed_are_left_out(app: App) -> None:
    @flow
    def failing(is_broken: bool) -> str:
        answer = generate.sync(said("x"), using=Call("openai:gpt-4o", max_tokens=5))
        if is_broken:
            raise RuntimeError("on purpose")
        return answer

    with pytest.raises(RuntimeError):
        failing(True)
    found = app.estimate(failing)
    assert (found.runs, found.others, found.total.calls.most) == (0, 1, 0)
    failing(False)
    found = app.estimate(failing)
    assert (found.runs, found.others, found.total.calls.most) == (1, 1, 1)


def test_a_flow_that_has_no_runs_has_no_estimate(app: App) -> None:
    @flow
    def fresh() -> None: ...

    assert app.estimate(fresh).runs == 0
    with pytest.raises(UnknownFlow):
        app.estimate("no-such-flow")


FLOW = """
from surefoot import Call, flow, generate


@flow
def answer(question: str) -> str:
    return generate.sync([{"role": "user", "content": question}], using=Call("openai:gpt-4o", max_tokens=100))
"""


def test_the_command_line_tells_it_and_runs_nothing(
    tmp_path: Path, environ: dict[str, str], server: FaultServer
) -> None:
    (tmp_path / "surefoot.toml").write_text(SETTINGS)
    (tmp_path / "work.py").write_text(FLOW)
    before = surefoot("estimate", "work.py:answer", cwd=tmp_path, **environ)
    assert before.returncode == 0
    assert "Nothing can be told yet" in before.stdout
    assert surefoot("run", "work.py:answer", "-i", "question=why", cwd=tmp_path, **environ).returncode == 0
    count = server.count()
    told = surefoot("estimate", "work.py:answer", cwd=tmp_path, **environ)
    assert told.returncode == 0, told.stderr
    assert "estimate of answer by 1 completed run" in told.stdout
    assert "openai:gpt-4o" in told.stdout
    assert "CAUTION" in told.stdout
    assert "held at a time" in told.stdout
    assert "each    a new run" in told.stdout
    same = surefoot("run", "work.py:answer", "--estimate", cwd=tmp_path, **environ)
    assert same.stdout == told.stdout
    as_json = surefoot("run", "work.py:answer", "--estimate", "--json", cwd=tmp_path, **environ)
    found = json.loads(as_json.stdout)
    assert (found["runs"], found["total"]["calls"]["most"], len(found["budgets"])) == (1, 1, 2)
    assert found["total"]["at_most"]["most_nanos"] > found["total"]["cost"]["most_nanos"] > 0
    assert server.count() == count
