"""The dataset files of a project: those in its folder of datasets, and those beside its evaluations."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from surefoot.evals.datasets.formats import ENDINGS, PACKED

EVALUATION = "evaluation.py"
_MOST_FOLDERS = 5_000
_DEEPEST = 8
_SKIPPED = frozenset({"node_modules", "__pycache__", "site-packages", "dist", "build", "venv"})


@dataclass(frozen=True, slots=True)
class Found:
    """A dataset file. `name` is its path from the project's root, by which it is asked for."""

    name: str
    file: Path


def find_datasets(root: Path, folder: Path) -> list[Found]:
    """The dataset files below `folder`, and those in the folders below `root` that hold an `evaluation.py`, by name.

    Files and folders that begin with a dot are left out, and so are links that lead out of both. Plain `.json` files
    count in the folder of datasets only: elsewhere they are anything.
    """
    root, folder = root.resolve(), folder.resolve()
    found: dict[str, Path] = {}
    for each in _folders(folder):
        for file in _files(each, with_json=True):
            _add(found, file, root, folder)
    for each in _folders(root):
        if (each / EVALUATION).is_file():
            for file in _files(each, with_json=False):
                _add(found, file, root, folder)
    return [Found(name, found[name]) for name in sorted(found)]


def _add(found: dict[str, Path], file: Path, root: Path, folder: Path) -> None:
    real = file.resolve()
    if not any(real.is_relative_to(allowed) for allowed in (root, folder)):
        return
    name = (
        file.relative_to(root) if file.is_relative_to(root) else Path(folder.name) / file.relative_to(folder)
    )
    found.setdefault(name.as_posix(), real)


def _folders(root: Path) -> Iterator[Path]:
    """The folder and those below it, as far as people put files there; links are not followed."""
    for count, (place, folders, _) in enumerate(os.walk(root)):
        here = Path(place)
        is_deep = len(here.relative_to(root).parts) >= _DEEPEST
        folders[:] = (
            [] if is_deep else sorted(f for f in folders if not f.startswith(".") and f not in _SKIPPED)
        )
        if count >= _MOST_FOLDERS:
            return
        yield here


def _files(folder: Path, *, with_json: bool) -> Iterator[Path]:
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return
    for name in names:
        ending = Path(name.removesuffix(PACKED)).suffix.lower()
        is_meant = ending in ENDINGS and (with_json or ending != ".json")
        if is_meant and not name.startswith(".") and (folder / name).is_file():
            yield folder / name
