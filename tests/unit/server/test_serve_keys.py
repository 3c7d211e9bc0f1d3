"""Run keys over HTTP: what may be one, whose run is given to whom, and what a fork of somebody else's run shows."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from starlette.types import ASGIApp

from letting_in import Town, client_of, real_server
from serving import until
from surefoot import App, flow
from surefoot.access import LOCAL
from surefoot.config import load

SECRET = "sk-proj-" + "a1B2c3D4e5F6g7H8" * 3
broken: list[str] = []
began = threading.Semaphore(0)
gate = threading.Event()


@flow(trusted=True, uses=())
def holding() -> str:
    began.release()
    assert gate.wait(60)
    return "held"


@flow(trusted=True, uses=())
def echoed(text: str) -> str:
    if broken:
        raise ValueError(broken[0])
    return text


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    broken.clear()
    (tmp_path / "surefoot.toml").write_text('[access.roles]\nbeginner = ["flow:run"]\n')
    with closing(App(load(tmp_path, environ={"SUREFOOT_LEDGER_SYNCHRONOUS": "normal"}))) as app:
        yield Town(app)


@pytest.fixture
def runner(town: Town) -> Iterator[TestClient]:
    with real_server(town.app, echoed) as asgi:
        yield client_of(asgi, headers=town.bearer("runner"))


def ask(client: TestClient, key: str = "K", **more: Any) -> Any:
    return client.post("/flows/echoed/runs", json={"inputs": {"text": SECRET}, "key": key}, **more)


def test_a_key_of_somebody_else_shows_his_run_as_people_may_read_it(town: Town, runner: TestClient) -> None:
    first = ask(runner).json()
    assert first["output"] == SECRET
    for query in ("", "?wait=0"):
        mine = runner.post(f"/flows/echoed/runs{query}", json={"inputs": {"text": SECRET}, "key": "K"})
        assert mine.json()["id"] == first["id"]
    editor = client_of(runner.app, headers=town.bearer("editor"))
    again = ask(editor)
    assert (again.status_code, again.json()["id"]) == (200, first["id"])
    assert SECRET not in again.text
    streamed = ask(editor, headers={"accept": "text/event-stream"})
    assert "event: end" in streamed.text
    assert SECRET not in streamed.text
    auditor = client_of(runner.app, headers=town.bearer("admin"))
    assert ask(auditor).json()["output"] == SECRET


def test_whoever_may_not_read_runs_is_not_given_one_by_its_key(town: Town, runner: TestClient) -> None:
    ask(runner)
    town.add("user:beginner", "beginner", "acme")
    beginner = client_of(runner.app, headers=town.bearer("beginner"))
    assert ask(beginner, "own").json()["output"] == SECRET
    assert ask(beginner).json()["permission"] == "run:read"
    batch = {"runs": [{"inputs": {"text": "new"}}, {"inputs": {"text": SECRET}, "key": "K"}]}
    assert beginner.post("/flows/echoed/batches", json=batch).status_code == 403
    assert len(town.app.ledger.runs(flow="echoed")) == 2


def test_a_run_that_failed_is_gone_on_with_under_its_key_by_whoever_may_resume_it(
    town: Town, runner: TestClient
) -> None:
    town.add("user:beginner", "beginner", "acme")
    town.app.access.people.grant("user:beginner", "viewer", "acme", by=LOCAL)
    broken.append("no luck")
    assert ask(runner).status_code == 500
    broken.clear()
    beginner = client_of(runner.app, headers=town.bearer("beginner"))
    assert ask(beginner).json()["permission"] == "run:resume"
    assert ask(runner).json()["output"] == SECRET


def test_a_run_of_somebody_else_that_is_gone_on_with_is_shown_as_people_may_read_it(
    town: Town, runner: TestClient
) -> None:
    broken.append("no luck")
    assert ask(runner).status_code == 500
    broken.clear()
    town.add("user:other", "runner", "acme")
    told = ask(client_of(runner.app, headers=town.bearer("other")))
    assert (told.status_code, told.json()["status"]) == (200, "completed")
    assert SECRET not in told.text


@pytest.fixture
def two(town: Town, tmp_path: Path) -> Iterator[tuple[ASGIApp, ASGIApp]]:
    """Two servers on one ledger, of which the first makes one run at a time."""
    environ = {"SUREFOOT_LEDGER_SYNCHRONOUS": "normal"}
    with (
        closing(App(load(tmp_path, environ=environ))) as app,
        real_server(town.app, echoed, holding, workers=1) as first,
        real_server(app, echoed, holding) as second,
    ):
        try:
            yield first, second
        finally:
            gate.set()


def test_a_run_that_waits_is_of_whoever_asked_first_whoever_has_it_recorded(
    town: Town, two: tuple[ASGIApp, ASGIApp]
) -> None:
    gate.clear()
    first, other = (client_of(two[0], headers=town.bearer(who)) for who in ("runner", "editor"))
    with ThreadPoolExecutor(2) as pool:
        held = pool.submit(first.post, "/flows/holding/runs", json={"inputs": {}})
        assert began.acquire(timeout=60)
        waiting = pool.submit(ask, first)
        admin = client_of(two[0], headers=town.bearer("admin"))
        until(lambda: "surefoot_queue_depth 1" in admin.get("/metrics").text)
        body = {"inputs": {"text": SECRET}, "key": "K"}
        told = other.post("/flows/echoed/runs?wait=0.1", json=body)
        assert told.status_code == 202, told.text
        gate.set()
        assert waiting.result(60).json()["output"] == SECRET
        assert held.result(60).status_code == 200
    (run,) = town.app.ledger.runs(flow="echoed")
    assert (run.id, run.principal) == (told.json()["id"], "user:runner")
    rows = town.app.access.audit.rows(action="flow:run")
    assert sorted(row.who for row in rows) == ["user:editor", "user:runner", "user:runner"]


@pytest.mark.parametrize("role", ["beginner", "other"])
@pytest.mark.parametrize("how", ["asked", "streamed", "failed"])
def test_a_key_that_somebody_takes_while_a_run_waits_gives_no_more_than_one_taken_before(
    town: Town, two: tuple[ASGIApp, ASGIApp], role: str, how: str
) -> None:
    """It was nobody's when he asked, and is somebody else's once a worker is free."""
    town.add("user:beginner", "beginner", "acme")
    town.add("user:other", "beginner", "acme")
    town.app.access.people.grant("user:other", "viewer", "acme", by=LOCAL)
    gate.clear()
    first = client_of(two[0], headers=town.bearer(role))
    headers = {"accept": "text/event-stream"} if how == "streamed" else {}
    with ThreadPoolExecutor(2) as pool:
        held = pool.submit(first.post, "/flows/holding/runs", json={"inputs": {}})
        assert began.acquire(timeout=60)
        waiting = pool.submit(ask, first, headers=headers)
        until(
            lambda: (
                "surefoot_queue_depth 1"
                in client_of(two[0], headers=town.bearer("admin")).get("/metrics").text
            )
        )
        if how == "failed":
            broken.append(SECRET)
        taken = ask(client_of(two[1], headers=town.bearer("runner")))
        assert taken.status_code == (500 if how == "failed" else 200)
        gate.set()
        told = waiting.result(60)
        assert held.result(60).status_code == 200
    assert SECRET not in told.text
    if role == "beginner" or how == "failed":
        needed = "run:resume" if role == "other" else "run:read"
        assert "event: problem" in told.text if how == "streamed" else told.json()["permission"] == needed
        assert "output" not in told.text
        assert len(town.app.ledger.history(town.app.ledger.runs(flow="echoed")[0].id)) == 2
    else:
        assert town.app.ledger.runs(flow="echoed")[0].id in told.text


@pytest.mark.parametrize("key", ["", " ", "a\0b", "a\nb", "x" * 256])
def test_what_is_no_key_is_refused_wherever_it_stands(runner: TestClient, key: str) -> None:
    assert ask(runner, key).status_code == 400
    batch = {"runs": [{"inputs": {"text": "a"}, "key": key}]}
    assert runner.post("/flows/echoed/batches", json=batch).status_code == 400


@pytest.mark.parametrize("key", [" ", "x" * 256, "ключ".encode()])
def test_what_is_no_key_is_refused_in_the_header(town: Town, runner: TestClient, key: str | bytes) -> None:
    headers = {"idempotency-key": key}
    assert (
        runner.post("/flows/echoed/runs", json={"inputs": {"text": "a"}}, headers=headers).status_code == 400
    )
    batch = {"runs": [{"inputs": {"text": "a"}}]}
    assert runner.post("/flows/echoed/batches", json=batch, headers=headers).status_code == 400
    assert town.app.ledger.runs(flow="echoed") == []


def test_of_a_batch_whose_keys_do_not_fit_nothing_is_recorded(town: Town, runner: TestClient) -> None:
    ask(runner)
    for second, status in (({"text": "b"}, 400), ({"text": SECRET}, 400)):
        twice = [{"inputs": {"text": SECRET}, "key": "A"}, {"inputs": second, "key": "A"}]
        assert runner.post("/flows/echoed/batches", json={"runs": twice}).status_code == status
    taken = [{"inputs": {"text": "new"}}, {"inputs": {"text": "other"}, "key": "K"}]
    answer = runner.post("/flows/echoed/batches", json={"runs": taken})
    assert (answer.status_code, answer.json()["index"]) == (422, 1)
    assert len(town.app.ledger.runs(flow="echoed")) == 1


def test_a_fork_of_somebody_elses_run_shows_no_more_than_that_run(town: Town, runner: TestClient) -> None:
    run = ask(runner).json()["id"]
    editor = client_of(runner.app, headers=town.bearer("editor"))
    forked = editor.post(f"/runs/{run}/fork?wait=30", json={})
    assert forked.status_code == 200, forked.text
    again = editor.post(f"/runs/{forked.json()['id']}/fork?wait=30", json={})
    for answer in (forked, again, *(editor.get(f"/runs/{one.json()['id']}") for one in (forked, again))):
        assert answer.json()["status"] == "completed"
        assert SECRET not in answer.text
    events = editor.get(f"/runs/{again.json()['id']}/events")
    assert "event: end" in events.text
    assert SECRET not in events.text
    admin = client_of(runner.app, headers=town.bearer("admin"))
    assert admin.get(f"/runs/{again.json()['id']}").json()["output"] == SECRET


def test_a_fork_of_ones_own_run_is_ones_own(town: Town, runner: TestClient) -> None:
    editor = client_of(runner.app, headers=town.bearer("editor"))
    run = ask(editor).json()["id"]
    forked = editor.post(f"/runs/{run}/fork?wait=30", json={})
    assert forked.json()["output"] == SECRET
    assert editor.get(f"/runs/{forked.json()['id']}").json()["output"] == SECRET
