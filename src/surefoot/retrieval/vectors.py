"""Vectors in memory: the exact search over them, and their form on disk. Needs numpy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from surefoot.errors import CollectionError, MissingExtra

try:
    import numpy as np
except ImportError as error:
    raise MissingExtra(
        'Searching a collection needs numpy, which is not installed: pip install "surefoot[local]"'
    ) from error

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from surefoot.retrieval.embedding import Embedder

# More is noise of 32-bit floats.
_DECIMALS = 6


class DamagedVector(ValueError):
    """A stored vector has another length than its collection says."""


@dataclass(frozen=True, slots=True, eq=False)
class Index:
    """All vectors of a collection in the order in which ties are broken: by document, then by position.

    `chunks` and `documents` hold row numbers of the store; `rows` the index's rows in ascending order of
    `chunks`.
    """

    generation: str
    chunks: NDArray[np.int64]
    documents: NDArray[np.int64]
    vectors: NDArray[np.float32]
    rows: NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Cosines:
    """The cosine of a query with every vector of an index."""

    index: Index
    values: NDArray[np.float32]

    def nearest(self, most: int, *, document: int | None = None) -> list[tuple[int, float]]:
        """The chunks with the greatest cosines and these, greatest first, of one document or of all."""
        rows = np.arange(len(self.values))
        if document is not None:
            rows = np.flatnonzero(self.index.documents == document)
        values = self.values[rows]
        if most < len(values):
            # All that tie with the last one stay in, so that the stable sort alone decides between them.
            kept = values >= np.partition(values, len(values) - most)[len(values) - most]
            rows, values = rows[kept], values[kept]
        best = rows[np.argsort(-values, kind="stable")[:most]]
        numbers = self.index.chunks[best].tolist()
        return [
            (number, _rounded(value))
            for number, value in zip(numbers, self.values[best].tolist(), strict=True)
        ]

    def of(self, chunks: Sequence[int]) -> list[float]:
        """The cosines of these chunks."""
        at = np.searchsorted(self.index.chunks, np.asarray(chunks, np.int64), sorter=self.index.rows)
        return [_rounded(value) for value in self.values[self.index.rows[at]].tolist()]


def index(rows: Iterable[tuple[int, int, bytes]], dimensions: int, generation: str) -> Index:
    """Build an index from (chunk, document, vector) rows, already in the order of ties."""
    kept = list(rows)
    chunks = np.array([row[0] for row in kept], np.int64)
    return Index(
        generation,
        chunks,
        np.array([row[1] for row in kept], np.int64),
        unpacked([row[2] for row in kept], dimensions),
        np.argsort(chunks),
    )


def cosines(index: Index, query: NDArray[np.float32]) -> Cosines:
    """Compare a query of shape (dimensions,) with all vectors, exactly."""
    return Cosines(index, np.round(_products(index.vectors, query), _DECIMALS))


def similarities(vectors: NDArray[np.float32], query: NDArray[np.float32]) -> list[float]:
    """The cosine of a query with each of a few vectors."""
    return [_rounded(value) for value in _products(vectors, query).tolist()]


def embedded(embedder: Embedder, texts: Sequence[str]) -> NDArray[np.float32]:
    """Embed texts and check what comes back; raises `CollectionError` for vectors that cannot be compared."""
    if not texts:
        return np.zeros((0, embedder.dimensions), np.float32)
    vectors = np.ascontiguousarray(embedder.embed(texts), np.float32)
    expected = (len(texts), embedder.dimensions)
    if vectors.shape != expected:
        raise CollectionError(
            f"Embedder {embedder.name} returned vectors of shape {vectors.shape}, not {expected}; "
            "nothing was stored or searched. Check its model file."
        )
    if not np.allclose(np.einsum("ij,ij->i", vectors, vectors), 1, atol=1e-3):
        raise CollectionError(
            f"Embedder {embedder.name} returned vectors that are not of length 1; nothing was stored or "
            "searched. Divide each by its norm."
        )
    return vectors


def packed(vectors: NDArray[np.float32]) -> list[bytes]:
    """Each vector as little-endian 32-bit floats."""
    return [vector.tobytes() for vector in vectors.astype("<f4", copy=False)]


def unpacked(blobs: Sequence[bytes], dimensions: int) -> NDArray[np.float32]:
    """The vectors of shape (len(blobs), dimensions); raises `DamagedVector` if one has another length."""
    if any(len(blob) != 4 * dimensions for blob in blobs):
        raise DamagedVector(f"a stored vector does not have {dimensions} dimensions")
    flat = np.frombuffer(b"".join(blobs), "<f4").astype(np.float32, copy=False)
    return flat.reshape(len(blobs), dimensions)


def _products(vectors: NDArray[np.float32], query: NDArray[np.float32]) -> NDArray[np.float32]:
    # Row by row: a matrix product is spread over threads, which costs many times more on a busy machine, and
    # gives equal rows results that differ in their last bits.
    products: NDArray[np.float32] = np.vecdot(vectors, query)
    return products


def _rounded(value: float) -> float:
    return round(value, _DECIMALS)
