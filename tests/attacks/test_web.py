"""Attacks by HTTP: what a request says, how it says it, and from which page it comes."""

from __future__ import annotations

import gzip
import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from letting_in import ORGANISATION, Town, client_of, real_server, server_of, triage
from served_here import heard, said_to, served_here, status_of
from surefoot import App
from surefoot.config import ServeSettings
from surefoot.errors import UsageError
from surefoot.server.api.table import RULES
from surefoot.server.entry import entered, rule

RUNS = "/flows/triage/runs"
# Far above what any of these takes, and far below what the attack would.
SECONDS = 20


@pytest.fixture
def town(app: App) -> Town:
    return Town(app)


@pytest.fixture
def web(town: Town) -> Iterator[TestClient]:
    with client_of(server_of(town.app)) as client:
        yield client


@pytest.fixture
def local(app: App) -> Iterator[TestClient]:
    """A server on one's own machine that asks nobody who he is: all that a page of another site could use."""
    with client_of(server_of(app, owner_is_anybody=True)) as client:
        yield client


# Pages of other sites


FOREIGN: list[tuple[bytes, dict[str, str]]] = [
    (b"inputs=x", {"content-type": "application/x-www-form-urlencoded"}),
    (b'{"inputs": {}}', {"content-type": "text/plain"}),
    (b'{"inputs": {}}', {"content-type": "text/plain; application/json"}),
    (b'{"inputs": {}}', {"content-type": "multipart/form-data; boundary=x"}),
    (b'{"inputs": {}}', {}),
    (b"", {}),
    (b'{"inputs": {}}', {"content-type": "application/json", "origin": "http://evil.example"}),
    (b'{"inputs": {}}', {"content-type": "application/json", "origin": "null"}),
    (
        b'{"inputs": {}}',
        {"content-type": "application/json", "origin": "http://localhost:8720.evil.example"},
    ),
    (b'{"inputs": {}}', {"content-type": "application/json", "sec-fetch-site": "cross-site"}),
    (b'{"inputs": {}}', {"content-type": "application/json", "sec-fetch-site": "same-site"}),
]


def test_web_01_a_page_of_another_site_changes_nothing(local: TestClient) -> None:
    cookies = {"cookie": "session=anything; surefoot-8720=anything"}
    for body, headers in FOREIGN:
        refused = local.post(RUNS, content=body, headers={**headers, **cookies})
        assert refused.status_code in (403, 415), (body, headers)
        assert "who" not in refused.json()
    own = {
        "content-type": "application/json",
        "origin": "http://localhost:8720",
        "sec-fetch-site": "same-origin",
    }
    assert local.post(RUNS, content=b"{}", headers=own).json()["who"] == "user:local"


def test_web_01_a_cookie_is_no_token(web: TestClient, town: Town) -> None:
    for name in ("token", "session", "authorization", "surefoot-8720"):
        web.cookies.set(name, town.tokens["admin"])
    assert web.post(RUNS, json={}).status_code == 401
    assert web.post(RUNS, json={}, headers=town.bearer("runner")).status_code == 200


HOSTS = [
    "evil.example",
    "evil.example:8720",
    "localhost.evil.example:8720",
    "127.0.0.1.evil.example",
    "localhost.",
    "localhost:8720:8720",
    "user@localhost",
    "localhost@evil.example",
    "0.0.0.0:8720",
    "169.254.169.254",
    "localhost/../evil",
    "",
]


def test_web_03_a_name_that_is_not_ours_is_not_served(local: TestClient) -> None:
    for host in HOSTS:
        for method, path in (("GET", "/flows"), ("POST", RUNS), ("GET", "/healthz"), ("OPTIONS", RUNS)):
            refused = local.request(method, path, headers={"host": host})
            assert refused.status_code == 421, host
            assert refused.headers["x-content-type-options"] == "nosniff"


def test_web_03_names_are_those_of_the_settings(app: App) -> None:
    settings = {"hosts": ("api.acme.example", "*.in.acme.example", "one.example:8443")}
    with client_of(server_of(app, owner_is_anybody=True, **settings)) as client:
        for host, is_ours in {
            "api.acme.example": True,
            "API.acme.example:443": True,
            "a.in.acme.example": True,
            "one.example:8443": True,
            "127.0.0.1:9": True,
            "[::1]:8720": True,
            "one.example": False,
            "xapi.acme.example": False,
            "in.acme.example": False,
            "acme.example": False,
        }.items():
            assert (client.get("/flows", headers={"host": host}).status_code == 200) == is_ours, host


