"""Fixtures for pytest: an app of the test's own, and models that answer from a script or from a cassette."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

# Every run of pytest where Surefoot is installed loads this module, so that all else is imported by who uses it.
if TYPE_CHECKING:
    from surefoot.app import App
    from surefoot.models import Recording, Script

_has_failed = pytest.StashKey[bool]()
_FOLDER = "cassettes"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("surefoot")
    group.addoption(
        "--surefoot-record",
        action="store_true",
        help="let the tests that use recorded_model call real models, and write their cassettes anew",
    )


def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> None:
    if call.when == "call":
        item.stash[_has_failed] = call.excinfo is not None


@pytest.fixture
def surefoot_app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[App]:
    """An app with the settings of the project that the test's file is in, and a ledger of the test's own.

    It is the current one inside the test, so that flows that are called run in it. Its state lies in `tmp_path`, and
    so does the ledger, whatever the settings say.
    """
    from surefoot.app import App
    from surefoot.config import load

    state = tmp_path / ".surefoot"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SUREFOOT_LEDGER_")}
    settings = load(request.path.parent, environ={**environ, "SUREFOOT_HOME": str(state)})
    own = {
        "path": state / "ledger.db",
        "url": None,
        "secret_url": None,
        "password": None,
        "synchronous": "normal",
    }
    ledger = settings.config.ledger.model_copy(update=own)
    app = App(replace(settings, config=settings.config.model_copy(update={"ledger": ledger})))
    try:
        with app.entered():
            yield app
    finally:
        app.close()


@pytest.fixture
def scripted_model(request: pytest.FixtureRequest) -> Iterator[Callable[..., Script]]:
    """`scripted` until the end of the test: `script = scripted_model(["first answer", ...])`.

    A test that passes but leaves answers over, or asks for more, fails.
    """
    from surefoot.models import scripted

    with ExitStack() as entered:
        scripts: list[Script] = []

        def enter(answers: Any) -> Script:
            scripts.append(entered.enter_context(scripted(answers)))
            return scripts[-1]

        yield enter
    if not request.node.stash.get(_has_failed, True):
        for script in scripts:
            script.assert_done()


@pytest.fixture
def recorded_model(request: pytest.FixtureRequest, surefoot_app: App) -> Iterator[Recording]:
    """`recorded` until the end of the test, with the cassette `cassettes/FILE/TEST.json` beside the test's file.

    With `--surefoot-record` calls go to the real models, and what the test's runs recorded becomes the cassette.
    """
    from surefoot.models import Cassette, recorded

    name = re.sub(r"[^\w.-]+", "-", request.node.name).strip("-")
    file = request.path.parent / _FOLDER / request.path.stem / f"{name}.json"
    is_recording = bool(request.config.getoption("--surefoot-record"))
    source = Cassette((), f"the cassette {file}") if is_recording else file
    with recorded(source, fill=is_recording) as recording:
        yield recording
    if request.node.stash.get(_has_failed, True):
        return
    if is_recording:
        _save(surefoot_app, file)
    else:
        recording.assert_done()


def _save(app: App, file: Path) -> None:
    from surefoot.traces import taped

    runs = [run for run in app.ledger.runs(limit=None) if not run.is_child]
    cassette = taped(app.ledger, runs[::-1])
    if not cassette.calls:
        pytest.fail(
            "no run in surefoot_app made a model call, so there is nothing to record: a call outside of runs is "
            "recorded nowhere; make it in a flow"
        )
    cassette.save(file)
