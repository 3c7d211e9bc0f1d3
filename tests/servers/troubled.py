"""A receiver of traces in bad times, as a process of its own that writes down what it has taken.

    python troubled.py PORT RECORD '["503", "429", "cut", "slow", "200", ...]' SEED

Each request is answered by the next word, and well behind the last one. RECORD gets a line of JSON for each: when it
came, the word, and of a request that was taken each span as [trace, span, digest]. What is taken is written down before
it is answered, as a receiver does that answers for what it has.
"""

from __future__ import annotations

import gzip
import json
import random
import sys
import threading
import time
from collections import deque
from email.utils import formatdate
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TextIO

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

WELL = "200"
TAKEN = frozenset({WELL, "slow", "cut"})
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 40\r\n\r\n"
_CUT_AFTER = (0, 10, len(_HEAD) + 5)
"""In the middle of an answer: before its first byte, in its first line, in its body."""


def digest(span: Span) -> str:
    """A span's bytes, in short."""
    return sha256(span.SerializeToString(deterministic=True)).hexdigest()[:24]


class Troubled:
    """What comes next, and the record."""

    def __init__(self, record: TextIO, words: list[str], seed: int) -> None:
        self._record = record
        self._words = deque(words)
        self._random = random.Random(seed)
        self._lock = threading.Lock()

    def word(self, request: ExportTraceServiceRequest) -> str:
        """How this request is answered; it is in the record from here on."""
        spans = [
            [span.trace_id.hex(), span.span_id.hex(), digest(span)]
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
        with self._lock:
            word = self._words.popleft() if self._words else WELL
            line = {"at": time.time(), "word": word, "left": len(self._words)}
            taken = {"spans": spans} if word in TAKEN else {}
            self._record.write(json.dumps({**line, **taken}) + "\n")
            self._record.flush()
        return word

    def patience(self, word: str) -> dict[str, str]:
        """How long it asks to be left alone, in each form and in none."""
        soon = formatdate(time.time() + 1, usegmt=True)
        asked = ["1"] if word == "429" else ["", "", "", "0", "1", soon, "soon", "-5", "nan"]
        chosen = self._random.choice(asked)
        return {"retry-after": chosen} if chosen else {}

    def cut(self) -> int:
        return self._random.choice(_CUT_AFTER)


def handler(troubled: Troubled) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            word = troubled.word(ExportTraceServiceRequest.FromString(gzip.decompress(body)))
            if word == "cut":
                self.wfile.write((_HEAD + bytes(40))[: troubled.cut()])
                return
            if word == "slow":
                time.sleep(0.5)
            is_taken = word in TAKEN
            self.send_response(200 if is_taken else int(word))
            for name, value in ({} if is_taken else troubled.patience(word)).items():
                self.send_header(name, value)
            content = ExportTraceServiceResponse().SerializeToString()
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def handle(self) -> None:
            try:
                super().handle()
            except ConnectionError:
                # Whoever asked was killed.
                return

        def log_message(self, format: str, *args: object) -> None:
            return None

    return Handler


if __name__ == "__main__":
    port, place, given, seed = sys.argv[1:]
    with Path(place).open("a", encoding="utf-8") as record:
        troubled = Troubled(record, json.loads(given), int(seed))
        server = ThreadingHTTPServer(("127.0.0.1", int(port)), handler(troubled))
        server.daemon_threads = True
        print("listening", flush=True)  # noqa: T201
        server.serve_forever(0.05)