def test_web_04_no_page_of_another_site_reads_an_answer(web: TestClient, town: Town) -> None:
    for origin in ("https://evil.example", "null", "http://localhost:8720"):
        answer = web.get("/flows", headers={**town.bearer("viewer"), "origin": origin})
        assert not [name for name in answer.headers if name.startswith("access-control-")]
        asked = {"origin": origin, "access-control-request-method": "POST"}
        assert web.options(RUNS, headers=asked).status_code == 403


def test_web_04_only_origins_of_the_settings_read_and_none_with_cookies(town: Town) -> None:
    with client_of(server_of(town.app, origins=("https://app.acme.example",))) as web:
        preflight = {
            "origin": "https://app.acme.example",
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization, content-type",
        }
        allowed = web.options(RUNS, headers=preflight)
        assert allowed.status_code == 204
        assert allowed.headers["access-control-allow-origin"] == "https://app.acme.example"
        assert "authorization" in allowed.headers["access-control-allow-headers"]
        headers = {
            **town.bearer("runner"),
            "origin": "https://app.acme.example",
            "sec-fetch-site": "cross-site",
        }
        answer = web.post(RUNS, headers=headers, json={})
        assert answer.status_code == 200
        assert answer.headers["vary"] == "origin"
        for other in (
            "https://app.acme.example.evil.example",
            "http://app.acme.example",
            "https://evil.example",
        ):
            refused = web.post(RUNS, headers={**headers, "origin": other}, json={})
            assert refused.status_code == 403
            assert "access-control-allow-origin" not in refused.headers
        assert "access-control-allow-credentials" not in answer.headers


# Names and paths


NAMES = [
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e",
    "..%5c..%5csecret",
    "%2fetc%2fpasswd",
    "a%00b",
    "a%0d%0aSet-Cookie:%20a=b",
    "C:%5csecret",
    "%5c%5cserver%5cshare",
    "a" * 5_000,
    "~root",
    "{{7*7}}",
    "$(id)",
    "a b",
    "%F0%9F%92%A9",
    "-rf",
    "letting_in.py:triage",
    "os:system",
]


def test_web_07_a_name_is_looked_up_and_nothing_else(town: Town) -> None:
    with real_server(town.app, triage) as server, client_of(server, headers=town.bearer("admin")) as web:
        for name in NAMES:
            for method, place in (
                ("GET", "/flows/{}"),
                ("POST", "/flows/{}/runs"),
                ("GET", "/runs/{}"),
                ("GET", "/runs/{}/steps"),
            ):
                request = web.build_request(method, "/", json=None if method == "GET" else {})
                request.url = request.url.copy_with(raw_path=place.replace("{}", name).encode())
                refused = web.send(request)
                assert refused.status_code == 404, (place, name)
                assert "set-cookie" not in refused.headers
                assert "root:" not in refused.text
                assert "49" not in refused.json()["detail"]


# JSON

BOMBS: dict[str, bytes] = {
    "depth": b"[" * 100_000 + b"]" * 100_000,
    "objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "a number": b'{"a": ' + b"9" * 1_000_000 + b"}",
    "a fraction": b'{"a": 1' + b"0" * 2_000 + b".5}",
    "an exponent": b'{"a": 1e999999999}',
    "NaN": b'{"a": NaN}',
    "Infinity": b'{"a": -Infinity}',
    "a twin": b'{"inputs": {"text": "a"}, "inputs": {"text": "b"}}',
    "a hidden twin": b'{"inputs": 1, "\\u0069nputs": 2}',
    "half a character": b'{"a": "\\ud800"}',
    "no UTF-8": b'{"a": "\xff\xfe"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "an end": b'{"a": 1} {"b": 2}',
    "no end": b'{"a": [1, 2',
    "a comment": b'{"a": 1 /* b */}',
    "a control": b'{"a": "\x00"}',
}


