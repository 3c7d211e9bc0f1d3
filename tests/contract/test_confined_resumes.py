"""Who goes on with a run, approves in it or forks it, and what the run may use then: on both engines, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from confined import denials, digest_of
from letting_in import ORGANISATION, client_of, real_server
from serving import until
from surefoot import App, flow, generate, step, wait_for
from surefoot.access import LOCAL
from surefoot.config import load
from surefoot.errors import StepFailed
from surefoot.values import RunTags
from wire import Fault, WireServer

ALL = f"{ORGANISATION}/shop"
SETTINGS = """
[connections.main]
provider = "openai"
base_url = "{url}"
api_key = "${{env:KEY}}"

[connections.billing]
provider = "openai"
base_url = "{url}"
api_key = "${{env:KEY}}"

[access]
project = "shop"

[access.roles]
helper = ["run:read", "run:resume", "run:send", "run:approve", "run:fork"]
"""


@step(untrusted="approve", sends="mail")
def mail(text: str) -> str:
    return text


@flow(uses=("connection:main", "connection:billing"), trusted=True)
def asks_when_told(model: str) -> str:
    word = wait_for("go", str).result()
    assert word
    return generate.sync([{"role": "user", "content": "Is it paid?"}], using=model)


@flow(uses=("connection:main", "connection:billing"), trusted=True)
def asks_at_once(model: str) -> str:
    return generate.sync([{"role": "user", "content": "Is it paid?"}], using=model)


@flow(uses=("connection:main", "connection:billing", "tool:mail"))
def mails_when_approved(model: str, text: str) -> str:
    mail(text)
    return generate.sync([{"role": "user", "content": "Is it sent?"}], using=model)


FLOWS = (asks_when_told, asks_at_once, mails_when_approved)


@pytest.fixture(autouse=True)
def own_policy() -> None:
    """The policy is that of the app."""


@pytest.fixture(scope="module")
def wire() -> Iterator[WireServer]:
    with WireServer() as wire:
        yield wire


@pytest.fixture(params=["sqlite", "postgres"])
def app(request: pytest.FixtureRequest, tmp_path: Path, wire: WireServer) -> Iterator[App]:
    (tmp_path / "surefoot.toml").write_text(SETTINGS.format(url=wire.openai_url))
    environ = {"SUREFOOT_LEDGER_SYNCHRONOUS": "normal", "KEY": "key-of-a-test"}
    if request.param == "postgres":
        environ["SUREFOOT_LEDGER_URL"] = request.getfixturevalue("postgres_url")
    wire.received.clear()
    app = App(load(tmp_path, environ=environ))
    try:
        with app.entered():
            yield app
    finally:
        app.close()


class World:
    """The server and its people.

    `wide` runs flows over all connections, `narrow` over `main` alone; `helper` goes on with runs, sends to them,
    approves in them and forks them, and may use no connection and run no flow.
    """

    def __init__(self, app: App, wire: WireServer, client: TestClient) -> None:
        self.app, self.wire, self.client = app, wire, client
        self.tokens: dict[str, str] = {}
        people = app.access.people
        for who, grants in {
            "wide": [("runner", ALL)],
            "narrow": [
                *(
                    ("runner", f"{ALL}/flow:{name}")
                    for name in ("asks_when_told", "asks_at_once", "mails_when_approved")
                ),
                ("runner", f"{ALL}/connection:main"),
            ],
            "helper": [("helper", ALL)],
        }.items():
            people.add(f"user:{who}", by=LOCAL, organisation=ORGANISATION)
            for role, where in grants:
                people.grant(f"user:{who}", role, where, by=LOCAL)
            self.tokens[who], _ = app.access.tokens.issue(f"user:{who}", by=LOCAL)

    def post(self, who: str, path: str, **body: Any) -> Any:
        headers = {"authorization": f"Bearer {self.tokens[who]}"}
        return self.client.post(path, json=body, headers=headers)

    def begun(self, who: str, model: str = "billing:gpt-4o", **inputs: Any) -> str:
        """A run that waits, for its event or an approval."""
        name = "mails_when_approved" if inputs else "asks_when_told"
        answer = self.post(who, f"/flows/{name}/runs?wait=0", inputs={"model": model, **inputs})
        assert answer.status_code == 202, answer.text
        run_id: str = answer.json()["id"]
        until(lambda: self.app.ledger.run(run_id).status == "waiting", what="it waits")
        return run_id

    def told(self, who: str, run_id: str) -> str:
        """The status that a run comes to once it is sent what it waits for."""
        assert self.post(who, f"/runs/{run_id}/events/go", value="yes").status_code == 202
        return self.ended(run_id)

    def ended(self, run_id: str) -> str:
        until(lambda: self.app.ledger.run(run_id).status in ("completed", "failed"), what="it ends")
        return self.app.ledger.run(run_id).status

    def resumed(self, who: str, run_id: str) -> str:
        answer = self.post(who, f"/runs/{run_id}/resume?wait=30")
        # 202: it waits once more, for what it was sent before.
        assert answer.status_code in (200, 202, 403), answer.text
        return self.ended(run_id)

    def refusal(self) -> str:
        """What was refused last, and why."""
        last = denials(self.app)[-1]
        return f"{last.who.partition('@')[0]} {last.resource.rpartition('/')[2]}: {last.reason}"


@pytest.fixture
def world(app: App, wire: WireServer) -> Iterator[World]:
    with real_server(app, *FLOWS, park=0.05, look=0.1, grace=0) as asgi:
        yield World(app, wire, client_of(asgi))


def test_rbac_05_whoever_helps_a_run_lends_it_nothing(world: World) -> None:
    """The run of somebody narrow stays narrow, whoever sends to it or resumes it."""
    run_id = world.begun("narrow")
    assert world.told("wide", run_id) == "failed"
    assert "connection:billing" in world.refusal()
    assert world.resumed("wide", run_id) == "failed"
    assert world.resumed("helper", run_id) == "failed"
    assert "user:narrow" in world.refusal()
    assert world.wire.count() == 0


def test_rbac_05_a_helper_takes_nothing_from_a_run_either(world: World) -> None:
    """What the run may use is its starter's: whoever helps it needs none of that."""
    run_id = world.begun("wide")
    assert world.told("helper", run_id) == "completed"
    assert world.wire.count() == 1


