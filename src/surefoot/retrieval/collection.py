"""A collection of documents: put them in, search them, and find the sentences that answer a question."""

from __future__ import annotations

import difflib
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from surefoot import scope
from surefoot.errors import CollectionError, InvalidInput
from surefoot.retrieval.chunking import CHUNKING, Chunk, chunked
from surefoot.retrieval.documents import About, Document, Part
from surefoot.retrieval.home import Home, home
from surefoot.retrieval.ranking import shared_words
from surefoot.retrieval.reading import Format, Reading, read
from surefoot.retrieval.search import Mode, Passage, Search
from surefoot.retrieval.sentences import Span, sentences

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from surefoot.retrieval.store import Snapshot

# How many chunks the best sentences are looked for in.
_SENTENCES_FROM = 8


@dataclass(frozen=True, slots=True)
class Stored:
    """What putting a document in has come to."""

    document: str
    title: str
    chunks: int
    sentences: int


class Collection:
    """A named collection of documents, as chunks and sentences with their vectors and a full-text index."""

    def __init__(self, name: str, home: Home) -> None:
        self.name = name
        self._home = home
        self._store = home.store(name)

    @classmethod
    def open(cls, name: str, *, create: bool = False) -> Collection:
        """The collection `name` of the current app.

        Raises `CollectionError` if there is none (unless `create`), if it is damaged or of a newer version,
        or if `create` finds one that another embedder made.
        """
        return cls.at(home(), name, create=create)

    @classmethod
    def at(cls, home: Home, name: str, *, create: bool = False) -> Collection:
        """The collection `name` of a given home; otherwise like `open`."""
        collection = cls(name, home)
        if create:
            collection._store.create(home.embedder.name, home.embedder.dimensions)
        with collection._store.reading() as snapshot:
            about = snapshot.about()
        if create:
            collection._check_embedder(about)
        return collection

    def search(
        self, query: str, *, document: str | None = None, top: int = 4, mode: Mode = "hybrid"
    ) -> list[Passage]:
        """The `top` passages nearest to `query`, best first; ties go by document, then by position.

        `vector` compares the query's vector with every chunk's, exactly; `text` ranks the chunks that share
        words with it, and needs no vectors; `hybrid` fuses both orders by reciprocal ranks. With `document` only
        that document is searched. A query without a letter or digit finds nothing. Raises `CollectionError` if
        the collection cannot be read or was made with another embedder, `InvalidInput` if it holds no such
        document or `top` is below 1.
        """
        asked = _asked(query, top)
        if not asked:
            return []
        self._taint()
        if mode == "text":
            with self._store.reading() as snapshot:
                return list(self._by_words(snapshot, asked, document).best(mode, top).values())
        with self._reading() as (snapshot, about):
            search, _ = self._by_nearness(snapshot, about, asked, document)
            return list(search.best(mode, top).values())

    def best_sentences(
        self,
        query: str,
        *,
        document: str | None = None,
        top: int = 3,
        mode: Literal["hybrid", "text"] = "hybrid",
    ) -> list[Passage]:
        """The `top` sentences nearest to `query` among those of the best chunks, best first.

        `score` is the sentence's cosine, or in `text` mode, which needs no vectors, the share of the query's words
        that it holds. A list item, a line of code and a row of a table count as sentences. Raises what `search`
        raises.
        """
        asked = _asked(query, top)
        if not asked:
            return []
        self._taint()
        if mode == "text":
            with self._store.reading() as snapshot:
                chunks = self._by_words(snapshot, asked, document).best(mode, _SENTENCES_FROM)
                rows = snapshot.sentences(list(chunks))
            parts = [_sentence(chunks[chunk], start, end, None) for chunk, start, end, _ in rows]
            found = [replace(part, score=shared_words(asked, part.text)) for part in parts]
        else:
            from surefoot.retrieval.vectors import similarities, unpacked

            with self._reading() as (snapshot, about):
                search, vector = self._by_nearness(snapshot, about, asked, document)
                chunks = search.best(mode, _SENTENCES_FROM)
                rows = snapshot.sentences(list(chunks))
                vectors = unpacked([row[3] for row in rows], about.dimensions)
            found = [
                _sentence(chunks[chunk], start, end, cosine)
                for (chunk, start, end, _), cosine in zip(rows, similarities(vectors, vector), strict=True)
            ]
        return sorted(found, key=lambda passage: (-passage.score, passage.document, passage.start))[:top]

    def _taint(self) -> None:
        """Whoever wrote the documents, the team did not: a run that reads them is told."""
        if (here := scope.current()) is not None:
            here.taint(f"the collection {self.name}")

    def documents(self) -> list[Document]:
        """The documents in the collection, by id."""
        with self._store.reading() as snapshot:
            return snapshot.documents()

    def chunks(self, document: str) -> list[Chunk]:
        """The chunks of a document in order; raises `InvalidInput` if it is not in the collection."""
        self._taint()
        with self._store.reading() as snapshot:
            self._number(snapshot, document)
            return snapshot.chunks_of(document)

    def holds(self, document: str, digest: str) -> bool:
        """Whether the document with this SHA-256 is in the collection, cut as this version cuts it."""
        with self._store.reading() as snapshot:
            found = snapshot.document(document)
        return found is not None and found.is_current(digest, CHUNKING)

    def put(self, document: str, source: bytes, *, format: Format = "markdown") -> Stored:
        """Read a file's content and store it in place of what the collection has under this id; see `store`.

        Raises what `store` raises, `InvalidInput` if the content cannot be read, `MissingExtra` if the library
        for its format is not installed.
        """
        self._check_writable()
        try:
            reading = read(source, format)
        except ValueError as error:
            raise InvalidInput(f"{document}: {error}. Repair or convert it, or leave it out.") from error
        return self.store(document, reading)

    def store(self, document: str, reading: Reading) -> Stored:
        """Chunk, embed and store what was read, in place of what the collection has under this id.

        Other processes see the old document or the new one, never a mixture, and so does who comes after a
        crash. Raises `CollectionError` if it cannot be stored.
        """
        self._check_writable()
        cut = chunked(reading.text, document, reading.outline)
        parts = self._embedded(cut.chunks)
        self._store.replace(Document(document, cut.title, reading.sha256, reading.size, CHUNKING), parts)
        return Stored(document, cut.title, len(parts), sum(len(part.sentences) for part in parts))

    def remove(self, document: str) -> bool:
        """Remove a document; tells whether it was there."""
        return self._store.remove(document)

    def _check_writable(self) -> None:
        with self._store.reading() as snapshot:
            self._check_embedder(snapshot.about())

    def _embedded(self, chunks: tuple[Chunk, ...]) -> list[Part]:
        from surefoot.retrieval.vectors import embedded, packed

        spans = [[_shifted(span, chunk.start) for span in sentences(chunk.text)] for chunk in chunks]
        texts = [
            " ".join(chunk.text[span.start - chunk.start : span.end - chunk.start].split())
            for chunk, inside in zip(chunks, spans, strict=True)
            for span in inside
        ]
        embedder = self._home.embedder
        vectors = packed(embedded(embedder, [chunk.indexed_text for chunk in chunks]))
        rest = iter(packed(embedded(embedder, texts)))
        return [
            Part(chunk, vector, tuple((span.start, span.end, next(rest)) for span in inside))
            for chunk, vector, inside in zip(chunks, vectors, spans, strict=True)
        ]

    @contextmanager
    def _reading(self) -> Generator[tuple[Snapshot, About], None, None]:
        from surefoot.retrieval.vectors import DamagedVector

        with self._store.reading() as snapshot:
            about = snapshot.about()
            self._check_embedder(about)
            try:
                yield snapshot, about
            except DamagedVector as error:
                raise self._store.damaged(str(error)) from error

    def _by_words(self, snapshot: Snapshot, query: str, document: str | None) -> Search:
        return Search(snapshot, query, None if document is None else self._number(snapshot, document))

    def _by_nearness(
        self, snapshot: Snapshot, about: About, query: str, document: str | None
    ) -> tuple[Search, NDArray[np.float32]]:
        from surefoot.retrieval.vectors import embedded

        number = None if document is None else self._number(snapshot, document)
        vector = embedded(self._home.embedder, [query])[0]
        index = self._home.index(self.name, snapshot, about)
        return Search(snapshot, query, number, (index, vector)), vector

    def _number(self, snapshot: Snapshot, document: str) -> int:
        number = snapshot.number(document)
        if number is None:
            ids = [each.id for each in snapshot.documents()]
            near = difflib.get_close_matches(document, ids, n=3) or ids[:3]
            raise InvalidInput(
                f"Collection {self.name!r} has no document {document!r}; it has {len(ids)}, such as "
                f"{', '.join(map(repr, near)) or 'none'}."
            )
        return number

    def _check_embedder(self, about: About) -> None:
        embedder = self._home.embedder
        if (about.embedder, about.dimensions) != (embedder.name, embedder.dimensions):
            raise CollectionError(
                f"Collection {self.name!r} was made with the embedder {about.embedder} ({about.dimensions} "
                f"dimensions), but the current one is {embedder.name} ({embedder.dimensions}), whose vectors "
                f"cannot be compared with them. Set the former again, or delete {self._store.path} and run "
                f"`surefoot ingest FOLDER --collection {self.name}`."
            )


def _asked(query: str, top: int) -> str:
    """The query as it is embedded and matched; empty if there is nothing to look for."""
    if top < 1:
        raise InvalidInput(f"top must be at least 1, not {top}.")
    # A lone surrogate is no text to a tokenizer or to SQLite.
    text = query.encode("utf-8", "replace").decode()
    return text if any(character.isalnum() for character in text) else ""


def _shifted(span: Span, by: int) -> Span:
    return Span(span.start + by, span.end + by)


def _sentence(chunk: Passage, start: int, end: int, cosine: float | None) -> Passage:
    text = chunk.text[start - chunk.start : end - chunk.start]
    return replace(chunk, text=text, start=start, end=end, score=cosine or 0.0, cosine=cosine)
