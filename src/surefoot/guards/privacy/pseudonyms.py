"""Names in the place of personal data: the same for the same value, and of no use without the key."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable

from surefoot.guards.privacy.personal import NORMAL

LETTERS = 10
"""Signs of a pseudonym, 5 bits each. Of a million values some two share one with a chance of 1 in 2,200, of ten
thousand with one of 1 in 22 million (n² / 2^51)."""


class Pseudonyms:
    """Names values by HMAC-SHA-256 under a key, which is asked for at the first of them."""

    def __init__(self, key: Callable[[], bytes]) -> None:
        self._derive = key
        self._key: bytes | None = None

    def __call__(self, kind: str, value: str) -> str:
        """`<EMAIL:k3x7q2m9ab>`; two spellings of one value have one name."""
        if self._key is None:
            self._key = self._derive()
        normal = NORMAL.get(kind, str.strip)(value)
        mac = hmac.digest(self._key, f"{kind}\0{normal}".encode("utf-8", "surrogatepass"), "sha256")
        # Five bytes are eight letters: no more are encoded than are written.
        return f"<{kind.upper()}:{base64.b32encode(mac[:10]).decode()[:LETTERS].lower()}>"


def unnamed(kind: str, value: str) -> str:  # noqa: ARG001  (its place is that of one with names)
    """`<EMAIL>`, where there is no key."""
    return f"<{kind.upper()}>"
