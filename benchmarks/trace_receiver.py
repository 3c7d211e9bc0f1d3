"""A receiver of traces in a process of its own: it takes whatever is posted, answers at once, and counts what came.

A contender sends to a path of its own (`/NAME/...`), by which the receiver tells them apart. It speaks OTLP over HTTP
and what LangSmith's client asks for. Bodies are kept as they came and read when somebody asks for the count, so that
reading them falls into no round.

    python -m benchmarks.trace_receiver     prints its port, serves until its input ends
"""

from __future__ import annotations

import asyncio
import gzip
import json
import subprocess
import sys
import urllib.request
from collections import defaultdict
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks.harness import PROJECT, clean_environment
from surefoot.ledger.compressed import zstd

COUNTS = "/counts"
# As LangSmith's own server describes itself: so its client compresses, and posts a hundred runs at a time.
INFO = json.dumps(
    {
        "version": "0.12.0",
        "batch_ingest_config": {
            "use_multipart_endpoint": True,
            "scale_up_qsize_trigger": 1000,
            "scale_up_nthreads_limit": 16,
            "scale_down_nempty_trigger": 4,
            "size_limit": 100,
            "size_limit_bytes": 20_971_520,
        },
        "instance_flags": {"zstd_compression_enabled": True, "dataset_examples_multipart_enabled": True},
    }
).encode()
ENDED = b'"end_time":"'


@dataclass(slots=True)
class Arrived:
    """What came from one contender: requests, the size of their bodies in bytes, and spans that are over."""

    requests: int = 0
    size: int = 0
    spans: int = 0
    unread: list[tuple[Mapping[str, str], bytes]] = field(
        default_factory=list[tuple[Mapping[str, str], bytes]]
    )

    def add(self, headers: Mapping[str, str], body: bytes) -> None:
        self.requests += 1
        self.size += len(body)
        self.unread.append((headers, body))

    def read(self) -> Arrived:
        """Count the spans of what was not read yet."""
        for headers, body in self.unread:
            self.spans += spans_in(headers, body)
        self.unread.clear()
        return self


def spans_in(headers: Mapping[str, str], body: bytes) -> int:
    """How many spans a body holds. Of LangSmith's runs, which come in two halves, those that have come to their end."""
    match headers.get("content-encoding"):
        case "gzip":
            body = gzip.decompress(body)
        case "zstd":
            body = zstd.decompress(body)
        case None:
            pass
        case other:
            raise ValueError(f"a body in {other}")
    kind = headers.get("content-type", "")
    if kind.startswith("application/x-protobuf"):
        request = ExportTraceServiceRequest.FromString(body)
        return sum(len(scope.spans) for whose in request.resource_spans for scope in whose.scope_spans)
    if kind.startswith("multipart/form-data"):
        return body.count(ENDED)
    raise ValueError(f"a body of {kind or 'no kind'}")


class Receiving(asyncio.Protocol):
    """One connection: a request is whole when its body is, and is answered then."""

    def __init__(self, arrived: defaultdict[str, Arrived]) -> None:
        self._left = bytearray()
        self._arrived = arrived

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("no stream")
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._left += data
        while (end := self._left.find(b"\r\n\r\n")) >= 0:
            first, *lines = self._left[:end].decode("latin-1").split("\r\n")
            pairs = (line.partition(":") for line in lines)
            headers = {name.lower(): value.strip() for name, _, value in pairs}
            if "transfer-encoding" in headers:
                raise ValueError("a request in chunks")
            whole = end + 4 + int(headers.get("content-length", "0"))
            if len(self._left) < whole:
                return
            body = bytes(self._left[end + 4 : whole])
            del self._left[:whole]
            method, path, _ = first.split(" ", 2)
            self._transport.write(self._answer(method, path, headers, body))

    def _answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
        if method == "GET":
            said = INFO
            if path == COUNTS:
                counts = {name: asdict(arrived.read()) for name, arrived in self._arrived.items()}
                said = json.dumps(counts).encode()
            return _response("application/json", said)
        self._arrived[path.split("/")[1]].add(headers, body)
        if path.endswith("/v1/traces"):
            # A protobuf without fields: nothing was rejected.
            return _response("application/x-protobuf", b"")
        return _response("application/json", b"{}")


def _response(kind: str, body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n%b" % (
        kind.encode(),
        len(body),
        body,
    )


@dataclass(frozen=True, slots=True)
class Receiver:
    """A receiver that runs, at `url`."""

    url: str

    def counted(self, name: str) -> Arrived:
        """What has come from a contender by now."""
        with urllib.request.urlopen(f"{self.url}{COUNTS}") as response:  # noqa: S310
            counts = json.load(response)
        return Arrived(**counts.get(name, {}))


async def serve() -> None:
    """Take what comes until the input ends."""
    arrived: defaultdict[str, Arrived] = defaultdict(Arrived)
    server = await asyncio.get_running_loop().create_server(lambda: Receiving(arrived), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


@contextmanager
def receiving() -> Generator[Receiver]:
    """A receiver in another process meanwhile."""
    with subprocess.Popen(
        [Path(sys.executable), "-m", "benchmarks.trace_receiver"],
        cwd=PROJECT,
        env=clean_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as child:
        if child.stdin is None or child.stdout is None:
            raise SystemExit("the receiver of traces has no pipes")
        port = child.stdout.readline().strip()
        if not port:
            raise SystemExit("the receiver of traces did not start; what it said stands above")
        yield Receiver(f"http://127.0.0.1:{port}")
        child.stdin.close()


if __name__ == "__main__":
    asyncio.run(serve())
