"""Evaluations of flows that ask a model: against production, forecasts, and what they may cost, on a real server."""

from __future__ import annotations

import asyncio
import json
import math
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from click import UsageError
from click.testing import CliRunner, Result
from pydantic import BaseModel

from fenced_texts import unfenced
from surefoot import App, flow, generate
from surefoot.cli import eval as command
from surefoot.cli import eval_page
from surefoot.config import load
from surefoot.errors import InvalidInput, TooDear
from surefoot.evals import (
    Case,
    Dataset,
    Judged,
    Pair,
    Progress,
    Score,
    evaluate,
    evaluate_against,
    experiment,
)
from surefoot.evals.comparing import references
from surefoot.evals.experiments.forecasting import Expectation
from surefoot.ledger import Evaluations
from surefoot.prompts import library
from surefoot.values import Money
from wire import WireServer

FLOW = """
from surefoot import flow, generate
from surefoot.evals import Evaluation

@flow
async def told(question: str) -> str:
    return str(await generate("answer", question=question))

def polite(response: str) -> bool:
    return "please" in response

evaluation = Evaluation(told, [polite], data="cases.jsonl")
"""

JUDGED = f"""{FLOW}
from surefoot.evals import Judged, Score

@flow
async def judge(response: str) -> Score:
    return Score(bool(await generate([{{"role": "user", "content": response}}], using="openai:gpt-4o-mini")))

evaluation = Evaluation(told, [polite], data="cases.jsonl", judges=[Judged(judge)])
"""


@flow
async def told(question: str) -> str:
    return str(await generate("answer", question=question))


@flow
async def plain(question: str) -> str:
    return str(await generate([{"role": "user", "content": question}], using="openai:gpt-4o-mini"))


@flow
async def judge(response: str) -> Score:
    return Score(bool(await generate([{"role": "user", "content": response}], using="openai:gpt-4o-mini")))


def polite(response: str) -> bool:
    return "please" in response


def cases(count: int) -> Dataset:
    return Dataset("asked", tuple(Case(f"c{n}", {"question": f"question {n}"}) for n in range(count)))


def put(folder: Path, version: str, said: str) -> None:
    (folder / "prompts").mkdir(exist_ok=True)
    (folder / "prompts" / f"answer-{version}.prompty").write_text(
        f"---\nname: answer\nversion: '{version}'\nmodel: openai:gpt-4o-mini\n"
        f"inputs:\n  question: {{type: string}}\n---\n"
        f"user:\n{said} {{{{question}}}}\n"
    )


@pytest.fixture(autouse=True)
def own_policy() -> None:
    """The policy is that of the app."""


@pytest.fixture
def wire() -> Iterator[WireServer]:
    with WireServer(reply=lambda model, text: f"{model} {text}") as server:
        yield server


@pytest.fixture
def app(tmp_path: Path, wire: WireServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "test-key-of-openai")
    monkeypatch.setenv("OPENAI_BASE_URL", wire.openai_url)
    (tmp_path / "surefoot.toml").write_text("[prompts]\nrefresh = 0.0\n")
    put(tmp_path, "1", "say")
    own = App(load(tmp_path))
    with own.entered():
        library().promote("answer@1", "production")
        yield own
    own.close()


def against(what: str = "production", count: int = 6, **options: Any) -> Pair:
    return asyncio.run(evaluate_against(told, cases(count), [polite], against=what, **options))


def said(pair: Pair) -> tuple[float | None, float | None]:
    return pair.candidate["polite"].value, pair.baseline["polite"].value


