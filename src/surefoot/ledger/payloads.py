"""What becomes of a recorded value: inline or a blob, readable or redacted with the exact text sealed beside it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from hashlib import blake2b
from typing import Protocol

import orjson

from surefoot.errors import LedgerCorrupt
from surefoot.ledger.events import Blob, Payload
from surefoot.ledger.sealing import DataKey, Keyring, seal, unseal

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Privacy = Callable[[str], str | None]
"""Reads a text and returns it redacted, or None where there is nothing to hide."""

Freight = list[Blob | DataKey]
"""Rows that have to be in the ledger before the outcome that refers to them; they go into the same commit."""

_REFERENCE = '{"$":["blob",'
_INLINE, _IN_BLOB = b"\x00", b"\x01"
_ZSTD_LEVEL = 3


class Source(Protocol):
    """Where stored blobs and data keys are read back from."""

    def blob(self, digest: str) -> bytes | None: ...

    def data_key(self, key_id: str) -> DataKey | None: ...


class Payloads:
    """Turns recorded text into stored payloads and back, for one ledger.

    Up to `inline_bytes` a payload stands in its row; above that it is a blob, found by a digest that is keyed by
    application and tenant, so that equal texts of two tenants do not show.
    """

    def __init__(self, keyring: Keyring, *, privacy: Privacy | None = None, inline_bytes: int = 4096) -> None:
        self._keyring = keyring
        self._privacy = privacy
        self._inline_bytes = inline_bytes
        self._lock = threading.Lock()
        self._plain_keys: dict[str, bytes] = {}
        self._key_of_run: dict[str, str] = {}

    def store(self, run_id: str, text: str, freight: Freight, *, tenant: str = "") -> Payload:
        """The payload for `text`, with what must be stored before it added to `freight`."""
        redacted = self._privacy(text) if self._privacy else None
        if redacted is None:
            return Payload(self._view(text, tenant, freight))
        key_id, key = self._data_key(run_id, freight)
        plain = text.encode()
        is_large = len(plain) > self._inline_bytes
        sealed = seal(
            key, zstd.compress(plain, _ZSTD_LEVEL) if is_large else plain, bound_to=f"{run_id}/{key_id}"
        )
        if is_large:
            digest = blake2b(sealed, digest_size=32).digest()
            freight.append(Blob(digest.hex(), len(plain), sealed))
            sealed = _IN_BLOB + digest
        else:
            sealed = _INLINE + sealed
        return Payload(self._view(redacted, tenant, freight), sealed, key_id)

    def readable(self, text: str) -> str:
        """A short text as people may read it."""
        return (self._privacy(text) if self._privacy else None) or text

    def view(self, payload: Payload, source: Source) -> str:
        """The text that people may read, blobs resolved."""
        if not payload.view.startswith(_REFERENCE):
            return payload.view
        digest: str = orjson.loads(payload.view)["$"][1]
        return zstd.decompress(_found(source.blob(digest), digest)).decode()

    def exact(self, run_id: str, payload: Payload, source: Source) -> str:
        """The text as it was recorded, unsealed where it had to be sealed."""
        if payload.sealed is None:
            return self.view(payload, source)
        key_id = payload.key_id or ""
        key = self._plain_keys.get(key_id)
        if key is None:
            stored = source.data_key(key_id)
            if stored is None:
                raise LedgerCorrupt(
                    f"run {run_id}: the data key of a sealed payload was dropped; it cannot be read"
                )
            key = self._plain_keys[key_id] = self._keyring.unwrap(stored)
        bound_to = f"{run_id}/{key_id}"
        if payload.sealed.startswith(_INLINE):
            return unseal(key, payload.sealed[1:], bound_to=bound_to).decode()
        digest = payload.sealed[1:].hex()
        return zstd.decompress(unseal(key, _found(source.blob(digest), digest), bound_to=bound_to)).decode()

    def forget_run(self, run_id: str) -> None:
        """Drop the run's key from memory; called when the run ends."""
        with self._lock:
            key_id = self._key_of_run.pop(run_id, None)
            if key_id:
                self._plain_keys.pop(key_id, None)

    def _view(self, text: str, tenant: str, freight: Freight) -> str:
        # A string of n characters has at least n bytes; only doubtful lengths are encoded to be counted.
        if len(text) * 4 <= self._inline_bytes:
            return text
        data = text.encode()
        if len(data) <= self._inline_bytes:
            return text
        digest = blake2b(data, digest_size=32, key=self._keyring.derive(f"blobs of {tenant}")).hexdigest()
        freight.append(Blob(digest, len(data), zstd.compress(data, _ZSTD_LEVEL)))
        return f'{_REFERENCE}"{digest}",{len(data)}]}}'

    def _data_key(self, run_id: str, freight: Freight) -> tuple[str, bytes]:
        with self._lock:
            key_id = self._key_of_run.get(run_id)
            if key_id is None:
                stored, plain = self._keyring.new_data_key(run_id)
                key_id = self._key_of_run[run_id] = stored.id
                self._plain_keys[key_id] = plain
                freight.append(stored)
            return key_id, self._plain_keys[key_id]


def _found(data: bytes | None, digest: str) -> bytes:
    if data is None:
        raise LedgerCorrupt(f"blob {digest} is not in the ledger: restore it from a backup")
    return data
