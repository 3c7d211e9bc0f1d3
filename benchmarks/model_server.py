"""A server that answers chat completions with the same 1 KiB text, at once or after a while, in a process of its own.

Bytes in, bytes out over asyncio's protocols: it is to cost far less than any client, which is what is measured.
A request that speaks of a VERDICT is answered with one, as a judge would: `{"reason": "...", "verdict": 1}`.

    python -m benchmarks.model_server [SECONDS]     prints its port, serves until its input ends
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.harness import PROJECT, clean_environment

TEXT = "The answer is of some length, as they are. " * 24
MARK = b"VERDICT"
VERDICT = json.dumps({"reason": "It says what it was asked for.", "verdict": 1})


def response(text: str) -> bytes:
    """A chat completion with this text, as it goes over the wire."""
    answer = json.dumps(
        {
            "id": "chatcmpl-benchmark",
            "object": "chat.completion",
            "created": 1_700_000_000,
            "model": "gpt-4o-mini-2024-07-18",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": text, "refusal": None, "annotations": []},
                    "logprobs": None,
                    "finish_reason": "stop",
                }
            ],
            "usage": {
                "prompt_tokens": 250,
                "completion_tokens": 240,
                "total_tokens": 490,
                "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
            },
            "service_tier": "default",
            "system_fingerprint": "fp_benchmark",
        }
    ).encode()
    return (
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req_benchmark\r\n"
        b"content-length: %d\r\n\r\n%b" % (len(answer), answer)
    )


RESPONSE = response(TEXT)
JUDGED = response(VERDICT)


class Answering(asyncio.Protocol):
    """One connection: a request is whole when its body is, and is answered then."""

    def __init__(self, delay: float) -> None:
        self._left = bytearray()
        self._delay = delay

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("no stream")
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._left += data
        while (end := self._left.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._left[:end]).lower()
            _, found, length = head.partition(b"content-length:")
            if not found:
                raise ValueError("a request without content-length")
            whole = end + 4 + int(length.partition(b"\r\n")[0])
            if len(self._left) < whole:
                return
            answer = JUDGED if self._left.find(MARK, end, whole) >= 0 else RESPONSE
            del self._left[:whole]
            if self._delay:
                asyncio.get_running_loop().call_later(self._delay, self._transport.write, answer)
            else:
                self._transport.write(answer)


async def serve(delay: float) -> None:
    """Answer each request `delay` seconds after it has come."""
    server = await asyncio.get_running_loop().create_server(lambda: Answering(delay), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


@contextmanager
def serving(delay: float = 0) -> Generator[str]:
    """The base URL of a server that runs meanwhile (`http://127.0.0.1:PORT/v1`) and takes `delay` seconds a call."""
    with subprocess.Popen(
        [Path(sys.executable), "-m", "benchmarks.model_server", str(delay)],
        cwd=PROJECT,
        env=clean_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as child:
        if child.stdin is None or child.stdout is None:
            raise SystemExit("the server of the models has no pipes")
        port = child.stdout.readline().strip()
        if not port:
            raise SystemExit("the server of the models did not start; what it said stands above")
        yield f"http://127.0.0.1:{port}/v1"
        child.stdin.close()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1]) if len(sys.argv) > 1 else 0))
