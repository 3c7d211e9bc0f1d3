"""A collection's SQLite file: documents, chunks with their full-text index, sentences, and their vectors."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias
from urllib.parse import quote

from surefoot.errors import CollectionError
from surefoot.retrieval.chunking import Chunk
from surefoot.retrieval.documents import About, Document, Part
from surefoot.values import new_id

SCHEMA = 1
# "SfCo": tells our files from other SQLite files.
_APPLICATION = 0x5366436F
_BUSY_SECONDS = 30.0

_TABLES = f"""
CREATE TABLE about (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
CREATE TABLE documents (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    sha256 TEXT NOT NULL,
    chunking TEXT NOT NULL,
    title TEXT NOT NULL,
    size INTEGER NOT NULL
);
CREATE TABLE chunks (
    number INTEGER PRIMARY KEY,
    document INTEGER NOT NULL REFERENCES documents,
    position INTEGER NOT NULL,
    title TEXT NOT NULL,
    headings TEXT NOT NULL,
    text TEXT NOT NULL,
    start INTEGER NOT NULL,
    "end" INTEGER NOT NULL,
    vector BLOB NOT NULL,
    UNIQUE (document, position)
);
CREATE TABLE sentences (
    chunk INTEGER NOT NULL REFERENCES chunks,
    start INTEGER NOT NULL,
    "end" INTEGER NOT NULL,
    vector BLOB NOT NULL,
    PRIMARY KEY (chunk, start)
) WITHOUT ROWID;
CREATE VIRTUAL TABLE chunk_words USING fts5(
    title, headings, text, content='chunks', content_rowid='number', tokenize='porter unicode61'
);
CREATE TRIGGER chunk_added AFTER INSERT ON chunks BEGIN
    INSERT INTO chunk_words (rowid, title, headings, text)
    VALUES (new.number, new.title, new.headings, new.text);
END;
CREATE TRIGGER chunk_removed AFTER DELETE ON chunks BEGIN
    INSERT INTO chunk_words (chunk_words, rowid, title, headings, text)
    VALUES ('delete', old.number, old.title, old.headings, old.text);
END;
PRAGMA application_id = {_APPLICATION};
PRAGMA user_version = {SCHEMA};
"""

# Title and headings say what a passage is about, so a word there weighs double.
_MATCHES = """
SELECT chunks.number, -bm25(chunk_words, 2.0, 2.0, 1.0) AS score
FROM chunk_words
JOIN chunks ON chunks.number = chunk_words.rowid
JOIN documents ON documents.number = chunks.document
WHERE chunk_words MATCH :expression AND (:document IS NULL OR documents.number = :document)
ORDER BY score DESC, documents.id, chunks.position
LIMIT :most
"""

_CHUNKS = """
SELECT chunks.number, documents.id, position, chunks.title, headings, text, start, "end"
FROM chunks JOIN documents ON documents.number = chunks.document
"""


VectorRow: TypeAlias = tuple[int, int, bytes]


class Store:
    """The file of one collection; safe in threads and forks, for every use has a connection of its own."""

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.name = name

    def exists(self) -> bool:
        """Whether there is a collection; a file that a crash left empty is none."""
        return self.path.is_file() and self.path.stat().st_size > 0

    def create(self, embedder: str, dimensions: int) -> None:
        """Make the file and its tables, unless it is there already."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._failed(error) from error
        with self._explained(), self._connected("rwc") as connection:
            if not _is_empty(connection):
                self._check(connection)
                return
            _log_ahead(connection)
            connection.execute("BEGIN IMMEDIATE")
            # Another process may have made it meanwhile.
            if _is_empty(connection):
                for statement in _statements(_TABLES):
                    connection.execute(statement)
                about = {"embedder": embedder, "dimensions": dimensions, "generation": new_id()}
                connection.executemany("INSERT INTO about VALUES (?, ?)", about.items())
            connection.execute("COMMIT")

    @contextmanager
    def reading(self) -> Generator[Snapshot, None, None]:
        """One state of the collection, whatever is written meanwhile."""
        self._check_presence()
        with self._explained(), self._connected("ro") as connection:
            self._check(connection)
            connection.execute("BEGIN")
            yield Snapshot(connection)

    def replace(self, document: Document, parts: Sequence[Part]) -> None:
        """Put a document in place of the one with its id, wholly or not at all."""
        with self._writing() as connection:
            _remove(connection, document.id)
            number = connection.execute(
                "INSERT INTO documents (id, sha256, chunking, title, size) VALUES (?, ?, ?, ?, ?)",
                (document.id, document.sha256, document.chunking, document.title, document.size),
            ).lastrowid
            for part in parts:
                chunk = part.chunk
                headings = "\n".join(chunk.headings)
                row = connection.execute(
                    'INSERT INTO chunks (document, position, title, headings, text, start, "end", vector)'
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        number,
                        chunk.index,
                        chunk.title,
                        headings,
                        chunk.text,
                        chunk.start,
                        chunk.end,
                        part.vector,
                    ),
                ).lastrowid
                connection.executemany(
                    "INSERT INTO sentences VALUES (?, ?, ?, ?)",
                    [(row, *sentence) for sentence in part.sentences],
                )

    def remove(self, document: str) -> bool:
        """Remove a document; tells whether it was there."""
        with self._writing() as connection:
            return _remove(connection, document)

    @contextmanager
    def _writing(self) -> Generator[sqlite3.Connection, None, None]:
        self._check_presence()
        with self._explained(), self._connected("rw") as connection:
            self._check(connection)
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("UPDATE about SET value = ? WHERE name = 'generation'", (new_id(),))
            connection.execute("COMMIT")

    @contextmanager
    def _connected(self, mode: str) -> Generator[sqlite3.Connection, None, None]:
        connection = sqlite3.connect(
            location(self.path, mode, can_write=os.access(self.path.parent, os.W_OK)),
            uri=True,
            timeout=_BUSY_SECONDS,
            isolation_level=None,
        )
        try:
            # A document that was reported as stored must outlast a power cut.
            connection.execute("PRAGMA synchronous = FULL")
            yield connection
        finally:
            # Closing rolls an open transaction back.
            connection.close()

    def _check_presence(self) -> None:
        if not self.exists():
            raise missing(self.name, self.path)

    def _check(self, connection: sqlite3.Connection) -> None:
        application = _pragma(connection, "application_id")
        if application == 0 and _is_empty(connection):
            raise missing(self.name, self.path)
        if application != _APPLICATION:
            raise CollectionError(
                f"{self.path} is a SQLite file, but not a collection. Move it away and run "
                f"`surefoot ingest FOLDER --collection {self.name}`."
            )
        version = _pragma(connection, "user_version")
        if version > SCHEMA:
            raise CollectionError(
                f"Collection {self.name!r} in {self.path} has schema {version}, written by a newer Surefoot; "
                f"this one reads up to {SCHEMA}. Upgrade with `pip install --upgrade surefoot`."
            )

    def damaged(self, what: str) -> CollectionError:
        """The error for contents that SQLite takes for sound, but that cannot be right."""
        return CollectionError(f"Collection {self.name!r} in {self.path}: {what}. {_ingest_anew(self.name)}")

    def _failed(self, error: sqlite3.Error | OSError) -> CollectionError:
        return CollectionError(
            f"Collection {self.name!r} in {self.path}: {error}. {remedy(error, self.name)}"
        )

    @contextmanager
    def _explained(self) -> Generator[None, None, None]:
        """Turn what SQLite says into a `CollectionError` that says what to do."""
        try:
            yield
        except sqlite3.Error as error:
            raise self._failed(error) from error


