"""Signed heads of the audit, kept in another place: by them it shows where its newest rows were cut off.

The audit is a chain, so a row that was changed or taken out of the middle breaks it. Whoever takes away the last rows
leaves a shorter chain that holds. A head says how long it was once; the signature, that nobody who lacks the
application's key has made that up.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import orjson

from surefoot.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Head:
    """The row `seq` of the audit of a ledger was once its last one, and had this hash."""

    ledger: str
    seq: int
    hash: bytes
    at_ns: int
    signature: bytes = b""

    def signed(self, key: bytes) -> Head:
        """This head with its HMAC-SHA-256 under a key."""
        return Head(self.ledger, self.seq, self.hash, self.at_ns, hmac.digest(key, self._said(), "sha256"))

    def is_signed_with(self, key: bytes) -> bool:
        """Whether nobody without the key has written it."""
        return hmac.compare_digest(self.signature, hmac.digest(key, self._said(), "sha256"))

    def line(self) -> str:
        """As it is written: one line of JSON."""
        said = {
            "surefoot": "audit head",
            "ledger": self.ledger,
            "seq": self.seq,
            "hash": self.hash.hex(),
            "at_ns": self.at_ns,
            "signature": self.signature.hex(),
        }
        return orjson.dumps(said).decode()

    def _said(self) -> bytes:
        return orjson.dumps(["surefoot audit head", self.ledger, self.seq, self.hash.hex(), self.at_ns])


def heads_in(lines: Iterable[str]) -> Iterator[Head]:
    """The heads among lines of a log, whatever stands between them or, on a line, before them.

    Raises `InvalidInput` for one that is broken off or malformed.
    """
    for number, line in enumerate(lines, start=1):
        at = line.find('{"surefoot":"audit head"')
        if at < 0:
            continue
        try:
            said = orjson.loads(line[at:])
            yield Head(
                str(said["ledger"]),
                int(said["seq"]),
                bytes.fromhex(said["hash"]),
                int(said["at_ns"]),
                bytes.fromhex(said["signature"]),
            )
        except (ValueError, KeyError, TypeError):
            raise InvalidInput(
                f"line {number} begins a signed head of an audit and is broken: take that line out, or give another "
                "copy of the heads"
            ) from None
