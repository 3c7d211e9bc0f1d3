"""A local HTTP server that keeps what it is asked, and answers as it is told to: a receiver of webhooks, or a trap.

In a test:

    with Hooked() as server:
        server.answers += [Answer(503), Answer(302, {"location": "http://127.0.0.1/"})]    # one per request; then 200
        ...
        server.got[0].body
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(frozen=True)
class Answer:
    """How a request is answered. `dribble` sends a byte of the head each so many seconds, for ever."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    dribble: float = 0.0


@dataclass(frozen=True)
class Got:
    """One request: names of headers in small letters."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Hooked:
    """The server in threads of its own; a context manager."""

    def __init__(self) -> None:
        self.got: list[Got] = []
        self.answers: deque[Answer] = deque()
        self.before: Callable[[], object] = lambda: None
        """Called once a request is kept, before it is answered."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=lambda: self._server.serve_forever(0.01), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    def url(self, path: str = "/hook", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def wait(self, count: int, seconds: float = 30.0) -> list[Got]:
        """The requests, once there are so many of them."""
        until = time.monotonic() + seconds
        while len(self.got) < count:
            assert time.monotonic() < until, f"{len(self.got)} of {count} requests came"
            time.sleep(0.01)
        return self.got

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                named = {name.lower(): value for name, value in self.headers.items()}
                server.got.append(Got(self.command, self.path, named, body))
                server.before()
                answer = server.answers.popleft() if server.answers else Answer()
                if answer.dribble:
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
                    while True:
                        try:
                            self.wfile.write(b"x")
                        except OSError:
                            return
                        time.sleep(answer.dribble)
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(answer.body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer.body)

            do_GET = do_POST = do_HEAD = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815

            def log_message(self, *_: Any) -> None:
                """Nothing."""

        return Handler
