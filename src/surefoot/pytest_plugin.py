"""Fixtures for pytest: an app of the test's own, models that answer from a script or a cassette, and gates."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

# Every run of pytest where Surefoot is installed loads this module, so that all else is imported by who uses it.
if TYPE_CHECKING:
    from surefoot.app import App
    from surefoot.evals import Experiment, Verdict
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


@pytest.fixture
def gate(request: pytest.FixtureRequest) -> Callable[..., Verdict]:
    """Fails the test where an experiment does not pass a gate: `gate(evaluate(...))`.

    It is called with the candidate, and with

    baseline: another experiment, or what names one: an id, a name, `last`, or a label of prompts (`production`), looked
        for in the ledger of the project that the test's file is in.
    file: the gate, in the folder of the test's file or else of the project's settings; or its name in `[gates]`.

    It returns the verdict, and records nothing.
    """

    def judge(
        candidate: Experiment, baseline: Experiment | str = "production", *, file: str | Path = "gate.yaml"
    ) -> Verdict:
        __tracebackhide__ = True
        from surefoot.config import load
        from surefoot.evals.comparing import gatefile

        settings = load(request.path.parent)
        near = request.path.parent / file
        folder = request.path.parent if near.is_file() else settings.root
        found = gatefile.find(str(file), settings.config.gates, folder=folder)
        against = _baseline(request, baseline, candidate) if isinstance(baseline, str) else baseline
        verdict = found.judge(candidate, against)
        if not verdict.has_passed:
            lines = [verdict.headline, *verdict.reasons, f"candidate {candidate.id}, baseline {against.id}"]
            pytest.fail("\n  ".join(lines), pytrace=False)
        return verdict

    return judge


def _baseline(request: pytest.FixtureRequest, reference: str, candidate: Experiment) -> Experiment:
    """The experiment in the ledger of the project, whichever app the test itself has."""
    from surefoot.app import App
    from surefoot.config import load
    from surefoot.evals.comparing.references import baseline, likeness
    from surefoot.evals.experiments.loading import opened
    from surefoot.ledger import Evaluations

    with closing(App(load(request.path.parent))) as app:
        evaluations = Evaluations(app.ledger)
        record = baseline(reference, evaluations, app.prompts, like=likeness(candidate))
        return opened(record, evaluations)


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
