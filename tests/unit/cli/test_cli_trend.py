"""`surefoot trend` as it is typed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scored import a_case, an_experiment
from surefoot import App
from surefoot.cli.root import invoked
from surefoot.cli.trend import sparkline
from surefoot.evals.trending import SPANS, Span, Trend
from surefoot.ledger import Evaluations, ScoreRecord

Surefoot = Callable[..., tuple[int, str, str]]

DAY = SPANS["day"]


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
def scored(surefoot: Surefoot) -> Surefoot:
    """A metric that fell over three days, with failures, and one of labels."""
    app = App.current()
    app.settings.ensure_state_dir()
    evaluations = Evaluations(app.ledger)
    evaluations.begin(an_experiment(kind="online"))
    today = time.time_ns() // DAY * DAY
    values: list[list[Any]] = [[1.0, 0.75, 0.5, 0.75], [], [0.5, 0.25, None, 0.25]]
    evaluations.keep(
        [
            a_case(
                f"{day}-{n}",
                f"R-{day}-{n}",
                ScoreRecord("faithfulness", value, failure="" if value is not None else "no JSON"),
                ScoreRecord("tone", ("good", "\x1b[31mbad")[n % 2]),
                scored_ns=today - (3 - day) * DAY + n,
            )
            for day, some in enumerate(values)
            for n, value in enumerate(some)
        ]
    ).wait()
    return surefoot


def test_a_table_by_day_with_gap_coverage_and_interval(scored: Surefoot) -> None:
    code, out, err = scored("trend", "faithfulness")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "faithfulness by day (UTC), 8 runs"
    assert lines[1] == "0.333 █ ▁ 0.750"
    assert lines[3].split() == ["DAY", "MEAN", "95%", "N", "COVERAGE"]
    assert [line.split()[1:] for line in lines[4:]] == [
        ["0.750", "0.425", "to", "1.075", "4", "100%"],
        ["-", "-", "0", "-"],
        ["0.333", "-0.025", "to", "0.692", "3", "75%"],
        ["0.571", "0.314", "to", "0.829", "7", "88%"],
    ]
    assert lines[-1].startswith("all")


def test_json_has_all_of_it(scored: Surefoot) -> None:
    code, out, _ = scored(
        "trend", "faithfulness", "--json", "--by", "hour", "--flow", "answer", "--kind", "online"
    )
    found = json.loads(out)
    assert (code, found["metric"], found["kind"], found["by"], found["flow"]) == (
        *(0, "faithfulness", "mean", "hour"),
        "answer",
    )
    assert found["experiments"] == {"online": 8}
    assert len(found["spans"]) == 49
    assert found["spans"][0]["value"] == 0.75
    assert found["spans"][1] == {
        "began": found["spans"][0]["began"] + 3600,
        "n": 0,
        "failures": 0,
        "coverage": None,
        "value": None,
        "interval": None,
        "labels": {},
    }


def test_labels_are_counted_and_cannot_steer_the_terminal(scored: Surefoot) -> None:
    _, out, _ = scored("trend", "tone")
    assert "\x1b" not in out
    assert "␛[31mbad 4, good 4" in out.splitlines()[-1]


def test_what_has_no_scores_is_told(scored: Surefoot) -> None:
    code, out, err = scored("trend", "faithfulness", "--since", "1h", "--until", "1m")
    assert (code, out) == (0, "")
    assert "no such scores of faithfulness since 1h" in err
    code, _, err = scored("trend", "faithfullness")
    assert code == 2
    assert "did you mean faithfulness?" in err
    code, out, _ = scored("trend", "nonsense", "--json")
    assert code == 2
    assert "lists the metrics" in json.loads(out)["error"]["message"]


def test_without_a_metric_they_are_listed(surefoot: Surefoot, scored: Surefoot) -> None:
    assert scored("trend")[1] == "faithfulness\ntone\n"
    assert json.loads(scored("trend", "--json", "--flow", "other")[1]) == {"metrics": []}
    assert "no metric has scores yet" in surefoot("trend", "--tenant", "nobody")[2]


def test_a_bound_is_told_with_how_sure_that_is(scored: Surefoot) -> None:
    code, out, err = scored("trend", "faithfulness", "--fail-below", "0.7")
    assert code == 1
    assert "below 0.700: it may be chance, more runs would tell; coverage 88%" in err
    assert "more than chance" in scored("trend", "faithfulness", "--fail-below", "0.9")[2]
    code, out, err = scored("trend", "faithfulness", "--fail-below", "0.5")
    assert (code, err) == (0, "")
    assert "not below 0.500, but the interval reaches there: it may be" in out
    code, _, err = scored("trend", "faithfulness", "--since", "1h", "--until", "1m", "--fail-below", "0")
    assert code == 1
    assert "no score in this time" in err
    code, out, _ = scored("trend", "faithfulness", "--json", "--fail-above", "0.2")
    assert (code, json.loads(out)["alerts"][0]["is_shown"]) == (1, True)
    assert scored("trend", "tone", "--fail-below", "1")[0] == 2
    assert scored("trend", "--fail-below", "1")[0] == 2


def test_a_ledger_that_is_not_there_is_not_made(surefoot: Surefoot, tmp_path: Path) -> None:
    code, _, err = surefoot("trend")
    assert code == 0
    assert "no metric has scores yet" in err
    assert not list(tmp_path.rglob("*.db"))


def test_a_line_of_signs_fits_its_width() -> None:
    spans = tuple(Span(day * DAY, 1, 0, float(day)) for day in range(1000))
    found = Trend("m", "day", "mean", spans, spans[0], {})
    line = sparkline(found, width=40, signs="01234567")
    assert len(line) == 40
    low, drawn, high = line.split()
    assert (low, high) == ("0.000", "999.000")
    assert drawn == "".join(sorted(drawn))
    assert set(drawn) == set("01234567")
    flat = Trend("m", "day", "rate", (Span(0, 1, 0, 0.5), Span(DAY, 1, 0, 0.5)), spans[0], {})
    assert sparkline(flat, width=40, signs="01234567") == "50.0% 33 50.0%"
    alone = Trend("m", "day", "mean", spans[:1], spans[0], {})
    assert sparkline(alone, width=40, signs="01234567") == ""