def test_the_working_tree_is_held_against_what_is_in_production(
    app: App, tmp_path: Path, wire: WireServer
) -> None:
    put(tmp_path, "2", "please say")
    told_of: list[Progress] = []
    pair = against(on_progress=told_of.append)
    assert said(pair) == (1.0, 0.0)
    assert wire.count() == 12
    production, newest = library().find("answer@1").digest, library().find("answer@2").digest
    assert (pair.candidate.prompts, pair.baseline.prompts) == ({"answer": newest}, {"answer": production})
    assert pair.warnings == ()
    assert {progress.arm for progress in told_of} == {"candidate", "baseline"}
    base = pair.candidate.id.partition("#")[0]
    assert (pair.candidate.id, pair.baseline.id) == (f"{base}#candidate", f"{base}#baseline")
    # Both can be found again, and going on with them asks nobody.
    assert experiment(pair.baseline.id).prompts == {"answer": production}
    for same in (base, base[:20], "last"):
        again = against(experiment=same)
        assert (again.candidate.id, said(again)) == (pair.candidate.id, (1.0, 0.0))
        assert (wire.count(), again.candidate.reused) == (12, 6)


def test_what_was_run_against_production_is_compared_with_what_it_was_run_against(
    app: App, tmp_path: Path
) -> None:
    put(tmp_path, "2", "please say")
    pair = against()
    evaluate(told, cases(6), [polite], name="later")
    evaluations = Evaluations(app.ledger)
    by_name = references.candidate(pair.candidate.id, evaluations, library())
    assert references.baseline("production", evaluations, library(), like=by_name).id == pair.baseline.id
    assert references.baseline("last", evaluations, library(), like=by_name).id == pair.baseline.id
    assert references.candidate("later", evaluations, library()).name == "later"
    put(tmp_path, "3", "please, please say")
    newest = against()
    assert references.candidate("last", evaluations, library()).id == newest.candidate.id


class Kindness(BaseModel):
    is_kind: bool


@flow
async def kindness(response: str) -> Score:
    asked = [{"role": "user", "content": f"is it kind: {response}"}]
    return Score((await generate(asked, Kindness, using="openai:gpt-4o-mini")).is_kind)


def test_a_judge_that_answered_rubbish_is_asked_anew_where_failures_are_retried(
    app: App, wire: WireServer
) -> None:
    wire.reply = lambda model, text: "please" if "say question" in text else '{"kind": "very"}'
    first = evaluate(told, cases(2), [Judged(kindness)])
    assert first["kindness"].coverage == 0.0
    wire.reply = lambda model, text: '{"is_kind": true}'
    again = evaluate(told, cases(2), [Judged(kindness)], experiment=first.id)
    assert again["kindness"].coverage == 0.0
    retried = evaluate(told, cases(2), [Judged(kindness)], experiment=first.id, retry_failed=True)
    assert (retried["kindness"].coverage, retried["kindness"].value) == (1.0, 1.0)


def test_both_arms_of_a_case_are_made_side_by_side_and_who_is_first_alternates(
    app: App, tmp_path: Path, wire: WireServer
) -> None:
    put(tmp_path, "2", "please say")
    against(concurrency=1, count=4)
    order = [
        ("please" in said, said[-1])
        for said in (unfenced(call.body["messages"][-1]["content"]) for call in wire.received)
    ]
    assert order == [
        *((True, "0"), (False, "0"), (False, "1"), (True, "1")),
        *((True, "2"), (False, "2"), (False, "3"), (True, "3")),
    ]


def test_where_nothing_differs_nothing_is_spent(app: App, wire: WireServer) -> None:
    with pytest.raises(InvalidInput, match=r"nothing differs between the candidate and production \(answer@"):
        against()
    with pytest.raises(InvalidInput, match="nothing differs"):
        against(changes=["prompt:answer@1"])
    with pytest.raises(
        InvalidInput, match="no prompt has the label 'staging', and no experiment is called so"
    ):
        against("staging")
    first = evaluate(told, cases(3), [polite])
    with pytest.raises(InvalidInput, match="nothing differs between the working tree and experiment"):
        against(first.id, count=3)
    with pytest.raises(InvalidInput, match="nothing could be paired"):
        against(first.id, count=4)
    assert wire.count() == 3


