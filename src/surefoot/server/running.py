"""`surefoot serve`: flows and runs over HTTP, until it is told to stop."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from surefoot import scope
from surefoot.server.api.application import Api, api_of
from surefoot.server.entry import protocol
from surefoot.server.hooks import Courier
from surefoot.server.listening import BACKLOG, address_of, listening_at

if TYPE_CHECKING:
    from surefoot.app import App
    from surefoot.server.crew import Member
    from surefoot.server.served import Served

log = scope.logger("surefoot.server")

DEFAULT_PORT = 8720
LOOPBACK = ("127.0.0.1", "localhost", "::1")
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
    has_ui: bool = False,
    announce: Callable[[str], object] | None = None,
    member: Member | None = None,
) -> None:
    """Serve flows until SIGTERM, SIGINT or Ctrl-C; `announce` is called with the address once it is listened on.

    Told to stop, it takes no more runs in, lets those under way end for `[serve] grace` seconds, and hands the others
    over, so that another server goes on with them at once. Told so a second time, it ends now.

    port: 0 for any that is free. unix: a socket file in the place of host and port. is_open: whoever shows no token
        is taken for the owner of this machine's account. has_gateway: models are asked for clients of OpenAI and
        Anthropic too, under `/v1`. has_ui: there are pages behind a login, under `/ui`.
    member: which process of a server of several this is; it has its socket already.

    Raises `WorldError` where it cannot listen there, and `ConfigError` for a webhook without a secret.
    """
    import uvicorn

    api = api_of(app, served, is_open=is_open, has_gateway=has_gateway, has_ui=has_ui, member=member)
    courier = Courier(app)
    with listening_at(host, port, unix) if member is None else member.socket() as listening:
        config = uvicorn.Config(
            api.asgi,
            http=protocol(app.config.serve),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=BACKLOG,
            limit_concurrency=max(1, _most_connections() // (1 if member is None else member.count)),
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=round(app.config.serve.grace) + _LAST_ANSWERS_S,
            h11_max_incomplete_event_size=2 * app.config.serve.max_header_bytes,
        )
        server = _stopping(config, api)
        api.start()
        courier.start()
        app.export()
        if announce is not None:
            announce(address_of(listening, host, unix))
        try:
            with suppress(KeyboardInterrupt):
                server.run(sockets=[listening])
        finally:
            server.close()
            # Behind it: those that have ended meanwhile are told of, too.
            courier.close()
            if unix is not None and member is None:
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
