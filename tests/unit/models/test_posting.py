"""One request with the standard library: answers that never end, that break off, and that lead elsewhere."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress

import pytest

from hooked import Answer, Hooked
from surefoot.models.posting import post, request


@contextmanager
def answering(answer: Callable[[socket.socket], object], *, is_posted: bool = True) -> Generator[str]:
    """A server that reads one request, with `x` as its body if it has one, and answers in its own way; its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            near, _ = listener.accept()
            with near, suppress(OSError):
                # All of it: what is left unread would reset the connection in the end.
                asked = b""
                while not asked.endswith(b"\r\n\r\nx" if is_posted else b"\r\n\r\n"):
                    asked += near.recv(65_536)
                answer(near)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        thread.join(60)


def sends(*parts: bytes) -> Callable[[socket.socket], object]:
    return lambda near: [near.sendall(part) for part in parts]


def test_an_answer_that_comes_a_byte_at_a_time_has_an_end() -> None:
    with Hooked() as server:
        server.answers.append(Answer(dribble=0.02))
        with pytest.raises(TimeoutError, match="it took too long"):
            post(server.url(), b"x", headers={}, timeout=0.1)


def test_a_body_that_comes_a_byte_at_a_time_has_an_end() -> None:
    def dribble(near: socket.socket) -> None:
        near.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            near.sendall(b"x")
            threading.Event().wait(0.02)

    with answering(dribble) as url, pytest.raises(TimeoutError, match="it took too long"):
        post(url, b"x", headers={}, timeout=0.1)


def test_a_proxy_that_answers_a_byte_at_a_time_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def dribble(near: socket.socket) -> None:
        near.sendall(b"HTTP/1.1 200 ")
        while True:
            near.sendall(b"x")
            threading.Event().wait(0.02)

    with answering(dribble, is_posted=False) as url:
        monkeypatch.setenv("https_proxy", url)
        with pytest.raises(TimeoutError, match="it took too long"):
            post("https://elsewhere.invalid/", b"x", headers={}, timeout=0.1)


def test_of_a_body_without_an_end_no_more_is_read_than_was_asked_for() -> None:
    def endless(near: socket.socket) -> None:
        near.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            near.sendall(bytes(65_536))

    with answering(endless) as url:
        assert len(post(url, b"x", headers={}, timeout=30).body) == 65_536
    with answering(endless, is_posted=False) as url:
        assert len(request("GET", url, headers={}, timeout=30, most=10).body) == 10


def test_half_an_answer_is_none() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n"
    with answering(sends(head, b"12345")) as url, pytest.raises(ConnectionError, match="broke off after 5"):
        post(url, b"x", headers={}, timeout=30)
    with answering(sends(b"HTTP/1.1 2")) as url, pytest.raises(ConnectionError, match="no HTTP answer"):
        post(url, b"x", headers={}, timeout=30)
    with answering(sends()) as url, pytest.raises(ConnectionError):
        post(url, b"x", headers={}, timeout=30)
    # What was not asked for may be missing.
    with answering(sends(head, b"12345"), is_posted=False) as url:
        assert request("GET", url, headers={}, timeout=30, most=5).body == b"12345"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_whoever_redirects_is_not_followed_and_what_lets_in_goes_nowhere_else(status: int) -> None:
    with Hooked() as here, Hooked() as there:
        here.answers.append(Answer(status, {"location": there.url()}))
        answer = post(here.url(), b"x", headers={"authorization": "Bearer secret"}, timeout=30)
        assert (answer.status, answer.headers["location"]) == (status, there.url())
        assert there.got == []