def test_changes_alone_make_the_candidate(app: App, tmp_path: Path, wire: WireServer) -> None:
    put(tmp_path, "2", "please say")
    pair = against(changes=["model:openai:gpt-4o-mini=openai:gpt-4o"])
    # The newer file is no part of it: what differs is the model.
    assert said(pair) == (0.0, 0.0)
    assert {call.body["model"] for call in wire.received} == {"gpt-4o", "gpt-4o-mini"}
    assert pair.candidate.changes == ("model:openai:gpt-4o-mini=openai:gpt-4o",)
    assert pair.baseline.changes == ()
    assert said(against(changes=["prompt:answer@2"])) == (1.0, 0.0)


def test_a_change_that_no_run_has_used_is_said(app: App, tmp_path: Path) -> None:
    put(tmp_path, "2", "please say")
    pair = asyncio.run(evaluate_against(plain, cases(2), [polite], against="production"))
    assert pair.warnings == ("no run has used the prompt 'answer', which is different in the candidate",)


def test_an_experiment_that_was_recorded_is_a_baseline(app: App, tmp_path: Path, wire: WireServer) -> None:
    first = evaluate(told, cases(3), [polite])
    put(tmp_path, "2", "please say")
    pair = against(first.id[:20], count=3, changes=["prompt:answer@2"])
    assert (pair.baseline.id, said(pair), wire.count()) == (first.id, (1.0, 0.0), 6)


def test_a_forecast_tells_what_former_runs_have_used(app: App) -> None:
    from surefoot.evals import Evaluation

    evaluation = Evaluation(plain, [polite], judges=[Judged(judge)])
    unknown = evaluation.forecast(cases(10), with_judges=True)
    assert (unknown.rows, unknown.calls, unknown.cost_nanos, unknown.seconds) == (10, None, None, None)
    assert unknown.unknown == (
        "no completed run of flow plain is recorded",
        "no completed run of judge judge is recorded",
    )
    # One unknown judge does not hide what the flow itself uses.
    evaluation.run(cases(4))
    partly = evaluation.forecast(cases(10), with_judges=True)
    assert (partly.calls, partly.known.calls and partly.known.calls.p50, partly.without) == (
        None,
        10,
        ("judge judge",),
    )
    line = eval_page.forecast_words(partly)
    assert line.startswith("10 rows, without judge judge: 10 calls, ")
    assert "unknown" not in line
    assert line.endswith("by 4 former runs")
    assert partly.to_json()["without"] == ["judge judge"]
    # Runs of a judge whose price nobody knows hide its cost alone.
    flow_part, judge_part = partly.parts
    unpriced = replace(
        judge_part, sample=4, calls=Expectation(10.0, 10.0), tokens=flow_part.tokens, seconds=1.0
    )
    line = eval_page.forecast_words(replace(partly, parts=(flow_part, unpriced)))
    assert line.startswith("10 rows, 20 calls, ")
    assert ("$" in line, " without judge judge, about" in line) == (True, True)
    first = evaluation.run(cases(4), with_judges=True)
    assert evaluation.forecast(cases(1), with_judges=True).without == ()
    found = evaluation.forecast(cases(10), with_judges=True, repeats=3)
    assert (found.rows, found.calls and found.calls.p50, found.unknown) == (30, 60, ())
    spent = first.totals.cost.nanos + first.judging.cost.nanos
    assert found.cost_nanos is not None
    assert found.cost_nanos.p50 == pytest.approx(spent / 4 * 30)
    assert found.cost_nanos.p95 >= found.cost_nanos.p50
    assert found.tokens is not None
    assert found.tokens.p50 == pytest.approx((first.totals.usage.total + first.judging.usage.total) / 4 * 30)
    assert found.seconds is not None
    assert found.seconds > 0
    assert (found.paired, found.detectable) == (0, None)
    # A label is run as well, an experiment is there; either way it is told what so many pairs can show.
    assert first.id
    beside, before = (evaluation.forecast(cases(200), against=each) for each in ("production", first.id))
    assert (beside.rows, before.rows, beside.paired) == (400, 200, 200)
    assert beside.detectable is not None
    assert 0.05 < beside.detectable < 0.15
    assert evaluation.forecast(cases(10), against=first.id).detectable == math.inf
    # What another model asks for is not known by the runs of this one.
    other = evaluation.forecast(cases(10), changes=["model:openai:gpt-4o-mini=openai:gpt-4o"])
    assert other.calls is None
    assert "is recorded with" in other.unknown[0]


