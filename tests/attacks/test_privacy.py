"""Attacks on what is stored, streamed and exported: out-04, out-05, out-06, out-08, out-10."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import json
import logging
import os
import random
from pathlib import Path
from typing import Any

import pytest

import planted
from engines import Place, place
from leaks import HOUSE, KEY, PLANTED, SETTINGS, STORY, all_written, app, opened, readable_in
from policies import own_policy
from postgres import postgres_server, postgres_url
from surefoot import App, current_run, flow, generate, scripted, send, step, wait_for
from surefoot.config import load
from surefoot.environment import child_environment
from surefoot.errors import InvalidInput
from surefoot.evals.datasets import Case, Dataset
from surefoot.evals.datasets.writing import write
from surefoot.flows import fork
from surefoot.guards.privacy import KINDS, Finder, Holdback
from surefoot.ledger import Keyring
from surefoot.ledger.exporting import export
from surefoot.ledger.opening import tables_of
from surefoot.traces import trace
from surefoot.traces.otlp import requests
from surefoot.values import Message, RunTags

__all__ = ["app", "own_policy", "place", "postgres_server", "postgres_url"]


@step
def looking_up(question: str) -> dict[str, object]:
    # A number of JSON, a key of a mapping, and text in text.
    return {"card": 4111111111111111, PLANTED["mail"]: json.dumps({"note": f"line\n{question}"})}


@step(retries=1, backoff=lambda _: 0.0)
def failing(question: str) -> str:
    raise ValueError(f"cannot answer {question}")


@step(effect=True)
def sending(to: str) -> str:
    return f"sent to {to} with {HOUSE}"


@flow
def leaking(question: str) -> str:
    run = current_run()
    assert run is not None
    # An inbox takes no secret, whoever reads it.
    with contextlib.suppress(InvalidInput):
        send(run.id, "news", f"the key {KEY}")
    send(run.id, "news", f"write to {PLANTED['mail']} or {PLANTED['phone']}")
    found = looking_up(question)
    said = generate.sync([Message("user", f"{question} {found}")], using="openai:gpt-4o")
    sending(PLANTED["mail"])
    news = wait_for("news", str).result()
    try:
        failing(question)
    except ValueError:
        logging.getLogger("surefoot.flows").warning("it failed for %s", question, exc_info=True)
    return f"{said} {news} " + f"{question}, " * 200


@flow
def falling(question: str) -> str:
    return failing(question)


def test_out_08_nothing_planted_is_readable_anywhere_and_the_run_goes_on_with_what_is_exact(
    app: App, place: Place
) -> None:
    written = place.folder / "our.log"
    handler = logging.FileHandler(written)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    ours = logging.getLogger("surefoot")
    ours.addHandler(handler)
    tags = RunTags(tags={"customer": PLANTED["mail"], "note": f"has {KEY}"})
    try:
        with scripted([f"Dear {PLANTED['mail']}, card {PLANTED['card']}, key {KEY}"]):
            result = app.run(leaking, {"question": STORY}, tags=tags)
        with pytest.raises(Exception, match="cannot answer"):
            app.run(falling, {"question": STORY})
    finally:
        ours.removeHandler(handler)
        handler.close()
    assert all(value in str(result) for value in PLANTED.values())
    if place.engine == "sqlite":
        assert (place.folder / ".surefoot" / "ledger.db-wal").stat().st_size > 0
    assert readable_in(all_written(place)) == []
    text = written.read_text()
    assert "[secret]" in text
    assert "<EMAIL:" in text
    assert "Traceback" in text
    # Equal values have equal names, so that runs are found by them.
    failed, done = app.ledger.runs(limit=2)
    assert [run.id for run in app.ledger.runs(tags={"customer": PLANTED["mail"]})] == [done.id]
    assert failed.error is not None
    assert "[secret]" in failed.error
    sent = requests([trace(app.ledger, done.id), trace(app.ledger, failed.id)], {}, now_ns=1)
    shown = {f"request {n}": bytes(request) for n, request in enumerate(sent)}
    app.cassette(done.id).save(place.folder / "calls.json")
    with contextlib.closing(tables_of(app.ledger)) as tables:
        payloads = app.ledger.payloads
        export(tables, payloads, place.folder / "view.db", made_ns=1)
        export(
            tables, payloads, place.folder / "sealed.db", made_ns=1, key=Keyring(place.folder / "export-key")
        )
    assert readable_in(shown | all_written(place)) == []


def test_out_08_resume_fork_and_a_second_process_go_on_with_the_exact_payload(app: App, place: Place) -> None:
    with scripted([f"Dear {PLANTED['mail']}, key {KEY}"]):
        result = app.run(leaking, {"question": STORY})
    [run] = app.ledger.runs(limit=1)
    app.close()
    again = opened(place)
    try:
        with again.entered():
            assert again.resume(run.id, flow=leaking) == result
            # From the last step on: all before it is taken from the record, and the model is not asked.
            with scripted([]):
                forked = fork(run.id, "failing", flow=leaking)
            assert str(forked.output) == result
            assert readable_in(all_written(place)) == []
    finally:
        again.close()


@step(capture="none")
def unseen(question: str) -> str:
    return generate.sync([Message("user", question)], using="openai:gpt-4o")


@step(capture="metadata")
def sized(question: str) -> list[str]:
    return [question]


@step(capture="full")
def open_to_all(question: str) -> str:
    return question


@flow
def graded(question: str) -> list[object]:
    return [unseen("the plan of Ana"), sized("the plan of Ana"), open_to_all(f"{PLANTED['mail']} {KEY}")]


@step(capture="none")
def unseen_failure() -> str:
    raise ValueError("the plan of Ana failed")


@flow(capture="metadata")
def unseen_flow(question: str) -> str:
    sized(question)
    return unseen_failure()


def test_out_08_what_is_captured_is_what_the_step_says(app: App, place: Place) -> None:
    with scripted(["Ana plans a party"]):
        result = app.run(graded, {"question": "q"})
    assert result == ["Ana plans a party", ["the plan of Ana"], f"{PLANTED['mail']} {KEY}"]
    [run] = app.ledger.runs(limit=1)
    steps = {span.name: span for span in trace(app.ledger, run.id).walk()}
    assert steps["unseen"].output == "[not shown: a value (capture is none)]"
    assert "party" not in repr([span for span in steps.values() if span.kind == "call"])
    assert steps["sized"].output == "[not shown: a list, 19 bytes (capture is metadata)]"
    assert steps["open_to_all"].output == f"{PLANTED['mail']} [secret]"
    with pytest.raises(Exception, match="the plan of Ana failed"):
        app.run(unseen_flow, {"question": "the plan of Ana"})
    [failed] = app.ledger.runs(limit=1)
    assert failed.error == "ValueError: (not shown: capture is none)"
    plans = [where for where, content in all_written(place).items() if b"plan of Ana" in content]
    # The flow `graded` itself is captured as ever: its output holds what the steps gave.
    assert not [where for where in plans if "blob" in where]
    again = fork(run.id, "open_to_all", flow=graded)
    assert again.output == result
    steps = {span.name: span for span in trace(app.ledger, again.id).walk()}
    assert steps["unseen"].output == "[not shown: a value (capture is none)]"


def test_out_05_a_secret_in_an_error_and_in_tool_arguments_is_redacted(app: App) -> None:
    with pytest.raises(Exception, match="cannot answer"):
        app.run(falling, {"question": f"password={planted.keys(random.Random(1))['stripe']}"})
    [failed] = app.ledger.runs(limit=1)
    assert "[secret]" in str(failed.error)
    assert "sk_live" not in str(trace(app.ledger, failed.id))


def test_out_06_a_key_over_three_pieces_of_a_stream_leaves_in_no_part() -> None:
    hold = Holdback(Finder(personal=KINDS))
    key = planted.keys(random.Random(2))["anthropic"]
    left = [hold.feed(piece) for piece in ("It is ", key[:9], key[9:40], key[40:], ".", " Bye. " * 60)]
    left.append(hold.end())
    assert "".join(left) == f"It is [secret].{' Bye. ' * 60}"
    assert all(part not in key for part in left if part)


@pytest.mark.parametrize("ending", ["csv", "tsv"])
def test_out_04_no_cell_of_a_table_is_a_formula_and_it_reads_as_what_it_was(
    tmp_path: Path, ending: str
) -> None:
    wide = "\uff1d1+1"
    bad = ['=HYPERLINK("http://evil","x")', "+cmd|' /C calc'!A0", "@SUM(1+1)", "-2+3", "\t=1", "\r=1"]
    bad += ["'=1", "''@x", wide]
    harmless = ["-5", "+3.5e4", "it's", "'quoted'", "a=b", "2-1"]
    cases = [Case(f"c{n}", {"q": text}, expected=text) for n, text in enumerate(bad + harmless)]
    file = tmp_path / f"cases.{ending}"
    write(cases, file)
    with file.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.reader(stream, delimiter="\t" if ending == "tsv" else ","))
    cells = [cell for row in rows for cell in row]
    numbers = {"-5", "+3.5e4"}
    assert not [cell for cell in cells if cell[:1] in set("=+-@\t\r\uff1d") and cell not in numbers]
    back = [case.inputs["q"] for case in Dataset.load(file)]
    assert back == bad + harmless


def test_out_10_a_connection_shows_no_secret_whatever_prints_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "surefoot.toml").write_text(
        SETTINGS + 'headers = { X-Gate = "Token ${env:HOUSE}" }\n', encoding="utf-8"
    )
    monkeypatch.setenv("HOUSE", HOUSE)
    app = App(load(tmp_path, environ={"HOUSE": HOUSE}))
    connection = app.config.connections["own"]
    target = app.target("own:m")
    target.connect()
    own = app.endpoints.connections["own"]
    printed: list[Any] = [
        *(
            repr(connection),
            str(connection),
            connection.model_dump_json(),
            json.dumps(vars(connection), default=str),
        ),
        *(repr(app.config), repr(target), repr(target.connect()), repr(own), repr(dataclasses.asdict(own))),
        *(
            json.dumps(dataclasses.asdict(own), default=str),
            app.config.model_dump_json(),
            repr(app.settings.vault),
        ),
    ]
    assert not [text for text in printed if HOUSE in text]
    # A step that prints the environment prints what is masked where people read it.
    assert HOUSE not in str(app.finder(json.dumps(dict(os.environ))))
    app.close()


def test_out_10_a_child_process_gets_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "DATABASE_URL", "SUREFOOT_KEY", "PIP_INDEX_URL"):
        monkeypatch.setenv(name, HOUSE)
    assert HOUSE not in child_environment(MORE="x").values()
    assert child_environment(is_installer=True)["PIP_INDEX_URL"] == HOUSE
    assert child_environment()["PATH"] == os.environ["PATH"]


@flow
def telling(word: str) -> str:
    return open_to_all(word)


def test_out_08_what_was_a_secret_when_it_was_recorded_is_sealed_in_a_fork_that_does_not_know_it(
    place: Place,
) -> None:
    (place.folder / "surefoot.toml").write_text(SETTINGS, encoding="utf-8")
    app = opened(place)
    app.run(telling, {"word": HOUSE})
    [run] = app.ledger.runs(limit=1)
    app.close()
    (place.folder / "surefoot.toml").write_text("", encoding="utf-8")
    stranger = opened(place)
    try:
        with stranger.entered():
            shared = fork(run.id, flow=telling)
            [outcome] = [o for o in stranger.ledger.outcomes(shared.id) if o.kind == "step"]
            assert HOUSE not in stranger.ledger.view(outcome.output)
            assert HOUSE in stranger.ledger.exact(shared.id, outcome.output)
    finally:
        stranger.close()
