"""Requests to the pages behind a login that browsers, proxies and strangers send, and a ledger that does not answer."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from starlette.testclient import TestClient

from letting_in import ORGANISATION, OTHER, Town
from logged_in import ORIGIN, Person, hidden_in, person, site
from served_here import said_to, served_here, status_of
from surefoot import App, flow
from surefoot.access import LOCAL
from surefoot.config import load
from surefoot.errors import LedgerError
from surefoot.ledger import CaseRecord, Evaluations, ExperimentRecord, ScoreRecord
from surefoot.server.web import web
from surefoot.values import RunTags, new_id

GOLDEN = "/ui/datasets/datasets/golden.jsonl"
BASIC = "Basic dXNlcjpwYXNz"
ATTACK = "\"><script>alert(1)</script><img src=x onerror=alert(1)>'"
NAMES = ("golden", "a b", "Prüfung", "50%20 off", "what?", "a+b&c=d")


@flow(trusted=True)
def several(text: str) -> list[str]:
    return [text, text]


@flow(trusted=True)
def attacked(text: str) -> str:
    return f"{text} {ATTACK}"


class Told(HTMLParser):
    """What of a page a browser would take for more than text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.odd: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        source = given.get("src") or ""
        is_own = tag not in ("script", "img") or source.startswith("/ui/static/")
        is_quiet = not any(name.startswith("on") or name == "style" for name in given)
        leads_here = (given.get("href") or "/").startswith(("/", "?", "#"))
        if not (is_own and is_quiet and leads_here):
            self.odd.append(self.get_starttag_text() or tag)


def line_of(name: str) -> str:
    case = {"id": name, "inputs": {"q": "x"}, "expected": "y", "metadata": {"review": "pending"}}
    return json.dumps(case) + "\n"


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    (tmp_path / "datasets").mkdir()
    for name in NAMES:
        (tmp_path / "datasets" / f"{name}.jsonl").write_text(line_of("a") + line_of("b"))
    app = App(load(tmp_path, environ={}))
    try:
        with app.entered():
            yield Town(app)
    finally:
        app.close()


def scored(app: App, tenant: str, flow: str) -> None:
    """An experiment of a tenant with one score."""
    evaluations = Evaluations(app.ledger)
    made = evaluations.begin(
        ExperimentRecord(new_id(), "eval", "", flow, "", "", "golden", "1", 1, 1, tenant=tenant)
    )
    evaluations.keep(
        [CaseRecord(made.id, "a", new_id(), "completed", scores=(ScoreRecord("right", value=True),))]
    ).wait()


# The way to the login, and back


def test_the_way_back_from_the_login_is_the_page_whatever_its_name(town: Town) -> None:
    with site(town.app, datasets_of=ORGANISATION) as server, served_here(server) as port:
        for name in NAMES:
            address = f"http://127.0.0.1:{port}"
            with httpx.Client(base_url=address) as web:
                one = Person(web, address)  # type: ignore[arg-type]
                asked = f"/ui/datasets/datasets/{quote(name)}.jsonl"
                form = one.get(one.get(asked).headers["location"])
                fields = {**hidden_in(form.text), "key": town.tokens["viewer"]}
                assert one.post("/ui/login", fields).headers["location"] == asked
                assert f"<h1><bdi>{escape(name)}.jsonl</bdi></h1>" in one.get(asked).text


def test_an_address_as_a_filter_is_kept_on_the_way(town: Town) -> None:
    with site(town.app) as server, person(server) as one:
        led = one.get("/ui/runs?flow=https://acme.example/x")
        form = hidden_in(one.get(led.headers["location"]).text)
        assert form["next"] == "/ui/runs?flow=https://acme.example/x"


# Proxies


def test_a_password_that_a_proxy_in_front_asks_for_is_no_token_of_here(town: Town) -> None:
    """A browser sends what the proxy asked for along, and the proxy hands it on."""
    with site(town.app) as server, person(server) as one:
        one.web.headers["authorization"] = BASIC
        assert one.get("/ui/runs").headers["location"].startswith("/ui/login")
        assert one.log_in(town.tokens["viewer"]).status_code == 303
        page = one.get("/ui/runs")
        assert page.status_code == 200
        assert "user:viewer" in page.text
        assert one.log_out().status_code == 303
        assert one.get("/ui/runs").status_code == 303
        # Programs are asked for a token, as ever.
        assert one.get("/runs").status_code == 401


