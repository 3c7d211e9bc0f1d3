"""Files that are there whole or not at all: written beside their place, then moved into it."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

from surefoot.errors import InvalidInput, LedgerError, LedgerFull
from surefoot.values import new_id


class Draft:
    """A file in the making. `path` is where it is written, `file` where it will be."""

    def __init__(self, file: Path, *, is_forced: bool = False) -> None:
        """Raises `InvalidInput` for a file that is there, unless forced, and for a folder that is not."""
        self.file = file
        if file.is_dir():
            raise InvalidInput(f"{file} is a folder: name a file")
        if not file.absolute().parent.is_dir():
            raise InvalidInput(f"there is no folder {file.absolute().parent}: make it first")
        if file.exists() and not is_forced:
            raise InvalidInput(f"{file} is there already: name another file, or overwrite it with --force")
        self._is_forced = is_forced
        self.path = file.with_name(f".{file.name}.{new_id()}.part")
        try:
            os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except OSError as error:
            raise unwritable(file, error) from error

    def publish(self) -> None:
        """Make the content durable and move it into its place. Raises `LedgerError`, and leaves nothing behind then."""
        try:
            handle = os.open(self.path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
            self._move()
            folder = os.open(self.file.absolute().parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            self.drop()
            raise unwritable(self.file, error) from error

    def _move(self) -> None:
        if not self._is_forced:
            # A link fails where another process has put a file there meanwhile; a rename would destroy it.
            try:
                os.link(self.path, self.file)
            except FileExistsError:
                raise
            except OSError:
                # Some file systems have no links.
                pass
            else:
                self.path.unlink()
                return
        self.path.replace(self.file)

    def drop(self) -> None:
        """Leave nothing behind."""
        for ending in ("", "-journal", "-wal", "-shm"):
            with suppress(OSError):
                self.path.with_name(self.path.name + ending).unlink()


def unwritable(file: Path, error: OSError) -> LedgerError:
    """The error for a file that the system does not let us write."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return LedgerFull(f"no space left for {file}: free some, or name a file on another disk")
    return LedgerError(f"{file} cannot be written: {error.strerror}")
