"""A local server that gives one answer to whatever it is asked, and the environment in which models are asked there."""

from __future__ import annotations

import functools
import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from unittest.mock import patch

import orjson

_PROVIDERS = ("OPENAI", "ANTHROPIC")


@contextmanager
def answering(answer: object) -> Generator[None]:
    """Let each request to a provider be answered with this JSON."""
    with _given([orjson.dumps(answer)], "application/json"):
        yield


@contextmanager
def streaming(events: Sequence[object], *, cut: Event | None = None) -> Generator[None]:
    """Let each request be answered with these events, behind which it ends; or breaks, as soon as `cut` is set."""
    with _given([b"data: " + orjson.dumps(event) + b"\n\n" for event in events], "text/event-stream", cut):
        yield


@contextmanager
def _given(chunks: Sequence[bytes], kind: str, cut: Event | None = None) -> Generator[None]:
    server = _server()
    server.chunks, server.kind, server.cut = chunks, kind, cut
    address = f"http://127.0.0.1:{server.server_port}"
    settings = {f"{name}_BASE_URL": address for name in _PROVIDERS}
    settings |= {f"{name}_API_KEY": "key-of-a-test" for name in _PROVIDERS}
    with patch.dict(os.environ, settings):
        yield


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    chunks: Sequence[bytes] = ()
    kind = ""
    cut: Event | None = None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", self.server.kind)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for chunk in self.server.chunks:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        if self.server.cut is None:
            self.wfile.write(b"0\r\n\r\n")
            return
        # What was sent is heard first: of a connection that breaks, clients drop what they have not read.
        self.server.cut.wait(10)
        self.close_connection = True

    def log_message(self, *args: object) -> None:
        """Nobody reads it."""


@functools.cache
def _server() -> _Server:
    """One for the process, as where a provider is found is not looked up anew for each call."""
    server = _Server(("127.0.0.1", 0), _Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    return server
