"""Keys: the application's key, one data key per run under it, and AES-GCM with them."""

from __future__ import annotations

import base64
import binascii
import hmac
import os
from dataclasses import dataclass
from pathlib import Path

from surefoot.errors import ConfigError, LedgerError
from surefoot.values import new_id

KEY_BYTES = 32
_NONCE_BYTES = 12


@dataclass(frozen=True, slots=True)
class DataKey:
    """A run's key as the ledger keeps it: wrapped. Dropping the row forgets what was sealed under it."""

    id: str
    run_id: str
    wrapped: bytes


class Keyring:
    """The application's key (`SUREFOOT_KEY`, else a key file that is made on first use) and what derives from it."""

    def __init__(self, file: Path, *, key: str | None = None, variable: str = "SUREFOOT_KEY") -> None:
        """`key` goes before the file; `variable` is where it came from, for messages."""
        self._file = file
        self._given = key
        self._variable = variable
        self._loaded: bytes | None = None

    def _key(self) -> bytes:
        if self._loaded is None:
            self._loaded = _parse(self._given, self._variable) if self._given else _read_or_make(self._file)
        return self._loaded

    def derive(self, purpose: str) -> bytes:
        """32 bytes that are fixed for this key and purpose, and tell nothing of the key: HMAC-SHA-256."""
        return hmac.digest(self._key(), purpose.encode(), "sha256")

    def new_data_key(self, run_id: str) -> tuple[DataKey, bytes]:
        """A fresh key for a run: the wrapped form for the ledger and the key itself."""
        key_id, plain = new_id(), os.urandom(KEY_BYTES)
        return self._wrapped(key_id, run_id, plain), plain

    def rewrapped(self, key: DataKey, former: Keyring) -> DataKey:
        """A data key of another application, for this one. Raises `LedgerError` where `former` does not open it."""
        return self._wrapped(key.id, key.run_id, former.unwrap(key))

    def _wrapped(self, key_id: str, run_id: str, plain: bytes) -> DataKey:
        return DataKey(key_id, run_id, seal(self.derive("data keys"), plain, bound_to=f"{run_id}/{key_id}"))

    def unwrap(self, key: DataKey) -> bytes:
        """The data key in the clear. Raises `LedgerError` under another application key."""
        return unseal(self.derive("data keys"), key.wrapped, bound_to=f"{key.run_id}/{key.id}")


def seal(key: bytes, plain: bytes, *, bound_to: str) -> bytes:
    """AES-256-GCM; the result opens only with the same key and the same `bound_to`."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, bound_to.encode())


def unseal(key: bytes, sealed: bytes, *, bound_to: str) -> bytes:
    """Undo `seal`. Raises `LedgerError` where key, binding or bytes differ."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound_to.encode())
    except InvalidTag:
        raise LedgerError(
            f"a sealed payload ({bound_to}) does not open with this key: "
            "set SUREFOOT_KEY, or restore the key file, to what was used when it was recorded"
        ) from None


def _parse(text: str, where: str) -> bytes:
    text = text.strip()
    try:
        key = bytes.fromhex(text) if len(text) == 2 * KEY_BYTES else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigError(
            f"{where} must hold {KEY_BYTES} bytes as base64 or hex; `openssl rand -base64 32` makes one"
        )
    return key


def _read_or_make(file: Path) -> bytes:
    """Read the key file, or make it with mode 0600; of two processes that make it at once one wins."""
    try:
        return _parse(file.read_text(), str(file))
    except FileNotFoundError:
        pass
    except OSError as error:
        raise ConfigError(f"the key file {file} cannot be read: {error.strerror}") from error
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        # A linked temporary file: nobody ever reads a key that is half written.
        draft = file.with_name(f"{file.name}.{new_id()}")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as stream:
            stream.write(base64.b64encode(os.urandom(KEY_BYTES)).decode() + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        try:
            os.link(draft, file)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    except OSError as error:
        raise ConfigError(
            f"the key file {file} cannot be made: {error.strerror}; set SUREFOOT_KEY instead"
        ) from error
    return _parse(file.read_text(), str(file))