def test_what_would_cost_more_does_not_begin(app: App, wire: WireServer) -> None:
    first = evaluate(plain, cases(4), [polite])
    asked = wire.count()
    one = first.totals.cost.nanos // 4
    with pytest.raises(TooDear, match=r"by the record of former runs this costs .* Nothing was run"):
        evaluate(plain, cases(100), [polite], max_cost=Money(50 * one))
    with pytest.raises(TooDear, match=r"this costs .*, without judge judge \(not known\), and"):
        evaluate(plain, cases(100), [Judged(judge)], max_cost=Money(50 * one))
    assert wire.count() == asked


def test_it_stops_with_everything_kept_once_it_has_cost_as_much(app: App, wire: WireServer) -> None:
    one = evaluate(plain, cases(1), [polite]).totals.cost
    spent: list[int] = []
    # Another flow, of which no record tells what it costs.
    found = evaluate(
        told,
        cases(20),
        [polite],
        max_cost=Money(3 * one.nanos),
        concurrency=1,
        on_progress=lambda progress: spent.append(progress.spent.nanos),
    )
    assert 0 < len(found.rows) < 20
    assert f"stopped after {len(found.rows)} of 20 rows: it has cost" in found.stopped
    assert spent[-1] == found.totals.cost.nanos >= 3 * one.nanos
    asked = wire.count()
    loaded = experiment(found.id)
    assert (len(loaded.rows), loaded["polite"].n) == (len(found.rows), len(found.rows))
    assert f"{len(found.rows)} of 20 rows are judged" in loaded.stopped
    whole = evaluate(told, cases(20), [polite], experiment=found.id)
    assert (len(whole.rows), whole.stopped, wire.count()) == (20, "", asked + 20 - len(found.rows))


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(command.command, list(arguments), standalone_mode=False)


@pytest.fixture
def folder(app: App, tmp_path: Path) -> Iterator[Path]:
    """A project of its own beside that of the working directory: the command closes the app that it has opened."""
    own = tmp_path / "asking"
    own.mkdir()
    (own / "surefoot.toml").write_text("[prompts]\nrefresh = 0.0\n")
    (own / "evaluation.py").write_text(FLOW)
    (own / "cases.jsonl").write_text("".join(json.dumps({"question": f"q{n}"}) + "\n" for n in range(6)))
    put(own, "1", "say")
    (own / "prompts" / "labels.toml").write_text("[answer]\nproduction = '1'\n")
    yield own
    sys.modules.pop("evaluation", None)
    if str(own) in sys.path:
        sys.path.remove(str(own))


def test_the_command_takes_some_cases_and_says_what_is_amiss(folder: Path, tmp_path: Path) -> None:
    lines = [
        {"id": f"c{n}", "question": f"question {n}", "topic": "ab"[n % 2], "answer": "x"} for n in range(4)
    ]
    (folder / "topics.jsonl").write_text("\n".join(map(json.dumps, lines)))
    asked = (
        str(folder),
        "--data",
        str(folder / "topics.jsonl"),
        "--where",
        "topic=a",
        "--scorer",
        "exact_match",
    )
    found = invoke(*asked)
    assert "2 cases of topics[topic=a]" in found.output
    assert "exact_match: no case has what is compared with" in found.output
    assert "0 of 2" in invoke(*asked, "--map", "expected=answer", "--read", "answer=nowhere").output


