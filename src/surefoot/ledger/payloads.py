"""What becomes of a recorded value: inline or a blob, readable or redacted with the exact text sealed beside it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b, sha256
from typing import Protocol

import orjson

from surefoot.errors import LedgerCorrupt, RunPruned
from surefoot.ledger.capturing import WITHHELD, capture_of, withheld
from surefoot.ledger.chain import is_withheld
from surefoot.ledger.compressed import decompressed
from surefoot.ledger.encoding import LARGE, Encoded
from surefoot.ledger.events import Blob, Payload
from surefoot.ledger.notary import Notary
from surefoot.ledger.prompt_rows import PromptRow
from surefoot.ledger.sealing import DataKey, Keyring, seal, unseal
from surefoot.values import Capture

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Privacy = Callable[[str], str | None]
"""Reads a text and returns it redacted, or None where there is nothing to hide."""

Freight = list[Blob | DataKey | PromptRow]
"""Rows that have to be in the ledger no later than the outcome that refers to them, or was made with them."""

BLOB_VIEW = '{"$":["blob",'
"""Begins a view that is a reference to a blob."""
PLAIN = "sha256:"
"""Begins a digest that needs no key. Alone it counts in plain exports only: whoever may write can make it."""
_INLINE, IN_BLOB = b"\x00", b"\x01"
_SEALED = b"\x01"
_ZSTD_LEVEL = 3
_OPENED, _CLOSED = frozenset('{["'), frozenset('}]"')
"""How JSON begins and ends that is no bare number, and none of `true`, `false` and `null`."""
_WINDOW = 4 << 20
_OVERLAP = 64 << 10
"""Bytes of a large text that are looked at together, and what two windows have in common: no secret is longer."""


class Source(Protocol):
    """Where stored blobs and data keys are read back from."""

    def blob(self, digest: str) -> bytes | None: ...

    def data_key(self, key_id: str) -> DataKey | None: ...

    def local_digest(self, digest: str) -> str | None:
        """What is kept of a blob that is named by the key of another application, by which it is checked."""
        ...


class Payloads:
    """Turns recorded text into stored payloads and back, for one ledger.

    Up to `inline_bytes` a payload stands in its row; above that it is a blob, found by a digest that is keyed by
    application and tenant, so that equal texts of two tenants do not show.
    """

    def __init__(
        self,
        keyring: Keyring,
        *,
        privacy: Privacy | None = None,
        secrecy: Privacy | None = None,
        inline_bytes: int = 4096,
        most_bytes: int | None = None,
    ) -> None:
        """`secrecy` redacts what is captured in full: secrets alone. Without it that is done by `privacy`.

        most_bytes: how large a value may be that is checked; None for any size, where nobody else has written it.
        """
        self._keyring = keyring
        self.notary = Notary(keyring)
        """What knows rows that were written under the same key."""
        self._privacy = privacy
        self._secrecy = secrecy or privacy
        self._inline_bytes = inline_bytes
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        # By run: the keys that were opened, by id, and the one that seals what is recorded now.
        self._opened: dict[str, dict[str, bytes]] = {}
        self._sealing: dict[str, DataKey] = {}

    def store(
        self,
        run_id: str,
        text: Encoded,
        freight: Freight,
        *,
        tenant: str = "",
        capture: Capture = "redacted",
    ) -> Payload:
        """The payload for `text`, with what must be stored before it added to `freight`."""
        if capture in WITHHELD and text != "null":
            redacted: str | None = withheld(text, capture)
            text = text if isinstance(text, str) else text.decode()
        else:
            privacy = self._secrecy if capture == "full" else self._privacy
            if not isinstance(text, str):
                if not _may_hide(text, privacy):
                    return Payload(self._blob(text, tenant, freight))
                text = text.decode()
            redacted = privacy(text) if privacy else None
        if redacted is None:
            return Payload(self._view(text, tenant, freight))
        return self._sealed(run_id, text, redacted, freight, tenant)

    def store_both(
        self,
        run_id: str,
        inputs: Encoded,
        output: Encoded,
        freight: Freight,
        *,
        tenant: str = "",
        capture: Capture = "redacted",
    ) -> tuple[Payload, Payload]:
        """The payloads of one outcome, as `store` gives each.

        Most have nothing to hide, and one look at both costs little more than one at either.
        """
        is_shown = capture not in WITHHELD
        if (
            is_shown
            and isinstance(inputs, str)
            and isinstance(output, str)
            and _can_be_joined(inputs, output)
        ):
            privacy = self._secrecy if capture == "full" else self._privacy
            if privacy is None or privacy(f"{inputs}\n{output}") is None:
                given = Payload(self._view(inputs, tenant, freight))
                return given, Payload(self._view(output, tenant, freight))
        first = self.store(run_id, inputs, freight, tenant=tenant, capture=capture)
        return first, self.store(run_id, output, freight, tenant=tenant, capture=capture)

    def _sealed(self, run_id: str, text: str, redacted: str, freight: Freight, tenant: str) -> Payload:
        key_id, key = self._data_key(run_id, freight)
        plain = text.encode()
        is_large = len(plain) > self._inline_bytes
        sealed = seal(
            key, zstd.compress(plain, _ZSTD_LEVEL) if is_large else plain, bound_to=f"{run_id}/{key_id}"
        )
        if is_large:
            digest = blake2b(sealed, digest_size=32).digest()
            freight.append(Blob(digest.hex(), len(plain), sealed))
            sealed = IN_BLOB + digest
        else:
            sealed = _INLINE + sealed
        return Payload(self._view(redacted, tenant, freight), sealed, key_id)

    def copied(
        self,
        payload: Payload,
        source: Source,
        freight: Freight,
        *,
        of: str,
        to: str,
        tenant: str,
        capture: Capture = "redacted",
    ) -> Payload:
        """What a run has recorded, for another one of the same tenant: sealed under that one's own key.

        A blob is shared, as it is named by what is in it. What was not shown is not shown.
        """
        if payload.sealed is None and payload.view.startswith(BLOB_VIEW):
            return payload
        text = self.exact_large(of, payload, source)
        capture = capture_of(payload) or capture
        if payload.sealed is None or capture in WITHHELD:
            return self.store(to, text, freight, tenant=tenant, capture=capture)
        # What was a secret when it was recorded stays one, known or not by now.
        shown = self.readable(self.view(payload, source), capture=capture)
        return self._sealed(to, text if isinstance(text, str) else text.decode(), shown, freight, tenant)

    @property
    def keyring(self) -> Keyring:
        """The keys under which it seals and names."""
        return self._keyring

    def blob_name(self, data: bytes, *, tenant: str, most: int | None = None) -> tuple[str, bytes]:
        """The digest under which the text of a stored view is a blob here, and that text.

        Raises `InvalidInput` where it has more than `most` bytes.
        """
        plain = decompressed(data, most=most)
        return self._digest(plain, tenant), plain

    def other_name(self, digest: str, own: str) -> str:
        """That a blob which another application has named so would have the name `own` here, as it is kept.

        Under the key: a name of a blob that is there would else let its text stand in for the right one.
        """
        return self.notary.of_row("imported_blobs", digest, own).hex()

    def exported_name(self, digest: str, without_key: str) -> str:
        """How a blob is kept in an export under this key: by a digest that needs no key, and a MAC over both."""
        return f"{without_key} {self.notary.of_row('imported_blobs', digest, without_key).hex()}"

    def set_apart(self, text: str, *, bound_to: str, capture: Capture = "redacted") -> bytes:
        """`text` for a place outside of the ledger: sealed as a whole where there is something to hide in it.

        The key is the application's and not the run's, which the ledger may not hold yet when the process is killed.
        """
        plain = text.encode()
        is_plain = capture not in WITHHELD and (self._privacy is None or self._privacy(text) is None)
        if is_plain:
            return _INLINE + plain
        return _SEALED + seal(self._keyring.derive("apart"), plain, bound_to=bound_to)

    def read_apart(self, stored: bytes, *, bound_to: str) -> str:
        """Undo `set_apart`. Raises `LedgerError` under another application key."""
        if stored.startswith(_INLINE):
            return stored[1:].decode()
        return unseal(self._keyring.derive("apart"), stored[1:], bound_to=bound_to).decode()

    def store_kept(self, text: str, *, bound_to: str) -> tuple[str, bytes | None]:
        """`text`, of no run, as people may read it, and sealed as it is where that is something else.

        The key is the application's: what is kept so is forgotten with no run.
        """
        redacted = self._privacy(text) if self._privacy else None
        if redacted is None:
            return text, None
        return redacted, self.seal_kept(text, bound_to=bound_to)

    def seal_kept(self, text: str, *, bound_to: str) -> bytes:
        """The sealed part of what `store_kept` gives."""
        return seal(self._keyring.derive("kept"), text.encode(), bound_to=bound_to)

    def read_kept(self, view: str, sealed: bytes | None, *, bound_to: str) -> str:
        """Undo `store_kept`. Raises `LedgerError` under another application key."""
        if sealed is None:
            return view
        return unseal(self._keyring.derive("kept"), sealed, bound_to=bound_to).decode()

    def readable(self, text: Encoded, *, capture: Capture = "redacted") -> str:
        """A text as people may read it, whole: for short ones."""
        if capture in WITHHELD:
            return withheld(text, capture)
        text = text if isinstance(text, str) else text.decode()
        privacy = self._secrecy if capture == "full" else self._privacy
        return (privacy(text) if privacy else None) or text

    def readable_all(self, texts: Sequence[str]) -> Sequence[str]:
        """Several texts as people may read them, looked at in one go: most have nothing to hide."""
        if self._privacy is None or self._privacy("\n".join(texts)) is None:
            return texts
        return [self.readable(text) for text in texts]

    def view(self, payload: Payload, source: Source) -> str:
        """The text that people may read, blobs resolved."""
        if not payload.view.startswith(BLOB_VIEW):
            return payload.view
        digest: str = orjson.loads(payload.view)["$"][1]
        return zstd.decompress(_found(source.blob(digest), digest)).decode()

    def exact(self, run_id: str, payload: Payload, source: Source) -> str:
        """The text as it was recorded, unsealed where it had to be sealed."""
        text = self.exact_large(run_id, payload, source)
        return text if isinstance(text, str) else text.decode()

    def exact_large(self, run_id: str, payload: Payload, source: Source) -> Encoded:
        """What `exact` gives, as UTF-8 if it is large."""
        if payload.sealed is None:
            if not payload.view.startswith(BLOB_VIEW):
                return payload.view
            digest = str(orjson.loads(payload.view)["$"][1])
            return _text(zstd.decompress(_found(source.blob(digest), digest)))
        if is_withheld(payload.sealed):
            raise RunPruned(
                f"run {run_id} came from an export without its sealed parts: go on with it where it was recorded, "
                "or export it again with --with-sealed"
            )
        key_id = payload.key_id or ""
        key = self._opened.get(run_id, {}).get(key_id)
        if key is None:
            stored = source.data_key(key_id)
            if stored is None:
                raise RunPruned(
                    f"run {run_id} was forgotten: the data key of its sealed payloads was dropped, "
                    "so they cannot be read again"
                )
            key = self._keyring.unwrap(stored)
        bound_to = f"{run_id}/{key_id}"
        if payload.sealed.startswith(_INLINE):
            return unseal(key, payload.sealed[1:], bound_to=bound_to).decode()
        digest = payload.sealed[1:].hex()
        return _text(zstd.decompress(unseal(key, _found(source.blob(digest), digest), bound_to=bound_to)))

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

    def is_intact(self, payload: Payload, source: Source, *, tenant: str, takes_plain: bool = False) -> bool:
        """Whether the blobs that a payload refers to hold what they did: each is named by a digest of its content.

        takes_plain: a digest without a key counts too, which whoever writes to the tables can make: for plain exports.

        Raises `InvalidInput` for a value of more than `most_bytes`.
        """
        if payload.view.startswith(BLOB_VIEW):
            digest: str = orjson.loads(payload.view)["$"][1]
            data = source.blob(digest)
            try:
                plain = None if data is None else decompressed(data, most=self._most_bytes)
            except zstd.ZstdError:
                plain = None
            if plain is None:
                return False
            own = self._digest(plain, tenant)
            if own != digest and not self._is_named(digest, source, own, plain, takes_plain=takes_plain):
                return False
        if payload.sealed is not None and payload.sealed.startswith(IN_BLOB):
            sealed = source.blob(payload.sealed[1:].hex())
            return sealed is not None and blake2b(sealed, digest_size=32).digest() == payload.sealed[1:]
        return True

    def _is_named(self, digest: str, source: Source, own: str, plain: bytes, *, takes_plain: bool) -> bool:
        """Whether a blob with the digest of another application was kept under it with this content."""
        kept = source.local_digest(digest)
        without_key = plain_digest(plain)
        return kept in (self.other_name(digest, own), self.exported_name(digest, without_key)) or (
            takes_plain and kept is not None and kept.partition(" ")[0] == without_key
        )

    def _view(self, text: str, tenant: str, freight: Freight) -> str:
        # A string of n characters has at least n bytes; only doubtful lengths are encoded to be counted.
        if len(text) * 4 <= self._inline_bytes:
            return text
        data = text.encode()
        if len(data) <= self._inline_bytes:
            return text
        return self._blob(data, tenant, freight)

    def _blob(self, data: bytes | bytearray, tenant: str, freight: Freight) -> str:
        digest = self._digest(data, tenant)
        freight.append(Blob(digest, len(data), zstd.compress(data, _ZSTD_LEVEL)))
        return f'{BLOB_VIEW}"{digest}",{len(data)}]}}'

    def _digest(self, data: bytes | bytearray, tenant: str) -> str:
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


def _can_be_joined(inputs: str, output: str) -> bool:
    """Whether whatever is found in one of two JSON texts is found where both stand in one, a line each.

    It is where no value stands at their ends: a pattern may ask for the beginning or the end of a text.
    """
    return inputs[:1] == "{" and inputs[-1:] == "}" and output[:1] in _OPENED and output[-1:] in _CLOSED


def _may_hide(data: bytes | bytearray, privacy: Privacy | None) -> bool:
    """Whether a large text may hold something to hide, seen through a window: as a whole it would be a copy."""
    if privacy is None:
        return False
    view = memoryview(data)
    for start in range(0, len(data), _WINDOW - _OVERLAP):
        # A character that the window cuts through is whole in the next one.
        window = str(view[start : start + _WINDOW], "utf-8", "ignore")
        if privacy(window) is not None:
            return True
    return False


def plain_digest(plain: bytes) -> str:
    """How a blob in an export is checked, where nobody has the key that named it."""
    return f"{PLAIN}{sha256(plain).hexdigest()}"


def blob_digests(payload: Payload) -> Iterator[str]:
    """The blobs that a payload refers to."""
    if payload.view.startswith(BLOB_VIEW):
        yield orjson.loads(payload.view)["$"][1]
    if payload.sealed is not None and payload.sealed.startswith(IN_BLOB):
        yield payload.sealed[1:].hex()


def _text(data: bytes) -> Encoded:
    return data if len(data) >= LARGE else data.decode()


def _found(data: bytes | None, digest: str) -> bytes:
    if data is None:
        raise LedgerCorrupt(f"blob {digest} is not in the ledger: restore it from a backup")
    return data
