"""What becomes of a recorded value: inline or a blob, readable or redacted with the exact text sealed beside it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
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
        # By run: the keys that were opened, by id, and the one that seals what is recorded now.
        self._opened: dict[str, dict[str, bytes]] = {}
        self._sealing: dict[str, DataKey] = {}

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
        key = self._opened.get(run_id, {}).get(key_id)
        if key is None:
            stored = source.data_key(key_id)
            if stored is None:
                raise LedgerCorrupt(
                    f"run {run_id}: the data key of a sealed payload was dropped; it cannot be read"
                )
            key = self._keyring.unwrap(stored)
        bound_to = f"{run_id}/{key_id}"
        if payload.sealed.startswith(_INLINE):
            return unseal(key, payload.sealed[1:], bound_to=bound_to).decode()
        digest = payload.sealed[1:].hex()
        return zstd.decompress(unseal(key, _found(source.blob(digest), digest), bound_to=bound_to)).decode()

    def open_run(self, run_id: str, stored: Sequence[DataKey]) -> None:
        """Open the keys that a run has in the ledger, before anything more is recorded of it.

        Raises `LedgerError` under another application key: what it sealed now could not be read with what is there.
        """
        opened = {key.id: self._keyring.unwrap(key) for key in stored}
        with self._lock:
            self._opened[run_id] = opened
            if stored:
                self._sealing[run_id] = stored[-1]

    def forget_run(self, run_id: str) -> None:
        """Drop the run's keys from memory; called when the run ends."""
        with self._lock:
            self._opened.pop(run_id, None)
            self._sealing.pop(run_id, None)

    def after_fork(self) -> None:
        """A forked child begins with a lock that nobody holds."""
        self._lock = threading.Lock()

    def is_intact(self, payload: Payload, source: Source, *, tenant: str) -> bool:
        """Whether the blobs that a payload refers to hold what they did: each is named by a digest of its content."""
        if payload.view.startswith(_REFERENCE):
            digest: str = orjson.loads(payload.view)["$"][1]
            data = source.blob(digest)
            try:
                plain = None if data is None else zstd.decompress(data)
            except zstd.ZstdError:
                plain = None
            if plain is None or self._digest(plain, tenant) != digest:
                return False
        if payload.sealed is not None and payload.sealed.startswith(_IN_BLOB):
            sealed = source.blob(payload.sealed[1:].hex())
            return sealed is not None and blake2b(sealed, digest_size=32).digest() == payload.sealed[1:]
        return True

    def _view(self, text: str, tenant: str, freight: Freight) -> str:
        # A string of n characters has at least n bytes; only doubtful lengths are encoded to be counted.
        if len(text) * 4 <= self._inline_bytes:
            return text
        data = text.encode()
        if len(data) <= self._inline_bytes:
            return text
        digest = self._digest(data, tenant)
        freight.append(Blob(digest, len(data), zstd.compress(data, _ZSTD_LEVEL)))
        return f'{_REFERENCE}"{digest}",{len(data)}]}}'

    def _digest(self, data: bytes, tenant: str) -> str:
        return blake2b(data, digest_size=32, key=self._keyring.derive(f"blobs of {tenant}")).hexdigest()

    def _data_key(self, run_id: str, freight: Freight) -> tuple[str, bytes]:
        with self._lock:
            stored = self._sealing.get(run_id)
            if stored is None:
                stored, plain = self._keyring.new_data_key(run_id)
                self._sealing[run_id] = stored
                self._opened.setdefault(run_id, {})[stored.id] = plain
            # With each payload, as the one before may never get into the ledger; the row is stored once.
            freight.append(stored)
            return stored.id, self._opened[run_id][stored.id]


def _found(data: bytes | None, digest: str) -> bytes:
    if data is None:
        raise LedgerCorrupt(f"blob {digest} is not in the ledger: restore it from a backup")
    return data
