"""A server that answers with what a test gives it, byte by byte: a body at once, or chunks of a stream, without end."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Answer = Callable[[dict[str, Any]], "bytes | Iterable[bytes]"]
"""From a request's body: the body of the answer, or the chunks of an event stream."""


class StreamingServer:
    """The server in a thread of its own; a context manager. `received` are the bodies, `sent` counts bytes."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.received: list[dict[str, Any]] = []
        self.sent = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outer.received.append(body)
                given = outer.answer(body)
                self.send_response(200)
                if isinstance(given, bytes):
                    self.send_header("content-type", "application/json")
                    self.send_header("content-length", str(len(given)))
                    self.end_headers()
                    self.wfile.write(given)
                    return
                self.send_header("content-type", "text/event-stream")
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                try:
                    for chunk in given:
                        self.wfile.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
                        self.wfile.flush()
                        outer.sent += len(chunk)
                    self.wfile.write(b"0\r\n\r\n")
                except OSError:  # the client has had enough
                    self.close_connection = True

            def log_message(self, *_: object) -> None: ...

        return Handler


def event(payload: dict[str, Any], name: str = "") -> bytes:
    """One event of a stream."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(payload)}\n\n".encode()


def chat(text: str, **more: Any) -> dict[str, Any]:
    """A chat completion."""
    message = {"role": "assistant", "content": text, "refusal": None, **more}
    return {
        "id": "c1",
        "object": "chat.completion",
        "created": 0,
        "model": "gpt-4o",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8},
    }


def chat_events(pieces: Iterable[str]) -> Iterable[bytes]:
    """The events of a streamed chat completion."""
    base = {"id": "c1", "object": "chat.completion.chunk", "created": 0, "model": "gpt-4o"}
    for piece in pieces:
        choice = {"index": 0, "delta": {"content": piece}, "finish_reason": None}
        yield event({**base, "choices": [choice]})
    yield event({**base, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    yield b"data: [DONE]\n\n"


def message(text: str) -> dict[str, Any]:
    """A message of Anthropic's."""
    return {
        "id": "m1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-5",
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 3, "output_tokens": 5},
    }


def message_events(pieces: Iterable[str]) -> Iterable[bytes]:
    """The events of a streamed message of Anthropic's."""
    begun = {**message(""), "content": [], "stop_reason": None}
    yield event({"type": "message_start", "message": begun}, "message_start")
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    yield event(block, "content_block_start")
    for piece in pieces:
        delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}}
        yield event(delta, "content_block_delta")
    yield event({"type": "content_block_stop", "index": 0}, "content_block_stop")
    ended = {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}}
    yield event({**ended, "usage": {"output_tokens": 5}}, "message_delta")
    yield event({"type": "message_stop"}, "message_stop")
