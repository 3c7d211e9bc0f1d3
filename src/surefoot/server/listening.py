"""The sockets at which a server listens."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

from surefoot.errors import WorldError

BACKLOG = 2048
"""So many connections wait until somebody takes them."""


def address_of(listening: socket.socket, host: str, unix: Path | None) -> str:
    """Where a server can be reached."""
    if unix is not None:
        return f"unix:{unix}"
    return f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}"


def listening_at(host: str, port: int, unix: Path | None) -> socket.socket:
    """A socket that listens there. Raises `WorldError` where that cannot be."""
    if unix is not None:
        return _at_file(unix)
    listening = _bound(host, port)
    listening.listen(BACKLOG)
    return listening


def listening_of_several(host: str, port: int, unix: Path | None, count: int) -> list[socket.socket]:
    """The sockets of `count` processes. Raises `WorldError` where that cannot be.

    On Linux each has one of its own, and the kernel spreads connections over them: of one that all share, whoever wakes
    first takes all that wait. Elsewhere, and at a socket file, they share one.
    """
    if unix is not None or not sys.platform.startswith("linux"):
        return [listening_at(host, port, unix)] * count
    # First as if it were alone: a port that is shared lets other servers share it too, unnoticed.
    alone = _bound(host, port)
    address = alone.getsockname()
    alone.close()
    made: list[socket.socket] = []
    for _ in range(count):
        made.append(_bound(host, address[1], is_shared=True))
        made[-1].listen(BACKLOG)
    return made


def _bound(host: str, port: int, *, is_shared: bool = False) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise WorldError(f"{host!r} is no address of this machine: {error.strerror or error}") from error
    try:
        if sys.platform != "win32":
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if is_shared:
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise WorldError(
            f"port {port} of {host} cannot be listened on: {error.strerror}; name another with --port"
        ) from error
    return bound


def _at_file(unix: Path) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # What a former server has left is taken away; a file of another kind is not.
        if unix.is_socket():
            unix.unlink()
        listening.bind(str(unix))
        unix.chmod(0o660)
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise WorldError(f"{unix} cannot be listened on: {error.strerror}") from error
    return listening
