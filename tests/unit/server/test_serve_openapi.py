"""The description of a server holds against what it does: its examples are taken, its schemas lead somewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import served_flows
from serving import api_at
from surefoot.server.api.table import RULES

FLOWS = Path(served_flows.__file__)


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, dict[str, Any]]]:
    served_flows.gate.set()
    with api_at(tmp_path_factory.mktemp("openapi"), FLOWS, park=0.05) as (client, _, _):
        yield client, client.get("/openapi.json").json()
    served_flows.gate.clear()


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


def test_each_route_of_the_table_is_described_once(serving: tuple[Any, dict[str, Any]]) -> None:
    client, document = serving
    flows = [one["name"] for one in client.get("/flows").json()["flows"]]
    expected = {
        (method, path.replace("{flow}", flow))
        for method, path in RULES
        if path in {route for _, route in RULES}
        and path.split("/")[1] in {"flows", "runs", "healthz", "readyz"}
        for flow in (flows if "{flow}" in path else [""])
    }
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert expected <= described
    operations = [one["operationId"] for methods in document["paths"].values() for one in methods.values()]
    assert len(operations) == len(set(operations))


def test_every_reference_leads_to_a_schema_and_every_schema_is_one(
    serving: tuple[Any, dict[str, Any]],
) -> None:
    _, document = serving
    assert document["openapi"].startswith("3.1")
    references = [one["$ref"] for one in parts(document) if isinstance(one.get("$ref"), str)]
    assert references
    for reference in references:
        assert resolved(document, reference) is not None
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_examples_of_bodies_fit_their_schemas_and_are_taken(serving: tuple[Any, dict[str, Any]]) -> None:
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


def test_problems_have_the_form_that_is_described(serving: tuple[Any, dict[str, Any]]) -> None:
    client, document = serving
    form = document["components"]["schemas"]["Problem"]
    for response in (
        client.post("/flows/twice/runs", json={"inputs": {}}),
        client.post("/flows/twice/runs", json=[]),
        client.post("/flows/fails/runs", json={"inputs": {"why": "x"}}),
        client.get("/runs/01K5Z0V7W3N2Q8M4T6R1S9XBCD"),
        client.get("/runs?limit=x"),
    ):
        assert response.headers["content-type"] == "application/problem+json"
        jsonschema.Draft202012Validator(form).validate(response.json())
        assert response.json()["status"] == response.status_code
