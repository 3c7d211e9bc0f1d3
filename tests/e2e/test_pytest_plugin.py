"""The fixtures that ship, in a pytest of its own: found by the entry point, and free of cost until they are used.

The examples of docs/guide/testing.md and of docs/guide/gates.md are among them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from command_line import surefoot
from wire import WireServer

FLOW = """
from surefoot import flow, generate

@flow(trusted=True)
def summary(text: str) -> str:
    return generate.sync([{"role": "user", "content": text}], using="openai:gpt-4o")
"""

SCRIPTED = """
from surefoot import App, last_run
from project import summary

def test_a_summary(surefoot_app, scripted_model, tmp_path):
    script = scripted_model(["short"])
    assert summary("a long text") == "short"
    assert script.requests[0].text == "a long text"
    assert App.current() is surefoot_app
    assert surefoot_app.settings.state_dir.is_relative_to(tmp_path)
    assert len(surefoot_app.ledger.runs()) == 1

def test_another_has_a_ledger_of_its_own(surefoot_app):
    assert surefoot_app.ledger.runs() == []

def test_left_over(surefoot_app, scripted_model):
    scripted_model(["one", "two"])
    assert summary("x") == "one"

def test_swallowed(surefoot_app, scripted_model):
    scripted_model([])
    try:
        summary("x")
    except Exception:
        pass

def test_failed(surefoot_app, scripted_model):
    scripted_model(["one"])
    assert False, "its own failure"
"""

RECORDED = """
import pytest
from project import summary

@pytest.mark.parametrize("text", ["a/b", "c d"])
def test_a_summary(recorded_model, text):
    assert summary(text) == f"gpt-4o heard: {text}"
"""


CAPITALS = """
import os
from surefoot import flow, prompt

KNOWN = {f"country {i}": f"capital {i}" for i in range(12)}

@flow
def capital(country: str) -> str:
    rules = str(prompt(f"rules@{os.environ.get('RULES', '1')}").render())
    return "no idea" if "Guess" in rules else KNOWN[country]

def is_right(output: str, expected: str) -> bool:
    return output == expected
"""

GATED = """
import pytest
from capitals import capital, is_right
from surefoot import evaluate

@pytest.mark.usefixtures("surefoot_app")
@pytest.mark.parametrize("rules", ["2", "3"])
def test_the_rules_are_no_worse(gate, monkeypatch, rules):
    monkeypatch.setenv("RULES", rules)
    found = evaluate(capital, "cases.jsonl", [is_right])
    assert gate(found).comparison.pairs == 12

def test_two_experiments(gate, surefoot_app, monkeypatch):
    monkeypatch.setenv("RULES", "3")
    worse = evaluate(capital, "cases.jsonl", [is_right])
    monkeypatch.setenv("RULES", "1")
    better = evaluate(capital, "cases.jsonl", [is_right])
    assert gate(better, baseline=worse, file="better.yaml").has_passed
"""


def pytest_in(folder: Path, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A pytest of its own in the folder, with the plugin as it is installed, and without this project's settings."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *options]
    return subprocess.run(
        command,
        cwd=folder,
        env=environ | {"PYTHONPATH": str(folder)} | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project with a flow, whose settings name a ledger that no test may write to."""
    found = [point.value for point in entry_points(group="pytest11") if point.name == "surefoot"]
    assert found == ["surefoot.pytest_plugin"], "install the project again: pip install --no-deps -e ."
    (tmp_path / "project.py").write_text(FLOW)
    (tmp_path / "surefoot.toml").write_text('[ledger]\npath = "production.db"\n')
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    return tmp_path


def test_scripts_and_apps_of_a_test(folder: Path) -> None:
    (folder / "test_it.py").write_text(SCRIPTED)
    done = pytest_in(folder)
    assert "1 failed, 4 passed, 2 errors" in done.stdout, done.stdout
    assert "only 1 of them were asked for; left: 'two'" in done.stdout
    assert "the script has 0 answers, and was asked 1 times more" in done.stdout
    assert done.stdout.count("its own failure") >= 1
    assert not (folder / "production.db").exists()
    assert not (folder / ".surefoot").exists()


