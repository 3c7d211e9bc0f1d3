"""The pages behind a login: who gets in and for how long, what he sees there, and what others cannot make him do."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from identity_provider import IdentityProvider, identity_provider
from letting_in import ORGANISATION, OTHER, ROLES, Town, triage
from logged_in import ORIGIN, Person, hidden_in, person, site
from surefoot import App, flow, values
from surefoot.access import LOCAL, new_token, permission
from surefoot.access import ROLES as PERMISSIONS_OF
from surefoot.config import ServeSettings, load
from surefoot.errors import UsageError
from surefoot.ledger import CaseRecord, Evaluations, ExperimentRecord, ScoreRecord
from surefoot.server.entry.entered import checks_of
from surefoot.server.site import RULES, site_of
from surefoot.server.site.sessions import Sessions
from surefoot.values import RunTags, new_id

GOLDEN = "/ui/datasets/datasets/golden.jsonl"
SECRET = "sk-1234567890abcdefghijklmnopqrstuvwx"


@flow(trusted=True)
def secretive(text: str) -> str:
    return f"{text} {SECRET}"


@pytest.fixture
def provider() -> Iterator[IdentityProvider]:
    with identity_provider() as provider:
        yield provider


@pytest.fixture
def town(tmp_path: Path, provider: IdentityProvider) -> Iterator[Town]:
    (tmp_path / "datasets").mkdir()
    rows = [
        {"id": name, "inputs": {"q": "x"}, "expected": "y", "metadata": {"review": "pending"}}
        for name in ("a", "b")
    ]
    (tmp_path / "datasets" / "golden.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    app = App(load(tmp_path, environ=provider.environ))
    try:
        with app.entered():
            yield Town(app)
    finally:
        app.close()


def scored(app: App, tenant: str, flow: str = "triage", *, metric: str = "right") -> str:
    """An experiment of a tenant, with one case whose reason names the tenant."""
    evaluations = Evaluations(app.ledger)
    made = evaluations.begin(
        ExperimentRecord(new_id(), "eval", f"of {tenant}", flow, "", "", "golden", "1", 1, 1, tenant=tenant)
    )
    score = ScoreRecord(metric, value=True, reason=f"reason of {tenant}")
    run = app.ledger.runs(flow=flow, tenant=tenant, limit=1)[0].id
    evaluations.keep([CaseRecord(made.id, f"case-{tenant}", run, "completed", scores=(score,))]).wait()
    return made.id


# The table


def test_a_page_without_a_rule_is_not_served(town: Town) -> None:
    checks = checks_of(town.app, ServeSettings())
    lacking = {key: rule for key, rule in RULES.items() if key != ("GET", "/ui/trends")}
    with pytest.raises(UsageError, match=r"GET /ui/trends has no rule.*server\.site\.table"):
        site_of(town.app, checks, rules=lacking)
    with pytest.raises(UsageError, match="no such route"):
        site_of(town.app, checks, rules={**RULES, ("GET", "/ui/more"): RULES["GET", "/ui/trends"]})


def addresses(town: Town) -> dict[tuple[str, str], str]:
    """An address of each page that somebody of the organisation has reason to ask for."""
    experiment, run = scored(town.app, ORGANISATION), town.runs[ORGANISATION]
    filled = {
        "{run}": run,
        "{dataset:path}": "datasets/golden.jsonl",
        "{experiment:path}": experiment,
        "{candidate:path}": experiment,
        "{baseline:path}": experiment,
    }
    found: dict[tuple[str, str], str] = {}
    for method, path in (key for key, rule in RULES.items() if not rule.is_open):
        address = path
        for name, value in filled.items():
            address = address.replace(name, value)
        found[method, path] = address + ("?of=output" if path.endswith("/raw") else "")
    return found


@pytest.mark.parametrize("role", [*ROLES, "nobody"])
def test_each_role_sees_the_pages_that_it_may_see_and_no_others(town: Town, role: str) -> None:
    may = PERMISSIONS_OF[role].permissions if role in PERMISSIONS_OF else frozenset[Any]()
    every = addresses(town)
    with site(town.app, datasets_of=ORGANISATION) as server, person(server, town.tokens[role]) as one:
        token = hidden_in(one.get("/ui/runs").text)["token"]
        for (method, path), address in every.items():
            needed = RULES[method, path].permission
            is_allowed = needed in may and (path != "/ui/runs/{run}" or permission("trace:read") in may)
            answer = one.post(address, {"token": token}) if method == "POST" else one.get(address)
            assert (answer.status_code != 403) == is_allowed, (method, path, answer.status_code)
            assert answer.status_code in ((200, 422) if is_allowed else (403,)), (method, path)
            if not is_allowed:
                assert "Not allowed" in answer.text
                assert f"user:{role}" in answer.text
            assert "default-src" in answer.headers["content-security-policy"]
            assert "unsafe-inline" not in answer.headers["content-security-policy"]
            assert re.search(r"<script(?! src=)|\sstyle=|\son\w+=", answer.text) is None, path


def test_what_somebody_may_not_see_is_nowhere_offered_to_him(town: Town) -> None:
    with site(town.app, datasets_of=ORGANISATION) as server:
        with person(server, town.tokens["viewer"]) as one:
            page = one.get("/ui/runs").text
            for name in ("runs", "experiments", "trends", "datasets"):
                assert f'href="/ui/{name}"' in page
            review = one.get(GOLDEN).text
            assert "You may look at this dataset, and not review it." in review
            assert "<button name=" not in review
            assert 'name="verdict"' not in review
        with person(server, town.add("user:reader", "", ORGANISATION)) as one:
            page = one.get("/ui/runs")
            assert page.status_code == 403
            assert "<nav" not in page.text
            assert 'href="/ui/runs"' not in page.text.replace('class="brand" href="/ui/runs"', "")
            assert "Log out" in page.text


# Getting in, and out


def test_who_is_not_logged_in_is_led_to_the_login_and_back(town: Town) -> None:
    with site(town.app) as server, person(server) as one:
        for (method, path), rule in RULES.items():
            if rule.is_open:
                continue
            address = re.sub(r"\{[^}]*\}", "x", path)
            if method == "POST":
                answer = one.post(address, {})
                assert answer.status_code == 401
                assert "nothing was written" in answer.text
                continue
            answer = one.get(f"{address}?a=b")
            assert (answer.status_code, answer.headers["location"].split("?")[0]) == (303, "/ui/login")
            assert one.get(f"{address}?part=1").status_code == 401
        assert one.get("/ui/").headers["location"] == "/ui/runs"
        assert one.get("/").headers["location"] == "/ui/runs"
        answer = one.log_in(town.tokens["viewer"], wanted="/ui/runs%3Fflow%3Dtriage")
        assert (answer.status_code, answer.headers["location"]) == (303, "/ui/runs?flow=triage")
        assert one.get("/ui/login").headers["location"] == "/ui/runs"
        page = one.get("/ui/runs")
        assert page.status_code == 200
        assert "user:viewer" in page.text
        assert town.runs[ORGANISATION] in page.text
        # Those who ask as programs are asked for what they always were.
        assert one.get("/runs").status_code == 401


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example/",
        "//evil.example",
        "/ui//evil.example",
        "/ui/logout",
        "/flows",
        "/ui/%0d%0ax: y",
        "/ui\\x",
    ],
)
def test_nobody_is_led_to_another_site_by_the_login(town: Town, wanted: str) -> None:
    with site(town.app) as server, person(server) as one:
        token = hidden_in(one.get("/ui/login").text)["token"]
        fields = {"token": token, "key": town.tokens["viewer"], "next": wanted}
        assert one.post("/ui/login", fields).headers["location"] == "/ui/"
        assert "evil" not in one.get("/ui/login", **{"sec-fetch-site": "cross-site"}).text


def test_the_cookie_of_a_login_goes_by_https_and_is_for_this_host_alone(town: Town) -> None:
    with site(town.app, hosts=["pages.acme.example"]) as server:
        with person(server) as one:
            (here,) = one.log_in(town.tokens["viewer"]).headers.get_list("set-cookie")
            name, _, rest = here.partition("=")
            assert name == "surefoot-session-8720"
            assert {"HttpOnly", "SameSite=strict", "Path=/ui"} <= set(rest.split("; ")[1:])
            assert "Secure" not in rest
        with TestClient(server, base_url="https://pages.acme.example", follow_redirects=False) as web:
            one = Person(web, "https://pages.acme.example")
            (there,) = one.log_in(town.tokens["viewer"]).headers.get_list("set-cookie")
            assert there.startswith("__Host-surefoot-session=")
            assert {"HttpOnly", "SameSite=strict", "Path=/", "Secure"} <= set(there.split("; ")[1:])
            assert "Domain" not in there
            assert one.get("/ui/runs").status_code == 200
            # What a browser would send from a page that came in the clear.
            one.origin = "http://pages.acme.example"
            refused = one.log_in(town.tokens["viewer"])
            assert refused.status_code == 403
            assert "for https" in refused.text


def test_no_token_is_told_again_in_a_page_an_address_or_a_log(
    town: Town, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    good, unknown = town.tokens["viewer"], "sft_" + "0" * 49
    with site(town.app) as server, person(server) as one:
        for given in (unknown, "not a token", SECRET, good[:-1]):
            answer = one.log_in(given)
            assert answer.status_code == 401
            assert given not in answer.text
        answer = one.log_in(good)
        told = f"{answer.headers} {answer.text}"
        session = one.web.cookies["surefoot-session-8720"]
        for path in ("/ui/runs", f"/ui/runs/{town.runs[ORGANISATION]}", "/ui/nothing"):
            page = one.get(path)
            told += f"{page.url} {page.headers} {page.text}"
            assert session not in told.replace(f"surefoot-session-8720={session}", "")
        one.log_out()
    assert good not in told
    assert "user:viewer has logged in on the pages" in caplog.text
    for secret in (good, unknown, session, SECRET):
        assert secret not in caplog.text


@pytest.mark.parametrize("what", ["revoked", "disabled", "removed", "expired"])
def test_a_session_is_worth_no_more_than_its_token(
    town: Town, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = town.app.access
    token, row = access.tokens.issue("user:viewer", by=LOCAL, days=1)
    with (
        site(town.app) as server,
        person(server, token) as one,
        person(server, town.tokens["viewer"]) as other,
    ):
        assert one.get("/ui/runs").status_code == 200
        if what == "revoked":
            access.tokens.revoke(token, by=LOCAL)
        elif what == "disabled":
            access.people.add("user:viewer", by=LOCAL, organisation=ORGANISATION, is_disabled=True)
        elif what == "removed":
            access.people.remove("user:viewer", by=LOCAL)
        else:
            assert row.expires_ns is not None
            # Ids never run backwards in a process: those of other tests must not come from this future.
            monkeypatch.setattr(values, "_last_tick", values._last_tick)
            monkeypatch.setattr("surefoot.accessing.tokens.time.time_ns", lambda: row.expires_ns)
        assert one.get("/ui/runs").headers["location"].startswith("/ui/login")
        assert one.get("/ui/runs?part=1").status_code == 401
        # A session of another token of his is asked for by that one.
        assert (other.get("/ui/runs").status_code == 200) == (what in ("revoked", "expired"))


def test_logging_out_ends_the_session_on_the_server(town: Town) -> None:
    with site(town.app) as server, person(server, town.tokens["viewer"]) as one:
        kept = dict(one.web.cookies)
        answer = one.log_out()
        assert (answer.status_code, answer.headers["location"]) == (303, "/ui/login")
        assert "surefoot-session-8720" not in one.web.cookies
        # Somebody has copied the cookie before.
        one.web.cookies.update(kept)
        assert one.get("/ui/runs").headers["location"].startswith("/ui/login")


def test_sessions_end_with_the_server(town: Town) -> None:
    with site(town.app) as server, person(server, town.tokens["viewer"]) as one:
        kept = dict(one.web.cookies)
        form = hidden_in(one.get("/ui/runs").text)
    with site(town.app) as server, person(server) as one:
        one.web.cookies.update(kept)
        assert one.get("/ui/runs").headers["location"].startswith("/ui/login")
        refused = one.post("/ui/logout", form)
        assert refused.status_code == 403
        assert "from before the server was started" in refused.text
        one.web.cookies.clear()
        assert one.log_in(town.tokens["viewer"]).status_code == 303
        assert one.get("/ui/runs").status_code == 200


def test_a_session_that_was_there_before_a_login_is_not_the_one_behind_it(town: Town) -> None:
    with site(town.app) as server, person(server, town.tokens["viewer"]) as one:
        before = one.web.cookies["surefoot-session-8720"]
        one.web.cookies.set(
            "surefoot-session-8720", "chosen-by-somebody", domain="localhost.local", path="/ui"
        )
        assert one.get("/ui/runs").status_code == 303
    with site(town.app) as server, person(server, town.tokens["viewer"]) as one:
        first = one.web.cookies["surefoot-session-8720"]
        page = one.get("/ui/runs").text
        fields = {"token": hidden_in(page)["token"], "key": town.tokens["admin"]}
        assert one.post("/ui/login", fields).status_code == 303
        second = one.web.cookies["surefoot-session-8720"]
        assert len({before, first, second}) == 3
        assert "user:admin" in one.get("/ui/runs").text
        one.web.cookies.clear()
        assert one.get("/ui/runs", cookie=f"surefoot-session-8720={first}").status_code == 303
        assert one.get("/ui/runs", cookie=f"surefoot-session-8720={second}").status_code == 200


class Hands:
    """A clock that is set by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_sessions_end_unused_and_in_the_end_and_are_not_without_number() -> None:
    hands = Hands()
    sessions = Sessions(idle=10, longest=35, clock=hands)
    one, other = sessions.begin(b"token"), sessions.begin(b"token")
    assert one != other
    assert len(one) >= 43
    for _ in range(3):
        hands.now += 9
        assert sessions.token_of(one) == b"token"
    assert sessions.token_of(other) is None
    hands.now += 8
    assert sessions.token_of(one) is None
    assert len(sessions) == 0
    many = [sessions.begin(b"token") for _ in range(25)]
    theirs = sessions.begin(b"another")
    assert [sessions.token_of(one) is not None for one in many] == [False] * 5 + [True] * 20
    assert sessions.token_of(theirs) == b"another"
    sessions.end(theirs)
    assert sessions.token_of(theirs) is None
    for _ in range(10_050):
        sessions.begin(new_id().encode())
    assert len(sessions) == 10_000


