"""`surefoot fork` and `surefoot backtest` as they are typed."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from durable import opened_app
from surefoot.cli.root import invoked
from surefoot.ledger import RunRecord

Surefoot = Callable[..., tuple[int, str, str]]

FLOW = """
from surefoot import flow, generate, scripted, step

MODEL = scripted(lambda asked: f"said {asked.text}")

@step
def ask(name: str, text: str) -> str:
    return generate.sync(name, using=MODEL, text=text)

@step(effect=True, stand_in="not sent")
def mail(text: str) -> str:
    with open("mails", "a") as mails:
        mails.write(text + "\\n")
    return "sent"

@flow(trusted=True)
def answer(question: str) -> str:
    text = ask("answer", ask("plan", question))
    return f"{text} ({mail(text)})"
"""
MAILS = [f"said answer 1: said plan 1: {question}" for question in ("one", "two", "three")]


@pytest.fixture
def surefoot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Surefoot]:
    """The command in a project with three runs of two calls and a mail each."""
    monkeypatch.chdir(tmp_path)
    # Flows of other tests' projects are called so, too.
    monkeypatch.delitem(sys.modules, "flow", raising=False)
    (tmp_path / "flow.py").write_text(FLOW)
    (tmp_path / "prompts").mkdir()
    for name in ("plan", "answer"):
        for version in ("1", "2"):
            text = f"prompt_id: {name}\nversion: '{version}'\ntemplate: '{name} {version}: {{text}}'\n"
            (tmp_path / "prompts" / f"{name}{version}.yaml").write_text(text)
    labels = '[plan]\nproduction = "1"\n[answer]\nproduction = "1"\ncandidate = "2"\n'
    (tmp_path / "prompts" / "labels.toml").write_text(labels)

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        with opened_app(tmp_path):
            code = invoked(list(arguments))
        said = capsys.readouterr()
        return code, said.out, said.err

    for question in ("one", "two", "three"):
        code, _, err = run("run", "flow.py:answer", "-i", f"question={question}")
        assert code == 0, err
    assert mails(tmp_path) == MAILS
    yield run
    assert mails(tmp_path) == MAILS, "no fork sends mails"


def runs(folder: Path) -> list[RunRecord]:
    """The newest first."""
    with opened_app(folder) as app:
        return app.ledger.runs()


def mails(folder: Path) -> list[str]:
    return (folder / "mails").read_text().splitlines()


def test_a_fork_with_another_prompt(surefoot: Surefoot, tmp_path: Path) -> None:
    origin = runs(tmp_path)[0].id
    code, out, err = surefoot("fork", "last", "--change", "prompt:answer@candidate", "--tag", "why=a look")
    assert (code, out) == (0, "said answer 2: said plan 1: three (not sent)\n")
    assert f"fork of {origin}, prompt:answer@" in err
    assert "replayed:  ask\n" in err
    assert "performed: openai.chat, ask (1 model call made)" in err
    assert "suppressed: mail" in err
    assert runs(tmp_path)[0].tags["why"] == "a look"


def test_a_fork_from_a_step_for_programs(surefoot: Surefoot, tmp_path: Path) -> None:
    code, out, _ = surefoot("fork", "last", "--from", "ask#2", "-i", "question=four", "--json")
    found = json.loads(out)
    assert (code, found["output"]) == (0, "said answer 1: said plan 1: four (not sent)")
    assert (found["replayed"], found["suppressed"]) == ([], ["mail"])
    assert found["performed"] == ["openai.chat", "ask", "openai.chat", "ask"]
    assert (found["tags"]["effects"], found["calls"]) == ("suppressed", 2)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("last", "--from", "nobody"), "has no step 'nobody': there are openai.chat, ask, mail"),
        (("last", "--change", "prompt:answer"), "does not say to what"),
        (("last", "--change", "prompt:answer@nobody"), "nobody"),
        (("01NOBODY",), "01NOBODY"),
        (("last", "-i", "wrong=1"), "'wrong' is no input"),
    ],
)
def test_a_fork_that_cannot_be_says_why(
    surefoot: Surefoot, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    code, out, err = surefoot("fork", *arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert len(runs(tmp_path)) == 3


def test_a_backtest_says_what_it_takes_and_makes(surefoot: Surefoot) -> None:
    chosen = ("--runs", "last 7 days", "--change", "prompt:answer@candidate", "--scorer", "contains:answer 2")
    code, out, err = surefoot("backtest", "flow.py:answer", *chosen)
    assert (code, "3 runs with 9 steps and 6 model calls" in err) == (0, True)
    assert "made anew in any case: 3 steps, 3 model calls" in err
    assert "taken from the record: 3 steps, 3 model calls" in out
    line = next(line for line in out.splitlines() if line.startswith("contains"))
    assert ("0.0%" in line, "100.0%" in line) == (True, True)
    # As people read it.
    assert "with prompt:answer@" in out
    assert not any(len(word) > 50 for word in out.split())


def test_a_backtest_is_judged_by_a_gate(surefoot: Surefoot, tmp_path: Path) -> None:
    chosen = (
        "--runs",
        "last day",
        "--change",
        "prompt:answer@candidate",
        "--scorer",
        "version=contains:answer 2",
    )
    gate = tmp_path / "gate.yaml"
    gate.write_text("min_cases: 3\nmetrics:\n  version: {at_least: 0.5}\n")
    code, out, _ = surefoot("backtest", "flow.py:answer", *chosen, "--gate", "gate.yaml", "--json")
    found = json.loads(out)
    assert (code, found["gate"]["has_passed"]) == (0, True), found["gate"]
    assert found["reuse"]["made"]["calls"] == found["reuse"]["taken"]["calls"] == 3
    assert found["candidate"]["experiment"] != found["baseline"]["experiment"]
    gate.write_text("min_cases: 3\nmetrics:\n  version: {at_most: 0.5}\n")
    forms = ("--junit", "gate.xml", "--markdown", "-", "--github")
    code, out, _ = surefoot("backtest", "flow.py:answer", *chosen, "--gate", "gate.yaml", *forms)
    assert (code, out.startswith("### ")) == (1, True)
    assert out.splitlines()[-1].startswith("::error file=gate.yaml,line=3,title=version")
    assert "at_most 0.5" in (tmp_path / "gate.xml").read_text("utf-8")
    code, _, err = surefoot("backtest", "flow.py:answer", *chosen, "--junit", "gate.xml")
    assert (code, "add --gate FILE" in err) == (2, True)


def test_a_gate_that_is_none_is_found_before_anything_is_run(surefoot: Surefoot, tmp_path: Path) -> None:
    (tmp_path / "gate.yaml").write_text("metrics:\n  version:\n    at_leest: 0.5\n")
    chosen = ("--runs", "last day", "--scorer", "version=contains:answer")
    code, out, err = surefoot("backtest", "flow.py:answer", *chosen, "--gate", "gate.yaml")
    assert (code, out) == (2, "")
    assert "at_least" in err
    assert len(runs(tmp_path)) == 3


def test_a_backtest_without_runs_or_scorers_says_so(surefoot: Surefoot) -> None:
    code, _, err = surefoot("backtest", "flow.py:answer", "--scorer", "valid_json")
    assert (code, "no runs are chosen" in err) == (2, True)
    code, _, err = surefoot("backtest", "flow.py:answer", "--runs", "last day")
    assert (code, "nothing to score by" in err) == (2, True)
    code, _, err = surefoot("backtest", "flow.py:answer", "--runs", "yesterday", "--scorer", "valid_json")
    assert (code, "'yesterday' is no period" in err) == (2, True)
