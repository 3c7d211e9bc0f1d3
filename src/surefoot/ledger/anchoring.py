"""Heads of runs in a file that is kept elsewhere: against it a cut tail or a removed run shows.

One line of JSON with what it is, one line `ID ROWS HEAD` for each run in the order of ids, and at the end the SHA-256
of all lines before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

import orjson

from surefoot.errors import InvalidInput, LedgerError
from surefoot.ledger.drafts import Draft

_KIND = "surefoot anchor"


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a run was: the number of its rows and the hash of the last one."""

    run_id: str
    rows: int
    head: bytes


class AnchorWriter:
    """Writes an anchor; the file is there once `finish` has returned, and whole."""

    def __init__(self, file: Path, *, ledger: str, made_ns: int, is_forced: bool = False) -> None:
        self._draft = Draft(file, is_forced=is_forced)
        self._stream: IO[bytes] = self._draft.path.open("wb")
        self._sum = hashlib.sha256()
        self.runs = 0
        self._write(orjson.dumps({"kind": _KIND, "version": 1, "ledger": ledger, "made_ns": made_ns}))

    def add(self, mark: Mark) -> None:
        """The next run, in the order of ids."""
        self.runs += 1
        self._write(f"{mark.run_id} {mark.rows} {mark.head.hex()}".encode())

    def finish(self) -> str:
        """Put the file in its place; the digest over it, which can be noted where the file cannot be kept."""
        digest = self._sum.hexdigest()
        try:
            self._stream.write(f"sha256 {digest}\n".encode())
            self._stream.close()
        except OSError as error:
            raise LedgerError(f"the anchor {self._draft.file} cannot be written: {error.strerror}") from error
        self._draft.publish()
        return digest

    def drop(self) -> None:
        """Leave no file behind; does nothing after `finish`."""
        self._stream.close()
        self._draft.drop()

    def _write(self, line: bytes) -> None:
        self._sum.update(line + b"\n")
        try:
            self._stream.write(line + b"\n")
        except OSError as error:
            raise LedgerError(f"the anchor {self._draft.file} cannot be written: {error.strerror}") from error


class Anchor:
    """An anchor that is read from its beginning to its end, once."""

    def __init__(self, file: Path) -> None:
        """Raises `InvalidInput` for a file that is none, or was changed."""
        self.file = file
        self.ledger, self.made_ns, self.runs, self.digest = _examined(file)
        self._marks = _marks(file)
        self._next = next(self._marks, None)

    def up_to(self, run_id: str) -> Iterator[Mark]:
        """The marks before this id, each once."""
        while self._next is not None and self._next.run_id < run_id:
            mark, self._next = self._next, next(self._marks, None)
            yield mark

    def take(self, run_id: str) -> Mark | None:
        """The mark of this run, if the next one is."""
        if self._next is None or self._next.run_id != run_id:
            return None
        mark, self._next = self._next, next(self._marks, None)
        return mark

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._marks.close()  # type: ignore[attr-defined]


def _examined(file: Path) -> tuple[str, int, int, str]:
    """Ledger, time, number of runs and digest of an anchor that is whole."""
    total, number, first, last = hashlib.sha256(), 0, b"", b""
    try:
        with file.open("rb") as stream:
            for number, line in enumerate(stream):
                if number == 0:
                    first = line
                else:
                    total.update(last)
                last = line
    except OSError as error:
        raise InvalidInput(f"the anchor {file} cannot be read: {error.strerror}") from error
    digest = total.hexdigest()
    try:
        said = orjson.loads(first)
        is_anchor = said["kind"] == _KIND and said["version"] == 1 and number > 0
        ledger, made_ns = str(said["ledger"]), int(said["made_ns"])
    except (ValueError, KeyError, TypeError):
        is_anchor, ledger, made_ns = False, "", 0
    if not is_anchor:
        raise InvalidInput(f"{file} is no anchor: `surefoot ledger verify --anchor FILE` makes one")
    if last != f"sha256 {digest}\n".encode():
        raise InvalidInput(f"the anchor {file} was changed or cut: take another copy of it")
    return ledger, made_ns, number - 1, digest


def _marks(file: Path) -> Iterator[Mark]:
    with file.open() as stream:
        next(stream)
        for line in stream:
            run_id, rows, *head = line.split()
            if head:
                yield Mark(run_id, int(rows), bytes.fromhex(head[0]))
