"""One HTTP request with the standard library, for what is sent out beside model calls."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass

_READ_BYTES = 65_536


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
    in seconds, for each read. Raises `OSError` (`ConnectionError`, `TimeoutError`, ...) where no answer came.
    """
    opener = urllib.request.OpenerDirector()
    # The usual handlers without those that follow redirects and turn statuses into exceptions.
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    asked = urllib.request.Request(url, data=body, headers=dict(headers), method=method)  # noqa: S310
    try:
        with opener.open(asked, timeout=timeout) as response:
            named = {name.lower(): value for name, value in response.headers.items()}
            read = response.read(most)
            if len(read) < most and response.length:
                # What was read so far may look like all of it.
                raise ConnectionError(f"the answer broke off after {len(read):,} bytes")
            return Posted(response.status, named, read)
    except urllib.error.URLError as error:
        raise (
            error.reason if isinstance(error.reason, OSError) else ConnectionError(str(error.reason))
        ) from error
    except http.client.HTTPException as error:
        raise ConnectionError(f"no HTTP answer: {error!r}") from error
