"""A home of collections whose embedder counts what it is given."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from surefoot.retrieval import Home, home


class CountingHashes:
    """Hashes words into vectors and remembers the texts."""

    name = "words"
    dimensions = 64

    def __init__(self) -> None:
        self.texts: list[str] = []

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.texts.extend(texts)
        vectors = np.zeros((len(texts), self.dimensions), np.float32)
        for row, text in enumerate(texts):
            for word in text.lower().split() or [""]:
                vectors[row, zlib.crc32(word.encode()) % self.dimensions] += 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture
def embedder() -> CountingHashes:
    return CountingHashes()


@pytest.fixture(autouse=True)
def _own_home(
    tmp_path_factory: pytest.TempPathFactory, embedder: CountingHashes, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Home(tmp_path_factory.mktemp("state"), embedder)
    monkeypatch.setattr(home, "_find", lambda: own)


Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write files under a folder: `write({"a.md": "text"})`; returns the folder."""

    def written(files: dict[str, str | bytes]) -> Path:
        root = tmp_path / "docs"
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return root

    return written
