"""Cases made of recorded runs: what people may read, once each, and never a run of an evaluation."""

from __future__ import annotations

import json
import os
import sqlite3
from datetime import date
from pathlib import Path

import pytest
from pydantic import BaseModel

from surefoot import App, Case, Dataset, evaluate, flow, step
from surefoot.config import load
from surefoot.errors import StepFailed
from surefoot.evals.datasets.filter import Condition
from surefoot.evals.datasets.harvest import Harvest, Wish, harvest
from surefoot.evals.datasets.review import Review
from surefoot.evals.datasets.writing import append
from surefoot.values import RunTags

KEY = f"sk-ant-{'k3y' * 12}"
KNOWN = "correct-horse-battery-staple"
LATER = "known-as-a-secret-only-later"


class Ticket(BaseModel):
    text: str
    due: date | None = None


@step
def look_up(text: str) -> str:
    return f"found {text}"


@flow(version="3")
def answer(ticket: Ticket, top: int = 3) -> dict[str, object]:
    if "fail" in ticket.text:
        raise ValueError(f"cannot answer {ticket.text}")
    return {"answer": look_up(ticket.text), "top": top}


@flow
def outer(text: str) -> object:
    return App.current().run(answer, {"ticket": Ticket(text=text)})


def ask(app: App, text: str, **tags: str) -> str:
    app.run(answer, {"ticket": Ticket(text=text, due=date(2026, 1, 2))}, tags=RunTags("acme", "", "", tags))
    return app.ledger.run("last").id


def found(app: App, *known: Case, **wish: object) -> Harvest:
    return harvest(app.ledger, Wish("answer", **wish), known=known)  # type: ignore[arg-type]


def test_a_case_is_what_the_run_has_recorded(app: App) -> None:
    run = ask(app, "hello", team="support")
    (case,) = found(app).cases
    record = app.ledger.run(run)
    assert case.id == run
    assert case.inputs == {"ticket": {"text": "hello", "due": "2026-01-02"}, "top": 3}
    assert case.expected == {"answer": "found hello", "top": 3}
    meta = dict(case.metadata)
    assert record.ended_ns is not None
    assert meta.pop("latency") == pytest.approx((record.ended_ns - record.created_ns) / 1e9, abs=1e-6)
    assert str(meta.pop("began")).startswith("20")
    assert meta == {
        "review": "pending",
        "run": run,
        "flow": "answer",
        "flow_version": "3",
        "status": "completed",
        "cost": 0.0,
        "tokens": 0,
        "tenant": "acme",
        "tags": {"team": "support"},
    }


def test_the_line_is_a_case_of_the_flow_again(app: App, tmp_path: Path) -> None:
    ask(app, "hello")
    path = tmp_path / "golden.jsonl"
    append(path, found(app).lines)
    (case,) = Dataset.load(path, flow=answer)
    assert case.inputs == {"ticket": Ticket(text="hello", due=date(2026, 1, 2)), "top": 3}
    result = evaluate(answer, Dataset.load(path, flow=answer), {"same": exact_output})
    assert [metric.value for metric in result.metrics] == [1.0]
    assert len(Review.of(path).pending) == 1


def exact_output(output: object, expected: object) -> bool:
    return output == expected


def test_no_secret_gets_into_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KNOWN)
    own = App(load(tmp_path))
    path = tmp_path / "golden.jsonl"
    with own.entered():
        big = "long " * 4000
        ask(own, f"my key is {KEY}, mind it", note=f"tag {KNOWN}")
        ask(own, f"{big}{KNOWN} {LATER}")
        with pytest.raises(StepFailed):
            ask(own, f"fail with {KEY} and {KNOWN}")
    own.close()
    monkeypatch.setenv("ANTHROPIC_API_KEY", LATER)
    later = App(load(tmp_path))
    for status in ("completed", "failed"):
        made = harvest(later.ledger, Wish("answer", status=status))  # type: ignore[arg-type]
        assert made.left_out == {}
        append(path, made.lines)
    later.close()
    written = path.read_bytes()
    for secret in (KEY, KNOWN, LATER):
        assert secret.encode() not in written
    rows = [json.loads(line) for line in written.splitlines()]
    assert len(rows) == 3
    assert all(row["metadata"]["redacted"] == ["ticket"] for row in rows), (
        "it is said which inputs are not whole"
    )
    assert [row.get("expected") is None for row in rows] == [False, False, True]
    assert sum("[secret]" in row["inputs"]["ticket"]["text"] for row in rows) == 3


