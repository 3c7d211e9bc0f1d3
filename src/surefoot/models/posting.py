"""One HTTP POST of bytes with the standard library, for what is sent out beside model calls."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass

_READ_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Posted:
    """What was answered: names of headers in small letters, and the first 64 KiB of the body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def post(url: str, body: bytes, *, headers: Mapping[str, str], timeout: float) -> Posted:
    """Post `body` to an http(s) URL and return the answer, whatever its status.

    Redirects are not followed, as they would turn the POST into a GET; proxies come from the environment. `timeout` is
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
    request = urllib.request.Request(url, data=body, headers=dict(headers), method="POST")  # noqa: S310
    try:
        with opener.open(request, timeout=timeout) as response:
            named = {name.lower(): value for name, value in response.headers.items()}
            return Posted(response.status, named, response.read(_READ_BYTES))
    except urllib.error.URLError as error:
        raise (
            error.reason if isinstance(error.reason, OSError) else ConnectionError(str(error.reason))
        ) from error
    except http.client.HTTPException as error:
        raise ConnectionError(f"no HTTP answer: {error!r}") from error