def test_a_cassette_is_recorded_and_then_replayed_without_a_server(folder: Path) -> None:
    (folder / "test_it.py").write_text(RECORDED)
    cassettes = folder / "cassettes" / "test_it"
    missing = pytest_in(folder)
    assert "2 errors" in missing.stdout, missing.stdout
    assert "pytest --surefoot-record" in missing.stdout
    with WireServer() as wire:
        live = pytest_in(folder, "--surefoot-record", OPENAI_BASE_URL=wire.openai_url, OPENAI_API_KEY="any")
        assert "2 passed" in live.stdout, live.stdout
        assert wire.count() == 2
    assert sorted(path.name for path in cassettes.iterdir()) == [
        "test_a_summary-a-b.json",
        "test_a_summary-c-d.json",
    ]
    replayed = pytest_in(folder)
    assert "2 passed" in replayed.stdout, replayed.stdout
    (folder / "project.py").write_text(FLOW.replace('"content": text', '"content": "Changed."'))
    changed = pytest_in(folder)
    assert "2 failed" in changed.stdout, changed.stdout
    assert '+   "content": "Changed."' in changed.stdout


def test_a_test_without_calls_in_a_run_is_told_so_when_it_is_recorded(folder: Path) -> None:
    (folder / "test_it.py").write_text("def test_it(recorded_model): ...\n")
    done = pytest_in(folder, "--surefoot-record")
    assert "no run in surefoot_app made a model call" in done.stdout, done.stdout


def test_a_run_of_pytest_that_uses_no_fixture_pays_nothing(folder: Path) -> None:
    (folder / "test_it.py").write_text(
        "import sys\n"
        "def test_it():\n"
        "    ours = {name for name in sys.modules if name.startswith('surefoot.')}\n"
        "    assert ours == {'surefoot.doors', 'surefoot.pytest_plugin'}\n"
        "    assert not {'pydantic', 'aiohttp', 'httpx2', 'jinja2', 'orjson'} & set(sys.modules)\n"
    )
    done = pytest_in(folder)
    assert "1 passed" in done.stdout, done.stdout


def test_a_gate_fails_the_test_of_a_version_that_is_worse_than_production(folder: Path) -> None:
    cases = [{"country": f"country {i}", "expected": f"capital {i}"} for i in range(12)]
    (folder / "cases.jsonl").write_text("".join(f"{json.dumps(case)}\n" for case in cases))
    (folder / "prompts").mkdir()
    for version, text in (("1", "Be exact."), ("2", "Be very exact."), ("3", "Guess.")):
        (folder / "prompts" / f"rules{version}.prompty").write_text(
            f"---\nname: rules\nversion: '{version}'\n---\nuser:\n{text}\n"
        )
    (folder / "capitals.py").write_text(CAPITALS)
    (folder / "gate.yaml").write_text("min_cases: 12\nmetrics: {is_right: {non_inferior: 0.4}}\n")
    (folder / "better.yaml").write_text("min_cases: 12\nmetrics: {is_right: {improved: true}}\n")
    (folder / "evaluation.py").write_text(
        "from surefoot.evals import Evaluation\nfrom capitals import capital, is_right\n"
        "evaluation = Evaluation(capital, [is_right], data='cases.jsonl')\n"
    )
    surefoot("promote", "prompt:rules@1", "production", cwd=folder)
    surefoot("eval", ".", cwd=folder)
    (folder / "test_it.py").write_text(GATED)
    done = pytest_in(folder)
    assert "1 failed, 2 passed" in done.stdout, done.stdout
    assert "gate failed: 1 of 3 rules do not hold" in done.stdout
    assert "is_right: non_inferior by 0.4: it is worse by more than that: 100.0% to 0.0%" in done.stdout
    assert "Traceback" not in done.stdout
    # What only a test has seen is in no record that anything is promoted by.
    told = surefoot("promote", "prompt:rules@2", "production", "--json", cwd=folder)
    assert json.loads(told.stdout)["gates"] == []
