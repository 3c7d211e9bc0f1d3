"""An ASGI application on a port of this machine, in a thread, behind the protocol that `surefoot serve` speaks."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from surefoot.config.entry import EntrySettings
from surefoot.server.entry import protocol

SECONDS = 30


@contextmanager
def served_here(asgi: ASGIApp, **settings: float) -> Iterator[int]:
    """The port, for as long as it is served."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        config = uvicorn.Config(
            asgi,
            http=protocol(EntrySettings(**settings)),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        end_at = time.monotonic() + SECONDS
        while not server.started:
            assert time.monotonic() < end_at
            time.sleep(0.005)
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = server.force_exit = True
            thread.join(SECONDS)


def said_to(port: int, *parts: bytes, pause: float = 0.0) -> bytes:
    """What the server answers to these bytes, until it closes the connection or falls silent."""
    with socket.create_connection(("127.0.0.1", port), SECONDS) as connection:
        for part in parts:
            try:
                connection.sendall(part)
            except OSError:
                break
            time.sleep(pause)
        return heard(connection)


def heard(connection: socket.socket) -> bytes:
    """What comes until the other end closes."""
    answer = b""
    try:
        while part := connection.recv(65_536):
            answer += part
    except ConnectionError:
        pass
    return answer


def status_of(answer: bytes) -> int:
    """The status of the first answer; 0 where there is none."""
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0
