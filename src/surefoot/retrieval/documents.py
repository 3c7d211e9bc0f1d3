"""Documents as a collection keeps them."""

from __future__ import annotations

from dataclasses import dataclass

from surefoot.retrieval.chunking import Chunk


@dataclass(frozen=True, slots=True)
class Document:
    """A document of a collection: `id` is its path relative to the folder it came from, `size` in bytes."""

    id: str
    title: str
    sha256: str
    size: int
    chunking: str

    def is_current(self, digest: str, chunking: str) -> bool:
        """Whether this is the document with the SHA-256 `digest`, cut in the way that is now in use."""
        return (self.sha256, self.chunking) == (digest, chunking)


@dataclass(frozen=True, slots=True)
class Part:
    """A chunk to be stored with its vector, and the (start, end, vector) of each of its sentences."""

    chunk: Chunk
    vector: bytes
    sentences: tuple[tuple[int, int, bytes], ...]


@dataclass(frozen=True, slots=True)
class About:
    """What a collection was made with, and its state: `generation` differs after every change."""

    embedder: str
    dimensions: int
    generation: str