class Snapshot:
    """One state of a collection, open for reading."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def about(self) -> About:
        found = dict(self._connection.execute("SELECT name, value FROM about"))
        return About(str(found["embedder"]), int(found["dimensions"]), str(found["generation"]))

    def documents(self) -> list[Document]:
        rows = self._connection.execute("SELECT id, title, sha256, size, chunking FROM documents ORDER BY id")
        return [Document(*row) for row in rows]

    def document(self, id: str) -> Document | None:
        rows = self._connection.execute(
            "SELECT id, title, sha256, size, chunking FROM documents WHERE id = ?", (id,)
        )
        return next((Document(*row) for row in rows), None)

    def number(self, id: str) -> int | None:
        """The row number of a document."""
        row = self._connection.execute("SELECT number FROM documents WHERE id = ?", (id,)).fetchone()
        return None if row is None else int(row[0])

    def vectors(self) -> Iterator[VectorRow]:
        """(chunk, document, vector) of all chunks, by document id and position."""
        return self._connection.execute(
            "SELECT chunks.number, document, vector FROM chunks"
            " JOIN documents ON documents.number = document ORDER BY documents.id, position"
        )

    def matches(self, expression: str, document: int | None, most: int) -> list[tuple[int, float]]:
        """(chunk, score) of what a full-text expression finds, best first, by Okapi BM25."""
        if not expression:
            return []
        return self._connection.execute(
            _MATCHES, {"expression": expression, "document": document, "most": most}
        ).fetchall()

    def chunks(self, numbers: list[int]) -> dict[int, Chunk]:
        """Chunks by row number."""
        rows = self._connection.execute(
            f"{_CHUNKS} WHERE chunks.number IN (SELECT value FROM json_each(?))", (json.dumps(numbers),)
        )
        return {row[0]: _chunk(row) for row in rows}

    def chunks_of(self, document: str) -> list[Chunk]:
        """The chunks of a document in order."""
        rows = self._connection.execute(f"{_CHUNKS} WHERE documents.id = ? ORDER BY position", (document,))
        return [_chunk(row) for row in rows]

    def sentences(self, numbers: list[int]) -> list[tuple[int, int, int, bytes]]:
        """(chunk, start, end, vector) of the sentences of some chunks."""
        return self._connection.execute(
            'SELECT chunk, start, "end", vector FROM sentences'
            " WHERE chunk IN (SELECT value FROM json_each(?))",
            (json.dumps(numbers),),
        ).fetchall()


def location(path: Path, mode: str, *, can_write: bool) -> str:
    """The SQLite URI of a file.

    Readers of a WAL file write an index beside it. Where that is forbidden and nobody is writing (there is no
    log), the file is opened as one that does not change.
    """
    is_still = mode == "ro" and not can_write and not path.with_name(path.name + "-wal").exists()
    return f"file:{quote(str(path))}?mode={mode}" + ("&immutable=1" if is_still else "")


def missing(name: str, path: Path) -> CollectionError:
    return CollectionError(
        f"There is no collection {name!r} in {path.parent}. Make it with "
        f"`surefoot ingest FOLDER --collection {name}`."
    )


def remedy(error: sqlite3.Error | OSError, name: str) -> str:
    """What to do about an error of SQLite or the file system."""
    code = _code(error)
    if code == sqlite3.SQLITE_FULL:
        return "Free some space and run the command again; nothing was left half-written."
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return "Check that the file and its folder exist and may be read and written."
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return "Another process is writing to it; run the command again when that is done."
    is_damaged = code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    if "no such module: fts5" in str(error):
        return "This Python's SQLite lacks full-text search (FTS5); use a build of Python that has it."
    if is_damaged or "no such" in str(error):
        return _ingest_anew(name)
    return "Check the disk and the file's permissions."


def _ingest_anew(name: str) -> str:
    return f"The file is damaged: delete it and run `surefoot ingest FOLDER --collection {name}`."


def _chunk(row: tuple[int, str, int, str, str, str, int, int]) -> Chunk:
    _, document, position, title, headings, text, start, end = row
    return Chunk(document, position, title, tuple(headings.split("\n")) if headings else (), text, start, end)


def _remove(connection: sqlite3.Connection, document: str) -> bool:
    row = connection.execute("SELECT number FROM documents WHERE id = ?", (document,)).fetchone()
    if row is None:
        return False
    connection.execute(
        "DELETE FROM sentences WHERE chunk IN (SELECT number FROM chunks WHERE document = ?)", row
    )
    connection.execute("DELETE FROM chunks WHERE document = ?", row)
    connection.execute("DELETE FROM documents WHERE number = ?", row)
    return True


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _is_empty(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone() is None


def _code(error: sqlite3.Error | OSError) -> int:
    """SQLite's primary code of an error, which is the low byte of the extended one; 0 for other errors."""
    extended: int = getattr(error, "sqlite_errorcode", 0)
    return extended & 0xFF


def _log_ahead(connection: sqlite3.Connection) -> None:
    """Switch a new file to WAL; SQLite does not wait here if another process is doing the same."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _statements(script: str) -> Iterator[str]:
    """The statements of a script one by one, for `executescript` would commit the open transaction."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