def test_tokens_that_open_nothing_are_counted_for_pages_and_programs_together(town: Town) -> None:
    bad = [new_token() for _ in range(9)]
    with site(town.app, bad_tokens_per_minute=3) as server, person(server, town.tokens["viewer"]) as one:
        one.log_out()
        assert [one.log_in(bad[n]).status_code for n in range(2)] == [401, 401]
        assert one.get("/runs", authorization=f"Bearer {bad[2]}").status_code == 401
        refused = one.log_in(bad[3])
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) > 0
        assert "Too many tokens" in refused.text
        assert one.get("/runs", authorization=f"Bearer {bad[4]}").status_code == 429
        # One that was good lately is let through, as it is for programs.
        assert one.log_in(town.tokens["viewer"]).status_code == 303


def test_a_form_that_nobody_has_shown_anything_for_is_small(town: Town) -> None:
    with site(town.app) as server, person(server) as one:
        token = hidden_in(one.get("/ui/login").text)["token"]
        refused = one.post("/ui/login", {"token": token, "key": "x" * 30_000})
        assert refused.status_code == 413
        assert "20,000 bytes" in refused.text
        assert one.post("/ui/login", {"token": token, "key": "x" * 10_000}).status_code == 401


def test_who_asks_too_often_is_told_so_by_a_page(town: Town) -> None:
    with site(town.app, requests_per_minute=20) as server, person(server, town.tokens["viewer"]) as one:
        answers = [one.get("/ui/trends") for _ in range(50)]
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert "Too many requests" in refused.text
        assert int(refused.headers["retry-after"]) > 0


