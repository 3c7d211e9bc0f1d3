"""The description of a server holds against what it does: its routes, its examples, its schemas, its answers."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from starlette.applications import Starlette
from starlette.testclient import TestClient

import served_flows
from confined import publish
from letting_in import Town, client_of
from serving import HOST, api_at, until
from surefoot import App, flow
from surefoot.errors import UsageError
from surefoot.flows import find_spec
from surefoot.server.api.application import Api, api_of
from surefoot.server.api.table import RULES
from surefoot.server.entry import rule
from surefoot.server.gateway import RULES as GATEWAY_RULES
from surefoot.server.openapi import described
from surefoot.server.served import Served, ServedFlow

FLOWS = Path(served_flows.__file__)
Serving = tuple[TestClient, dict[str, Any]]


@flow
def triage_described(text: str = "x") -> str:
    return text


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    served_flows.gate.set()
    with api_at(tmp_path_factory.mktemp("openapi"), FLOWS, park=0.05) as (client, _, _):
        yield client, client.get("/openapi.json").json()
    served_flows.gate.clear()


@pytest.fixture
def town(app: App) -> Town:
    return Town(app)


def served_of(*flows: Any) -> Served:
    return Served([ServedFlow(one, find_spec(one)[1]) for one in flows])


def parts(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in a document."""
    if isinstance(value, dict):
        yield value
        for part in value.values():
            yield from parts(part)
    elif isinstance(value, list):
        for part in value:
            yield from parts(part)


def resolved(document: dict[str, Any], reference: str) -> Any:
    found: Any = document
    for name in reference.removeprefix("#/").split("/"):
        found = found[name]
    return found


def routes_of(api: Api) -> set[tuple[str, str]]:
    """What the application itself answers to, by method and path."""
    found: Any = api.asgi
    while not isinstance(found, Starlette):
        found = found._behind
    return {
        (method, route.path)  # type: ignore[attr-defined]
        for route in found.routes
        for method in route.methods  # type: ignore[attr-defined]
        if method != "HEAD"
    }


def pairs_of(document: dict[str, Any]) -> list[tuple[str, str]]:
    return [(method.upper(), path) for path, methods in document["paths"].items() for method in methods]


@pytest.mark.parametrize("has_gateway", [False, True])
def test_the_table_the_routes_and_the_description_list_the_same(town: Town, *, has_gateway: bool) -> None:
    publish(town.app, triage_described)
    api = api_of(town.app, served_of(triage_described), has_gateway=has_gateway)
    rules = {**RULES, **(GATEWAY_RULES if has_gateway else {})}
    assert routes_of(api) == set(rules)
    with client_of(api.asgi) as client:
        document = client.get("/openapi.json", headers=town.bearer("viewer")).json()
    listed = pairs_of(document)
    # Each flow has its own paths, and there is one flow here.
    paths = [
        (method, path.replace("/flows/triage_described", "/flows/{flow}").replace("{model}", "{model:path}"))
        for method, path in listed
    ]
    assert len(paths) == len(set(paths)) == len(rules)
    assert set(paths) == set(rules)
    for (method, path), (_, own) in zip(paths, listed, strict=True):
        needed = rules[method, path].permission  # type: ignore[index]
        assert document["paths"][own][method.lower()].get("x-permission") == needed


def test_a_path_that_is_described_has_the_methods_that_are_and_no_others(serving: Serving) -> None:
    client, document = serving
    run = client.post("/flows/twice/runs", json={"inputs": {"n": 1}}).json()["id"]
    for path, methods in document["paths"].items():
        at = path.replace("{run}", run).replace("{event}", "answer")
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - {one.upper() for one in methods}:
            answer = client.request(method, at, json={})
            assert answer.status_code == 405, (method, path)
            allowed = {one.strip() for one in answer.headers["allow"].split(",")} - {"HEAD"}
            assert allowed == {one.upper() for one in methods}, (method, path)


def test_a_route_of_which_nothing_is_said_is_an_error() -> None:
    rules = {**RULES, ("GET", "/secrets"): rule("server:read", "server", "Tells.")}
    with pytest.raises(UsageError, match="GET /secrets"):
        described([], rules, title="x", max_batch=10)  # type: ignore[arg-type]


@pytest.mark.parametrize("has_gateway", [False, True])
def test_it_is_an_openapi_document(app: App, *, has_gateway: bool) -> None:
    flows = Served.load([str(FLOWS)])
    with TestClient(api_of(app, flows, is_open=True, has_gateway=has_gateway).asgi, base_url=HOST) as client:
        document = client.get("/openapi.json").json()
    OpenAPIV31SpecValidator(document).validate()
    operations = [one["operationId"] for methods in document["paths"].values() for one in methods.values()]
    assert len(operations) == len(set(operations))
    known = set(operations)
    assert {link["operationId"] for link in document["components"]["links"].values()} <= known
    for one in parts(document):
        if isinstance(one.get("$ref"), str):
            assert resolved(document, one["$ref"]) is not None
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_flows_whose_names_are_alike_are_told_apart() -> None:
    @flow(name="re view")
    def first(number: int) -> int:
        return number

    @flow(name="re.view")
    def second(text: str) -> str:
        return text

    document: Any = described(served_of(first, second).values(), RULES, title="x", max_batch=10)
    OpenAPIV31SpecValidator(document).validate()
    taken = {}
    for path in ("/flows/re%20view/runs", "/flows/re.view/runs"):
        body = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        inputs = resolved(document, body["properties"]["inputs"]["$ref"])
        taken[path] = list(inputs["properties"])
    assert taken == {"/flows/re%20view/runs": ["number"], "/flows/re.view/runs": ["text"]}


