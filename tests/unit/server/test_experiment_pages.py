"""The pages of experiments, comparisons and trends: what they say, and that nothing recorded acts in them."""

from __future__ import annotations

import time

import pytest
from starlette.testclient import TestClient

from experiments import Told, experiment, kept
from surefoot import flow
from surefoot.app import App
from surefoot.evals import Case, Dataset, Score, evaluate
from surefoot.evals.trending import Span, Trend
from surefoot.ledger import CaseRecord, Evaluations, ExperimentRecord, ScoreRecord
from surefoot.server.charts import Axis, curve, whisker

ATTACK = "<script>alert(1)</script>"
SECRET = "sk-1234567890abcdefghijklmnopqrstuvwx"


@flow
def answer(question: str) -> str:
    if question.endswith("7"):
        raise ValueError(f"no {ATTACK}")
    return f"{question} {ATTACK} {SECRET}"


def evaluated(app: App, name: str, *, passes: bool) -> str:
    def right(output: str) -> Score:
        return Score(passes, f"because {ATTACK}")

    cases = tuple(
        Case(f"c{n}", {"question": f"q{n}"}, metadata={"lang": ("de", "en")[n % 2]}) for n in range(60)
    )
    with app.entered():
        return evaluate(answer, Dataset("golden", cases), {"right": right}, name=name).id


def test_an_experiment_from_the_list_to_its_cases_and_its_comparison(app: App, pages: TestClient) -> None:
    before, now = evaluated(app, "before", passes=True), evaluated(app, f"now {ATTACK}", passes=False)
    listed = pages.get("/experiments").text
    assert listed.index(now) < listed.index(before)
    one = pages.get(f"/experiments/{now}?by=lang")
    compared = pages.get(f"/experiments/{now}/compare/{before}?slice=lang")
    for page in (listed, one.text, compared.text, pages.get("/trends?metric=right").text):
        assert ATTACK not in page
        assert SECRET not in page
    assert "0.0%" in one.text
    assert "54 of 60" in one.text
    assert f"/experiments/{now}/compare/{before}" in one.text
    assert "ValueError: no &lt;script" in one.text
    assert "worse: right" in compared.text
    assert "worse in slices: right (lang=de)" in compared.text
    assert compared.text.count('class="side"') == 20
    assert "q0 &lt;script" in compared.text
    assert pages.get(f"/experiments/{before[:20]}").status_code in (302, 404)
    assert pages.get("/experiments/nothing").status_code == 404
    assert pages.get(f"/experiments/{now}/compare/{now}").status_code == 422
    assert pages.get(f"/experiments/{now}?by=colour").status_code == 404


def test_ten_thousand_cases_are_paged(app: App, pages: TestClient) -> None:
    app.settings.ensure_state_dir()
    cases = {f"c{n:05}": Told({"right": n % 5 != 0}) for n in range(10_000)}
    kept(experiment("big/one", cases), Evaluations(app.ledger), begun_ns=time.time_ns())
    first = pages.get("/experiments/big%2Fone").text
    assert "80.0%" in first
    assert "1 to 50 of 2,000" in first
    last = pages.get("/experiments/big%2Fone?show=all&from=9950").text
    assert "9,951 to 10,000 of 10,000" in last
    assert "c09999" in last
    assert len(last) < 100_000


def test_a_trend_is_drawn_with_its_gaps(app: App, pages: TestClient) -> None:
    assert "No metric has scores yet" in pages.get("/trends").text
    assert "No experiments yet" in pages.get("/experiments").text
    app.settings.ensure_state_dir()
    evaluations, day = Evaluations(app.ledger), 86_400_000_000_000
    evaluations.begin(ExperimentRecord("online-a", "online", "a", "answer", "", "", "production", "", 0, 0))
    now = time.time_ns()
    evaluations.keep(
        [
            CaseRecord(
                *("online-a", f"0{ago}{n}", f"0{ago}{n}", "completed"),
                scored_ns=now - ago * day,
                scores=(ScoreRecord("right", value=n != 0), ScoreRecord("tone", "curt")),
            )
            for ago in (1, 2, 5, 6)
            for n in range(4)
        ]
    ).wait()
    page = pages.get("/trends?metric=right&kind=online").text
    assert (page.count("<polyline"), page.count("<polygon"), page.count('class="dot"')) == (2, 2, 4)
    assert "75.0%" in page
    assert "<polyline" not in pages.get("/trends?metric=tone").text
    assert "No such scores" in pages.get("/trends?metric=right&kind=eval").text
    assert pages.get("/trends?days=3").status_code == 400


@pytest.mark.parametrize(("low", "high", "ticks"), [(0.0, 1.0, [0.0, 0.5, 1.0]), (-3.0, 8.0, [0.0, 5.0])])
def test_ticks_are_round_and_within(low: float, high: float, ticks: list[float]) -> None:
    assert Axis(low, high).ticks() == pytest.approx(ticks)


def test_what_has_no_end_is_drawn_at_the_end() -> None:
    found = whisker(Axis(-1.0, 1.0), 0.5, (float("-inf"), float("inf")), zero=0.0)
    assert found is not None
    assert (found.left, found.width, found.at, found.zero) == (0.0, 100.0, 75.0, 50.0)
    assert whisker(Axis(0.0, 1.0), None, None) is None
    assert curve(Trend("m", "day", "labels", (Span(0, 1),), Span(0, 1), {})) is None