def test_a_token_of_the_identity_provider_is_taken_from_the_header_alone(
    town: Town, provider: IdentityProvider
) -> None:
    token = provider.token("viewer", ORGANISATION)
    with site(town.app, datasets_of=ORGANISATION) as server, person(server) as one:
        bearer = {"authorization": f"Bearer {token}"}
        page = one.get("/ui/runs", **bearer)
        assert page.status_code == 200
        assert "user:viewer" in page.text
        assert "Log out" not in page.text
        refused = one.log_in(token)
        assert refused.status_code == 401
        assert token not in refused.text
        # A header that opens nothing is told so: a login would not help beside it.
        wrong = one.get("/ui/runs", authorization=f"Bearer {token[:-4]}AAAA")
        assert wrong.status_code == 401
        assert "location" not in wrong.headers
        # A form of a browser whose proxy adds the header needs to be from a page of it all the same.
        editor = {"authorization": f"Bearer {provider.token('editor', ORGANISATION)}"}
        review = one.get(GOLDEN, **editor).text
        fields = {**hidden_in(review), "verdict": "accepted", "form": "text", "expected": "y"}
        assert one.post(GOLDEN, {**fields, "token": "0" * 64}, **editor).status_code == 403
        assert one.post(GOLDEN, fields, **{**editor, "origin": "https://evil.example"}).status_code == 403
        assert one.post(GOLDEN, fields, **editor).status_code == 303


