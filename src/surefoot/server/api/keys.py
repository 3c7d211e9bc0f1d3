"""Run keys of requests: what may be one, and who may be given the run that has it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from surefoot.access import permission
from surefoot.server.api.problems import Problem
from surefoot.server.entry import guard

if TYPE_CHECKING:
    from starlette.requests import Request

    from surefoot.server.api.asked import Asked
    from surefoot.server.api.reading import Fields

_UNPRINTED = r"\x00-\x1f\x7f-\xa0\xad\u1680\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff"
PRINTED = f"^ *[^{_UNPRINTED} ][^{_UNPRINTED}]*$"
"""A key, as a pattern of JSON Schema: what is neither a control character nor unseen, and not spaces alone."""
PRINTED_IN_HEADER = r"^ *[\x21-\x7e][\x20-\x7e]*$"
_HEADER = "idempotency-key"
_LONGEST, _LONGEST_OF_BATCH = 255, 240
_STOPPED = ("failed", "in_doubt")


def of_request(request: Request, fields: Fields) -> str | None:
    """The run key of a request: of the header `Idempotency-Key`, or of the body. Raises `Problem` 400."""
    header, own = _of_header(request, most=_LONGEST), of_fields(fields)
    if header is not None and own is not None and header != own:
        raise Problem(400, "the header Idempotency-Key and key in the body differ: send one of them")
    return own if header is None else header


def of_batch(request: Request) -> str | None:
    """What the keys of a batch begin with; their numbers stand behind it. Raises `Problem` 400."""
    return _of_header(request, most=_LONGEST_OF_BATCH)


def of_fields(fields: Fields) -> str | None:
    """The run key of a body. Raises `Problem` 400."""
    return _checked(fields.text("key", most=_LONGEST), most=_LONGEST)


def require(asked: Asked, principal: str, status: str) -> None:
    """Raise `AccessDenied` unless whoever asks may be given a run that somebody has begun under the same key.

    It may be his own. One of somebody else he has to be allowed to read, and to resume where it has stopped.
    """
    if principal == asked.principal.who:
        return
    run = replace(asked.resource, kind="run")
    guard.allowed(asked.request, permission("run:read"), run)
    if status in _STOPPED:
        guard.allowed(asked.request, permission("run:resume"), run)


def _of_header(request: Request, *, most: int) -> str | None:
    given = request.headers.get(_HEADER)
    if given is not None and not given.isascii():
        # Servers and clients read other letters differently there, and one key would become two.
        raise Problem(
            400, "the header Idempotency-Key has letters beyond ASCII: send them as key in the body"
        )
    return _checked(given, most=most)


def _checked(key: str | None, *, most: int) -> str | None:
    if key is not None and (len(key) > most or not re.fullmatch(PRINTED, key)):
        raise Problem(400, f"a key is a text of 1 to {most} characters that can be printed")
    return key
