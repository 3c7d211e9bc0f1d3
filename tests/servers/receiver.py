"""A local receiver of OTLP over HTTP that decodes the real protobuf and answers as it is told to.

In a test:

    with Receiver() as receiver:
        receiver.answer(Reply(status=503, headers={"retry-after": "2"}))    # one per coming request; then 200
        ...
        receiver.spans()    # of all requests that were accepted
"""

from __future__ import annotations

import gzip
import ssl
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass(frozen=True)
class Reply:
    """How a request is answered. `is_cut` breaks the connection without an answer."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    is_cut: bool = False


@dataclass(frozen=True)
class Arrived:
    """One request: its path, headers (names in small letters), size on the wire, and message."""

    path: str
    headers: dict[str, str]
    size: int
    message: ExportTraceServiceRequest
    status: int


class Receiver:
    """The server in threads of its own; a context manager. `most_bytes` is the largest body it takes.

    With a file of a certificate and its key it speaks TLS, as `localhost`.
    """

    def __init__(self, *, most_bytes: int | None = None, certificate: Path | None = None) -> None:
        self.arrived: list[Arrived] = []
        self.measured: list[ExportMetricsServiceRequest] = []
        """What came to `/v1/metrics` and was accepted."""
        self.before: Callable[[], object] = lambda: None
        """Called once a request has arrived, before it is answered."""
        self._replies: deque[Reply] = deque()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler(most_bytes))
        self._server.daemon_threads = True
        self._where = "http://127.0.0.1"
        if certificate is not None:
            self._where = "https://localhost"
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self._thread = threading.Thread(target=lambda: self._server.serve_forever(0.01), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(20)

    @property
    def url(self) -> str:
        return f"{self._where}:{self._server.server_address[1]}"

    def answer(self, *replies: Reply) -> None:
        """Answer the coming requests so, one reply each."""
        self._replies.extend(replies)

    def spans(self) -> list[Span]:
        """All spans that were accepted, in the order in which they came."""
        return [
            span
            for arrived in self.arrived
            if arrived.status == 200
            for resource in arrived.message.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def _handler(self, most_bytes: int | None) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                reply = receiver._replies.popleft() if receiver._replies else Reply()
                if reply.is_cut:
                    self.connection.close()
                    return
                if most_bytes is not None and len(body) > most_bytes:
                    reply = Reply(413)
                headers = {name.lower(): value for name, value in self.headers.items()}
                plain = gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body
                if self.path == "/v1/metrics":
                    if reply.status == 200:
                        receiver.measured.append(ExportMetricsServiceRequest.FromString(plain))
                else:
                    message = ExportTraceServiceRequest.FromString(plain)
                    receiver.arrived.append(Arrived(self.path, headers, len(body), message, reply.status))
                receiver.before()
                content = reply.body
                if reply.status == 200 and not content:
                    content = ExportTraceServiceResponse().SerializeToString()
                self.send_response(reply.status)
                told = {"content-type": "application/x-protobuf"} | reply.headers
                for name, value in told.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                return None

        return Handler


def attributes(span: Span) -> dict[str, Any]:
    """A span's attributes as Python values."""
    return {pair.key: value_of(pair.value) for pair in span.attributes}


def value_of(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [value_of(item) for item in value.array_value.values]
    return getattr(value, kind) if kind else None
