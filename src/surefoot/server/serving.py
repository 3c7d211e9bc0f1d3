"""`surefoot ui`: the pages on a port of this machine."""

from __future__ import annotations

import errno
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable
from contextlib import suppress

from surefoot.app import App
from surefoot.errors import UsageError, WorldError
from surefoot.server.gate import loopback_hosts
from surefoot.server.web import web

DEFAULT_PORT = 8710
_TRIED = 20
_LOOPBACK = {"127.0.0.1": socket.AF_INET, "localhost": socket.AF_INET, "::1": socket.AF_INET6}
_MOST_CONNECTIONS = 128
_GRACE_S = 2


def serve(
    app: App,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    open_browser: bool = False,
    is_read_only: bool = False,
    announce: Callable[[str], object] | None = None,
) -> None:
    """Serve the pages of an app until Ctrl-C. `announce` is called with the address once it is listened on.
    `is_read_only`: datasets can be looked at and not reviewed.

    Without a port, the first free one from `DEFAULT_PORT` on is taken. Raises `UsageError` for a host that other
    machines could reach, as these pages ask nobody who they are, and `WorldError` for a port that is taken.
    """
    import uvicorn

    with bound(host, port) as listening:
        taken = listening.getsockname()[1]
        url = f"http://{f'[{host}]' if ':' in host else host}:{taken}/"
        if announce is not None:
            announce(url)
        if open_browser:
            # Some browsers are programs in this terminal; they must not keep the server from answering.
            threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
        config = uvicorn.Config(
            web(app, hosts=loopback_hosts(taken), is_read_only=is_read_only),
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=_MOST_CONNECTIONS,
            timeout_graceful_shutdown=_GRACE_S,
        )
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listening])


def bound(host: str, port: int | None) -> socket.socket:
    """A socket that listens on a loopback address: on this port, else on the first free one from the default on."""
    if host not in _LOOPBACK:
        raise UsageError(
            f"the pages are served on this machine only, and {host!r} is not one of {', '.join(_LOOPBACK)}: "
            "to look from another machine, tunnel with `ssh -L`"
        )
    if port is not None:
        return _listening(host, port)
    for candidate in range(DEFAULT_PORT, DEFAULT_PORT + _TRIED):
        with suppress(_Taken):
            return _listening(host, candidate)
    raise WorldError(
        f"the ports {DEFAULT_PORT} to {DEFAULT_PORT + _TRIED - 1} of {host} are all taken: name another with --port"
    )


class _Taken(WorldError):
    """Somebody else listens there."""


def _listening(host: str, port: int) -> socket.socket:
    listening = socket.socket(_LOOPBACK[host], socket.SOCK_STREAM)
    try:
        if sys.platform != "win32":
            # Lets a restart have its port back at once; two listeners on one port are refused all the same,
            # except on Windows, where this option lets them share it.
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1" if host == "localhost" else host, port))
        listening.listen()
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise _Taken(f"port {port} of {host} is taken: name another with --port") from error
        raise WorldError(
            f"port {port} of {host} cannot be listened on: {error.strerror}; try another with --port"
        ) from error
    return listening
