"""Attacks on what people are shown of runs: commands, pages, evaluations, datasets, inboxes, debugging logs."""

from __future__ import annotations

import json
import logging
import threading
import time
from pathlib import Path
from typing import Annotated

import pytest
from starlette.testclient import TestClient

from command_line import surefoot
from engines import Place, place
from leaks import HOUSE, KEY, PLANTED, STORY, all_written, app, readable_in
from policies import own_policy
from postgres import postgres_server, postgres_url
from surefoot import App, Case, Dataset, Score, Text, evaluate, flow, generate, scripted, step
from surefoot.errors import RunCancelled, StepFailed
from surefoot.evals.datasets.harvest import Wish, harvest
from surefoot.server import loopback_hosts, web
from surefoot.values import Message, RunTags

__all__ = ["app", "own_policy", "place", "postgres_server", "postgres_url"]

PORT = 8710


@step
def asking(question: str) -> str:
    return generate.sync([Message("user", question)], using="openai:gpt-4o")


@step(retries=1, backoff=lambda _: 0.0)
def failing(question: str) -> str:
    raise ValueError(f"cannot answer\n{question}")


@flow(trusted=True)
def answering(question: str) -> str:
    said = asking(question)
    return f"{said}: {question}"


@flow(trusted=True)
def falling(question: str) -> str:
    return failing(question)


@step(pure=True)
def ticking() -> None:
    pass


@flow
def ending(question: str) -> None:
    here = App.current()
    here.cancel(here.ledger.run("last").id, reason=f"because of {question}")
    while True:
        # It is told at one of its next steps.
        ticking()
        time.sleep(0.02)


@step(sends="mail", effect=True, untrusted="approve")
def mailing(to: str, body: Annotated[str, Text(untrusted=True)]) -> None:
    pass


@flow
def forwarding(to: str) -> str:
    mailing(to, STORY)
    return "sent"


def test_out_08_an_inbox_holds_no_reason_that_gives_something_away(app: App, place: Place) -> None:
    with pytest.raises(RunCancelled) as caught:
        app.run(ending, {"question": STORY})
    assert "[secret]" in str(caught.value)
    refused: list[BaseException] = []

    def work() -> None:
        with pytest.raises(StepFailed) as caught:
            app.run(forwarding, {"to": PLANTED["mail"]})
        refused.append(caught.value)

    thread = threading.Thread(target=work)
    thread.start()
    until = time.monotonic() + 60
    while not (asked := app.approvals("last") if app.ledger.run("last").flow == "forwarding" else []):
        assert time.monotonic() < until
        time.sleep(0.01)
    assert HOUSE not in asked[0].arguments
    app.approve(asked[0].run_id, by=f"Ana ({KEY})", deny=True, reason=f"no, it holds {STORY}")
    thread.join(60)
    assert len(refused) == 1
    assert KEY not in str(refused[0])
    assert readable_in(all_written(place)) == []


def test_out_08_no_evaluation_gives_anything_away(app: App, place: Place) -> None:
    def judging(output: str, expected: object) -> Score:
        return Score(0.5, reason=f"it says {output}")

    def labelling(output: str) -> str:
        return STORY[:200]

    def breaking(output: str) -> float:
        raise ValueError(f"no number in {output}")

    cases = [
        Case("first", {"question": STORY}, expected=STORY, metadata={"who": PLANTED["mail"], "key": KEY}),
        Case("second", {"question": f"again {STORY}"}, metadata={"who": PLANTED["mail"]}),
    ]
    with scripted([f"Dear {STORY}", f"Dear {STORY}"]):
        found = evaluate(answering, Dataset("planted", cases), [judging, labelling, breaking], name="leaks")
    lost = evaluate(falling, Dataset("planted", cases), [judging], name="falls")
    assert len(lost.failed) == 2
    assert readable_in(all_written(place)) == []
    # What stands in memory is what was kept.
    told = repr([(row.error, row.scores, row.metadata) for each in (found, lost) for row in each.rows])
    assert readable_in({"rows": told.encode()}) == []
    assert "[secret]" in told


def test_out_08_commands_pages_and_datasets_show_the_view(app: App, place: Place) -> None:
    tags = RunTags(tags={"customer": PLANTED["mail"]})
    with scripted([f"Dear {STORY}"]):
        assert KEY in str(app.run(answering, {"question": STORY}, tags=tags))
    with pytest.raises(Exception, match="cannot answer"):
        app.run(falling, {"question": STORY}, tags=tags)
    failed, done = app.ledger.runs(limit=2)
    shown: dict[str, bytes] = {}
    with TestClient(web(app, hosts=loopback_hosts(PORT)), base_url=f"http://127.0.0.1:{PORT}") as pages:
        for path in ("/", f"/runs/{done.id}", f"/runs/{failed.id}", f"/?search={done.id}"):
            page = pages.get(path)
            assert page.status_code == 200, path
            shown[path] = page.content
    assert b"[secret]" in shown[f"/runs/{done.id}"]
    environ = {"HOUSE": HOUSE} | ({"SUREFOOT_LEDGER_URL": place.url} if place.url else {})
    made = place.folder / "made.jsonl"
    for command in (
        ("runs",),
        ("runs", "--json"),
        ("show", done.id),
        ("show", done.id, "--json"),
        ("show", failed.id),
        ("show", failed.id, "--json"),
        ("costs", "--by", "flow"),
        ("stats", "answering"),
        ("config", "show"),
        ("dataset", "from-runs", "--flow", "answering", "--out", str(made)),
        ("dataset", "show", str(made)),
    ):
        ran = surefoot(*command, cwd=place.folder, code=None, **environ)
        assert ran.returncode == 0, (command, ran.stdout, ran.stderr)
        shown[" ".join(command)] = f"{ran.stdout}\n{ran.stderr}".encode()
    assert b"[secret]" in shown[f"show {done.id}"]
    made_here = harvest(app.ledger, Wish("answering"))
    shown["harvest"] = b"".join(made_here.lines)
    assert b"[secret]" in shown["harvest"]
    assert "[secret]" in json.dumps(json.loads(made.read_text().splitlines()[0]))
    assert readable_in(shown) == []
    assert readable_in(all_written(place)) == []


def test_out_09_no_log_of_ours_gives_anything_away_at_any_level(app: App, place: Place) -> None:
    written = place.folder / "debug.log"
    handler = logging.FileHandler(written)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s"))
    ours = logging.getLogger("surefoot")
    former = ours.level
    ours.setLevel(logging.DEBUG)
    ours.addHandler(handler)
    try:
        with scripted([f"Dear {STORY}"]):
            app.run(answering, {"question": STORY})
        with pytest.raises(Exception, match="cannot answer"):
            app.run(falling, {"question": STORY})
        logging.getLogger("surefoot.flows").debug("it was about %s", STORY, stack_info=True)
    finally:
        ours.removeHandler(handler)
        ours.setLevel(former)
        handler.close()
    assert "[secret]" in Path(written).read_text()
    assert readable_in({"log": written.read_bytes()}) == []
