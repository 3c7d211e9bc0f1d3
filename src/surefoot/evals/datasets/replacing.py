"""Files that change as a whole or not at all, by one writer at a time."""

from __future__ import annotations

import gzip
import os
import sys
import tempfile
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from surefoot.errors import DatasetChanged, InvalidInput

_PATIENCE_S = 10.0
_AGAIN_S = 0.02


def replace(file: Path, parts: Iterable[bytes], *, is_packed: bool = False) -> None:
    """Put content in the place of a file, which keeps its mode; a crash leaves the old content or the new one.

    Raises `InvalidInput` where it cannot be written, and whatever `parts` raise.
    """
    # What a link leads to is replaced, and not the link.
    file = file.resolve()
    temporary: Path | None = None
    try:
        handle, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
        temporary = Path(name)
        with os.fdopen(handle, "wb") as stream:
            _mode_of(file, temporary)
            if is_packed:
                # Without a time in it, the same content is the same file.
                with gzip.GzipFile("", "wb", fileobj=stream, mtime=0) as packed:
                    packed.writelines(parts)
            else:
                stream.writelines(parts)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(file)
        temporary = None
        _sync_folder(file.parent)
    except OSError as error:
        raise InvalidInput(
            f"{file} cannot be written ({error.strerror or error}): nothing was changed"
        ) from None
    finally:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink()


@contextmanager
def held(file: Path) -> Generator[BinaryIO]:
    """The bytes of a file that nobody else writes meanwhile, as long as all writers ask here.

    The lock is on the file itself, so that none lies beside it. On Windows there is none, as a file that is locked
    could not be replaced: there the last writer's check of what stands in the file is all.

    Raises `InvalidInput` for a file that cannot be opened, and `DatasetChanged` where another writer does not end.
    """
    file = file.resolve()
    until = time.monotonic() + _PATIENCE_S
    while True:
        try:
            stream = file.open("rb")
        except OSError as error:
            raise InvalidInput(
                f"the dataset {file} cannot be read ({error.strerror}): check the path"
            ) from None
        with stream:
            if _is_locked(stream.fileno()):
                # Whoever had it before may have put another file in its place.
                if _is_current(stream.fileno(), file):
                    yield stream
                    return
                continue
        if time.monotonic() > until:
            raise DatasetChanged(
                f"another process has been writing {file} for {_PATIENCE_S:g} s: try again later"
            )
        time.sleep(_AGAIN_S)


def _is_locked(handle: int) -> bool:
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_current(handle: int, file: Path) -> bool:
    try:
        there = file.stat()
    except FileNotFoundError:
        return False
    mine = os.fstat(handle)
    return (mine.st_dev, mine.st_ino) == (there.st_dev, there.st_ino)


def _mode_of(file: Path, temporary: Path) -> None:
    try:
        mode = file.stat().st_mode & 0o777
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        mode = 0o666 & ~mask
    temporary.chmod(mode)


def _sync_folder(folder: Path) -> None:
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