def test_the_command_compares(folder: Path, wire: WireServer) -> None:
    put(folder, "2", "please say")
    done = invoke("asking", "--forecast")
    assert done.return_value == 0, done.output
    assert done.stdout.startswith(
        "forecast 6 rows, calls unknown, tokens unknown, cost unknown, time unknown"
    )
    assert wire.count() == 0
    done = invoke("asking", "--against", "production", "--json")
    told_of = json.loads(done.stdout)
    assert done.return_value == 0
    assert [each["name"] for each in told_of["candidate"]["metrics"]] == ["polite"]
    assert (told_of["candidate"]["metrics"][0]["value"], told_of["baseline"]["metrics"][0]["value"]) == (
        1.0,
        0.0,
    )
    assert told_of["comparison"]["pairs"] == 6
    done = invoke("asking", "--forecast", "--against", "production", "--json")
    forecast = json.loads(done.stdout)
    assert (forecast["rows"], forecast["calls"]["p50"]) == (12, 12)
    assert wire.count() == 12
    done = invoke("asking", "--against", "production", "--change", "prompt:answer@2")
    assert "6 cases paired" in done.stdout
    assert "forecast 12 rows, 12 calls" in done.stderr


GATE = "min_cases: 3\nmetrics:\n  polite: {at_least: 0.5}\n"


