"""One search of a collection: its rankings, and the passages that they lead to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from surefoot.retrieval.chunking import Chunk
from surefoot.retrieval.ranking import fused, match_expression

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from surefoot.retrieval.store import Snapshot
    from surefoot.retrieval.vectors import Cosines, Index

Mode = Literal["hybrid", "vector", "text"]

# How deep each ranking is read before they are fused.
_CANDIDATES = 50


@dataclass(frozen=True, slots=True)
class Passage:
    """A part of a document that was found: `text` is its characters from `start` to `end`.

    `heading` is the path of its sections, joined by " > ". `score` orders the passages of one search and
    means what its mode says: a cosine (vector), Okapi BM25 (text) or a sum of reciprocal ranks (hybrid).
    `cosine` compares query and passage, -1 to 1; None in `text` mode, which reads no vectors.
    """

    document: str
    title: str
    heading: str
    text: str
    start: int
    end: int
    score: float
    cosine: float | None


class Search:
    """A query against one state of a collection, in one document (by row number) or in all.

    `nearness` is the index and the query's vector; without it only words are compared.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        query: str,
        document: int | None,
        nearness: tuple[Index, NDArray[np.float32]] | None = None,
    ) -> None:
        self._snapshot = snapshot
        self._query = query
        self._document = document
        self._cosines: Cosines | None = None
        if nearness is not None:
            from surefoot.retrieval.vectors import cosines

            self._cosines = cosines(*nearness)

    def best(self, mode: Mode, top: int) -> dict[int, Passage]:
        """The `top` best chunks as passages by chunk number, best first."""
        scores = self._scores(mode, max(top, _CANDIDATES))
        numbers = list(scores)
        chunks = self._snapshot.chunks(numbers)
        compared = self._cosines.of(numbers) if self._cosines else [None] * len(numbers)
        cosines = dict(zip(numbers, compared, strict=True))

        def place(number: int) -> tuple[float, str, int]:
            return -scores[number], chunks[number].document, chunks[number].start

        best = sorted(numbers, key=place)[:top]
        return {number: _passage(chunks[number], scores[number], cosines[number]) for number in best}

    def _scores(self, mode: Mode, most: int) -> dict[int, float]:
        nearest = self._cosines.nearest(most, document=self._document) if self._cosines else []
        if mode == "vector":
            return dict(nearest)
        matches = self._snapshot.matches(match_expression(self._query), self._document, most)
        if mode == "text":
            return dict(matches)
        return fused([[number for number, _ in ranking] for ranking in (nearest, matches)])


def _passage(chunk: Chunk, score: float, cosine: float | None) -> Passage:
    return Passage(
        chunk.document,
        chunk.title,
        " > ".join(chunk.headings),
        chunk.text,
        chunk.start,
        chunk.end,
        score,
        cosine,
    )