def test_the_owner_of_the_machine_needs_no_login(town: Town) -> None:
    with site(town.app, is_open=True) as server, person(server) as one:
        page = one.get("/ui/runs").text
        assert town.runs[ORGANISATION] in page
        assert town.runs[OTHER] in page
        assert "Log out" not in page
        assert one.get(GOLDEN).status_code == 200


# What others cannot make him do


def test_no_form_is_taken_that_is_not_from_a_page_of_this_browser(town: Town) -> None:
    with (
        site(town.app, datasets_of=ORGANISATION, origins=["https://app.acme.example"]) as server,
        person(server, town.tokens["editor"]) as one,
        person(server, town.tokens["editor"]) as other,
    ):
        own = hidden_in(one.get(GOLDEN).text)
        theirs = hidden_in(other.get(GOLDEN).text)
        fields = {**own, "verdict": "accepted", "form": "text", "expected": "y"}
        refused = [
            one.post(GOLDEN, {**fields, "token": theirs["token"]}),
            one.post(GOLDEN, {name: text for name, text in fields.items() if name != "token"}),
            one.post(GOLDEN, fields, origin="https://evil.example"),
            one.post(GOLDEN, fields, origin="https://app.acme.example"),
            one.post(GOLDEN, fields, origin="null"),
            one.post(GOLDEN, fields, origin=""),
            one.post(GOLDEN, fields, **{"sec-fetch-site": "cross-site"}),
            one.post("/ui/logout", {"token": theirs["token"]}),
            one.post("/ui/logout", {"token": own["token"]}, origin="https://evil.example"),
            one.post("/ui/login", {"token": theirs["token"], "key": town.tokens["viewer"]}),
        ]
        assert [answer.status_code for answer in refused] == [403] * len(refused)
        for kind in ("application/json", "text/plain", "multipart/form-data; boundary=x"):
            answer = one.web.post(GOLDEN, content=b"{}", headers={"origin": ORIGIN, "content-type": kind})
            assert answer.status_code == 415
        assert all("access-control-allow-origin" not in answer.headers for answer in refused)
        file = town.app.settings.root / "datasets" / "golden.jsonl"
        assert "accepted" not in file.read_text()
        # None of it is in the audit as something that was allowed.
        assert town.audited(action="dataset:write") == []
        assert one.get("/ui/runs").status_code == 200
        assert one.post(GOLDEN, {**fields, "token": own["token"]}).status_code == 303
        (row,) = town.audited(action="dataset:write")
        assert row[:1] + row[3:4] == ("user:editor", "allowed")


