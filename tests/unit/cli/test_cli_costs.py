"""`surefoot costs` as it is typed, on runs of a real flow against a real server."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import openai
import pytest
from openai import OpenAI

from surefoot import App, flow
from surefoot.cli.costs import compact, rounded
from surefoot.cli.root import invoked
from surefoot.errors import StepFailed
from surefoot.values import RunTags
from wire import Fault, WireServer

Surefoot = Callable[..., tuple[int, str, str]]

crashes: list[str] = []


@flow
def ask(url: str, model: str) -> str | None:
    with OpenAI(base_url=url, api_key="test-key-of-openai") as client:
        said = client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": "hello there"}]
        )
    if model == "gpt-4.1" and not crashes:
        crashes.append(model)
        raise RuntimeError("after the call")
    return said.choices[0].message.content


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    crashes.clear()
    (tmp_path / "surefoot.toml").write_text(
        '[models]\nretries = 0\n[prices."openai:gpt-4o"]\ninput = "1000000"\noutput = 0\n'
    )
    return tmp_path


@pytest.fixture
def surefoot(project: Path, capsys: pytest.CaptureFixture[str]) -> Surefoot:
    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = invoked(list(arguments))
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def called(surefoot: Surefoot) -> Surefoot:
    """The command in a project with five calls: with a price of its own, resumed, refused, broken off, unknown."""
    app = App.current()
    with WireServer() as wire:
        for model, tenant in (("gpt-4o", "acme"), ("house-model", "acme")):
            app.run(ask, {"url": wire.openai_url, "model": model}, tags=RunTags(tenant=tenant))
        with pytest.raises(StepFailed):
            app.run(ask, {"url": wire.openai_url, "model": "gpt-4.1"})
        app.resume("last", flow=ask)
        assert wire.count() == 3, "the resumed run replays its call"
        wire.fail(Fault(status=400))
        with pytest.raises(StepFailed) as refused:
            app.run(ask, {"url": wire.openai_url, "model": "gpt-4o-mini"})
        assert isinstance(refused.value.__cause__, openai.BadRequestError)
        wire.fail(Fault(kind="reset"))
        with pytest.raises(StepFailed):
            app.run(ask, {"url": wire.openai_url, "model": "gpt-4o-mini"})
    return surefoot


def test_the_table(called: Surefoot) -> None:
    code, out, err = called("costs")
    assert (code, err) == (0, "")
    title, blank, head, *rows, last, space, hint = out.splitlines()
    assert title.startswith("costs by model  since ")
    assert (blank, space) == ("", "")
    assert head.split()[:6] == ["MODEL", "CALLS", "COST", "FAILED", "UNPRICED", "IN"]
    assert "HITS" not in head, "a column in which nothing stands is left out"
    cells = {row.split()[0]: row.split()[1:] for row in rows}
    assert rows[0].startswith("openai:gpt-4o "), "the dearest first"
    assert cells["openai:gpt-4o"][:2] == ["1", f"${cells['openai:gpt-4o'][2]}.0000"]
    assert cells["openai:house-model"][:3] == ["1", "unknown", "1"]
    # One was refused, which costs nothing; what the other cost nobody knows.
    assert cells["openai:gpt-4o-mini"][:4] == ["2", "unknown", "2", "1"]
    assert cells["openai:gpt-4.1"][0] == "1", "a replay is no call"
    assert last.split()[:2] == ["total", "5"]
    assert last.split()[2].endswith("+")
    assert hint.startswith("2 calls without a known price")


def test_the_same_for_programs_and_for_spreadsheets(called: Surefoot) -> None:
    code, out, _ = called("costs", "--by", "tenant,model", "--tenant", "acme", "--json")
    told = json.loads(out)
    assert (code, told["by"]) == (0, ["tenant", "model"])
    assert [(row["tenant"], row["model"]) for row in told["rows"]] == [
        ("acme", "openai:gpt-4o"),
        ("acme", "openai:house-model"),
    ]
    assert told["total"]["calls"] == 2
    assert told["total"]["cost_nanos"] == told["rows"][0]["tokens"]["input"] * 10**9
    assert [row["is_cost_complete"] for row in told["rows"]] == [True, False]
    code, out, _ = called("costs", "--by", "tenant,model", "--tenant", "acme", "--csv")
    first, second = csv.DictReader(StringIO(out))
    assert (code, first["model"], second["unpriced"]) == (0, "openai:gpt-4o", "1")
    assert first["cost_usd"] == f"{told['rows'][0]['tokens']['input']}.000000000"


def test_app_costs_are_the_same(called: Surefoot) -> None:
    found = App.current().costs(("flow", "day"), since=timedelta(hours=1))
    assert [row.group["flow"] for row in found.rows][:1] == ["ask"]
    assert (found.total.calls, found.total.failed, found.total.unpriced) == (5, 2, 2)
    later = datetime.now(UTC) + timedelta(days=1)
    assert App.current().costs(since=later).rows == ()
    assert App.current().costs(until=later.replace(tzinfo=None)).total.calls == 5


def test_nothing_to_show_is_said(surefoot: Surefoot) -> None:
    code, out, err = surefoot("costs")
    assert (code, out) == (0, "")
    assert err.startswith("no model calls since 30d (ledger ")
    assert json.loads(surefoot("costs", "--json")[1])["rows"] == []
    assert surefoot("costs", "--csv")[1].startswith("model,calls,")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--by", "colour"], "there are flow, model"),
        (["--by", ","], "name one of"),
        (["--since", "soon"], "write 30m, 1h, 7d"),
        (["--until", "soon"], "--until 'soon'"),
        (["--tz", "Mars/Olympus"], "is no time zone"),
        (["--csv", "--json"], "exclude each other"),
    ],
)
def test_what_is_wrong_is_said(surefoot: Surefoot, options: list[str], said: str) -> None:
    code, _, err = surefoot("costs", *options)
    assert code == 2
    assert said in err


def test_a_date_is_of_the_zone(called: Surefoot) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=2)).date().isoformat()
    assert "no model calls" in called("costs", "--since", tomorrow, "--tz", "Asia/Tokyo")[2]
    assert called("costs", "--since", "all", "--until", tomorrow)[1]


def test_figures_are_short() -> None:
    assert [compact(n) for n in (0, 999, 1000, 99_940, 999_949, 999_950, 1_250_000, 12_500_000_000)] == [
        "0",
        "999",
        "1.00k",
        "99.9k",
        "999.9k",
        "1.00M",
        "1.25M",
        "12.5G",
    ]
    cents = [0, 1, 99_999, 100_000, 1_234_567_890, 99_999_949_999, 123_456_789_000_000]
    assert [rounded(n) for n in cents] == [
        "$0",
        "$0.000000001",
        "$0.000099999",
        "$0.0001",
        "$1.2346",
        "$99.9999",
        "$123,456.79",
    ]


def test_a_name_that_a_spreadsheet_would_run_is_text(surefoot: Surefoot) -> None:
    app = App.current()
    with WireServer() as wire:
        app.run(ask, {"url": wire.openai_url, "model": "m"}, tags=RunTags(principal="=HYPERLINK(1)"))
    assert "'=HYPERLINK(1)" in surefoot("costs", "--by", "principal", "--csv")[1]