@pytest.mark.attack("web-11", "web-12")
def test_web_11_json_is_bounded_and_says_one_thing(web: TestClient, town: Town) -> None:
    headers = {**town.bearer("runner"), "content-type": "application/json"}
    for name, bomb in BOMBS.items():
        began = time.monotonic()
        refused = web.post(RUNS, content=bomb, headers=headers)
        assert refused.status_code == 400, name
        assert refused.json()["type"] == "urn:surefoot:problem:no-json"
        assert len(refused.text) < 1_000
        assert time.monotonic() - began < SECONDS
    # Nothing was allowed, so nothing is told.
    assert not [row for row in town.audited(limit=100) if row[1] == "flow:run"]


# Routes


def test_web_18_what_a_request_holds_is_never_a_template(web: TestClient, town: Town) -> None:
    for text in ("{{7*7}}", "${7*7}", "#{7*7}", "<%= 7*7 %>", "{{''.__class__}}"):
        answer = web.post(RUNS, json={"inputs": text}, headers={**town.bearer("runner"), "x-request-id": "r"})
        assert answer.json()["body"] == {"inputs": text}
        assert "49" not in web.get(f"/flows/{text}", headers=town.bearer("viewer")).text


@pytest.mark.parametrize(("method", "path"), [("POST", "/new"), ("GET", "/new"), ("DELETE", "/flows/{flow}")])
def test_a_route_without_a_rule_is_not_served(app: App, method: str, path: str) -> None:
    def unruled(request: Request) -> Response:
        raise AssertionError(request)

    routes = [Route(own, unruled, methods=[its]) for its, own in RULES]
    settings = ServeSettings()
    entered(app, routes, rules=RULES, settings=settings)
    with pytest.raises(UsageError, match=f"the route {method} {path} has no rule"):
        entered(app, [*routes, Route(path, unruled, methods=[method])], rules=RULES, settings=settings)
    with pytest.raises(UsageError, match=f"a rule for {method} {path} and no such route"):
        entered(
            app, routes, rules={**RULES, (method, path): rule("flow:read", "flows", "x")}, settings=settings
        )  # type: ignore[dict-item]


# Headers


def test_every_answer_carries_the_security_headers(town: Town) -> None:
    with client_of(server_of(town.app, hsts=31_536_000)) as web:
        for answer in (
            web.get("/healthz"),
            web.get("/flows"),
            web.get("/flows", headers=town.bearer("viewer")),
            web.get("/nowhere"),
            web.get("/flows", headers={"host": "evil.example"}),
            web.post(RUNS, content=b"x", headers={"content-type": "text/plain"}),
        ):
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["strict-transport-security"].startswith("max-age=31536000")
            assert "server" not in answer.headers
            assert "set-cookie" not in answer.headers


def test_web_19_what_a_client_says_of_itself_makes_no_header(web: TestClient, town: Town) -> None:
    odd = [("x-request-id", b"a\tb"), ("authorization", f"Bearer {town.tokens['viewer']}".encode())]
    answer = web.get("/flows", headers=odd)
    assert "\t" not in answer.headers["x-request-id"]