def test_a_form_from_before_a_login_is_none_behind_it(town: Town) -> None:
    with site(town.app) as server, person(server) as one:
        before = hidden_in(one.get("/ui/login").text)["token"]
        one.log_in(town.tokens["viewer"])
        assert one.post("/ui/logout", {"token": before}).status_code == 403
        assert one.get("/ui/runs").status_code == 200


def test_a_link_on_another_site_leads_somebody_who_is_logged_in_to_the_page(town: Town) -> None:
    """A browser keeps a strict cookie back there, and sends it for a page that one of ours leads on to."""
    with site(town.app) as server, person(server, town.tokens["viewer"]) as one:
        session = dict(one.web.cookies)
        one.web.cookies.clear()
        elsewhere = {"sec-fetch-site": "cross-site"}
        answer = one.get("/ui/runs?flow=triage", **elsewhere)
        step = one.get(answer.headers["location"], **elsewhere)
        assert '<meta http-equiv="refresh" content="0; url=/ui/runs?flow=triage">' in step.text
        # The cookies that the browser keeps back stay what they are.
        assert "set-cookie" not in answer.headers
        assert "set-cookie" not in step.headers
        assert "set-cookie" not in one.get("/ui/nothing", **elsewhere).headers
        one.web.cookies.update(session)
        assert one.get("/ui/runs?flow=triage", **{"sec-fetch-site": "same-origin"}).status_code == 200


