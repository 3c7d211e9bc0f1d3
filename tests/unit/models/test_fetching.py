"""Requests to addresses from somebody else, against real servers on this machine."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from certificates import certificate_of
from hooked import Answer, Hooked
from surefoot.addresses import Egress
from surefoot.errors import AddressRefused
from surefoot.models.fetching import fetch

LOCAL = Egress(("127.0.0.1", "here.example", "there.example"))


def here(host: str, port: int) -> list[str]:
    return ["127.0.0.1"]


@pytest.fixture
def server() -> Iterator[Hooked]:
    with Hooked() as server:
        yield server


def test_a_request_and_its_answer(server: Hooked) -> None:
    server.answers.append(Answer(201, {"X-One": "1"}, b"0123456789"))
    answer = fetch(
        server.url("/a?b=c", "here.example"),
        rules=LOCAL,
        method="POST",
        headers={"X-Mine": "2", "Host": "evil.example", "Content-Length": "1"},
        body=b"hello",
        most=4,
        lookup=here,
    )
    assert (answer.status, answer.headers["x-one"], answer.body) == (201, "1", b"0123")
    [got] = server.got
    assert (got.method, got.path, got.body, got.headers["x-mine"]) == ("POST", "/a?b=c", b"hello", "2")
    assert got.headers["host"] == f"here.example:{server.port}"


def test_a_proxy_of_the_environment_is_passed_by(server: Hooked, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert fetch(server.url(), rules=LOCAL).status == 200


def test_nothing_is_sent_to_what_is_refused(server: Hooked) -> None:
    with pytest.raises(AddressRefused):
        fetch(server.url(), rules=Egress())
    assert server.got == []


def test_a_name_is_looked_up_once(server: Hooked) -> None:
    asked: list[str] = []

    def changing(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["10.255.255.1"]

    assert fetch(server.url(host="here.example"), rules=LOCAL, lookup=changing).status == 200
    assert asked == ["here.example"]


def test_the_next_address_is_tried_where_one_does_not_answer(server: Hooked) -> None:
    ips = ["127.0.0.3", "127.0.0.1"]
    rules = Egress(("127.0.0.0/8",))
    assert fetch(server.url(host="here.example"), rules=rules, lookup=lambda host, port: ips).status == 200


def test_redirects_are_looked_at_one_by_one(server: Hooked) -> None:
    server.answers += [
        Answer(302, {"location": "/second"}),
        Answer(307, {"location": server.url("/third", "there.example")}),
        Answer(200, {}, b"there"),
    ]
    answer = fetch(
        server.url("/first", "here.example"),
        rules=LOCAL,
        headers={"Authorization": "Bearer x", "A": "b"},
        lookup=here,
    )
    assert (answer.status, answer.body) == (200, b"there")
    assert [got.path for got in server.got] == ["/first", "/second", "/third"]
    assert ["authorization" in got.headers for got in server.got] == [True, True, False]
    assert [got.headers["a"] for got in server.got] == ["b", "b", "b"]
    server.answers += [Answer(302, {"location": "/again"})] * 4
    with pytest.raises(AddressRefused, match="more than 3 times"):
        fetch(server.url(), rules=LOCAL)


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.2/",
        "http://169.254.169.254/latest/",
        "file:///etc/passwd",
        "//10.0.0.1/",
        "gopher://x/",
    ],
)
def test_a_redirect_to_what_is_refused_is_not_followed(server: Hooked, location: str) -> None:
    server.answers.append(Answer(302, {"location": location}))
    with pytest.raises(AddressRefused):
        fetch(server.url(), rules=LOCAL)
    assert len(server.got) == 1


def test_each_host_is_asked_for_before_it_is_looked_up(server: Hooked) -> None:
    asked: list[str] = []

    def require(host: str) -> None:
        asked.append(host)
        if host == "there.example":
            raise PermissionError(host)

    def looked(host: str, port: int) -> list[str]:
        asked.append(f"{host} was looked up")
        return ["127.0.0.1"]

    server.answers.append(Answer(302, {"location": server.url("/", "there.example")}))
    with pytest.raises(PermissionError):
        fetch(server.url(host="here.example"), rules=LOCAL, lookup=looked, require=require)
    assert asked == ["here.example", "here.example was looked up", "there.example"]
    assert fetch(server.url(), rules=LOCAL, lookup=looked, require=require).status == 200
    assert asked[3:] == ["127.0.0.1"]
    assert len(server.got) == 2


def test_what_is_sent_is_not_handed_on_to_another_host(server: Hooked) -> None:
    server.answers.append(Answer(307, {"location": server.url("/", "there.example")}))
    with pytest.raises(AddressRefused, match=r"redirects what is sent to it to there\.example"):
        fetch(server.url(host="here.example"), rules=LOCAL, method="POST", body=b"x", lookup=here)
    server.answers.append(Answer(303, {"location": server.url("/seen", "there.example")}))
    assert (
        fetch(server.url(host="here.example"), rules=LOCAL, method="POST", body=b"x", lookup=here).status
        == 200
    )
    assert [(got.method, got.body) for got in server.got[1:]] == [("POST", b"x"), ("GET", b"")]
    server.answers.append(Answer(302, {"location": "/x"}))
    assert fetch(server.url(), rules=LOCAL, redirects=0).status == 302


def test_a_server_that_never_comes_to_an_end_is_left(server: Hooked) -> None:
    server.answers.append(Answer(dribble=0.02))
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        fetch(server.url(), rules=LOCAL, timeout=0.3)
    assert time.monotonic() - began < 20


def test_a_server_that_says_nothing_and_one_that_is_none() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(TimeoutError):
            fetch(f"http://127.0.0.1:{port}/", rules=LOCAL, timeout=0.2)
        with pytest.raises(TimeoutError):
            fetch(f"https://127.0.0.1:{port}/", rules=LOCAL, timeout=0.2)
    with pytest.raises(ConnectionError):
        fetch(f"http://127.0.0.1:{port}/", rules=LOCAL, timeout=5)


@pytest.mark.parametrize("said", [b"SSH-2.0-OpenSSH\r\n", b"\x00\xff" * 40 + b"\r\n\r\n", b""])
def test_what_is_no_http(said: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            connected, _ = listening.accept()
            connected.recv(1000)
            connected.sendall(said)
            connected.close()

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(ConnectionError):
            fetch(f"http://127.0.0.1:{listening.getsockname()[1]}/", rules=LOCAL, timeout=5)
        thread.join()


@pytest.mark.parametrize("headers", [{"X": "a\r\nSurefoot-Id: x"}, {"X\r\nY": "a"}])
def test_a_header_is_not_split_in_two(server: Hooked, headers: dict[str, str]) -> None:
    with pytest.raises(ConnectionError):
        fetch(server.url(), rules=LOCAL, headers=headers)
    assert server.got == []


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificate_of("here.example", tmp_path_factory.mktemp("tls"))


@pytest.fixture
def secured(certificate: Path) -> Iterator[tuple[int, list[str | None]]]:
    """A TLS server, and the names that clients asked it for."""
    named: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda connected, name, known: named.append(name)
    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    thread = threading.Thread(target=lambda: server.serve_forever(0.01), daemon=True)
    thread.start()
    yield server.server_address[1], named
    server.shutdown()
    server.server_close()


def test_the_certificate_is_of_the_name_though_the_address_is_pinned(
    secured: tuple[int, list[str | None]], certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, named = secured
    with pytest.raises(ssl.SSLCertVerificationError):
        fetch(f"https://here.example:{port}/", rules=LOCAL, lookup=here, timeout=20)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert fetch(f"https://here.example:{port}/", rules=LOCAL, lookup=here, timeout=20).body == b"ok"
    with pytest.raises(ssl.SSLCertVerificationError):
        fetch(f"https://there.example:{port}/", rules=LOCAL, lookup=here, timeout=20)
    assert named[:2] == ["here.example", "here.example"]