def test_web_20_no_token_is_in_a_log_or_an_answer(town: Town, caplog: pytest.LogCaptureFixture) -> None:
    secret = town.tokens["runner"]

    def broken(request: Request) -> Response:
        raise RuntimeError(f"cannot go on with {request.headers['authorization']}")

    rules = {("GET", "/broken"): rule("flow:read", "flows", "Breaks.")}
    server = entered(
        town.app,
        [Route("/broken", broken)],
        rules=rules,
        settings=ServeSettings(),  # type: ignore[arg-type]
    )
    with caplog.at_level("DEBUG"), client_of(server) as web, served_here(server) as port:
        bad = f"Bearer {secret[:-1]}{'a' if secret[-1] != 'a' else 'b'}"
        told = [
            web.get("/broken", headers={"authorization": bad}).text,
            web.get(f"/broken?token={secret}").text,
            httpx.get(f"http://127.0.0.1:{port}/broken", headers=town.bearer("runner")).text,
        ]
    town.app.access.audit.verify()
    for text in (*told, repr(town.app.access.audit.rows(limit=100))):
        assert secret not in text
        assert secret[10:-1] not in text
        assert "Traceback" not in text
    # The client of this test writes down what it asks for.
    logged = [record for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    assert [record.name for record in logged if record.levelname == "ERROR"] == ["surefoot.server"]
    assert secret[10:-1] not in "\n".join(map(caplog.handler.format, logged))


# Too much, too slowly


@pytest.fixture
def port(town: Town) -> Iterator[int]:
    server = server_of(town.app, read_seconds=0.5, max_body=10_000, max_headers=50, max_header_bytes=8_000)
    with served_here(server, read_seconds=0.5) as port:
        yield port


def posted(town: Town, *headers: bytes) -> bytes:
    token = town.tokens["runner"].encode()
    lines = [
        b"POST /flows/triage/runs HTTP/1.1",
        b"Host: localhost",
        b"Authorization: Bearer " + token,
        b"Content-Type: application/json",
        *headers,
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def test_web_21_a_body_is_bounded_however_it_comes(town: Town, port: int) -> None:
    assert status_of(said_to(port, posted(town, b"Content-Length: 2", b"Connection: close"), b"{}")) == 200
    told = said_to(port, posted(town, b"Content-Length: 1000000000"))
    assert status_of(told) == 413
    assert b"application/problem+json" in told
    chunk = b"1000\r\n" + b" " * 4096 + b"\r\n"
    without_end = said_to(port, posted(town, b"Transfer-Encoding: chunked"), *[chunk] * 50)
    assert status_of(without_end) == 413


def test_web_21_who_sends_a_byte_at_a_time_is_not_waited_for(town: Town, port: int) -> None:
    began = time.monotonic()
    assert status_of(said_to(port, posted(town, b"Content-Length: 500"), *[b" "] * 10, pause=0.1)) == 408
    slow_headers = [b"GET /flows HTTP/1.1\r\n", *[b"X-A: b\r\n"] * 20]
    assert status_of(said_to(port, *slow_headers, pause=0.1)) == 408
    # Nor one who says nothing at all, or who lets a body follow that nobody has asked for.
    assert status_of(said_to(port, b"")) == 408
    unread = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), SECONDS) as connection:
        connection.sendall(unread)
        assert status_of(heard(connection)) == 200
    assert time.monotonic() - began < SECONDS


def test_web_21_who_is_slow_holds_up_nobody_else(town: Town, port: int) -> None:
    held = [socket.create_connection(("127.0.0.1", port), SECONDS) for _ in range(100)]
    try:
        for connection in held:
            connection.sendall(posted(town, b"Content-Length: 500"))
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=town.bearer("viewer")) as other:
            for _ in range(5):
                assert other.get("/flows", timeout=SECONDS).status_code == 200
        assert {status_of(heard(connection)) for connection in held} == {408}
    finally:
        for connection in held:
            connection.close()


def test_web_21_headers_are_few_and_small(town: Town, port: int) -> None:
    many = [b"X-%d: a" % number for number in range(60)]
    assert status_of(said_to(port, posted(town, *many))) == 431
    assert status_of(said_to(port, posted(town, b"X-A: " + b"a" * 9_000))) == 431
    flood = [b"X-%d: %s\r\n" % (number, b"a" * 100) for number in range(10_000)]
    assert status_of(said_to(port, b"GET /flows HTTP/1.1\r\nHost: localhost\r\n", b"".join(flood))) == 431
    assert status_of(said_to(port, b"GET /" + b"a" * 200_000)) == 431


