"""A server of routes that tell who came through: people with every role, their tokens, and two organisations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.types import ASGIApp

from confined import publish
from surefoot import App, flow
from surefoot.access import LOCAL
from surefoot.config import ServeSettings
from surefoot.flows import AnyFlow, find_spec
from surefoot.server.api.application import api_of
from surefoot.server.api.table import RULES
from surefoot.server.entry import Rules, body_of, caller_of, entered
from surefoot.server.served import Served, ServedFlow
from surefoot.values import RunTags

HOST = "http://localhost:8720"
ROLES = ("viewer", "runner", "editor", "operator", "auditor", "admin")
ORGANISATION, OTHER = "acme", "umbrella"


@flow
def triage(text: str) -> str:
    return text.upper()


@dataclass
class Town:
    """Somebody with each role in one organisation (`user:viewer`, ...), an admin of another, and a run of each."""

    app: App
    tokens: dict[str, str] = field(default_factory=dict[str, str])
    runs: dict[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        for role in ROLES:
            self.add(f"user:{role}", role, ORGANISATION)
        self.add("user:stranger", "admin", OTHER)
        self.add("user:nobody", "", ORGANISATION)
        for organisation in (ORGANISATION, OTHER):
            self.app.run(triage, {"text": organisation}, tags=RunTags(tenant=organisation))
            self.runs[organisation] = self.app.ledger.run("last").id

    def add(self, who: str, role: str, organisation: str, *scopes: str) -> str:
        """Somebody new, and his token."""
        access = self.app.access
        access.people.add(who, by=LOCAL, organisation=organisation)
        if role:
            access.people.grant(who, role, organisation, by=LOCAL)
        token, _ = access.tokens.issue(who, by=LOCAL, scopes=scopes)
        self.tokens[who.partition(":")[2]] = token
        return token

    def bearer(self, name: str) -> dict[str, str]:
        return {"authorization": f"Bearer {self.tokens[name]}"}

    def audited(self, **wanted: Any) -> list[tuple[str, str, str, str, str]]:
        """Rows of the audit, the newest first: who, action, resource, decision, request id."""
        return [
            (row.who, row.action, row.resource, row.decision, row.request_id)
            for row in self.app.access.audit.rows(**wanted)
        ]


def telling(request: Request) -> Response:
    """An endpoint that tells who came through, and with what."""
    caller = caller_of(request)
    return JSONResponse(
        {"who": caller.principal.who, "organisation": caller.principal.organisation, "body": body_of(request)}
    )


def open_to_all(request: Request) -> Response:
    return JSONResponse({"lives": True})


def routes_of(rules: Rules = RULES) -> list[Route]:
    return [
        Route(path, open_to_all if rule.is_open else telling, methods=[method])
        for (method, path), rule in rules.items()
    ]


def server_of(
    app: App, rules: Rules = RULES, *, owner_is_anybody: bool = False, **settings: object
) -> ASGIApp:
    return entered(
        app,
        routes_of(rules),
        rules=rules,
        settings=ServeSettings.model_validate(settings, strict=False),
        owner_is_anybody=owner_is_anybody,
    )


@contextmanager
def real_server(app: App, *flows: AnyFlow, **settings: object) -> Iterator[ASGIApp]:
    """`surefoot serve` for these flows, which makes their runs."""
    served = Served([ServedFlow(one, find_spec(one)[1]) for one in flows])
    for organisation in (ORGANISATION, OTHER):
        publish(app, *flows, organisation=organisation)
    config = app.config.model_copy(update={"serve": ServeSettings.model_validate(settings, strict=False)})
    app.config = config
    api = api_of(app, served, has_gateway=True)
    api.start()
    try:
        yield api.asgi
    finally:
        api.close(grace=0)


def client_of(
    server: ASGIApp, *, headers: Mapping[str, str] | None = None, address: str = "10.1.1.1"
) -> TestClient:
    return TestClient(
        server, base_url=HOST, headers=dict(headers or {}), client=(address, 40000), follow_redirects=False
    )
