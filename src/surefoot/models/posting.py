"""One HTTP request with the standard library, for what is sent out beside model calls."""

from __future__ import annotations

import http.client
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

_READ_BYTES = 65_536
_CREATE = "_create_connection"
"""Where a connection of the standard library has what makes its socket."""
_WHOLE = 4.0
"""How many times `timeout` a request may take as a whole."""


@dataclass(frozen=True, slots=True)
class Posted:
    """What was answered: names of headers in small letters, and the body, of which the first 64 KiB by default."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def post(url: str, body: bytes, *, headers: Mapping[str, str], timeout: float) -> Posted:
    """Post `body` to an http(s) URL and return the answer. See `request`."""
    return request("POST", url, body, headers=headers, timeout=timeout)


def request(
    method: str,
    url: str,
    body: bytes | None = None,
    *,
    headers: Mapping[str, str],
    timeout: float,
    most: int = _READ_BYTES,
) -> Posted:
    """Send a request to an http(s) URL and return the answer, whatever its status, with `most` bytes of its body.

    Redirects are not followed, as they would turn a POST into a GET; proxies come from the environment. `timeout` is
    in seconds, for each read; all of it may take four times as long. Raises `OSError` (`ConnectionError`,
    `TimeoutError`, ...) where no answer came, or only a part of it.
    """
    ending = _Ending()
    opener = urllib.request.OpenerDirector()
    # The usual handlers without those that follow redirects and turn statuses into exceptions.
    for handler in (
        urllib.request.ProxyHandler(),
        _Http(ending),
        _Https(ending),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    asked = urllib.request.Request(url, data=body, headers=dict(headers), method=method)  # noqa: S310
    # The timeout of a socket is for each read: a server that sends a byte now and then would never come to an end.
    timer = threading.Timer(timeout * _WHOLE, ending.cut)
    timer.daemon = True
    timer.start()
    try:
        with opener.open(asked, timeout=timeout) as response:
            named = {name.lower(): value for name, value in response.headers.items()}
            read = response.read(most)
            if len(read) < most and response.length:
                # What was read so far may look like all of it.
                raise ConnectionError(f"the answer broke off after {len(read):,} bytes")
        if ending.is_cut:
            raise TimeoutError("it took too long")
        return Posted(response.status, named, read)
    except (OSError, http.client.HTTPException) as error:
        if ending.is_cut:
            raise TimeoutError("it took too long") from error
        if isinstance(error, urllib.error.URLError):
            reason = error.reason
            raise (reason if isinstance(reason, OSError) else ConnectionError(str(reason))) from error
        if isinstance(error, http.client.HTTPException):
            raise ConnectionError(f"no HTTP answer: {error!r}") from error
        raise
    finally:
        timer.cancel()


class _Ending:
    """Ends a request from another thread, however far it is."""

    def __init__(self) -> None:
        self.is_cut = False
        self._socket: socket.socket | None = None

    def follow(self, connection: http.client.HTTPConnection) -> None:
        """Know each socket of a connection from when it is made: to a proxy is talked before the connection stands."""
        create = cast("Callable[..., socket.socket]", getattr(connection, _CREATE))

        def noted(*args: object, **options: object) -> socket.socket:
            made = create(*args, **options)
            self.connected(made)
            return made

        setattr(connection, _CREATE, noted)

    def connected(self, made: socket.socket) -> None:
        # Kept here: while the body is read, the connection knows its socket no more.
        self._socket = made
        if self.is_cut:
            self.cut()

    def cut(self) -> None:
        self.is_cut = True
        if self._socket is not None:
            with suppress(OSError):
                # That of a plain socket: what is under way in the thread that reads must find its session whole.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class _Http(urllib.request.HTTPHandler):
    def __init__(self, ending: _Ending) -> None:
        super().__init__()
        self._ending = ending

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        ending = self._ending

        class Connection(http.client.HTTPConnection):
            def connect(self) -> None:
                ending.follow(self)
                super().connect()

        return self.do_open(Connection, req)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, ending: _Ending) -> None:
        super().__init__()
        self._ending = ending

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        ending = self._ending

        class Connection(http.client.HTTPSConnection):
            def connect(self) -> None:
                ending.follow(self)
                super().connect()
                # That of TLS stands in the place of the plain one.
                ending.connected(self.sock)

        return self.do_open(Connection, req)
