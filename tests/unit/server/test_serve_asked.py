"""What a request may say: what is none of it is refused with a sentence, whatever it would be taken for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from starlette.testclient import TestClient

import served_flows
from served_here import said_to, served_here
from serving import api_at
from surefoot.server.api.application import Api

FLOWS = Path(served_flows.__file__)


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TestClient, Api]]:
    served_flows.gate.set()
    with api_at(tmp_path_factory.mktemp("asked"), FLOWS, park=0.05) as (client, api, _):
        yield client, api
    served_flows.gate.clear()


@pytest.fixture
def client(serving: tuple[TestClient, Api]) -> TestClient:
    return serving[0]


@pytest.fixture(scope="module")
def run(serving: tuple[TestClient, Api]) -> str:
    found: str = serving[0].post("/flows/twice/runs", json={"inputs": {"n": 1}}).json()["id"]
    return found


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("/runs?before=", "before"),
        ("/runs?before=01K5Z0V7W3", "before"),
        ("/runs?before=01k5z0v7w3n2q8m4t6r1s9xbcd", "before"),
        ("/runs?flow=%00", "NUL"),
        (f"/runs?session={'x' * 1001}", "session"),
        ("/runs?tag.a=%00", "NUL"),
        ("/runs?tag.%00=a", "NUL"),
        ("/runs/{run}/steps?raw=AAA", "raw"),
        ("/runs/{run}/steps?raw=", "raw"),
    ],
)
def test_a_query_that_is_none_is_refused(client: TestClient, run: str, query: str, told: str) -> None:
    answer = client.get(query.replace("{run}", run))
    assert answer.status_code == 400, answer.text
    assert told in answer.json()["detail"]


@pytest.mark.parametrize("wait", ["1_0", " 1", "+1", "nan", "infinity", "1e7", "-1", "", "1e999", "0x1"])
def test_seconds_are_a_number_as_json_has_them(client: TestClient, wait: str) -> None:
    answer = client.post("/flows/twice/runs", params={"wait": wait}, json={"inputs": {"n": 1}})
    assert (answer.status_code, "wait" in answer.json()["detail"]) == (400, True)


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        ("/runs/{run}/fork", None, "no JSON object"),
        ("/runs/{run}/cancel", None, "no JSON object"),
        ("/flows/twice/runs", None, "no JSON object"),
        ("/runs/{run}/fork", {"changes": {}}, "changes is no list"),
        ("/runs/{run}/fork", {"changes": ""}, "changes is no list"),
        ("/flows/twice/batches", {"runs": {}}, "runs is no list"),
        ("/flows/twice/batches", {"runs": [{"inputs": {"n": 1}, "key": " "}]}, "a key is a text"),
        ("/runs/{run}/fork", {"tags": {"a\x00": "b"}}, "tags is no object"),
        ("/runs/{run}/fork", {"tags": {"a": "\x00"}}, "tags is no object"),
        ("/runs/{run}/fork", {"changes": ["step:\x00"]}, "changes is no list"),
        ("/runs/{run}/cancel", {"reason": "\x00"}, "NUL"),
        ("/flows/twice/runs", {"inputs": {"n": 1}, "session": "\x00"}, "NUL"),
        ("/flows/twice/runs", {"inputs": {"n": 1}, "key": "k\x00"}, "NUL"),
        ("/switches", {"what": "flow:a\x01b"}, "what is to be switched"),
        ("/switches", {"what": "flow:"}, "what is to be switched"),
    ],
)
def test_a_value_of_another_kind_is_not_taken_for_none(
    client: TestClient, run: str, path: str, body: Any, told: str
) -> None:
    answer = client.post(path.replace("{run}", run), content=json.dumps(body), headers=JSON)
    assert answer.status_code == 400, answer.text
    assert told in answer.json()["detail"]


JSON = {"content-type": "application/json"}


def test_no_body_at_all_is_none(client: TestClient, run: str) -> None:
    assert client.post(f"/runs/{run}/fork", headers=JSON).status_code == 202


def test_the_keys_of_a_batch_have_room_for_the_places_of_its_runs(client: TestClient) -> None:
    body = {"runs": [{"inputs": {"n": 1}}]}
    for key, status in (("k" * 240, 202), ("k" * 241, 400), (" ", 400)):
        answer = client.post("/flows/twice/batches", json=body, headers={"idempotency-key": key})
        assert answer.status_code == status, answer.text


def test_how_another_run_of_the_key_failed_is_no_answer_to_other_inputs(client: TestClient) -> None:
    key = {"idempotency-key": "taken by a failure"}
    first = client.post("/flows/fails/runs", json={"inputs": {"why": "one"}}, headers=key)
    assert first.status_code == 500
    other = client.post("/flows/fails/runs", json={"inputs": {"why": "two"}}, headers=key)
    assert other.status_code == 422
    assert "was begun with other values of why" in other.json()["detail"]
    assert "run" not in other.json()


def test_what_is_answered_below_the_routes_is_a_problem_as_it_is_described(
    serving: tuple[TestClient, Api],
) -> None:
    client, api = serving
    document = client.get("/openapi.json").json()
    whole = {**document["components"]["schemas"]["Problem"], "components": document["components"]}
    with served_here(api.asgi, read_seconds=0.2) as port:
        for said, status in (
            (b"GET /runs HTTP/1.1\nhost: localhost\n\n", 400),
            (b"GET /runs HTTP/1.1\r\nhost: localhost\r\nx: " + b"x" * 200_000 + b"\r\n\r\n", 431),
            (b"GET /runs HTTP/1.1\r\nhost: loc", 408),
        ):
            head, _, body = said_to(port, said).partition(b"\r\n\r\n")
            problem = json.loads(body)
            jsonschema.Draft202012Validator(whole).validate(problem)
            assert problem["status"] == status == int(head.split(b" ")[1])
            assert f"x-request-id: {problem['request_id']}".encode() in head