# What he sees


def test_a_run_of_another_organisation_is_none(town: Town) -> None:
    theirs, none = town.runs[OTHER], new_id()
    with site(town.app) as server, person(server, town.tokens["admin"]) as one:
        for path in ("/ui/runs/{}", "/ui/runs/{}/raw?of=output", "/ui/runs/{}?part=1"):
            answers = [one.get(path.format(run)) for run in (theirs, none)]
            assert [answer.status_code for answer in answers] == [404, 404]
            texts = {answer.text.replace(theirs, "X").replace(none, "X") for answer in answers}
            assert len(texts) == 1
        assert one.get(f"/ui/runs/{theirs[:12]}").status_code == 404
        page = one.get("/ui/runs").text
        assert theirs not in page
        found = one.get(f"/ui/runs?id={theirs}").text
        assert "No run fits" in found
        assert one.get(f"/ui/runs?id={theirs[:20]}&part=1").text.count(theirs) == 0
    denied = [row for row in town.audited() if row[3] == "denied"]
    assert {row[0] for row in denied} == {"user:admin"}


def test_runs_of_flows_that_he_may_not_see_are_not_listed(town: Town) -> None:
    app = town.app
    for _ in range(3):
        app.run(secretive, {"text": "a"}, tags=RunTags(tenant=ORGANISATION))
    hidden = app.ledger.run("last").id
    project = app.access.project
    token = town.add("user:narrow", "", ORGANISATION)
    for kind in ("run", "trace"):
        app.access.people.grant("user:narrow", "viewer", f"{ORGANISATION}/{project}/{kind}:triage", by=LOCAL)
    token_of_lists = town.add("user:lists", "", ORGANISATION, "run:read")
    app.access.people.grant("user:lists", "viewer", ORGANISATION, by=LOCAL)
    shown, kept = scored(app, ORGANISATION), scored(app, ORGANISATION, "secretive", metric="quiet")
    with site(app) as server:
        with person(server, token) as one:
            page = one.get("/ui/runs").text
            assert town.runs[ORGANISATION] in page
            assert hidden not in page
            assert "secretive" not in page
            assert one.get(f"/ui/runs/{hidden}").status_code == 403
            assert one.get("/ui/runs?flow=secretive").text.count(hidden) == 0
            experiments = one.get("/ui/experiments").text
            assert shown in experiments
            assert kept not in experiments
            assert one.get(f"/ui/experiments/{kept}").status_code == 403
            assert one.get(f"/ui/experiments/{shown}/compare/{kept}").status_code == 403
            trends = one.get("/ui/trends").text
            assert "quiet" not in trends
            assert "Any flow" not in trends
            assert "secretive" not in trends
            assert "100.0%" in trends
            assert one.get("/ui/trends?metric=quiet&flow=secretive").status_code == 403
            assert "100.0%" not in one.get("/ui/trends?metric=quiet").text
        # Whoever may list runs and not look into them is offered no way in.
        with person(server, token_of_lists) as one:
            page = one.get("/ui/runs").text
            assert hidden in page
            assert f"/ui/runs/{hidden}" not in page
            assert one.get(f"/ui/runs/{hidden}").status_code == 403
            assert 'href="/ui/experiments"' not in page


