"""Files that others have named, opened so that nothing blocks and no link that is changed meanwhile leads elsewhere."""

from __future__ import annotations

import os
import stat
from pathlib import Path

# Windows has none of these, nor files by the folder that holds them.
_PLAIN = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_AT_ONCE = _PLAIN | getattr(os, "O_NONBLOCK", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_FOLDER = getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_PATH", 0)
_STEP_BY_STEP = os.open in os.supports_dir_fd


class NoFile(ValueError):
    """It is a folder, a pipe, a device: no file."""


def content(path: Path, *, most: int, inside: Path | None = None) -> bytes:
    """What a file holds, or one byte more than `most` of it where it is larger.

    inside: a folder that the path is known to lie in, both resolved: no part of the way from there is a link, or the
    file is not opened. What is checked before is true of what is read so.

    Raises `NoFile` for what is no regular file, without waiting for anybody to write into a pipe, and `OSError`.
    """
    handle = _opened(path, inside) if inside is not None and _STEP_BY_STEP else os.open(path, _AT_ONCE)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise NoFile(f"{path} is no file")
        with open(handle, "rb", closefd=False) as file:
            return file.read(most + 1)
    finally:
        os.close(handle)


def _opened(path: Path, inside: Path) -> int:
    folder = os.open(inside, _PLAIN | _FOLDER)
    try:
        *between, name = path.relative_to(inside).parts or (".",)
        for part in between:
            below = os.open(part, _PLAIN | _FOLDER | _NO_LINK, dir_fd=folder)
            os.close(folder)
            folder = below
        return os.open(name, _AT_ONCE | _NO_LINK, dir_fd=folder)
    finally:
        os.close(folder)
