"""Attacks on what a server has little of: who asks for much and takes nothing of it, and who opens connections."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from textwrap import dedent

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from served_here import heard, served_here, status_of
from serving import ALLOWANCE, Server, until

LARGE = 24_000_000
cut: list[str] = []


async def endless() -> AsyncIterator[bytes]:
    try:
        while True:
            yield b"x" * 65_536
            await asyncio.sleep(0)
    finally:
        cut.append("stream")


async def whole(request: Request) -> Response:
    return Response(b"x" * LARGE)


async def streamed(request: Request) -> Response:
    return StreamingResponse(endless())


@contextmanager
def serving_at(write_seconds: float) -> Iterator[int]:
    cut.clear()
    routes = [Route("/whole", whole), Route("/streamed", streamed)]
    with served_here(Starlette(routes=routes), write_seconds=write_seconds) as port:
        yield port


def asked(port: int, path: str) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), ALLOWANCE)
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    return connection


def test_web_21_who_takes_nothing_of_a_stream_is_cut_off() -> None:
    with serving_at(0.3) as port, asked(port, "/streamed") as connection:
        until(lambda: cut, what="the stream is closed")
        assert heard(connection).startswith(b"HTTP/1.1 200")


def test_web_21_what_nobody_takes_is_not_kept() -> None:
    with serving_at(0.3) as port, asked(port, "/whole") as connection:
        # Ten times as long as he is waited for; what is in the buffers of the system by then can still be read.
        time.sleep(3)
        assert 0 < len(heard(connection)) < LARGE


def test_web_21_who_takes_his_time_gets_all() -> None:
    with serving_at(3) as port, asked(port, "/whole") as connection:
        size = 0
        for _ in range(25):
            # In all longer than he may take nothing.
            size += len(connection.recv(200_000))
            time.sleep(0.2)
        assert size + len(heard(connection)) > LARGE


FLOWS = """
from surefoot import flow, step, wait_for

@step
def noted(text: str) -> str:
    return text

@flow
def slow(text: str) -> str:
    wait_for("go").result()
    return noted(text)
"""


def test_web_21_connections_leave_files_for_the_ledger(tmp_path: Path) -> None:
    (tmp_path / "flows.py").write_text(dedent(FLOWS))
    server = Server(tmp_path, "flows.py", environ={"SUREFOOT_SERVE_LOOK": "0.1"}, files=300)
    try:
        run = server.client.post("/flows/slow/runs?wait=0", json={"inputs": {"text": "a"}}).json()["id"]
        host, _, port = server.url.removeprefix("http://").rpartition(":")
        with ExitStack() as open_ones:
            refused = 0
            for number in range(400):
                if number % 20 == 0:
                    # One that was open before is served as ever; either side closes it after seconds without a word.
                    assert server.client.get("/healthz").status_code == 200
                connection = open_ones.enter_context(socket.create_connection((host, int(port)), ALLOWANCE))
                connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                connection.settimeout(ALLOWANCE)
                answer = b""
                with suppress(ConnectionError):
                    answer = connection.recv(65_536)
                refused += status_of(answer) != 200
            assert refused > 200
            sent = server.client.post(f"/runs/{run}/events/go", json={})
            assert sent.status_code == 202, sent.text
            until(lambda: server.client.get(f"/runs/{run}").json()["status"] == "completed", what="it ends")
        assert server.stop() == 0
        assert "Too many open files" not in "".join(server.errors), json.dumps(server.errors[-5:])
    finally:
        if server.process.poll() is None:
            server.kill()