def test_experiments_and_trends_are_of_the_organisation(town: Town) -> None:
    app = town.app
    mine, theirs = (scored(app, tenant) for tenant in (ORGANISATION, OTHER))
    # Scores of production stand in one experiment for all of them.
    evaluations = Evaluations(app.ledger)
    online = evaluations.begin(
        ExperimentRecord("online", "online", "online", "triage", "", "", "production", "", 0, 1)
    )
    for tenant in (ORGANISATION, OTHER, ""):
        app.run(triage, {"text": "x"}, tags=RunTags(tenant=tenant))
        run = app.ledger.run("last").id
        score = ScoreRecord("kind", value=True, reason=f"reason of <{tenant}>")
        case = CaseRecord(online.id, run, run, "completed", scores=(score,), tenant=tenant)
        evaluations.keep([case]).wait()
    unnamed = town.add("user:owner", "", "")
    app.access.people.grant("user:owner", "admin", "-", by=LOCAL)
    with site(app) as server:
        with person(server, town.tokens["viewer"]) as one:
            pages = [
                one.get(path).text for path in ("/ui/experiments", "/ui/trends", f"/ui/experiments/{mine}")
            ]
            for page in pages:
                assert theirs not in page
                assert f"of {OTHER}" not in page
            assert "reason of acme" in one.get(f"/ui/experiments/{mine}?show=all").text
            assert one.get(f"/ui/experiments/{theirs}").status_code == 404
            assert one.get(f"/ui/experiments/{mine}/compare/{theirs}").status_code == 404
            assert one.get("/ui/experiments/online").status_code == 404
            assert re.search(r"runs with a score</dt><dd>1<", one.get("/ui/trends?metric=kind").text)
            assert str(app.settings.root) not in one.get(f"/ui/experiments/{theirs}").text
        with person(server, unnamed) as one:
            page = one.get("/ui/experiments/online?show=all").text
            assert "1 in the last 7 days" in page
            assert OTHER not in page


def test_datasets_are_of_one_organisation_and_verdicts_of_who_gives_them(town: Town) -> None:
    file = town.app.settings.root / "datasets" / "golden.jsonl"
    with site(town.app, datasets_of=ORGANISATION) as server:
        with person(server, town.tokens["stranger"]) as one:
            refused = one.get("/ui/datasets")
            assert refused.status_code == 403
            assert "golden" not in refused.text
            answers = [one.get(path) for path in (GOLDEN, GOLDEN.replace("golden", "none"))]
            assert [answer.status_code for answer in answers] == [404, 404]
            assert answers[0].text.replace("golden", "none") == answers[1].text
            assert 'href="/ui/datasets"' not in one.get("/ui/runs").text
        with person(server, town.tokens["editor"]) as one:
            assert "golden" in one.get("/ui/datasets").text
            review = one.get(GOLDEN).text
            assert "The verdict stands under the name" in review
            fields = {
                **hidden_in(review),
                "verdict": "accepted",
                "form": "text",
                "expected": "y",
                "by": "Eva",
            }
            answer = one.post(GOLDEN, fields)
            assert answer.status_code == 303
            assert answer.headers["location"].startswith(GOLDEN)
            assert "accepted" in one.get(answer.headers["location"]).text
            assert one.get("/ui/datasets/../surefoot.toml").status_code == 404
            assert one.get(f"{GOLDEN}%00").status_code == 404
    (row,) = [row for row in map(json.loads, file.read_text().splitlines()) if row["id"] == "a"]
    assert row["metadata"]["reviewed_by"] == "user:editor"


def test_what_is_masked_is_shown_to_nobody_and_nothing_of_the_machine_is_told(town: Town) -> None:
    app = town.app
    app.run(secretive, {"text": "a"}, tags=RunTags(tenant=ORGANISATION))
    run = app.ledger.run("last").id
    with site(app) as server, person(server, town.tokens["auditor"]) as one:
        pages = [
            one.get(path).text
            for path in (
                f"/ui/runs/{run}",
                f"/ui/runs/{run}/raw?of=output",
                f"/ui/runs/{run}?step=none",
                "/ui/runs",
                "/ui/experiments",
                "/ui/experiments/none",
                "/ui/trends",
                "/ui/nothing",
            )
        ]
        assert all(SECRET not in page for page in pages)
        assert "a " in pages[1]
        assert all(str(app.settings.root) not in page for page in pages)


def test_an_empty_list_tells_nothing_of_the_machine(town: Town) -> None:
    token = town.add("user:first", "viewer", "empty")
    with site(town.app) as server, person(server, token) as one:
        for path in ("/ui/runs", "/ui/experiments", "/ui/trends"):
            page = one.get(path).text
            assert str(town.app.settings.root) not in page
            assert "triage" not in page
        assert "No runs yet" in one.get("/ui/runs").text
