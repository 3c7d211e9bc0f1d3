"""HTTP requests to addresses from somebody else: each is looked at first, and the connection goes where it was seen."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from urllib.parse import urljoin

from surefoot.addresses import Egress, Lookup, Pinned, lookup, resolve
from surefoot.errors import AddressRefused
from surefoot.models.posting import Posted

_READ_BYTES = 65_536
_MOST_REDIRECTS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CREDENTIALS = frozenset({"authorization", "cookie", "proxy-authorization", "x-api-key", "api-key"})


# Those that the connection itself says.
_OWN = frozenset({"host", "content-length", "transfer-encoding", "connection", "accept-encoding"})


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: its method, headers, body, and how much of the answer is read."""

    method: str
    headers: Mapping[str, str]
    body: bytes | None
    most: int


def fetch(
    url: str,
    *,
    rules: Egress,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    timeout: float = 10.0,
    most: int = _READ_BYTES,
    redirects: int = _MOST_REDIRECTS,
    lookup: Lookup = lookup,
    require: Callable[[str], object] = lambda _: None,
) -> Posted:
    """Send a request to a URL that somebody else has chosen and return the answer, with `most` bytes of its body.

    The host is resolved once and the connection made to the address that was looked at, past the proxy of the
    environment, which would look it up anew. Redirects are followed up to `redirects` times, each of them looked at as
    the first one was; to another host no credential goes along, and no body to where it was not meant for. `timeout` is
    in seconds, for all of it. `require` is asked for each host before it is looked up, and raises where it may
    not be asked. Raises `AddressRefused`, and `OSError` where no answer came.
    """
    kept = {name: value for name, value in (headers or {}).items() if name.lower() not in _OWN}
    asked = Asked(method, kept, body, most)
    until = time.monotonic() + timeout
    pinned = _resolved(url, rules, lookup, require)
    for left in range(redirects, -1, -1):
        answer = _once(pinned, asked, until)
        where = answer.headers.get("location")
        if answer.status not in _REDIRECTS or where is None or not redirects:
            return answer
        if not left:
            raise AddressRefused(
                f"{pinned.host} redirects more than {redirects} times: give the last address"
            )
        asked = _redirected(asked, answer.status)
        followed = _resolved(urljoin(pinned.url, where), rules, lookup, require)
        if (followed.scheme, followed.host, followed.port) != (pinned.scheme, pinned.host, pinned.port):
            if asked.body is not None:
                raise AddressRefused(
                    f"{pinned.host} redirects what is sent to it to {followed.host}: give that address if it is right"
                )
            if pinned.scheme == "https" and followed.scheme == "http":
                raise AddressRefused(f"{pinned.host} redirects from https: to http:, which is not followed")
            kept = {name: value for name, value in asked.headers.items() if name.lower() not in _CREDENTIALS}
            asked = replace(asked, headers=kept)
        pinned = followed
    raise AssertionError


def _resolved(url: str, rules: Egress, lookup: Lookup, require: Callable[[str], object]) -> Pinned:
    def allowed(host: str, port: int) -> Iterable[str]:
        require(host)
        return lookup(host, port)

    pinned = resolve(url, rules, lookup=allowed)
    if pinned.ips == (pinned.host,):
        # Written as an address, it was not looked up.
        require(pinned.host)
    return pinned


def _redirected(asked: Asked, status: int) -> Asked:
    """The request behind a redirect, as browsers change it."""
    if status == 303 or (status in (301, 302) and asked.method == "POST"):
        return replace(asked, method="HEAD" if asked.method == "HEAD" else "GET", body=None)
    return asked


def _once(pinned: Pinned, asked: Asked, until: float) -> Posted:
    connection = _Connection(pinned, until)
    # The timeout of a socket is for each read: a server that sends a byte now and then would never come to an end.
    ending = threading.Timer(max(0.0, until - time.monotonic()), connection.cut)
    ending.daemon = True
    ending.start()
    try:
        headers = {"Host": pinned.authority, "Accept-Encoding": "identity", **asked.headers}
        connection.request(asked.method, pinned.target, asked.body, headers)
        with connection.getresponse() as response:
            named = {name.lower(): value for name, value in response.headers.items()}
            answer = Posted(response.status, named, response.read(asked.most))
        if connection.is_cut:
            raise TimeoutError("it took too long")
        return answer
    except http.client.HTTPException as error:
        if connection.is_cut:
            raise TimeoutError("it took too long") from None
        raise ConnectionError(f"no HTTP answer: {type(error).__name__}") from None
    except (OSError, ValueError) as error:
        if connection.is_cut:
            raise TimeoutError("it took too long") from None
        if isinstance(error, OSError):
            raise
        raise ConnectionError(f"the request cannot be sent: {type(error).__name__}") from None
    finally:
        ending.cancel()
        connection.close()


class _Connection(http.client.HTTPConnection):
    """A connection to one of the addresses that were looked at; `Host`, SNI and certificate are of the name."""

    def __init__(self, pinned: Pinned, until: float) -> None:
        super().__init__(pinned.host, pinned.port)
        self._pinned = pinned
        self._until = until
        self.is_cut = False

    def connect(self) -> None:
        failed: OSError = OSError("there is no address")
        for ip in self._pinned.ips:
            left = self._until - time.monotonic()
            if left <= 0:
                raise TimeoutError("it took too long")
            try:
                plain = socket.create_connection((ip, self._pinned.port), timeout=left)
            except OSError as error:
                failed = error
                continue
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.sock = plain
            if self._pinned.scheme == "https":
                secured = ssl.create_default_context().wrap_socket(
                    plain, server_hostname=self._pinned.host, do_handshake_on_connect=False
                )
                # Before the handshake, which would last as long as the other side likes.
                self.sock = secured
                secured.do_handshake()
            return
        raise failed

    def cut(self) -> None:
        """End it from another thread."""
        self.is_cut = True
        if (connected := self.sock) is not None:
            with suppress(OSError):
                # That of a plain socket: what is under way in the thread that reads must find its session whole.
                socket.socket.shutdown(connected, socket.SHUT_RDWR)
