"""Attacks on who may do what, through the doors of the server."""

from __future__ import annotations

import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from letting_in import HOST, ORGANISATION, OTHER, ROLES, Town, client_of, real_server, server_of, triage
from served_here import SECONDS, heard, served_here
from surefoot import App, flow, wait_for
from surefoot.access import LOCAL
from surefoot.access import ROLES as KNOWN_ROLES
from surefoot.config import load
from surefoot.server.api.table import RULES
from surefoot.server.gateway import RULES as GATEWAY_RULES
from surefoot.values import RunTags

READING = ("GET",)


@pytest.fixture
def town(app: App) -> Town:
    return Town(app)


@pytest.fixture
def web(town: Town) -> Iterator[TestClient]:
    with client_of(server_of(town.app)) as client:
        yield client


def path_of(town: Town, path: str, organisation: str = ORGANISATION) -> str:
    return path.format(flow="triage", run=town.runs[organisation], event="go")


def asked(web: TestClient, method: str, path: str, headers: dict[str, str]) -> int:
    body = None if method == "GET" else {}
    return web.request(method, path, headers=headers, json=body).status_code


# Who may do what


def test_rbac_01_each_route_is_for_the_roles_that_have_its_permission(web: TestClient, town: Town) -> None:
    """Every route and every role, by what the roles say; nothing of it is written down here."""
    for (method, path), rule in RULES.items():
        where = path_of(town, path)
        for role in ROLES:
            is_allowed = rule.permission is None or rule.permission in KNOWN_ROLES[role].permissions
            answered = asked(web, method, where, town.bearer(role))
            assert answered == (200 if is_allowed else 403), (method, path, role)
        assert asked(web, method, where, {}) == (200 if rule.is_open else 401), (method, path)
        assert asked(web, method, where, town.bearer("nobody")) == (200 if rule.is_open else 403), (
            method,
            path,
        )


def test_rbac_01_the_real_routes_ask_for_the_same(town: Town) -> None:
    """The endpoints that are served, and not those of a test: who may not gets no further than before."""
    with real_server(town.app, triage) as server, client_of(server) as web:
        for (method, path), rule in {**RULES, **GATEWAY_RULES}.items():
            for role in ROLES:
                is_allowed = rule.permission is None or rule.permission in KNOWN_ROLES[role].permissions
                where = path_of(town, path.replace("{model:path}", "none"))
                if is_allowed and path == "/runs/{run}/events":
                    continue
                answered = asked(web, method, where, town.bearer(role))
                assert (answered == 403) != is_allowed, (method, path, role, answered)
                assert answered not in (401, 500)


def test_rbac_01_a_viewer_begins_no_run_and_it_is_on_record(web: TestClient, town: Town) -> None:
    refused = web.post(
        "/flows/triage/runs", headers={**town.bearer("viewer"), "x-request-id": "r-1"}, json={}
    )
    assert refused.status_code == 403
    assert refused.headers["content-type"] == "application/problem+json"
    said = refused.json()
    assert said["permission"] == "flow:run"
    assert said["type"] == "urn:surefoot:problem:denied"
    assert "the roles admin, editor, operator, runner would" in said["detail"]
    assert said["request_id"] == "r-1"
    [row] = town.audited(limit=1)
    assert row == ("user:viewer", "flow:run", f"acme/{town.app.access.project}/flow:triage", "denied", "r-1")


def test_rbac_02_a_run_of_another_organisation_is_one_that_there_is_not(web: TestClient, town: Town) -> None:
    nowhere = "01" + "0" * 24
    for method, path in RULES:
        if "{run}" not in path:
            continue
        told: list[str] = []
        for run_id in (town.runs[OTHER], nowhere):
            body = None if method == "GET" else {}
            where = path.format(run=run_id, event="go")
            answer = web.request(method, where, headers=town.bearer("admin"), json=body)
            assert answer.status_code == 404
            told.append(answer.json()["detail"].replace(run_id, "ID"))
            if run_id != nowhere:
                # Whoever looks after the installation learns of the attempt.
                assert town.audited(limit=1)[0][3] == "denied"
        assert told[0] == told[1]


