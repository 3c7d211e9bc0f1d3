"""Runs keep the text that a reference to a prompt meant at its first use, whatever becomes of files and labels."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from durable import open_app
from engines import Place
from surefoot import App, Prompty, flow, prompt, step
from surefoot.errors import PromptError, StepFailed, UnknownPrompt
from surefoot.flows.transactions.marks import TABLE
from surefoot.ledger import Prompts

HERE = Path(__file__).parent


def put(folder: Path, said: str, *, version: str = "1", name: str = "p") -> Path:
    path = folder / "prompts" / f"{name}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"prompt_id: {name}\nversion: '{version}'\ntemplate: '{said} {{x}}'\n")
    return path


@pytest.fixture
def app(place: Place) -> Iterator[App]:
    app = app_of(place.folder, place.url)
    put(place.folder, "one")
    try:
        with app.entered():
            yield app
    finally:
        app.close()


def app_of(folder: Path, url: str = "") -> App:
    os.environ["SUREFOOT_PROMPTS_REFRESH"] = "0"
    app = open_app(folder, url=url)
    object.__setattr__(app.config.prompts, "refresh", 0.0)
    return app


@pytest.fixture
def project(app: App) -> Path:
    return app.settings.root


class Moments:
    """What happens between two uses of a prompt, and whether the flow fails behind it."""

    between: Any = None
    fails = False


@step
def render(reference: str, x: int) -> str:
    return prompt(reference).render(x=x)


@step
def pause() -> None:
    if Moments.between is not None:
        Moments.between()
    if Moments.fails:
        raise ValueError("a bad day")


@flow
def using(reference: str = "p") -> list[str]:
    first = render(reference, 1)
    pause()
    return [first, render(reference, 2), prompt(reference).render(x=3)]


@pytest.fixture(autouse=True)
def calm() -> Iterator[None]:
    yield
    Moments.between, Moments.fails = None, False


def failed_run(app: App, target: Any = using, **inputs: Any) -> str:
    Moments.fails = True
    with pytest.raises(StepFailed):
        app.run(target, inputs)
    Moments.fails = False
    return app.ledger.run("last").id


def resumed(app: App, run_id: str, target: Any = using) -> Any:
    """In what sees files and ledger as another process does."""
    twin = app_of(app.settings.root, app.config.ledger.url or "")
    try:
        with twin.entered():
            return twin.resume(run_id, flow=target)
    finally:
        twin.close()


def test_an_edit_between_two_uses_does_not_change_the_prompt_of_a_run(app: App, project: Path) -> None:
    Moments.between = lambda: put(project, "two", version="2")
    assert app.run(using) == ["one 1", "one 2", "one 3"]
    assert app.run(using) == ["two 1", "two 2", "two 3"]


def test_a_run_that_has_used_a_prompt_needs_no_folder(app: App, project: Path) -> None:
    Moments.between = lambda: shutil.rmtree(project / "prompts")
    assert app.run(using) == ["one 1", "one 2", "one 3"]


def test_a_name_that_no_ledger_can_look_for_is_refused(app: App, project: Path) -> None:
    path = put(project, "one", name="odd")
    path.write_text(f"prompt_id: {os.urandom(4000).hex()}\ntemplate: hi\n")

    @flow
    def by_path() -> str:
        return Prompty.load(path).render()

    with pytest.raises(StepFailed, match="more than 200 characters"):
        app.run(by_path)


def test_a_resume_goes_on_with_the_text_of_the_run(app: App, project: Path) -> None:
    run_id = failed_run(app)
    put(project, "two")
    assert resumed(app, run_id) == ["one 1", "one 2", "one 3"]
    assert app.run(using)[1] == "two 2"


def test_a_resume_goes_on_though_the_file_is_gone(app: App, project: Path) -> None:
    run_id = failed_run(app)
    (project / "prompts" / "p.yaml").unlink()
    assert resumed(app, run_id) == ["one 1", "one 2", "one 3"]
    with pytest.raises(UnknownPrompt, match=r"no file in .* has the prompt 'p'; runs have used p@1 \("):
        app.prompts.find("p")
    digest = app.prompts.versions("p")[0].digest
    for reference in ("p@1", "p@v1", f"p@{digest[:8]}"):
        assert app.prompts.find(reference).digest == digest


def test_a_resume_goes_on_though_the_label_was_moved(app: App, project: Path) -> None:
    app.prompts.promote("p@1", "staging")
    run_id = failed_run(app, reference="p@staging")
    put(project, "two", version="2")
    app.prompts.promote("p@2", "staging")
    assert resumed(app, run_id) == ["one 1", "one 2", "one 3"]
    assert app.run(using, {"reference": "p@staging"})[0] == "two 1"


def test_a_text_that_is_lost_is_an_error_that_says_so(app: App, place: Place, project: Path) -> None:
    run_id = failed_run(app)
    put(project, "two")
    place_execute(app, place, "UPDATE prompt_texts SET view = replace(view, 'one', 'own')")
    with pytest.raises(StepFailed, match=r"not .*; check it with `surefoot ledger verify`") as failure:
        resumed(app, run_id)
    assert isinstance(failure.value.__cause__, PromptError)
    place_execute(app, place, "DELETE FROM prompt_texts")
    with pytest.raises(StepFailed, match=r"neither in .* nor in the ledger: bring its file back"):
        resumed(app, run_id)


def place_execute(app: App, place: Place, statement: str) -> None:
    if place.engine == "postgres":
        place.execute(statement)
        return
    with sqlite3.connect(app.config.ledger.path) as connection:
        connection.execute(statement)
    connection.close()


def test_a_prompt_that_was_loaded_before_the_run_is_pinned_too(app: App, project: Path) -> None:
    loaded = Prompty.load_template("p")

    @flow
    def kept() -> list[str]:
        first = loaded.render(x=1)
        pause()
        return [first, loaded.messages(x=2)[0].content, loaded.digest]

    run_id = failed_run(app, kept)
    put(project, "two")
    before, loaded = loaded.digest, Prompty.load_template("p")
    assert loaded.digest != before
    assert resumed(app, run_id, kept) == ["one 1", "one 2", before]


def test_a_file_that_is_loaded_by_its_path_is_pinned_too(app: App, project: Path) -> None:
    path = project / "prompts" / "p.yaml"

    @flow
    def by_path() -> list[str]:
        first = Prompty.load(path).render(x=1)
        pause()
        return [first, Prompty.load(path).render(x=2)]

    Moments.between = lambda: put(project, "two")
    run_id = failed_run(app, by_path)
    Moments.between = None
    assert resumed(app, run_id, by_path) == ["one 1", "one 2"]


def test_child_runs_begin_with_what_their_parent_means(app: App, project: Path) -> None:
    @flow
    def around() -> list[str]:
        first = prompt("p").render(x=0)
        put(project, "two")
        return [first, *app.run(using)]

    run_id = failed_run(app, around)
    child = next(run for run in app.ledger.runs() if run.parent_run)
    assert child.parent_run in (run_id, child.parent_run)
    assert Prompts(app.ledger).pins(child.id) == Prompts(app.ledger).pins(str(child.parent_run))
    assert resumed(app, child.id) == ["one 1", "one 2", "one 3"]
    assert resumed(app, str(child.parent_run), around) == ["one 0", "one 1", "one 2", "one 3"]


def test_a_child_run_pins_for_itself(app: App, project: Path) -> None:
    @flow
    def around() -> list[str]:
        first = app.run(using)
        put(project, "two")
        return [*first, *app.run(using)]

    assert app.run(around)[::3] == ["one 1", "two 1"]


def test_threads_and_tasks_of_a_run_agree(app: App, project: Path) -> None:
    @flow
    def threads() -> list[str]:
        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(lambda n: render("p", n).split()[0], range(20)))

    @flow
    async def tasks() -> list[str]:
        async def one(n: int) -> str:
            put(project, f"at {n}")
            await asyncio.sleep(0)
            return prompt("p").render(x=n).split(maxsplit=2)[0:2][1]

        return await asyncio.gather(*map(one, range(10)))

    assert set(app.run(threads)) == {"one"}
    assert len(set(app.run(tasks))) == 1


def test_the_record_says_which_text_was_used_and_from_where(app: App) -> None:
    app.run(using)
    uses = Prompts(app.ledger).uses("p")
    assert {(use.flow, use.reference, use.run_id) for use in uses} == {
        ("using", "p", app.ledger.run("last").id)
    }
    lines = Path(__file__).read_text().splitlines()
    assert {lines[use.line - 1].strip() for use in uses} == {
        "return prompt(reference).render(x=x)",
        "return [first, render(reference, 2), prompt(reference).render(x=3)]",
    }
    assert {Path(use.file).name for use in uses} == {Path(__file__).name}
    assert {tuple(use.inputs.items()) for use in uses} == {(("x", "integer"),)}


def test_a_pin_is_durable_before_an_outcome_in_a_database_of_the_users(app: App, project: Path) -> None:
    """The marker of a transaction step is an outcome too: a trigger looks into the ledger as it is written."""
    seen = list[Any]()

    def look() -> int:
        seen.append(dict(Prompts(app.ledger).pins(app.ledger.run("last").id)))
        return 1

    def opened() -> sqlite3.Connection:
        connection = sqlite3.connect(project / "own.db", check_same_thread=False)
        connection.create_function("look", 0, look)
        return connection

    @step(transaction=opened)
    def save(own: sqlite3.Connection) -> str:
        own.execute(f"CREATE TEMP TRIGGER looking AFTER INSERT ON {TABLE} BEGIN SELECT look(); END")
        return prompt("p").render(x=1)

    @flow
    def saving() -> str:
        return save()

    assert app.run(saving) == "one 1"
    assert seen == [{"p": app.prompts.find("p").digest}]


def test_outside_of_runs_nothing_is_recorded(app: App) -> None:
    assert prompt("p").render(x=1) == "one 1"
    archive = Prompts(app.ledger)
    assert (archive.texts(), archive.uses(), app.ledger.format()) == ([], [], 0)


def test_an_edited_file_under_an_old_version_is_told_once(
    app: App, project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app.run(using)
    known = app.prompts.find("p").digest
    put(project, "two")
    with caplog.at_level(logging.WARNING, "surefoot.prompts"):
        for _ in range(3):
            assert app.run(using)[0] == "two 1"
    edited = app.prompts.find("p").digest
    assert caplog.text.count("was edited under the version 1") == 1
    assert (
        f"its digest is {edited[:8]}, that of the version in the ledger {known[:8]}; give it a new"
        in caplog.text
    )
    assert [(one.prompt.digest, one.known) for one in app.prompts.edited()] == [(edited, known)]
    assert [(one.state, one.known) for one in app.prompts.versions("p")] == [
        ("edited", known),
        ("ledger", ""),
    ]
    put(project, "one")
    assert app.prompts.edited() == []


KILLED = """
import os, signal, sys
sys.path[:0] = sys.argv[3:]
from pathlib import Path
import test_prompt_pins as tests
app = tests.app_of(Path(sys.argv[1]), sys.argv[2])
tests.Moments.between = lambda: os.kill(os.getpid(), signal.SIGKILL)
app.run(tests.using)
"""


def test_a_run_whose_process_was_killed_goes_on_with_its_text(app: App, place: Place, project: Path) -> None:
    paths = [str(HERE), str(HERE.parent / "support")]
    child = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", KILLED, str(project), place.url, *paths],
        check=False,
        timeout=60,
        capture_output=True,
        text=True,
    )
    assert child.returncode == -signal.SIGKILL, child.stderr
    put(project, "two")
    run = app.ledger.run("last")
    assert resumed(app, run.id) == ["one 1", "one 2", "one 3"]
