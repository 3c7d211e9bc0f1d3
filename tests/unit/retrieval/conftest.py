"""A real embedder that needs no weights: words hashed into a vector."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from surefoot.retrieval import Home


class WordHashes:
    """Counts the words of a text by hash; texts that share words have a high cosine."""

    def __init__(self, name: str = "words", dimensions: int = 256) -> None:
        self.name = name
        self.dimensions = dimensions

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        vectors = np.zeros((len(texts), self.dimensions), np.float32)
        for row, text in enumerate(texts):
            for word in re.findall(r"\w+", text.lower()) or [""]:
                vectors[row, zlib.crc32(word.encode()) % self.dimensions] += 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture
def words() -> type[WordHashes]:
    return WordHashes


@pytest.fixture
def place(tmp_path: Path) -> Home:
    return Home(tmp_path / "collections", WordHashes())