def test_who_may_ask_without_a_token_is_described(app: App) -> None:
    flows = served_of(triage_described)
    for is_open in (False, True):
        document: Any = described(
            flows.values(), {**RULES, **GATEWAY_RULES}, title="x", max_batch=10, is_open=is_open
        )
        asked = document["paths"]["/v1/chat/completions"]["post"]["security"]
        assert document["security"] == [{"bearer": []}, *([{}] if is_open else [])]
        assert asked == [{"bearer": []}, {"key": []}, *([{}] if is_open else [])]
        assert document["paths"]["/healthz"]["get"]["security"] == []


def test_examples_of_bodies_fit_their_schemas_and_are_taken(serving: Serving) -> None:
    client, document = serving
    tried = 0
    for path, methods in document["paths"].items():
        body = methods.get("post", {}).get("requestBody")
        if body is None:
            continue
        media = body["content"]["application/json"]
        whole = {**media["schema"], "components": document["components"]}
        jsonschema.Draft202012Validator(whole).validate(media["example"])
        if path.endswith("/runs") and path.split("/")[2] in ("twice", "shout", "greets", "counts", "held"):
            response = client.post(path, json=media["example"])
            assert response.status_code == 200, response.text
            answer = methods["post"]["responses"]["200"]["content"]["application/json"]["schema"]
            jsonschema.Draft202012Validator({**answer, "components": document["components"]}).validate(
                response.json()
            )
            tried += 1
    assert tried == 5


def closed(value: Any) -> Any:
    """A schema whose objects have no keys but those that it names."""
    if isinstance(value, list):
        return [closed(part) for part in value]
    if not isinstance(value, dict):
        return value
    told = {key: closed(part) for key, part in value.items()}
    if isinstance(value.get("properties"), dict) and value.get("type") == "object":
        told.setdefault("additionalProperties", False)
    return told


def test_answers_have_no_key_that_is_not_described(serving: Serving) -> None:
    client, document = serving
    schemas = closed(copy.deepcopy(document["components"]["schemas"]))
    run = client.post("/flows/twice/runs", json={"inputs": {"n": 1}}, headers={"idempotency-key": "d"}).json()
    waiting = client.post("/flows/asks/runs?wait=0", json={"inputs": {"what": "x"}}).json()
    said = client.post("/flows/says/runs", json={"inputs": {"topic": "x"}}).json()
    failed = client.post("/flows/fails/runs", json={"inputs": {"why": "x"}})
    assert failed.status_code == 500
    for schema, answer in (
        ("Ended", run),
        ("Accepted", waiting),
        ("Problem", failed.json()),
        ("Problem", client.post("/flows/twice/runs", json={"inputs": {}}).json()),
        ("Batch", client.post("/flows/twice/batches", json={"runs": [{"inputs": {"n": 1}}]}).json()),
        ("Run", client.get(f"/runs/{run['id']}").json()),
        ("Runs", client.get("/runs").json()),
        ("Steps", client.get(f"/runs/{said['id']}/steps?raw=1").json()),
        ("Approvals", client.get(f"/runs/{run['id']}/approvals").json()),
        ("Sent", client.post(f"/runs/{waiting['id']}/events/answer", json={"value": 1}).json()),
        ("Flows", client.get("/flows").json()),
        ("FlowInFull", client.get("/flows/twice").json()),
        ("Switches", client.get("/switches").json()),
        ("Switched", client.post("/switches", json={"what": "flow:none", "off": False}).json()),
    ):
        whole = {"$ref": f"#/components/schemas/{schema}", "components": {"schemas": schemas}}
        jsonschema.Draft202012Validator(whole).validate(answer)


def test_what_a_step_waits_for_is_answered_as_described(serving: Serving) -> None:
    client, document = serving
    schemas = closed(copy.deepcopy(document["components"]["schemas"]))
    run = client.post("/flows/mails/runs?wait=0", json={"inputs": {"text": "dear all"}}).json()["id"]

    def found() -> Any:
        told = client.get(f"/runs/{run}/approvals").json()
        return told if told["approvals"] else None

    waiting = until(found)
    answered = client.post(f"/runs/{run}/approvals", json={"reason": "read"}).json()
    for schema, answer in (("Approvals", waiting), ("Answered", answered)):
        whole = {"$ref": f"#/components/schemas/{schema}", "components": {"schemas": schemas}}
        jsonschema.Draft202012Validator(whole).validate(answer)


def test_problems_have_the_form_that_is_described(serving: Serving) -> None:
    client, document = serving
    form = document["components"]["schemas"]["Problem"]
    whole = {**form, "components": document["components"]}
    for response in (
        client.post("/flows/twice/runs", json={"inputs": {}}),
        client.post("/flows/twice/runs", json=[]),
        client.post("/flows/fails/runs", json={"inputs": {"why": "x"}}),
        client.get("/runs/01K5Z0V7W3N2Q8M4T6R1S9XBCD"),
        client.get("/runs?limit=x"),
    ):
        assert response.headers["content-type"] == "application/problem+json"
        jsonschema.Draft202012Validator(whole).validate(response.json())
        assert response.json()["status"] == response.status_code