SMUGGLED = [
    [b"Content-Length: 44", b"Transfer-Encoding: chunked"],
    [b"Transfer-Encoding: chunked", b"Content-Length: 44"],
    [b"Content-Length: 5", b"Content-Length: 6"],
    [b"Content-Length: 5, 6"],
    [b"Content-Length: +5"],
    [b"Content-Length: 0x5"],
    [b"Content-Length: -1"],
    [b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"],
    [b"Transfer-Encoding: xchunked"],
    [b"Transfer-Encoding : chunked"],
    [b"Transfer-Encoding:\x0bchunked"],
    [b"X: a\nTransfer-Encoding: chunked"],
    [b" Transfer-Encoding: chunked"],
]


def test_web_22_no_second_request_hides_in_a_body(town: Town, port: int) -> None:
    """Two servers on the way may believe different lengths; one of them then sees another request in the body."""
    hidden = b"0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    for headers in SMUGGLED:
        answer = said_to(port, posted(town, *headers), hidden)
        assert status_of(answer) in (400, 408, 415, 501), headers
        # One answer, and the connection is closed behind it.
        assert answer.count(b"HTTP/1.1 ") == 1, headers
        assert b"lives" not in answer


def test_web_22_bare_line_ends_and_odd_targets_are_no_way_around_a_rule(town: Town, port: int) -> None:
    for line in (
        b"GET http://evil.example/flows HTTP/1.1",
        b"GET //flows HTTP/1.1",
        b"GET /healthz/../flows HTTP/1.1",
        b"GET /healthz;/flows HTTP/1.1",
        b"GET /flows%2f HTTP/1.1",
        b"get /flows HTTP/1.1",
        b"TRACE /flows HTTP/1.1",
        b"CONNECT evil.example:443 HTTP/1.1",
    ):
        answer = said_to(port, line + b"\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert status_of(answer) in (400, 401, 404, 405), line
        assert b"triage" not in answer


def test_web_23_no_answer_leads_anywhere(web: TestClient, town: Town) -> None:
    for path in (
        "//evil.example",
        "//evil.example/..",
        "/flows/",
        "/runs//",
        "/flows?next=//evil.example",
        "/\\evil",
    ):
        request = web.build_request("GET", "/", headers=town.bearer("admin"))
        request.url = request.url.copy_with(raw_path=path.encode())
        answer = web.send(request, follow_redirects=False)
        assert answer.status_code in (200, 404)
        assert "location" not in answer.headers


def test_web_10_a_body_that_grows_is_not_unpacked(web: TestClient, town: Town) -> None:
    bomb = gzip.compress(b" " * 10_000_000)
    for encoding in ("gzip", "deflate", "br", "gzip, identity", "zstd"):
        headers = {**town.bearer("runner"), "content-type": "application/json", "content-encoding": encoding}
        refused = web.post(RUNS, content=bomb, headers=headers)
        assert refused.status_code == 415
        assert refused.json()["type"].endswith("encoded-body")


# Rates and money


def test_dos_01_one_who_asks_too_often_waits_and_nobody_else(town: Town) -> None:
    with client_of(server_of(town.app, requests_per_minute=60)) as web:
        answers = [web.get("/flows", headers=town.bearer("viewer")) for _ in range(40)]
        assert [answer.status_code for answer in answers[:6]] == [200] * 6
        assert [answer.headers["ratelimit-remaining"] for answer in answers[:2]] == ["5", "4"]
        late = [answer for answer in answers if answer.status_code == 429]
        # One more comes through for each second that this takes.
        assert len(late) >= 34 - SECONDS
        assert late[-1].headers["retry-after"] == "1"
        assert late[-1].headers["ratelimit-limit"] == "60"
        assert late[-1].json()["type"].endswith("too-many-requests")
        assert web.get("/flows", headers=town.bearer("runner")).status_code == 200
        # Another token of his is the same somebody.
        again, _ = town.app.access.tokens.issue("user:viewer", by=_local())
        statuses = [
            web.get("/flows", headers={"authorization": f"Bearer {again}"}).status_code for _ in range(5)
        ]
        assert 429 in statuses


def _local() -> Any:
    from surefoot.access import LOCAL

    return LOCAL


def test_dos_01_what_is_kept_of_senders_is_bounded() -> None:
    from surefoot.server.entry.rates import Rates

    rates = Rates(60, share=0.1, most=100)
    for number in range(10_000):
        rates.take(f"10.0.{number // 256}.{number % 256}")
    assert len(rates) == 100


def test_web_16_a_body_says_no_more_than_its_fields(web: TestClient, town: Town) -> None:
    """What an endpoint is given is what was sent, byte for byte read once."""
    value = {"inputs": {"text": "ä" * 1000}, "list": [1, 2.5, None, True]}
    answer = web.post(
        RUNS,
        content=json.dumps(value),
        headers={**town.bearer("runner"), "content-type": "application/json; charset=utf-8"},
    )
    assert answer.json()["body"] == value
    odd = {**town.bearer("runner"), "content-type": "application/json; charset=utf-16"}
    assert web.post(RUNS, content=b"{}", headers=odd).status_code == 415
    assert answer.json()["organisation"] == ORGANISATION
