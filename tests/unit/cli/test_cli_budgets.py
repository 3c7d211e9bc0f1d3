"""`surefoot costs --budgets` as it is typed: what every budget has left."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from surefoot import App
from surefoot.cli.root import invoked
from surefoot.effects import drive
from surefoot.values import Caller, Money

Surefoot = Callable[..., tuple[int, str, str]]

SETTINGS = """
[budgets.all]
limit = "25.00"

[budgets.tenants]
of = "tenant"
only = "ac*"
per = "month"
limit = "0.10"

[budgets.runs]
of = "run"
limit = 1
"""


@pytest.fixture
def surefoot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Surefoot:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = invoked(list(arguments))
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def app(tmp_path: Path, surefoot: Surefoot) -> Iterator[App]:
    _ = surefoot
    (tmp_path / "surefoot.toml").write_text(SETTINGS)
    app = App.current()
    yield app
    app.close()


def spend(app: App, cents: int, caller: Caller) -> None:
    assert app.budgeting is not None
    worst = Money.dollars(cents) if cents > 100 else Money(cents * 10_000_000)
    drive(drive(app.budgeting.hold(caller, worst, what="the call", patience=0.0)).settle(None))


def test_without_budgets_it_says_how_to_make_one(surefoot: Surefoot) -> None:
    code, out, err = surefoot("costs", "--budgets")
    assert (code, out) == (0, "")
    assert "[budgets.NAME]" in err
    assert App.current().budgets() == []


def test_every_account_is_a_line(app: App, surefoot: Surefoot) -> None:
    assert app.budgeting is not None
    spend(app, 9, Caller(("01RUN",), ("flow",), tenant="acme"))
    spend(app, 100, Caller(("01OTHER",), ("flow",), tenant="other"))
    hold = drive(app.budgeting.hold(Caller(tenant="acme"), Money(5_000_000), what="the call", patience=0.0))
    code, out, _ = surefoot("costs", "--budgets")
    assert code == 0
    lines = [line.split() for line in out.splitlines()]
    assert lines[0] == ["BUDGET", "OF", "PERIOD", "LEFT", "SPENT", "HELD", "LIMIT", "RENEWS"]
    by_name = {tuple(line[:2]): line for line in lines[1:]}
    assert by_name["all", "everything"][3:7] == ["$23.9050", "$1.0900", "$0.0050", "$25.0000"]
    assert lines[2][:3] == ["tenants", "tenant", "acme"]
    assert lines[2][4:8] == ["$0.0050", "$0.0900", "$0.0050", "$0.1000"]
    assert [line[2] for line in lines[3:]] == ["01RUN", "01OTHER"]
    assert lines[3][-1] == "never"
    drive(hold.settle(None))


def test_all_figures_as_json(app: App, surefoot: Surefoot) -> None:
    spend(app, 9, Caller(tenant="acme"))
    code, out, _ = surefoot("costs", "--budgets", "--json")
    assert code == 0
    everything, tenant = json.loads(out)["budgets"]
    assert (everything["budget"], everything["of"], everything["left_nanos"]) == (
        "all",
        "everything",
        24_910_000_000,
    )
    assert (tenant["whose"], tenant["spent_usd"], tenant["held_nanos"], tenant["unsure_nanos"]) == (
        "acme",
        0.09,
        0,
        0,
    )
    assert (tenant["per"], len(tenant["period"])) == ("month", 7)
    assert tenant["renews"] > everything["renews"] or tenant["renews"] == everything["renews"]


def test_there_is_no_csv_of_budgets(app: App, surefoot: Surefoot) -> None:
    _ = app
    code, _, err = surefoot("costs", "--budgets", "--csv")
    assert code == 2
    assert "--json" in err
