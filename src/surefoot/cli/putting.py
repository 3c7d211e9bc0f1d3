"""Files of the project that a command puts in the place of others."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def put(path: Path, content: bytes) -> None:
    """Put a file in its place at once, whatever ends the process: whoever reads meanwhile has the old one or the new.

    It has the mode of the one before. Raises `OSError`.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, draft)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
