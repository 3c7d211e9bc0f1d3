"""The fixtures that ship, in a pytest of its own: found by the entry point, and free of cost until they are used.

The example of docs/guide/testing.md is among them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from wire import WireServer

FLOW = """
from surefoot import flow, generate

@flow
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
        "    assert ours == {'surefoot.locks', 'surefoot.pytest_plugin', 'surefoot.scope', 'surefoot.values'}\n"
        "    assert not {'pydantic', 'aiohttp', 'httpx2', 'jinja2', 'orjson'} & set(sys.modules)\n"
    )
    done = pytest_in(folder)
    assert "1 passed" in done.stdout, done.stdout