def test_rbac_02_lists_hold_what_one_may_see(town: Town) -> None:
    """Of two organisations and two flows, through every list that there is."""

    @flow
    def billing(text: str) -> str:
        return text

    for organisation in (ORGANISATION, OTHER):
        town.app.run(billing, {"text": "a"}, tags=RunTags(tenant=organisation))
    narrow = town.add("user:narrow", "", ORGANISATION)
    for kind in ("flow", "run", "trace"):
        scope = f"{ORGANISATION}/{town.app.access.project}/{kind}:bill*"
        town.app.access.people.grant("user:narrow", "viewer", scope, by=LOCAL)
    with real_server(town.app, triage, billing) as server, client_of(server) as web:

        def seen(headers: dict[str, str], query: str = "") -> set[tuple[str, str]]:
            found = web.get(f"/runs?limit=500{query}", headers=headers).json()["runs"]
            return {(one["flow"], town.app.ledger.run(one["id"]).tenant) for one in found}

        assert seen(town.bearer("viewer")) == {("triage", ORGANISATION), ("billing", ORGANISATION)}
        assert seen(town.bearer("stranger")) == {("triage", OTHER), ("billing", OTHER)}
        assert seen({"authorization": f"Bearer {narrow}"}) == {("billing", ORGANISATION)}
        for query in (
            f"&tenant={OTHER}",
            f"&organisation={OTHER}",
            "&tag.tenant=*",
            "&principal=user:stranger",
        ):
            assert {tenant for _, tenant in seen(town.bearer("viewer"), query)} <= {ORGANISATION}
        flows = web.get("/flows", headers={"authorization": f"Bearer {narrow}"}).json()["flows"]
        assert [one["name"] for one in flows] == ["billing"]
        described = web.get("/openapi.json", headers={"authorization": f"Bearer {narrow}"}).text
        assert "/flows/billing/runs" in described
        assert "triage (" not in described
        for raw in ("limit=1000000000", "limit=-1", "limit=x", "status=x"):
            assert web.get(f"/runs?{raw}", headers=town.bearer("viewer")).status_code == 400, raw


def test_rbac_02_no_part_of_an_id_and_no_word_finds_a_run(web: TestClient, town: Town) -> None:
    for name in ("last", town.runs[ORGANISATION][:12], town.runs[OTHER][:-1], f"{town.runs[OTHER]}A"):
        assert web.get(f"/runs/{name}", headers=town.bearer("admin")).status_code == 404
    assert web.get(f"/runs/{town.runs[ORGANISATION]}", headers=town.bearer("admin")).status_code == 200


def test_rbac_04_nobody_gives_himself_what_he_does_not_have(web: TestClient, town: Town) -> None:
    """An editor asks for what operators do; a header of his own says that he is somebody else."""
    claims = {
        "x-principal": "user:admin",
        "x-forwarded-user": "user:admin",
        "x-surefoot-principal": "user:admin",
    }
    headers = {**town.bearer("editor"), **claims}
    assert asked(web, "POST", f"/runs/{town.runs[ORGANISATION]}/approvals", headers) == 403
    said = web.post("/flows/triage/runs", headers=headers, json={}).json()
    assert (said["who"], said["organisation"]) == ("user:editor", "acme")


def test_rbac_06_a_token_is_bounded_to_its_permissions(web: TestClient, town: Town) -> None:
    token = town.add("user:ci", "admin", ORGANISATION, "flow:read", "run:read")
    headers = {"authorization": f"Bearer {token}"}
    assert asked(web, "GET", "/flows", headers) == 200
    assert asked(web, "GET", f"/runs/{town.runs[ORGANISATION]}", headers) == 200
    refused = web.post("/flows/triage/runs", headers=headers, json={})
    assert refused.status_code == 403
    assert refused.json()["because"] == "his token is not for flow:run"
    assert asked(web, "GET", f"/runs/{town.runs[ORGANISATION]}/steps", headers) == 403
    assert [row[3] for row in town.audited(limit=2)] == ["denied", "denied"]


def test_rbac_07_a_revoked_token_opens_nothing_at_once_here_and_soon_elsewhere(
    town: Town, tmp_path: Path
) -> None:
    other = App(load(tmp_path, environ={"SUREFOOT_ACCESS_REFRESH": "0.05"}))
    try:
        with client_of(server_of(town.app)) as here, client_of(server_of(other)) as there:
            headers = town.bearer("runner")
            assert asked(here, "GET", "/flows", headers) == asked(there, "GET", "/flows", headers) == 200
            town.app.access.tokens.revoke(town.tokens["runner"], by=LOCAL)
            assert asked(here, "GET", "/flows", headers) == 401
            end_at = time.monotonic() + 20
            while asked(there, "GET", "/flows", headers) != 401:
                assert time.monotonic() < end_at
                time.sleep(0.01)
    finally:
        other.close()


