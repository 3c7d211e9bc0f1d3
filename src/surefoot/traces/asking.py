"""One question to a server of others: asked again where that helps, else with an error in words."""

from __future__ import annotations

import errno
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus

from surefoot.errors import ExportError
from surefoot.models.chain.retries import Retries, next_delay, retry_after
from surefoot.models.posting import Posted, request

WORTH_RETRYING = frozenset({429, 502, 503, 504})
"""Those that OTLP names; any other failure would be the same in a moment."""
NOT_TAKEN = frozenset({400, 413, 422})
"""Answers that are about what was sent, and would be the same the next time."""
_SHOWN, _MOST_SAID = 300, 65_536
_MOST_BYTES = 64 * 1024 * 1024


def ask(
    method: str,
    url: str,
    body: bytes | None,
    *,
    headers: Mapping[str, str],
    timeout: float,
    patience: Retries,
    refused: Callable[[Posted], ExportError],
    unreachable: Callable[[OSError | None], ExportError],
) -> Posted:
    """The answer of a server that did what it was asked.

    timeout: seconds for each attempt.
    refused, unreachable: what is raised for an answer that is no success, and where none came.
    """
    began, failures = time.monotonic(), 0
    while True:
        answer: Posted | None = None
        error: OSError | None = None
        try:
            answer = request(method, url, body, headers=headers, timeout=timeout, most=_MOST_BYTES)
        except OSError as raised:
            if is_hopeless(raised):
                raise unreachable(raised) from raised
            error = raised
        if answer is not None and answer.status not in WORTH_RETRYING:
            if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
                return answer
            raise refused(answer)
        failures += 1
        asked = None if answer is None else asked_to_wait(answer)
        delay = next_delay(patience, failures, asked, elapsed=time.monotonic() - began)
        if delay is None:
            if answer is not None:
                raise refused(answer)
            raise unreachable(error) from error
        time.sleep(delay)


def asked_to_wait(answer: Posted) -> float | None:
    """For how many seconds an answer asks to wait."""
    return retry_after(answer.headers, time.time())


def why_unreachable(error: OSError | None, timeout: float) -> str:
    """What keeps an answer away, and what to do next."""
    match error:
        case ConnectionRefusedError():
            return "nothing listens there: start the server, or correct the address"
        case socket.gaierror():
            return "its host is not known: correct the address"
        case ssl.SSLCertVerificationError():
            return f"its certificate is not trusted ({error.verify_message}): name its authority in SSL_CERT_FILE"
        case ssl.SSLError():
            return f"no TLS connection ({error.reason or error}): is it http:// rather than https://?"
        case TimeoutError():
            return f"no answer within {timeout:g} s: see if it is overloaded, then send again"
        case _:
            return f"the connection failed ({error}): see if it is running, then send again"


def is_hopeless(error: OSError) -> bool:
    """Whether another attempt in a moment would end the same."""
    return isinstance(error, ConnectionRefusedError | socket.gaierror | ssl.SSLError) or error.errno in (
        errno.ENETUNREACH,
        errno.EHOSTUNREACH,
    )


def printable(text: str) -> str:
    """What others say, as one line that a terminal and a log can show; not all of it where it is long."""
    text = "".join(character if character.isprintable() else " " for character in text[:_MOST_SAID])
    text = " ".join(text.replace("\N{REPLACEMENT CHARACTER}", " ").split())
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
