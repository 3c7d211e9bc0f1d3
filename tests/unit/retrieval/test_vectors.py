"""Exact search over vectors in memory."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surefoot.errors import CollectionError
from surefoot.retrieval import vectors


def unit(rows: int, dimensions: int, seed: int) -> np.ndarray:
    made = np.random.default_rng(seed).standard_normal((rows, dimensions)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def index_of(matrix: np.ndarray, chunks: list[int], documents: list[int]) -> vectors.Index:
    rows = zip(chunks, documents, vectors.packed(matrix), strict=True)
    return vectors.index(rows, matrix.shape[1], "g1")


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(1, 80), st.integers(0, 99), st.booleans())
def test_nearest_is_what_sorting_everything_gives(
    rows: int, most: int, seed: int, one_document: bool
) -> None:
    matrix = unit(rows, 8, seed)
    # Doubles make ties.
    matrix[rows // 2 :] = matrix[: rows - rows // 2]
    chunks = [int(chunk) for chunk in np.random.default_rng(seed).permutation(rows) + 1]
    documents = [row % 3 for row in range(rows)]
    query = unit(1, 8, seed + 1)[0]
    document = 1 if one_document else None
    found = vectors.cosines(index_of(matrix, chunks, documents), query).nearest(most, document=document)
    allowed = [row for row in range(rows) if document is None or documents[row] == document]
    ordered = sorted(allowed, key=lambda row: (-round(float(np.float32(matrix[row] @ query)), 5), row))
    by_chunk = dict(zip(chunks, matrix, strict=True))
    assert len(found) == min(most, len(allowed))
    for (chunk, cosine), row in zip(found, ordered, strict=False):
        assert cosine == pytest.approx(float(by_chunk[chunk] @ query), abs=2e-6)
        assert cosine == pytest.approx(float(matrix[row] @ query), abs=2e-5)


def test_ties_keep_the_order_of_the_rows() -> None:
    matrix = np.tile(unit(1, 384, 1), (50, 1))
    found = vectors.cosines(index_of(matrix, list(range(50, 0, -1)), [0] * 50), matrix[0]).nearest(7)
    assert found == [(chunk, 1.0) for chunk in range(50, 43, -1)]


def test_cosines_of_given_chunks() -> None:
    matrix = unit(5, 4, 3)
    compared = vectors.cosines(index_of(matrix, [9, 2, 7, 4, 5], [0] * 5), matrix[1])
    assert compared.of([4, 2]) == [pytest.approx(float(matrix[3] @ matrix[1]), abs=1e-6), 1.0]
    assert compared.of([]) == []


def test_blobs_round_trip_and_a_wrong_length_is_noticed() -> None:
    matrix = unit(3, 4, 0)
    assert (vectors.unpacked(vectors.packed(matrix), 4) == matrix).all()
    assert vectors.unpacked([], 4).shape == (0, 4)
    with pytest.raises(vectors.DamagedVector, match="4 dimensions"):
        vectors.unpacked([b"123"], 4)


class Wrong:
    name = "wrong"
    dimensions = 4

    def __init__(self, answer: np.ndarray) -> None:
        self.answer = answer

    def embed(self, texts: object) -> np.ndarray:
        return self.answer


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (np.ones((1, 3), np.float32), "shape"),
        (np.ones((2, 4), np.float32), "shape"),
        (np.ones((1, 4), np.float32), "length 1"),
        (np.full((1, 4), np.nan, np.float32), "length 1"),
    ],
)
def test_what_an_embedder_returns_is_checked(answer: np.ndarray, complaint: str) -> None:
    with pytest.raises(CollectionError, match=complaint):
        vectors.embedded(Wrong(answer), ["text"])


def test_without_numpy_the_error_names_the_command_and_the_door_still_opens() -> None:
    program = """
import sys
import surefoot.retrieval
assert not {"numpy", "sqlite3"} & set(sys.modules), "the door is heavy"
sys.modules["numpy"] = None
from surefoot.errors import MissingExtra
try:
    import surefoot.retrieval.vectors
except MissingExtra as error:
    assert 'pip install "surefoot[local]"' in str(error)
else:
    raise AssertionError("no error")
"""
    subprocess.run([sys.executable, "-c", program], check=True)
