"""Flows and runs over HTTP: beginning, following, looking, acting; what is refused and how that is answered."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

import served_flows
from serving import api_at, events, until
from surefoot import App
from surefoot.access.heads import heads_in
from surefoot.errors import (
    BreakerOpen,
    BudgetExceeded,
    ConfigError,
    LedgerCorrupt,
    LedgerError,
    RateLimited,
    SurefootError,
)
from surefoot.server.api.application import Api
from surefoot.server.api.problems import again_of, problem_of

FLOWS = Path(served_flows.__file__)
Serving = tuple[TestClient, Api, App]


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    served_flows.gate.clear()
    served_flows.made.clear()
    while served_flows.began.acquire(blocking=False):
        pass
    with api_at(tmp_path, FLOWS, park=0.05, look=0.1, workers=4, grace=0) as serving:
        try:
            yield serving
        finally:
            served_flows.gate.set()


@pytest.fixture
def client(serving: Serving) -> TestClient:
    return serving[0]


def begin(client: TestClient, flow: str, inputs: dict[str, Any], *, query: str = "", **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post(f"/flows/{flow}/runs{query}", json={"inputs": inputs}, headers=named)


def ended(client: TestClient, run_id: str, status: str = "completed") -> Any:
    return until(
        lambda: run if (run := client.get(f"/runs/{run_id}").json())["status"] == status else None,
        what=f"{run_id} {status}",
    )


# Beginning


@pytest.mark.parametrize(
    ("flow", "inputs", "output"),
    [
        ("twice", {"n": 21}, 42),
        ("shout", {"text": "ja"}, {"text": "JA", "score": 0.5}),
        ("greets", {"name": "Ann"}, "hello Ann"),
        ("says", {"topic": "cats"}, "all about cats"),
    ],
)
def test_a_run_is_answered_with_its_output(client: TestClient, flow: str, inputs: Any, output: Any) -> None:
    response = begin(client, flow, inputs)
    assert response.status_code == 200, response.text
    body = response.json()
    assert (body["flow"], body["status"], body["output"]) == (flow, "completed", output)
    run = client.get(f"/runs/{body['id']}").json()
    assert {name: run[name] for name in body} == body
    assert run["principal"] == "user:local"


def test_202_comes_at_once_and_the_run_is_made(client: TestClient) -> None:
    response = begin(client, "twice", {"n": 1}, prefer="respond-async")
    assert response.status_code == 202
    run_id = response.json()["id"]
    assert response.headers["location"] == f"/runs/{run_id}"
    assert ended(client, run_id)["output"] == 2
    assert begin(client, "twice", {"n": 1}, query="?wait=0").status_code == 202


def test_a_run_that_takes_longer_than_is_waited_goes_on(client: TestClient) -> None:
    response = begin(client, "held", {"name": "slow"}, query="?wait=0.2")
    assert (response.status_code, response.json()["status"]) == (202, "running")
    served_flows.gate.set()
    assert ended(client, response.json()["id"])["output"] == "slow finished"


def test_inputs_that_do_not_fit_are_told_by_field_and_nothing_is_recorded(serving: Serving) -> None:
    client, _, app = serving
    for query in ("", "?wait=0"):
        response = begin(client, "twice", {"n": "three", "m": 1}, query=query)
        assert response.status_code == 422
        problem = response.json()
        assert response.headers["content-type"] == "application/problem+json"
        assert {one["field"] for one in problem["mistakes"]} >= {"n"}
        assert "three" not in response.text
        assert problem["request_id"] == response.headers["x-request-id"]
    assert app.ledger.runs() == []


def test_a_failed_run_is_a_problem_that_names_it(client: TestClient) -> None:
    response = begin(client, "fails", {"why": "no luck"})
    problem = response.json()
    assert (response.status_code, problem["type"]) == (500, "urn:surefoot:problem:run-failed")
    assert problem["run"]["status"] == "failed"
    assert client.get(f"/runs/{problem['run']['id']}").json()["error"] == "ValueError: no luck"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ([1], "no JSON object"),
        ({"input": {}}, "unknown key"),
        ({"inputs": []}, "inputs is no object"),
        ({"inputs": {}, "deadline": -1}, "deadline"),
        ({"inputs": {}, "deadline": True}, "deadline"),
        ({"inputs": {}, "tags": {"a": 1}}, "tags"),
        ({"inputs": {}, "tags": {"a": "\0"}}, "tags"),
        ({"inputs": {}, "tags": {"\0": "a"}}, "tags"),
        ({"inputs": {}, "tags": {"a" * 201: "a"}}, "tags"),
        ({"inputs": {}, "session": "\0"}, "session"),
        ({"inputs": {}, "key": " "}, "key"),
        ({"inputs": {}, "session": 3}, "session"),
    ],
)
def test_a_body_that_is_none_is_refused(client: TestClient, body: Any, told: str) -> None:
    response = client.post("/flows/twice/runs", json=body)
    assert response.status_code == 400
    assert told in response.json()["detail"]


def test_what_does_not_exist_is_404(client: TestClient) -> None:
    assert begin(client, "nothing", {}).status_code == 404
    for path in ("/runs/01K5Z0V7W3N2Q8M4T6R1S9XBCD", "/runs/last", "/nowhere"):
        response = client.get(path)
        assert response.status_code == 404
        assert response.headers["content-type"] == "application/problem+json"
    assert client.get("/flows/twice/runs").status_code == 405


TRACE = {"traceparent": f"00-{'a1' * 16}-{'b2' * 8}-01", "tracestate": "vendor=1"}


def test_a_run_keeps_the_span_that_asked_for_it_and_its_fork_that_of_its_own_request(
    client: TestClient,
) -> None:
    made = begin(client, "twice", {"n": 1}, **TRACE).json()
    assert ended(client, made["id"])["tags"] == TRACE
    body = {"inputs": {"n": 2}, "tags": {"team": "a", "traceparent": "mine"}}
    mine = client.post("/flows/twice/runs", json=body, headers=TRACE).json()
    assert ended(client, mine["id"])["tags"] == {"team": "a", **TRACE}
    # One that is malformed is none, and no fault of the request.
    other = begin(client, "twice", {"n": 3}, traceparent="00-nonsense", tracestate="vendor=1").json()
    assert ended(client, other["id"])["tags"] == {}
    forked = client.post(f"/runs/{made['id']}/fork?wait=10", json={"inputs": {"n": 5}}).json()
    assert "traceparent" not in ended(client, forked["id"])["tags"]
    asked = client.post("/flows/twice/batches", json={"runs": [{"inputs": {"n": 1}}] * 2}, headers=TRACE)
    assert all(ended(client, one["id"])["tags"] == TRACE for one in asked.json()["runs"])


# One run for one key


def test_of_one_key_there_is_one_run_and_one_answer(client: TestClient) -> None:
    first = begin(client, "twice", {"n": 4}, idempotency_key="a")
    again = begin(client, "twice", {"n": 4}, idempotency_key="a")
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert served_flows.made == ["doubled"]
    later = begin(client, "twice", {"n": 4}, idempotency_key="a", query="?wait=0")
    assert (later.status_code, later.json()["id"]) == (202, first.json()["id"])
    other = begin(client, "twice", {"n": 5}, idempotency_key="a")
    assert (other.status_code, other.json()["type"]) == (422, "urn:surefoot:problem:invalid-input")
    both = client.post(
        "/flows/twice/runs", json={"inputs": {"n": 4}, "key": "b"}, headers={"idempotency-key": "a"}
    )
    assert both.status_code == 400


def test_who_asks_at_the_same_time_under_one_key_gets_the_same(serving: Serving) -> None:
    client, _, app = serving
    with ThreadPoolExecutor(8) as pool:
        asking = [pool.submit(begin, client, "held", {"name": "one"}, idempotency_key="k") for _ in range(8)]
        served_flows.began.acquire(timeout=60)
        served_flows.gate.set()
        answers = [one.result() for one in asking]
    assert {answer.json()["id"] for answer in answers} == {app.ledger.runs(flow="held")[0].id}
    assert {answer.json()["output"] for answer in answers} == {"one finished"}
    assert served_flows.made == ["one"]


def test_another_body_under_a_key_that_is_under_way_is_refused(client: TestClient) -> None:
    first = begin(client, "held", {"name": "one"}, idempotency_key="k", query="?wait=0.1")
    assert begin(client, "held", {"name": "two"}, idempotency_key="k").status_code == 422
    served_flows.gate.set()
    ended(client, first.json()["id"])


# The audit


def test_each_request_to_begin_a_run_is_told_of_once_whatever_came_of_it(serving: Serving) -> None:
    client, _, app = serving

    def told() -> list[str]:
        return sorted(
            row.request_id for row in app.access.audit.rows(action="flow:run") if row.decision == "allowed"
        )

    def ask(name: str, flow: str, inputs: dict[str, Any], query: str = "", **headers: str) -> int:
        answer = begin(client, flow, inputs, query=query, x_request_id=name, **headers)
        return int(answer.status_code)

    asked = [
        (ask("made", "twice", {"n": 1}), 200),
        (ask("keyed", "twice", {"n": 2}, idempotency_key="a"), 200),
        (ask("keyed-again", "twice", {"n": 2}, idempotency_key="a"), 200),
        (ask("keyed-otherwise", "twice", {"n": 3}, idempotency_key="a"), 422),
        (ask("later", "twice", {"n": 4}, "?wait=0"), 202),
        (ask("later-again", "twice", {"n": 4}, "?wait=0", idempotency_key="a2"), 202),
        (ask("odd", "twice", {"n": "no number"}), 422),
        (ask("no-flow", "nothing", {}), 404),
        (ask("fails", "fails", {"why": "it must"}), 500),
        (ask("streamed", "twice", {"n": 5}, accept="text/event-stream"), 200),
        (ask("held", "held", {"name": "one"}, "?wait=0.1"), 202),
    ]
    served_flows.gate.set()
    assert [status for status, _ in asked] == [right for _, right in asked]
    assert told() == sorted(
        [
            "made",
            "keyed",
            "keyed-again",
            "keyed-otherwise",
            "later",
            "later-again",
            "odd",
            "no-flow",
            "fails",
            "streamed",
            "held",
        ]
    )
    assert app.access.audit.verify() == 11


def test_of_a_run_that_could_not_begin_in_time_the_row_goes_with_its_record(tmp_path: Path) -> None:
    served_flows.gate.clear()
    with api_at(tmp_path, FLOWS, workers=1, grace=0) as (client, _, app):
        try:
            begin(client, "held", {"name": "first"}, query="?wait=0.1", x_request_id="first")
            late = begin(client, "twice", {"n": 1}, query="?wait=0.1", x_request_id="late")
            assert (late.status_code, late.json()["status"]) == (202, "pending")
            rows = app.access.audit.rows(action="flow:run")
            assert sorted(row.request_id for row in rows) == ["first", "late"]
        finally:
            served_flows.gate.set()


def test_heads_are_kept_of_rows_that_go_with_runs_too(tmp_path: Path) -> None:
    heads = tmp_path / "heads.jsonl"
    (tmp_path / "surefoot.toml").write_text(f'[access]\nheads = "{heads}"\nheads_every = 2\n')
    with api_at(tmp_path, FLOWS, grace=0) as (client, _, app):
        for n in range(4):
            assert begin(client, "twice", {"n": n}).status_code == 200
        kept = list(heads_in(heads.read_text().splitlines()))
        assert [head.seq for head in kept] == [2, 4]
        assert app.access.audit.verify(kept) == 4


# Events


def test_a_run_is_streamed_as_it_happens(client: TestClient) -> None:
    response = begin(client, "counts", {"most": 3}, accept="text/event-stream")
    assert response.headers["content-type"].startswith("text/event-stream")
    told = events(response.text)
    assert [name for _, name, _ in told] == ["run", "step", "item", "item", "item", "step", "end"]
    assert [data["item"] for _, name, data in told if name == "item"] == ["item 0", "item 1", "item 2"]
    assert (told[-1][2]["status"], told[-1][2]["output"]) == ("completed", 3)
    assert all(number for number, _, _ in told)


def test_whoever_was_cut_off_goes_on_behind_his_last_event(client: TestClient) -> None:
    run_id = begin(client, "held", {"name": "x"}, query="?wait=0").json()["id"]
    served_flows.began.acquire(timeout=60)
    threading.Timer(0.2, served_flows.gate.set).start()
    whole = events(client.get(f"/runs/{run_id}/events").text)
    assert [name for _, name, _ in whole] == ["run", "step", "step", "end"]
    # By now it is read from the ledger: its steps are told once more, or those behind the last one had.
    again = events(client.get(f"/runs/{run_id}/events").text)
    assert [name for _, name, _ in again] == ["step", "end"]
    last = again[0][0]
    rest = events(client.get(f"/runs/{run_id}/events", headers={"last-event-id": last}).text)
    assert [name for _, name, _ in rest] == ["end"]
    for odd in ("", "x", "l.", "l.9999999999999999999999", "l.-1", "..", "\u00e9.1"):
        headers = {"last-event-id": odd.encode("latin-1")}
        assert events(client.get(f"/runs/{run_id}/events", headers=headers).text)[-1][1] == "end"


def test_a_failed_run_is_streamed_to_its_end(client: TestClient) -> None:
    told = events(begin(client, "fails", {"why": "no"}, accept="text/event-stream").text)
    assert (told[-1][1], told[-1][2]["status"], told[-1][2]["error"]) == ("end", "failed", "ValueError: no")


def test_of_a_stream_whose_inputs_do_not_fit_there_is_a_problem(client: TestClient) -> None:
    response = begin(client, "twice", {"n": "x"}, accept="text/event-stream")
    assert response.status_code == 422
    begin(client, "twice", {"n": 1}, idempotency_key="k")
    told = events(begin(client, "twice", {"n": 2}, idempotency_key="k", accept="text/event-stream").text)
    assert [(name, data["status"]) for _, name, data in told] == [("problem", 422)]


# Looking


def test_runs_are_listed_by_page_and_by_what_they_are(client: TestClient) -> None:
    for n in range(3):
        begin(client, "twice", {"n": n}, query="?wait=5")
    client.post("/flows/greets/runs", json={"inputs": {"name": "A"}, "tags": {"team": "x"}, "session": "s"})
    page = client.get("/runs?limit=2").json()
    assert [one["flow"] for one in page["runs"]] == ["greets", "twice"]
    rest = client.get(f"/runs?limit=2&before={page['before']}").json()
    assert [one["flow"] for one in rest["runs"]] == ["twice", "twice"]
    assert client.get("/runs?flow=twice&status=completed").json()["runs"][0]["flow"] == "twice"
    assert len(client.get("/runs?tag.team=x").json()["runs"]) == 1
    assert len(client.get("/runs?session=s").json()["runs"]) == 1
    assert client.get("/runs?status=odd").status_code == 400
    assert client.get("/runs?limit=0").status_code == 400
    assert client.get("/runs?limit=x").status_code == 400
    # What a ledger on a server could not read, or would take long to.
    for name in ("flow", "principal", "session", "key", "before", "tag.a"):
        assert client.get(f"/runs?{name}=%00").status_code == 400
    tags = [f"tag.t{number}=a" for number in range(11)]
    assert client.get(f"/runs?{'&'.join(tags)}").status_code == 400
    assert client.get(f"/runs?{'&'.join(tags[1:])}").json()["runs"] == []


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (LedgerError("postgresql://db.internal: gone"), 503),
        (LedgerCorrupt("/var/lib/db.internal: run X"), 500),
        (ConfigError("connections.db.internal has no key"), 500),
    ],
)
def test_of_what_only_its_keeper_can_mend_an_answer_says_nothing(
    error: SurefootError, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    problem = problem_of(error)
    assert (problem.status, "retry-after" in problem.headers) == (status, status == 503)
    assert "db.internal" not in problem.detail
    assert "db.internal" in caplog.text


def test_when_to_ask_again_is_what_the_error_says() -> None:
    renews = int((time.time() + 3_000) * 1e9)
    for error, status, least, most in (
        (RateLimited("", retry_after=7.5), 429, 8, 8),
        (BreakerOpen("", retry_after=30.0), 503, 30, 30),
        (BudgetExceeded("", renews_ns=renews), 402, 2_000, 3_000),
        (LedgerError(""), 503, 1, 1),
    ):
        assert least <= int(again_of(error, status)["retry-after"]) <= most
    assert again_of(BudgetExceeded(""), 402) == {}


def test_steps_are_shown_as_people_may_read_them_and_as_they_were(client: TestClient) -> None:
    secret = "sk-proj-" + "a1B2c3D4e5F6g7H8" * 3
    run_id = begin(client, "greets", {"name": secret}).json()["id"]
    shown = client.get(f"/runs/{run_id}/steps")
    assert shown.status_code == 200
    assert secret not in shown.text
    raw = client.get(f"/runs/{run_id}/steps?raw=1").json()
    assert raw["inputs"]["name"] == secret
    assert raw["is_chain_whole"] is True


def test_flows_tell_what_they_take_and_give(client: TestClient) -> None:
    names = {one["name"] for one in client.get("/flows").json()["flows"]}
    assert names == {"twice", "shout", "fails", "held", "asks", "counts", "says", "greets", "mails", "lasts"}
    told = client.get("/flows/twice").json()
    assert (told["version"], told["description"]) == ("3", "Doubles a number.")
    assert told["inputs"]["properties"]["note"]["default"] == "none"
    assert told["output"] == {"type": "integer"}
    # What it shows as an example is taken.
    response = client.post("/flows/twice/runs", json=told["example"])
    assert response.status_code == 200
    output = client.get("/flows/shout").json()["output"]
    assert set(output["properties"]) == {"text", "score"}


def test_health_readiness_and_figures(serving: Serving) -> None:
    client, api, _ = serving
    begin(client, "twice", {"n": 1})
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ready"}
    figures = client.get("/metrics")
    assert figures.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'surefoot_runs_ended_total{flow="twice",how="completed"} 1' in figures.text
    assert 'surefoot_http_requests_total{route="/flows/{flow}/runs",status="200"} 1' in figures.text
    assert 'surefoot_run_seconds_bucket{flow="twice",le="+Inf"} 1' in figures.text
    assert 'surefoot_step_seconds_count{flow="twice",step="doubled",status="completed"} 1' in figures.text
    for line in figures.text.splitlines():
        assert line.startswith("#") or float(line.rpartition(" ")[2]) >= 0
    api.executor.drain()
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 503
    refused = begin(client, "twice", {"n": 1})
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert refused.json()["type"] == "urn:surefoot:problem:server-draining"


# Acting


def test_an_event_wakes_a_run_that_was_parked(serving: Serving) -> None:
    client, api, _ = serving
    run_id = begin(client, "asks", {"what": "well"}, query="?wait=20").json()["id"]
    assert ended(client, run_id, "waiting")["status"] == "waiting"
    assert api.executor.active == 0
    sent = client.post(f"/runs/{run_id}/events/answer", json={"value": "yes"})
    assert sent.status_code == 202
    assert ended(client, run_id)["output"] == "well: yes"
    assert client.post(f"/runs/{run_id}/events/answer", json={"value": 1}).status_code == 409


def test_a_letter_that_was_read_is_read_again_once_somebody_else_has_gone_on_with_the_run(
    serving: Serving,
) -> None:
    client, api, app = serving
    waiting = begin(client, "asks", {"what": "a"}, query="?wait=0").json()["id"]
    ended(client, waiting, "waiting")
    first = app.ledger.run(waiting).epoch
    # It is not what the run waits for: it was gone on with once, and is left.
    client.post(f"/runs/{waiting}/events/other", json={})
    until(lambda: app.ledger.run(waiting).epoch > first, what="it was gone on with")
    ended(client, waiting, "waiting")
    assert api.recovery.look() == 0
    # As if somebody else had gone on with it since, and let it go before he looked.
    newest, epoch = api.recovery._read[waiting]
    api.recovery._read[waiting] = newest, epoch - 1
    until(lambda: app.ledger.run(waiting).epoch > first + 1, what="it is gone on with once more")
    client.post(f"/runs/{waiting}/events/answer", json={"value": "yes"})
    assert ended(client, waiting)["status"] == "completed"


def test_a_step_is_approved_by_whoever_asks(serving: Serving) -> None:
    client, _, _ = serving
    run_id = begin(client, "mails", {"text": "dear all"}, query="?wait=20").json()["id"]
    ended(client, run_id, "waiting")
    waiting = client.get(f"/runs/{run_id}/approvals").json()["approvals"]
    assert [(one["step"], one["is_answered"]) for one in waiting] == [("mailed", False)]
    assert "dear all" in json.dumps(waiting[0]["arguments"])
    assert served_flows.made == []
    answered = client.post(f"/runs/{run_id}/approvals", json={"step": "mailed"})
    assert (answered.status_code, answered.json()["is_approved"]) == (202, True)
    assert ended(client, run_id)["output"] == "sent dear all"
    assert client.post(f"/runs/{run_id}/approvals", json={}).status_code == 409


def test_a_run_is_cancelled(client: TestClient) -> None:
    run_id = begin(client, "held", {"name": "x"}, query="?wait=0").json()["id"]
    served_flows.began.acquire(timeout=60)
    cancelled = client.post(f"/runs/{run_id}/cancel", json={"reason": "enough"})
    assert cancelled.status_code in (200, 202)
    served_flows.gate.set()
    assert "enough" in ended(client, run_id, "cancelled")["error"]
    assert client.post(f"/runs/{run_id}/cancel", json={}).status_code == 200
    assert client.post(f"/runs/{run_id}/resume", json={}).status_code == 409


def test_a_failed_run_is_gone_on_with(serving: Serving) -> None:
    client, _, _ = serving
    run_id = begin(client, "fails", {"why": "no"}).json()["run"]["id"]
    again = client.post(f"/runs/{run_id}/resume?wait=20", json={})
    assert (again.status_code, again.json()["run"]["id"]) == (500, run_id)
    assert client.post(f"/runs/{run_id}/resume", json={}).status_code == 202
    odd = client.post(f"/runs/{run_id}/resume", json={"decisions": {"x": "maybe"}})
    assert odd.status_code == 400


def test_a_run_is_forked_with_other_inputs(client: TestClient) -> None:
    run_id = begin(client, "twice", {"n": 4}).json()["id"]
    fork = client.post(f"/runs/{run_id}/fork?wait=20", json={"inputs": {"n": 5}})
    assert (fork.status_code, fork.json()["output"]) == (200, 10)
    assert fork.json()["id"] != run_id
    same = client.post(f"/runs/{run_id}/fork?wait=20", json={})
    assert same.json()["output"] == 8
    # What is not changed is taken from the record.
    assert served_flows.made == ["doubled", "doubled"]
    assert client.post(f"/runs/{run_id}/fork", json={"changes": ["nonsense"]}).status_code == 422


# Batches


def test_a_batch_is_recorded_whole_or_not_at_all(serving: Serving) -> None:
    client, _, app = serving
    bad = [{"inputs": {"n": 1}}, {"inputs": {"n": "x"}}]
    refused = client.post("/flows/twice/batches", json={"runs": bad})
    assert (refused.status_code, refused.json()["index"]) == (422, 1)
    assert app.ledger.runs() == []
    runs = [{"inputs": {"n": n}} for n in range(7)]
    taken = client.post("/flows/twice/batches", json={"runs": runs}, headers={"idempotency-key": "b"})
    assert taken.status_code == 202
    made = [one["id"] for one in taken.json()["runs"]]
    assert [ended(client, one)["output"] for one in made] == [2 * n for n in range(7)]
    again = client.post("/flows/twice/batches", json={"runs": runs}, headers={"idempotency-key": "b"})
    assert [one["id"] for one in again.json()["runs"]] == made
    assert client.post("/flows/twice/batches", json={"runs": []}).status_code == 400
    assert client.post("/flows/twice/batches", json={"runs": [1]}).status_code == 400


@pytest.mark.parametrize("path", ["/runs/{run}/cancel", "/switches"])
def test_a_compensation_that_exits_ends_no_server(client: TestClient, path: str) -> None:
    run_id = begin(client, "lasts", {"n": 1}, query="?wait=0").json()["id"]
    ended(client, run_id, "waiting")
    body = {"what": "flow:lasts"} if path == "/switches" else {}
    answer = client.post(path.format(run=run_id), json=body)
    assert answer.status_code == (200 if path == "/switches" else 500)
    assert begin(client, "twice", {"n": 1}).json()["output"] == 2


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/", 404), ("PUT", "/runs", 405)])
def test_whoever_asks_for_what_there_is_not_is_told_where_to_look(
    client: TestClient, method: str, path: str, status: int
) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert ("/openapi.json" if status == 404 else "`allow`") in answer.json()["detail"]
    assert status == 404 or "GET" in answer.headers["allow"]
