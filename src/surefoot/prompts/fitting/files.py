"""The Python files and notebooks of a project: found without what is installed, built or hidden, and bounded."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

MAX_FILES = 10_000
MAX_BYTES = 1_048_576

_BUILT = frozenset({"__pycache__", "node_modules", "site-packages", "venv", "env", "__pypackages__"})
_MAYBE_BUILT = frozenset({"build", "dist", "target", "htmlcov"})


def python_files(root: Path) -> Iterator[Path]:
    """Files below a folder, or the file itself, by path. Links to folders are not followed, so there are no circles."""
    if root.is_file():
        yield root
        return
    seen: set[tuple[int, int]] = set()
    for parent, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not _is_foreign(parent, name))
        for name in sorted(names):
            if name.endswith((".py", ".ipynb")) and not name.startswith("."):
                path = Path(parent, name)
                try:
                    status = path.stat()
                except OSError:
                    # It was there a moment ago, or is a link to nowhere.
                    continue
                # A file that is linked to is the same code twice.
                if (key := (status.st_dev, status.st_ino)) not in seen:
                    seen.add(key)
                    yield path


def _is_foreign(parent: str, name: str) -> bool:
    """Whether a folder holds what is not the project's own code."""
    if name.startswith(".") or name in _BUILT or name.endswith(".egg-info"):
        # `env` may be a package of one's own.
        return name != "env" or os.path.exists(os.path.join(parent, name, "pyvenv.cfg"))
    if os.path.exists(os.path.join(parent, name, "pyvenv.cfg")):
        return True
    return name in _MAYBE_BUILT and not os.path.exists(os.path.join(parent, name, "__init__.py"))