def test_rbac_05_an_approval_lends_nothing(world: World) -> None:
    for who, status in (("narrow", "failed"), ("wide", "completed")):
        run_id = world.begun(who, text="Dear all")
        answer = world.post("helper", f"/runs/{run_id}/approvals")
        assert answer.status_code == 202, answer.text
        assert world.ended(run_id) == status
    assert world.wire.count() == 1


def test_rbac_05_a_fork_is_of_whoever_forks(world: World) -> None:
    """What it does anew it does for him: the rights of whoever began the origin are not his."""
    origin = world.begun("wide")
    assert world.told("wide", origin) == "completed"
    asked = world.wire.count()
    # He may fork, but neither run the flow nor use its connections.
    refused = world.post("helper", f"/runs/{origin}/fork?wait=30", inputs={"model": "billing:gpt-4o-mini"})
    assert refused.status_code == 403, refused.text
    world.app.access.people.grant("user:narrow", "helper", ALL, by=LOCAL)
    forked = world.post("narrow", f"/runs/{origin}/fork?wait=30", inputs={"model": "billing:gpt-4o-mini"})
    assert forked.status_code == 403, forked.text
    assert "user:narrow" in world.refusal()
    assert world.wire.count() == asked


def test_rbac_05_a_run_that_its_owner_began_is_bound_by_whoever_asks_to_go_on_with_it(world: World) -> None:
    app = world.app
    world.wire.fail(Fault("status", 400))
    with pytest.raises(StepFailed):
        app.run(asks_at_once, {"model": "billing:gpt-4o"}, tags=RunTags(tenant=ORGANISATION))
    run_id = app.ledger.run("last").id
    assert "confined" not in app.ledger.run(run_id).tags
    app.access.people.grant("user:narrow", "helper", ALL, by=LOCAL)
    assert world.resumed("narrow", run_id) == "failed"
    assert "connection:billing" in world.refusal()
    assert world.resumed("helper", run_id) == "failed"
    assert "flow:run" in world.refusal()
    assert world.wire.count() == 1
    assert world.resumed("wide", run_id) == "completed"
    assert world.wire.count() == 2


@pytest.mark.parametrize("how", ["removed", "switched off", "revoked", "withdrawn"])
def test_rbac_05_what_was_taken_back_while_a_run_waits_it_has_no_more(world: World, how: str) -> None:
    access = world.app.access
    run_id = world.begun("wide")
    digest = digest_of(asks_when_told)
    match how:
        case "removed":
            access.people.remove("user:wide", by=LOCAL)
        case "switched off":
            access.switches.off("user:wide", organisation=ORGANISATION, by=LOCAL)
        case "revoked":
            access.people.revoke("user:wide", "runner", ALL, by=LOCAL)
        case _:
            access.published.withdraw("asks_when_told", digest, by=LOCAL, organisation=ORGANISATION)
    world.post("helper", f"/runs/{run_id}/events/go", value="yes")
    if how == "switched off":
        # Nothing of his is begun, and nothing gone on with: it waits, and can be gone on with later.
        access.switches.on("user:wide", organisation=ORGANISATION, by=LOCAL)
        assert world.ended(run_id) in ("completed", "failed")
    else:
        assert world.ended(run_id) == "failed"
        assert world.resumed("helper", run_id) == "failed"
        assert world.wire.count() == 0
    match how:
        case "removed":
            access.people.add("user:wide", by=LOCAL, organisation=ORGANISATION)
            access.people.grant("user:wide", "runner", ALL, by=LOCAL)
        case "revoked":
            access.people.grant("user:wide", "runner", ALL, by=LOCAL)
        case "withdrawn":
            access.published.approve("asks_when_told", digest, by=LOCAL, organisation=ORGANISATION)
        case _:
            pass
    assert (
        world.app.ledger.run(run_id).status == "completed" or world.resumed("helper", run_id) == "completed"
    )
    assert world.wire.count() == 1


def test_rbac_05_a_run_outlives_the_token_that_it_was_begun_with(world: World) -> None:
    run_id = world.begun("wide")
    world.app.access.tokens.revoke(world.tokens["wide"][:12], by=LOCAL)
    assert world.post("wide", f"/runs/{run_id}/events/go", value="yes").status_code == 401
    assert world.told("helper", run_id) == "completed"
