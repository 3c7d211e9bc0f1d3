"""Who may ask, and what every answer carries."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from surefoot.server import loopback_hosts

PATHS = [
    "/",
    "/runs",
    "/runs/01NONE",
    "/runs/01NONE/raw?of=inputs",
    "/static/ui.js",
    "/static/nothing",
    "/nowhere",
]


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_carries_the_security_headers(pages: TestClient, path: str) -> None:
    for host in ("127.0.0.1:8710", "evil.example:8710"):
        headers = pages.get(path, headers={"host": host}).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8710",
        "127.0.0.1",
        "127.0.0.1:8711",
        "127.0.0.1:8710.evil.example",
        "localhost.evil.example:8710",
        "0.0.0.0:8710",
        "user@127.0.0.1:8710",
        "",
    ],
)
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.attack("web-03")
def test_a_request_under_another_name_is_refused(pages: TestClient, path: str, host: str) -> None:
    refused = pages.get(path, headers={"host": host})
    assert refused.status_code == 421
    assert "127.0.0.1:8710" in refused.text


@pytest.mark.parametrize("host", ["127.0.0.1:8710", "localhost:8710", "LOCALHOST:8710", "[::1]:8710"])
def test_the_names_of_this_machine_are_served(pages: TestClient, host: str) -> None:
    assert pages.get("/runs", headers={"host": host}).status_code == 200


def test_two_host_headers_are_refused(pages: TestClient) -> None:
    headers = [("host", "127.0.0.1:8710"), ("host", "evil.example")]
    assert pages.get("/runs", headers=headers).status_code == 421


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"])
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.attack("web-01")
def test_nothing_can_be_changed(pages: TestClient, path: str, method: str) -> None:
    refused = pages.request(method, path)
    assert refused.status_code == 405
    assert refused.headers["allow"] == "GET, HEAD"


def test_head_is_answered_like_get(pages: TestClient) -> None:
    assert pages.head("/runs").status_code == 200


def test_websockets_are_closed(pages: TestClient) -> None:
    from starlette.websockets import WebSocketDisconnect

    with pytest.raises(WebSocketDisconnect), pages.websocket_connect("/runs"):
        pass


def test_port_80_goes_without_saying() -> None:
    assert {"localhost", "localhost:80", "[::1]", "127.0.0.1:80"} <= loopback_hosts(80)
    assert "localhost" not in loopback_hosts(8710)


@pytest.mark.attack("web-23")
@pytest.mark.parametrize(
    "path",
    [
        "/?next=//evil.example",
        "/runs?next=https://evil.example",
        "//evil.example",
        "//evil.example/",
        "///evil.example/%2e%2e",
        "/\\evil.example/",
        "/%2f%2fevil.example/",
        "/runs/%2f%2fevil.example",
        "/runs/https:%2f%2fevil.example/",
        "/runs//evil.example/?next=//evil.example",
        "/experiments//evil.example",
        "/datasets//evil.example/",
    ],
)
def test_no_answer_leads_to_another_site(pages: TestClient, path: str) -> None:
    # As it is typed: a client would take `//evil.example` for the name of a host.
    request = pages.build_request("GET", "/")
    request.url = request.url.copy_with(raw_path=path.encode())
    answer = pages.send(request, follow_redirects=False)
    leads = answer.headers.get("location", "/")
    assert leads.startswith(("/", "http://127.0.0.1:8710/"))
    assert not leads.startswith(("//", "/\\"))
    assert "refresh" not in answer.headers
