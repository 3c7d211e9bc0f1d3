"""API tokens: 256 random bits behind a prefix that tells what they are, kept as their SHA-256 alone."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from hashlib import sha256
from zlib import crc32

from surefoot.access.permissions import Permission

PREFIX = "sft_"
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RANDOM, _CHECK = 43, 6
_FORM = re.compile(rf"{PREFIX}([0-9A-Za-z]{{{_RANDOM}}})([0-9A-Za-z]{{{_CHECK}}})")


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A token as it is recorded. The token itself is shown once, when it is made, and kept nowhere.

    digest: SHA-256 of the token, by which it is found, so that no comparison tells anything by its time.
    scopes: the permissions that it is bounded to; empty for all that its owner has.
    expires_ns: when it ends (nanoseconds since 1970); None for never.
    """

    digest: bytes
    shown: str
    who: str
    name: str
    created_ns: int
    scopes: frozenset[Permission] = frozenset()
    expires_ns: int | None = None
    revoked_ns: int | None = None

    def is_good(self, now_ns: int) -> bool:
        """Whether it is neither revoked nor expired."""
        return self.revoked_ns is None and (self.expires_ns is None or now_ns < self.expires_ns)

    def bounds(self, permission: Permission) -> bool:
        """Whether it is of no use for this."""
        return bool(self.scopes) and permission not in self.scopes


def new_token() -> str:
    """A token that nobody has. 43 digits of base 62 hold 256 bits, and six more the checksum of these."""
    random = _in_digits(secrets.randbits(256), _RANDOM)
    return f"{PREFIX}{random}{_checksum(random)}"


def is_token(text: str) -> bool:
    """Whether a text has the form of a token and its checksum is right: any other need not be looked for."""
    found = _FORM.fullmatch(text)
    return found is not None and _checksum(found[1]) == found[2]


def token_digest(token: str) -> bytes:
    """What a token is kept and found by."""
    return sha256(token.encode()).digest()


def shown(token: str) -> str:
    """The beginning of a token, by which people tell theirs apart."""
    return token[: len(PREFIX) + 6]


def _checksum(random: str) -> str:
    return _in_digits(crc32(random.encode()), _CHECK)


def _in_digits(number: int, width: int) -> str:
    digits: list[str] = []
    for _ in range(width):
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