def test_rbac_07_no_setting_lets_a_revoked_token_live_longer(tmp_path: Path) -> None:
    from surefoot.errors import ConfigError

    with pytest.raises(ConfigError, match=r"access\.refresh"):
        load(tmp_path, environ={"SUREFOOT_ACCESS_REFRESH": "5.1"})


def test_rbac_07_a_token_that_is_revoked_while_a_body_comes_opens_nothing(town: Town) -> None:
    """Whoever sends a byte now and then would otherwise have it open as long as a body may take."""
    token = town.tokens["runner"]
    head = (
        f"POST /flows/triage/runs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        "Content-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{"
    )
    with (
        served_here(server_of(town.app)) as port,
        socket.create_connection(("127.0.0.1", port), SECONDS) as connection,
    ):
        connection.sendall(head.encode())
        until(lambda: town.app.access.tokens.is_at_hand(token))
        town.app.access.tokens.revoke(token, by=LOCAL)
        time.sleep(0.2)
        connection.sendall(b"}")
        assert heard(connection).startswith(b"HTTP/1.1 401 ")
    assert not town.app.access.audit.rows(action="flow:run", decision="allowed")


def test_rbac_08_whoever_is_disabled_gets_nowhere(web: TestClient, town: Town) -> None:
    town.app.access.people.add("user:runner", by=LOCAL, organisation=ORGANISATION, is_disabled=True)
    assert asked(web, "GET", "/flows", town.bearer("runner")) == 401
    assert asked(web, "GET", "/flows", town.bearer("viewer")) == 200


def test_rbac_09_the_ledger_holds_no_token(town: Town) -> None:
    with client_of(server_of(town.app)) as web:
        for token in town.tokens.values():
            web.get("/flows", headers={"authorization": f"Bearer {token}"})
    file = town.app.config.ledger.path
    town.app.close()
    with sqlite3.connect(file) as ledger:
        text = "\n".join(ledger.iterdump())
    ledger.close()
    for token in town.tokens.values():
        assert token not in text
        assert token[10:] not in text
        assert token[:10] in text


NO_TOKENS = [
    "",
    "Bearer",
    "Bearer ",
    "Basic dXNlcjphZG1pbg==",
    "Bearer sft_",
    "Bearer {token}x",
    "Bearer {token} {token}",
    "Bearer {token},Bearer {token}",
    "Token {token}",
    "{token}",
    "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.",
    "Bearer \u00e9",
    "Bearer ' OR 1=1 --",
    "Bearer " + "a" * 20_000,
]


def test_rbac_10_nothing_but_a_whole_token_is_one(web: TestClient, town: Town) -> None:
    for authorization in NO_TOKENS:
        value = authorization.format(token=town.tokens["admin"])
        refused = web.get("/flows", headers=[("authorization", value.encode())])
        assert refused.status_code == 401, authorization
        assert refused.headers["www-authenticate"].startswith("Bearer ")
        assert town.tokens["admin"][10:] not in refused.text


def test_rbac_10_a_token_counts_in_its_header_alone(web: TestClient, town: Town) -> None:
    token = town.tokens["admin"]
    assert web.get(f"/flows?access_token={token}&token={token}").status_code == 401
    assert (
        web.get("/flows", headers={"cookie": f"token={token}; authorization=Bearer {token}"}).status_code
        == 401
    )
    assert web.get("/flows", headers={"x-api-key": token}).status_code == 401
    twice = [("authorization", f"Bearer {token}"), ("authorization", f"Bearer {town.tokens['viewer']}")]
    assert web.get("/flows", headers=twice).status_code == 400


# Guessing


def bad_token(number: int) -> str:
    from surefoot.access import new_token

    return new_token() if number % 2 else f"sft_{number:049d}"


def test_rbac_11_who_guesses_tokens_is_not_heard_and_nobody_else_is_shut_out(town: Town) -> None:
    server = server_of(town.app, bad_tokens_per_minute=10)
    asking: list[object] = []
    ask = town.app.ledger.ask
    with (
        client_of(server, address="203.0.113.9") as guesser,
        client_of(server, address="203.0.113.10") as other,
    ):
        good = town.bearer("runner")
        assert guesser.get("/flows", headers=good).status_code == 200
        answers = [
            guesser.get("/flows", headers={"authorization": f"Bearer {bad_token(number)}"})
            for number in range(200)
        ]
        statuses = [answer.status_code for answer in answers]
        assert statuses[:10] == [401] * 10
        # One more may have come by since, for every six seconds that this takes.
        assert statuses.count(429) >= 180
        late = next(answer for answer in answers if answer.status_code == 429)
        assert 1 <= int(late.headers["retry-after"]) <= 60
        assert late.headers["content-type"] == "application/problem+json"
        # A token that was good stays good, from this address too; others are not concerned at all.
        assert guesser.get("/flows", headers=good).status_code == 200
        assert other.get("/flows", headers=town.bearer("viewer")).status_code == 200
        town.app.access.forget()
        town.app.ledger.ask = lambda *given, **named: (asking.append(given), ask(*given, **named))[1]  # type: ignore[method-assign]
        refused = guesser.get("/flows", headers={"authorization": f"Bearer {bad_token(1)}"})
        assert (refused.status_code, asking) == (429, [])


def test_rbac_11_guesses_that_come_at_once_count_one_by_one(town: Town) -> None:
    server = server_of(town.app, bad_tokens_per_minute=5)
    statuses: list[int] = []
    with client_of(server, address="203.0.113.9") as guesser:

        def guess() -> None:
            for _ in range(5):
                header = {"authorization": f"Bearer {bad_token(1)}"}
                statuses.append(guesser.get("/flows", headers=header).status_code)

        threads = [threading.Thread(target=guess) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(statuses) == 30
    assert statuses.count(401) <= 7


def test_rbac_11_nobody_hides_behind_another_address(town: Town) -> None:
    server = server_of(town.app, bad_tokens_per_minute=3, trusted_proxies=("10.9.0.0/16",))
    bad = {"authorization": f"Bearer {bad_token(1)}"}
    with client_of(server, address="203.0.113.9") as guesser:
        statuses = [
            guesser.get("/flows", headers={**bad, "x-forwarded-for": f"198.51.100.{number}"}).status_code
            for number in range(8)
        ]
        assert statuses.count(429) >= 4
    with client_of(server, address="10.9.0.1") as proxy:
        for number in range(8):
            # What the client made up stands before what the proxy has seen.
            said = {**bad, "x-forwarded-for": f"198.51.100.{number}, 203.0.113.77"}
            proxy.get("/flows", headers=said)
        assert proxy.get("/flows", headers={**bad, "x-forwarded-for": "203.0.113.77"}).status_code == 429
        assert proxy.get("/flows", headers={**bad, "x-forwarded-for": "203.0.113.78"}).status_code == 401


# What is on record


def test_rbac_13_each_call_that_changes_something_and_each_denied_one_is_one_row(
    web: TestClient, town: Town
) -> None:
    for number, ((method, path), rule) in enumerate(RULES.items()):
        for role in ("admin", "nobody"):
            before = len(town.audited(limit=1000))
            request_id = f"r-{number}-{role}"
            answer = web.request(
                method,
                path_of(town, path),
                headers={**town.bearer(role), "x-request-id": request_id},
                json=None if method == "GET" else {},
            )
            rows = town.audited(limit=1000)
            new = rows[: len(rows) - before]
            is_told = not rule.is_open and (role == "nobody" or (method != "GET" and not rule.is_told))
            assert len(new) == int(is_told), (method, path, role)
            assert answer.headers["x-request-id"] == request_id
            if is_told:
                decision = "allowed" if role == "admin" else "denied"
                [(who, action, resource, decided, told)] = new
                assert (who, action, decided, told) == (f"user:{role}", rule.permission, decision, request_id)
                assert resource.startswith("acme/")
    assert town.app.access.audit.verify() > 0


def test_rbac_13_a_request_id_is_one_or_is_made(web: TestClient, town: Town) -> None:
    for odd in ("", "a b", "x" * 129, "<script>", "é", "../../etc"):
        header = [("x-request-id", odd.encode())]
        answer = web.get("/flows", headers=[*header, ("authorization", f"Bearer {town.tokens['viewer']}")])
        assert answer.status_code == 200
        assert len(answer.headers["x-request-id"]) == 26


def test_rbac_13_nothing_is_done_that_cannot_be_told(town: Town) -> None:
    """The audit cannot be written: the call is refused and its endpoint is not reached."""
    with client_of(server_of(town.app)) as web:
        assert web.get("/flows", headers=town.bearer("runner")).status_code == 200
        with sqlite3.connect(town.app.config.ledger.path) as ledger:
            ledger.execute(
                "CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no audit'); END"
            )
        ledger.close()
        refused = web.post("/flows/triage/runs", headers=town.bearer("runner"), json={})
        assert refused.status_code in (500, 503)
        assert "who" not in refused.text
        assert HOST not in refused.text


# The kill switch


def test_rbac_14_what_is_switched_off_begins_no_more_and_what_runs_is_cancelled(town: Town) -> None:
    @flow
    def waiting(text: str) -> str:
        return str(wait_for("go").result())

    with real_server(town.app, triage, waiting) as server, client_of(server) as web:
        operator, runner = town.bearer("operator"), town.bearer("runner")
        begun = web.post("/flows/waiting/runs?wait=0", json={"inputs": {"text": "a"}}, headers=runner)
        assert begun.status_code == 202
        run_id = begun.json()["id"]
        assert web.post("/switches", json={"what": "flow:waiting"}, headers=runner).status_code == 403
        headers = {**operator, "x-request-id": "r-off"}
        off = web.post(
            "/switches", json={"what": "flow:waiting", "reason": "it goes astray"}, headers=headers
        )
        assert off.json() == {"what": "flow:waiting", "off": True, "cancelled": [run_id]}
        [row] = [row for row in town.audited(limit=10) if row[4] == "r-off"]
        assert row[:2] == ("user:operator", "server:switch")
        until(lambda: town.app.ledger.run(run_id).status == "cancelled")
        refused = web.post("/flows/waiting/runs", json={"inputs": {"text": "a"}}, headers=runner)
        assert refused.status_code == 403
        assert refused.json()["type"] == "urn:surefoot:problem:switched-off"
        assert town.audited(limit=1)[0][3] == "denied"
        # Other flows, and other organisations, are not concerned.
        assert (
            web.post("/flows/triage/runs", json={"inputs": {"text": "a"}}, headers=runner).status_code == 200
        )
        found = web.get("/switches", headers=runner).json()["switched_off"]
        assert [(one["what"], one["reason"], one["by"]) for one in found] == [
            ("flow:waiting", "it goes astray", "user:operator")
        ]
        assert web.get("/switches", headers=town.bearer("stranger")).json() == {"switched_off": []}
        web.post("/switches", json={"what": "user:runner"}, headers=operator)
        web.post("/switches", json={"what": "user:admin"}, headers=operator)
        model = {"model": "openai:gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}
        refused = web.post("/v1/chat/completions", json=model, headers=town.bearer("admin"))
        assert refused.status_code == 403
        assert "switched off" in refused.text
        refused = web.post("/flows/triage/runs", json={"inputs": {"text": "a"}}, headers=runner)
        assert refused.status_code == 403
        assert web.get("/runs", headers=runner).status_code == 200
        for what in ("flow:waiting", "user:runner"):
            assert (
                web.post("/switches", json={"what": what, "off": False}, headers=operator).status_code == 200
            )
        assert (
            web.post("/flows/triage/runs", json={"inputs": {"text": "a"}}, headers=runner).status_code == 200
        )


def test_rbac_14_a_run_that_was_accepted_before_is_cancelled_when_its_turn_comes(town: Town) -> None:
    """It was accepted by a server that is gone, and its flow was switched off meanwhile."""
    record = town.app.submit(
        triage, {"text": "a"}, tags=RunTags(tenant=ORGANISATION, principal="user:runner")
    )
    town.app.access.switches.off("user:runner", by=LOCAL, organisation=ORGANISATION)
    with real_server(town.app, triage, look=0.05):
        until(lambda: town.app.ledger.run(record.id).status == "cancelled")


def until(condition: Callable[[], object]) -> None:
    end_at = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end_at
        time.sleep(0.01)
