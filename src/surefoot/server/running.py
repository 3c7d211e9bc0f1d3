"""`surefoot serve`: flows and runs over HTTP, until it is told to stop."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from surefoot import scope
from surefoot.errors import WorldError
from surefoot.server.api.application import Api, api_of
from surefoot.server.entry import protocol
from surefoot.server.hooks import Courier

if TYPE_CHECKING:
    from surefoot.app import App
    from surefoot.server.served import Served

log = scope.logger("surefoot.server")

DEFAULT_PORT = 8720
LOOPBACK = ("127.0.0.1", "localhost", "::1")
_BACKLOG = 2048
_MOST_CONNECTIONS = 2_000
_OTHER_FILES = 256
"""Files that the ledger, models and webhooks are left, whoever connects."""
_KEEP_ALIVE_S = 15
_LAST_ANSWERS_S = 3


def serve_flows(
    app: App,
    served: Served,
    *,
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    unix: Path | None = None,
    is_open: bool = False,
    has_gateway: bool = False,
    announce: Callable[[str], object] | None = None,
) -> None:
    """Serve flows until SIGTERM, SIGINT or Ctrl-C; `announce` is called with the address once it is listened on.

    Told to stop, it takes no more runs in, lets those under way end for `[serve] grace` seconds, and hands the others
    over, so that another server goes on with them at once. Told so a second time, it ends now.

    port: 0 for any that is free. unix: a socket file in the place of host and port. is_open: whoever shows no token
        is taken for the owner of this machine's account. has_gateway: models are asked for clients of OpenAI and
        Anthropic too, under `/v1`.

    Raises `WorldError` where it cannot listen there, and `ConfigError` for a webhook without a secret.
    """
    import uvicorn

    api = api_of(app, served, is_open=is_open, has_gateway=has_gateway)
    courier = Courier(app)
    with _listening(host, port, unix) as listening:
        config = uvicorn.Config(
            api.asgi,
            http=protocol(app.config.serve),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=_BACKLOG,
            limit_concurrency=_most_connections(),
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=round(app.config.serve.grace) + _LAST_ANSWERS_S,
            h11_max_incomplete_event_size=2 * app.config.serve.max_header_bytes,
        )
        server = _stopping(config, api)
        api.start()
        courier.start()
        if announce is not None:
            announce(address_of(listening, host, unix))
        try:
            with suppress(KeyboardInterrupt):
                server.run(sockets=[listening])
        finally:
            server.close()
            # Behind it: those that have ended meanwhile are told of, too.
            courier.close()
            if unix is not None:
                unix.unlink(missing_ok=True)


def _most_connections() -> int:
    """How many connections are taken at a time: each is a file, of which the system gives a process so many."""
    if sys.platform == "win32":
        return _MOST_CONNECTIONS
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_CONNECTIONS + 2 * _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY:
        return _MOST_CONNECTIONS
    return max(1, min(_MOST_CONNECTIONS, soft - _OTHER_FILES))


def _stopping(config: Any, api: Api) -> Any:
    """A server of uvicorn that lets runs end while it stops."""
    import uvicorn

    class Stopping(uvicorn.Server):
        closing: threading.Thread | None = None

        def handle_exit(self, sig: int, frame: Any) -> None:  # noqa: ARG002
            if self.closing is not None:
                # Told twice: whoever waits for a run is left, and its record stays for another server.
                self.force_exit = True
                api.executor.hurry()
            else:
                # What is under way ends while answers are still waited for: whoever asked gets his.
                self.closing = threading.Thread(target=api.close, name="surefoot-closing", daemon=True)
                self.closing.start()
            # Not that of uvicorn, which ends the process by the same signal before all is handed over.
            self.should_exit = True

        def close(self) -> None:
            if self.closing is None:
                api.close()
            else:
                self.closing.join()

    return Stopping(config)


def address_of(listening: socket.socket, host: str, unix: Path | None) -> str:
    """Where a server can be reached."""
    if unix is not None:
        return f"unix:{unix}"
    return f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}"


def _listening(host: str, port: int, unix: Path | None) -> socket.socket:
    if unix is not None:
        return _listening_at(unix)
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
    except OSError as error:
        raise WorldError(f"{host!r} is no address of this machine: {error.strerror or error}") from error
    try:
        if sys.platform != "win32":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise WorldError(
            f"port {port} of {host} cannot be listened on: {error.strerror}; name another with --port"
        ) from error
    return listening


def _listening_at(unix: Path) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # What a former server has left is taken away; a file of another kind is not.
        if unix.is_socket():
            unix.unlink()
        listening.bind(str(unix))
        unix.chmod(0o660)
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise WorldError(f"{unix} cannot be listened on: {error.strerror}") from error
    return listening