def test_runs_of_evaluations_and_forks_are_left_out_with_what_came_of_them(app: App) -> None:
    kept = ask(app, "production")
    cases = Dataset("d", (Case("1", {"ticket": Ticket(text="evaluated")}, "x"),))
    evaluate(answer, cases, {"same": exact_output})
    evaluate(outer, Dataset("o", (Case("1", {"text": "below an evaluation"}, "x"),)), {"same": exact_output})
    app.run(outer, {"text": "below production"})
    app.fork(kept, inputs={"ticket": {"text": "tried"}})
    made = found(app)
    (other,) = (case for case in made.cases if case.id != kept)
    assert other.inputs["ticket"] == {"text": "below production", "due": None}
    assert made.left_out == {"belong to evaluations or are forks": 3}


def test_equal_inputs_and_known_runs_are_one_case(app: App, tmp_path: Path) -> None:
    for text in ("a", "b", "a", "a"):
        ask(app, text)
    made = found(app)
    assert sorted(str(case.inputs["ticket"]) for case in made.cases) == [
        "{'text': 'a', 'due': '2026-01-02'}",
        "{'text': 'b', 'due': '2026-01-02'}",
    ]
    assert made.left_out == {"had the inputs of another case": 2}
    path = tmp_path / "golden.jsonl"
    append(path, made.lines)
    before = path.read_bytes()
    ask(app, "c")
    again = found(app, *Dataset.load(path))
    append(path, again.lines)
    assert again.left_out == {"are in the file already": 2, "had the inputs of another case": 2}
    assert path.read_bytes().startswith(before)
    assert len(Dataset.load(path)) == 3
    assert found(app, *Dataset.load(path)).cases == ()


def test_a_sample_is_drawn_by_the_seed(app: App) -> None:
    for number in range(12):
        ask(app, f"question {number}")
    first = [case.id for case in found(app, size=5, seed=1).cases]
    assert len(first) == 5
    assert first == [case.id for case in found(app, size=5, seed=1).cases]
    assert first == [case.id for case in found(app, size=8, seed=1).cases][:5]
    assert first != [case.id for case in found(app, size=5, seed=2).cases]


def test_filters_by_tag_condition_time_and_status(app: App) -> None:
    first = ask(app, "short", team="a")
    second = ask(app, "a much longer question", team="b")
    with pytest.raises(StepFailed):
        ask(app, "fail", team="a")
    assert [case.id for case in found(app, tags={"team": "a"}).cases] == [first]
    assert [case.id for case in found(app, where=[Condition.of("len(ticket.text)>10")]).cases] == [second]
    assert [
        case.id for case in found(app, where=[Condition.of("tags.team=b"), Condition.of("cost<1")]).cases
    ] == [second]
    assert found(app, since_ns=app.ledger.run("last").created_ns).cases == ()
    (failed,) = found(app, status="failed").cases
    assert (failed.expected, failed.metadata["status"]) == (None, "failed")
    assert "cannot answer fail" in str(failed.metadata["error"])


def test_the_lowest_scores_and_the_slowest_go_first(app: App) -> None:
    runs = [ask(app, text) for text in ("a", "b", "c", "d")]
    scores = {runs[0]: 0.9, runs[1]: 0.1, runs[2]: 0.4}
    made = found(app, scores=scores, size=2)
    assert [case.id for case in made.cases] == [runs[1], runs[2]]
    assert made.left_out == {"have no such score": 1}
    slowest = [float(str(case.metadata["latency"])) for case in found(app, is_slowest=True).cases]
    assert slowest == sorted(slowest, reverse=True)


def test_pruned_and_damaged_runs_are_counted(app: App) -> None:
    runs = [ask(app, text) for text in ("a", "b", "c")]
    app.ledger.close()
    with sqlite3.connect(app.ledger.where) as connection:
        connection.execute("UPDATE runs SET pruned_ns = 1 WHERE id = ?", (runs[0],))
        connection.execute(
            "UPDATE outcomes SET inputs_view = '{broken' WHERE run_id = ? AND kind = 'start'", (runs[1],)
        )
    connection.close()
    again = App(load(Path(os.getcwd())))
    made = harvest(again.ledger, Wish("answer"))
    again.close()
    assert [case.id for case in made.cases] == [runs[2]]
    assert made.left_out == {"were pruned": 1, "cannot be read": 1}
