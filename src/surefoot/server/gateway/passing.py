"""What of a provider's whole answer the client is given."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from surefoot.app import App
from surefoot.errors import CredentialRefused, MalformedResponse, QuotaExceeded, SurefootError
from surefoot.models import Forwarded
from surefoot.server.gateway.relay import Head

_PASSED = ("content-type", "retry-after", "retry-after-ms")
"""Headers that a client reads. What a provider says of the account, its limits and its cookies is not his."""


def handed_on(answer: Forwarded, content: bytes, problem: SurefootError | None) -> tuple[Head, bytes] | None:
    """The answer, or the refusal in the provider's own words; None where the client is told in ours.

    So it is where the provider refuses the key of the connection, which is not the client's, and where it answers with
    something that is none of the interface's forms. A refusal is shown as people may read it.
    """
    if problem is None:
        return Head(answer.status, _passed(answer.headers), is_stream=False), content
    # Key and credit are not the client's; a redirect is not followed for him.
    is_own = isinstance(problem, CredentialRefused | QuotaExceeded | MalformedResponse)
    if is_own or answer.status // 100 not in (4, 5) or not _is_error(content):
        return None
    text = App.current().ledger.payloads.readable(content.decode("utf-8", "replace"))
    headers = {**_passed(answer.headers), "content-type": "application/json"}
    # It was tried again already, as often as it may be.
    if answer.status not in (409, 429):
        headers["x-should-retry"] = "false"
    return Head(answer.status, headers, is_stream=False), text.encode()


def _passed(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: headers[name] for name in _PASSED if name in headers}


def _is_error(content: bytes) -> bool:
    try:
        value: object = orjson.loads(content)
    except orjson.JSONDecodeError:
        return False
    return isinstance(value, dict) and "error" in value