def test_one_command_evaluates_both_and_judges(folder: Path, tmp_path: Path, wire: WireServer) -> None:
    put(folder, "2", "please say")
    gate = folder / "gate.yaml"
    gate.write_text(GATE)
    forms = ("--junit", "gate.xml", "--markdown", "gate.md", "--github", "--by", "ada")
    # The file is found beside the evaluation, as its dataset is.
    done = invoke("asking", "--against", "production", "--gate", "gate.yaml", *forms)
    assert (done.return_value, wire.count()) == (0, 12), done.output
    assert done.stdout.startswith("gate passed: 2 rules hold\n")
    [suite] = ET.parse(tmp_path / "gate.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("2", "0")
    assert "gate passed" in (tmp_path / "gate.md").read_text("utf-8")
    gate.write_text(GATE.replace("at_least", "at_most"))
    again = ("--against", "production", "--experiment", "last", "--gate", "gate.yaml")
    done = invoke("asking", *again, "--github", "--no-record")
    # It goes on with both, so that nothing is asked again.
    assert (done.return_value, wire.count()) == (1, 12)
    assert done.stdout.startswith(
        "gate failed: 1 of 2 rules do not hold\n  polite: at_most 0.5: it is 1 over 6"
    )
    assert done.stdout.splitlines()[-1].startswith("::error file=asking/gate.yaml,line=3,title=polite")
    done = invoke("asking", *again, "--markdown", "-", "--no-record")
    assert (done.return_value, done.stdout.startswith("### ")) == (1, True)
    assert "in all" in done.stderr
    assert "in all" not in done.stdout
    done = invoke("asking", *again, "--json")
    told = json.loads(done.stdout)
    assert (done.return_value, told["gate"]["has_passed"]) == (1, False)
    app = App(load(folder))
    verdicts = Evaluations(app.ledger).verdicts()
    assert [(each.has_passed, each.by == "ada") for each in verdicts] == [(False, False), (True, True)]
    assert {each.candidate for each in verdicts} == {told["candidate"]["experiment"]}
    assert verdicts[0].subjects.keys() == verdicts[0].baselines.keys() == {"answer"}
    app.close()


def test_what_both_arms_and_the_judges_have_cost_is_told(folder: Path, wire: WireServer) -> None:
    (folder / "evaluation.py").write_text(JUDGED)
    put(folder, "2", "please say")
    done = invoke("asking", "--against", "production", "--judge", "--json")
    told = json.loads(done.stdout)
    arms = [told["candidate"], told["baseline"]]
    parts = [arm[part]["cost_nanos"] for arm in arms for part in ("totals", "judging")]
    assert all(parts)
    assert (told["spent"]["cost_nanos"], told["spent"]["calls"]) == (sum(parts), wire.count())
    done = invoke("asking", "--against", "production", "--judge", "--experiment", "last")
    line = done.stdout[done.stdout.index("in all $") :]
    assert ("(candidate $" in line, ", baseline $" in line, ", judges $" in line) == (True, True, True)
    assert "24 calls" in line
    # One that was there has cost nothing more.
    before = told["baseline"]["experiment"]
    done = invoke("asking", "--against", before, "--judge", "--json")
    told = json.loads(done.stdout)
    parts = [told["candidate"][part]["cost_nanos"] for part in ("totals", "judging")]
    assert (told["spent"]["cost_nanos"], told["spent"]["calls"]) == (sum(parts), 12)


def test_a_gate_says_how_many_failures_are_too_many(folder: Path) -> None:
    text = FLOW.replace('return "please"', 'return 1 / ("q0" not in response) and "please"')
    (folder / "evaluation.py").write_text(text)
    put(folder, "2", "please say")
    (folder / "gate.yaml").write_text(GATE)
    asked = ("asking", "--against", "production")
    done = invoke(*asked, "--gate", "gate.yaml")
    assert done.return_value == 1
    assert "polite: coverage of the candidate at least 1: 5 of 6 rows" in done.stdout
    assert invoke(*asked, "--experiment", "last").return_value == 1
    (folder / "gate.yaml").write_text("coverage: 0.8\n" + GATE)
    assert invoke(*asked, "--experiment", "last", "--gate", "gate.yaml").return_value == 0


def test_what_was_stopped_does_not_pass(folder: Path) -> None:
    put(folder, "2", "please say")
    (folder / "gate.yaml").write_text("min_cases: 1\nmetrics:\n  polite: {at_least: 0.5}\n")
    asked = ("asking", "--against", "production", "--gate", "gate.yaml", "--concurrency", "1")
    done = invoke(*asked, "--max-cost", "0.000001")
    assert done.return_value == 1
    assert "every case of the candidate is judged: stopped after 1 of 6 rows" in done.stdout
    assert invoke(*asked, "--experiment", "last").return_value == 0


def test_what_cannot_be_judged_is_found_before_anything_is_run(folder: Path, wire: WireServer) -> None:
    put(folder, "2", "please say")
    (folder / "gate.yaml").write_text(GATE.replace("at_least", "at_leest"))
    both = ("asking", "--against", "production")
    for arguments, said in (
        ((*both, "--gate", "gate.yaml"), "at_least"),
        ((*both, "--gate", "none.yaml"), "none.yaml"),
        ((*both, "--gate", "gate.yaml", "--junit", "nowhere/gate.xml"), "there is no folder nowhere"),
        ((*both, "--junit", "gate.xml"), "add --gate FILE"),
        ((*both, "--gate", "gate.yaml", "--json", "--github"), "both print on stdout"),
        ((*both, "--gate", "gate.yaml", "--forecast"), "--forecast runs nothing"),
        (("asking", "--gate", "gate.yaml"), "add --against production"),
        (("asking", "--experiment", "last", "--markdown", "-"), "add --against production"),
        (("--experiment", "last", "--gate", "gate.yaml", "--to", "mlflow"), "surefoot compare last"),
    ):
        done = invoke(*arguments)
        told = done.exception.format_message() if isinstance(done.exception, UsageError) else done.exception
        assert said in str(told), arguments
    assert wire.count() == 0


def test_the_command_stops_and_says_how_to_go_on(folder: Path) -> None:
    done = invoke("asking", "--max-cost", "0.000001", "--experiment", "mine", "--concurrency", "1")
    assert done.return_value == 1
    assert "stopped after 1 of 6 rows" in done.stdout
    assert "--experiment mine" in done.stdout
    with pytest.raises(InvalidInput, match="give an amount of US dollars above 0"):
        raise invoke("asking", "--max-cost", "nan").exception or AssertionError
    done = invoke("asking", "--repeats", "2", "--limit", "2")
    assert "2 cases of cases, each 2 times" in done.stdout
    assert "flaky: none of 2 cases" in done.stdout
