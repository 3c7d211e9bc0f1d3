"""Signatures of webhooks: how a request is signed, and how whoever receives one knows that it is real.

    import surefoot.webhooks

    event_id = surefoot.webhooks.verify(secret, request.headers, request.body)

Needs nothing but the standard library.
"""

from __future__ import annotations

import hmac
import re
import time
from collections.abc import Mapping, Sequence
from hashlib import sha256

from surefoot.errors import SignatureRefused

ID, TIMESTAMP, SIGNATURE = "surefoot-id", "surefoot-timestamp", "surefoot-signature"
"""The headers of a request: which event it tells of, when it was sent (seconds since 1970), and what proves both."""

SCHEME = "v1"
# No dot: what is signed has one reading.
_ID = re.compile(r"[A-Za-z0-9_-]{1,200}")
_MOST_SIGNATURES = 10


def sign(secret: str, event_id: str, timestamp: int, body: bytes) -> str:
    """What the header `Surefoot-Signature` says: HMAC-SHA256 over `ID.TIMESTAMP.BODY`, in hex."""
    signed = b".".join((event_id.encode(), str(timestamp).encode(), body))
    return f"{SCHEME}={hmac.new(secret.encode(), signed, sha256).hexdigest()}"


def verify(
    secret: str | Sequence[str],
    headers: Mapping[str, str],
    body: bytes,
    tolerance: float = 300.0,
    *,
    now: float | None = None,
) -> str:
    """The id of the event that a request tells of, once it is known that it is real and new.

    secret: what the sender signs with; several while it is being changed.
    headers: those of the request, their names in any spelling.
    body: as it arrived, byte for byte: what was parsed and written anew is another one.
    tolerance: seconds that it may be old, or ahead of this clock.
    now: seconds since 1970, instead of the time.

    An event may come more than once, always under the same id: keep the ids for some days and do nothing for one that
    is there. Raises `SignatureRefused` for what was not signed with the secret, or too long ago.
    """
    secrets = (secret,) if isinstance(secret, str) else tuple(secret)
    if not secrets or not all(secrets):
        raise SignatureRefused(
            "there is no secret to verify the webhook with: give the one that it is signed with"
        )
    named = {name.lower(): value for name, value in headers.items()}
    event_id, sent = named.get(ID, ""), named.get(TIMESTAMP, "")
    if _ID.fullmatch(event_id) is None:
        raise SignatureRefused("the request has no header Surefoot-Id: it is no webhook")
    if not (sent.isascii() and sent.isdigit() and len(sent) <= 12):
        raise SignatureRefused("its header Surefoot-Timestamp is no time: it is no webhook")
    given = [one.strip().encode("utf-8", "replace") for one in named.get(SIGNATURE, "").split(",")]
    known = [sign(one, event_id, int(sent), body).encode() for one in secrets]
    # All are compared, so that how long it takes says nothing of which one fits.
    fits = [hmac.compare_digest(one, other) for one in given[:_MOST_SIGNATURES] for other in known]
    if not any(fits):
        raise SignatureRefused(
            "its signature does not fit: it was not sent by whoever has the secret, or was changed"
        )
    # Behind the signature: before it, nobody knows whose time this is.
    away = (time.time() if now is None else now) - int(sent)
    if abs(away) > tolerance:
        which = f"{away:.0f} s old" if away > 0 else f"{-away:.0f} s ahead of this clock"
        raise SignatureRefused(
            f"it is {which}, more than {tolerance:g} s: somebody may have kept it and sent it again"
        )
    return event_id