def test_datasets_are_reviewed_where_the_user_of_the_server_has_no_name(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container under a number; `surefoot ui` has its reviewer say who he is."""

    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found: 10001")

    monkeypatch.setattr("getpass.getuser", nameless)
    with site(town.app, datasets_of=ORGANISATION) as server, person(server, town.tokens["editor"]) as one:
        assert "The verdict stands under the name" in one.get(GOLDEN).text
        assert one.get("/ui/datasets").status_code == 200
    with TestClient(web(town.app, hosts=frozenset(("localhost:8720",))), base_url=ORIGIN) as own:
        page = own.get("/datasets/datasets/golden.jsonl")
        assert page.status_code == 200
        assert 'name="by" value=""' in page.text


# What is no number, and what is none of the methods


@pytest.mark.parametrize("count", [1, 9, 19, 20, 5_000])
def test_numbers_of_an_address_that_are_too_large_are_answered(town: Town, count: int) -> None:
    app, digits = town.app, "9" * count
    app.run(several, {"text": "x"}, tags=RunTags(tenant=ORGANISATION))
    run = app.ledger.run("last").id
    with site(app, datasets_of=ORGANISATION) as server, person(server, town.tokens["editor"]) as one:
        wanted = {
            f"/ui/runs/{run}/raw?of=output&at={digits}": 404,
            f"/ui/runs/{run}?from={digits}": 200,
            f"/ui/experiments?before={digits}": 200,
            f"/ui/trends?from={digits}": 200,
            f"{GOLDEN}?after={digits}": 200,
        }
        assert {path: one.get(path).status_code for path in wanted} == wanted
        assert one.get(f"/ui/runs/{run}/raw?of=output&at=1").text == "x"


def test_a_method_that_a_page_does_not_have_is_answered_with_those_it_has(town: Town) -> None:
    with site(town.app) as server, person(server, town.tokens["viewer"]) as one:
        refused = one.post("/ui/runs", {})
        assert refused.status_code == 405
        assert set(refused.headers["allow"].split(", ")) == {"GET", "HEAD"}
        refused = one.get("/ui/logout")
        assert (refused.status_code, refused.headers["allow"]) == (405, "POST")


def test_the_bound_of_the_login_form_is_not_said_to_be_a_setting(town: Town) -> None:
    with site(town.app) as server, person(server) as one:
        token = hidden_in(one.get("/ui/login").text)["token"]
        refused = one.post("/ui/login", {"token": token, "key": "x" * 30_000})
        assert refused.status_code == 413
        assert "20,000 bytes" in refused.text
        assert "max_body" not in refused.text


def test_a_login_form_that_does_not_end_is_not_waited_for(town: Town) -> None:
    head = (
        b"POST /ui/login HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://127.0.0.1\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\n"
    )
    with site(town.app, read_seconds=0.5) as server, served_here(server, read_seconds=0.5) as port:
        slow = said_to(port, head + b"Content-Length: 100\r\n\r\nkey=", pause=0.1)
        assert status_of(slow) == 408
        piece = b"2000\r\n" + b"x" * 0x2000 + b"\r\n"
        endless = said_to(port, head + b"Transfer-Encoding: chunked\r\n\r\n", *[piece] * 4)
        assert status_of(endless) == 413
        assert b"20,000 bytes" in endless
        assert b"connection: close" in slow.lower()
        assert b"connection: close" in endless.lower()


def test_a_form_of_another_tab_from_before_the_login_says_what_to_do(town: Town) -> None:
    with site(town.app) as server, person(server) as one:
        earlier = hidden_in(one.get("/ui/login").text)
        one.log_in(town.tokens["viewer"])
        refused = one.post("/ui/login", {**earlier, "key": town.tokens["admin"]})
        assert refused.status_code == 403
        assert "or from before somebody logged in or out here: load it again" in refused.text
        assert "user:viewer" in one.get("/ui/runs").text


# What others have written


def attacked_addresses(town: Town) -> list[str]:
    """Addresses of all pages, over names and texts of which each is an attack, and with attacks in them."""
    app, attack = town.app, quote(ATTACK, safe="")
    app.run(attacked, {"text": ATTACK}, tags=RunTags(ORGANISATION, ATTACK, ATTACK, {"k": ATTACK}))
    run, evaluations = app.ledger.run("last").id, Evaluations(app.ledger)
    made: list[str] = []
    for number in range(2):
        record = ExperimentRecord(
            f"{number}{ATTACK}",
            "eval",
            ATTACK,
            "attacked",
            ATTACK,
            "",
            ATTACK,
            "1",
            1,
            1,
            tenant=ORGANISATION,
        )
        made.append(quote(evaluations.begin(record).id, safe=""))
        scores = (ScoreRecord(ATTACK, value=bool(number), reason=ATTACK), ScoreRecord("label", value=ATTACK))
        metadata = {"topic": ATTACK}
        case = CaseRecord(record.id, ATTACK, run, "completed", scores=scores, metadata=metadata)
        evaluations.keep([case]).wait()
    case = {"id": ATTACK, "inputs": {ATTACK: ATTACK}, "expected": ATTACK, "metadata": {"review": "pending"}}
    (app.settings.root / "datasets" / "golden.jsonl").write_text(json.dumps(case) + "\n")
    one = f"/ui/experiments/{made[0]}"
    return [
        *("/ui/runs", f"/ui/runs?flow={attack}&id={attack}", f"/ui/runs?status={attack}"),
        *(f"/ui/runs/{run}", f"/ui/runs/{run}?part=1", f"/ui/runs/{run}?step={attack}"),
        *("/ui/experiments", f"/ui/experiments?flow={attack}", f"/ui/experiments?kind={attack}"),
        *(f"{one}?show=all", f"{one}?by=topic", f"{one}?by={attack}", f"{one}/compare/{made[1]}"),
        *("/ui/trends", f"/ui/trends?metric={attack}", "/ui/trends?metric=label", f"/ui/trends?by={attack}"),
        *("/ui/datasets", GOLDEN, f"{GOLDEN}?said=accepted&was={attack}", f"{GOLDEN}?case={attack}"),
        *(f"/ui/{attack}", f"/ui/static/{attack}", f"/ui/login?next={attack}", f"/ui/runs?theme={attack}"),
    ]


def test_nothing_that_others_have_written_is_more_than_text(town: Town) -> None:
    every = attacked_addresses(town)
    with site(town.app, datasets_of=ORGANISATION) as server, person(server, town.tokens["editor"]) as one:
        answers = {path: one.get(path) for path in every}
        assert {path: odd for path, each in answers.items() if (odd := Told(each.text).odd)} == {}
        assert sum("alert(1)" in each.text for each in answers.values()) > len(every) // 2
        assert [path for path, each in answers.items() if each.status_code >= 500] == []
        # Whole values are plain text, which no browser takes for a page.
        for path in (f"{every[3]}/raw?of=output", f"{GOLDEN}?case={quote(ATTACK)}&raw=$expected"):
            raw = one.get(path)
            assert ATTACK in raw.text
            assert raw.headers["content-type"].startswith("text/plain")
            assert raw.headers["x-content-type-options"] == "nosniff"
            assert "sandbox" in raw.headers["content-security-policy"]


# A ledger that does not answer


def test_a_page_that_is_none_is_told_while_the_ledger_does_not_answer(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(town.app) as server, person(server, town.tokens["viewer"]) as one:
        town.app.access.tokens._known.clear()

        def broken(*_: object) -> None:
            raise LedgerError("the ledger is gone")

        with monkeypatch.context() as patched:
            patched.setattr(town.app.ledger, "ask", broken)
            missing, listed = one.get("/ui/nothing"), one.get("/ui/runs")
            assert (missing.status_code, listed.status_code) == (404, 503)
            assert "There is no page /ui/nothing." in missing.text
            assert "gone" not in listed.text
        # The session is as good as before.
        assert one.get("/ui/runs").status_code == 200


# Others


def test_pages_that_take_long_keep_no_program_waiting(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each page is made in a thread, and those are not the ones in which programs are answered."""
    app, opened = town.app, threading.Event()
    experiments = Evaluations.experiments

    def slow(self: Evaluations, **wanted: object) -> list[ExperimentRecord]:
        assert opened.wait(60)
        return experiments(self, **wanted)  # type: ignore[arg-type]

    monkeypatch.setattr(Evaluations, "experiments", slow)
    with (
        site(app) as server,
        person(server, town.tokens["viewer"]) as one,
        ThreadPoolExecutor(61) as pool,
    ):
        waiting = [pool.submit(one.get, "/ui/experiments") for _ in range(60)]
        asked = pool.submit(one.get, "/runs", authorization=f"Bearer {town.tokens['viewer']}")
        try:
            assert asked.result(timeout=30).status_code == 200
        finally:
            opened.set()
        assert {each.result(timeout=60).status_code for each in waiting} <= {200, 503}


def test_flows_of_trends_are_found_however_many_experiments_others_have(town: Town) -> None:
    scored(town.app, ORGANISATION, "triage")
    for _ in range(205):
        scored(town.app, OTHER, "theirs")
    narrow = town.add("user:narrow", "", ORGANISATION)
    scope = f"{ORGANISATION}/{town.app.access.project}/trace:triage"
    town.app.access.people.grant("user:narrow", "viewer", scope, by=LOCAL)
    with site(town.app) as server:
        for token in (narrow, town.tokens["viewer"]):
            with person(server, token) as one:
                page = one.get("/ui/trends").text
                assert '<option value="triage"' in page
                assert "theirs" not in page
                assert "100.0%" in page


def test_a_dataset_that_cannot_be_read_tells_nothing_of_the_machine(town: Town) -> None:
    root = town.app.settings.root
    golden = root / "datasets" / "golden.jsonl"
    with site(town.app, datasets_of=ORGANISATION) as server, person(server, town.tokens["editor"]) as one:
        fields = {**hidden_in(one.get(GOLDEN).text), "verdict": "accepted", "form": "text", "expected": "y"}
        golden.write_text(line_of("changed") + line_of("b"))
        refused = one.post(GOLDEN, fields)
        assert refused.status_code == 409
        assert "datasets/golden.jsonl" in refused.text
        assert "changed or removed" in refused.text
        with golden.open("ab") as file:
            file.truncate(130_000_000)
        page = one.get(GOLDEN)
        assert "130,000,000 bytes" in page.text
        assert str(root) not in f"{page.text} {refused.text}"
