"""Documents cut into chunks that an embedder takes whole, each with its title, headings and offsets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePosixPath

from surefoot.retrieval.markdown import plain
from surefoot.retrieval.outline import Block, Outline
from surefoot.retrieval.sentences import Span, lines, sentences

TARGET_WORDS = 110
LIMIT_WORDS = 160
# Raised when the same source gives other chunks than before, so that collections are brought up to date.
CHUNKING = f"1/{TARGET_WORDS}/{LIMIT_WORDS}"

_HEADER_CHARACTERS = 200
# A character of a script without spaces counts as a word, and so does each stretch of 24 of a long one.
_WORD = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\s\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]{1,24}"
)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage of a document: offsets are in characters of the document's text, `text[start:end]`.

    That is the decoded file of Markdown and plain text, and what was extracted of HTML and PDF; `read` gives
    it again. Of a PDF the last of the headings is the page, as `page 3`, counted from 1.
    """

    document: str
    index: int
    title: str
    headings: tuple[str, ...]
    text: str
    start: int
    end: int

    @property
    def indexed_text(self) -> str:
        """What is embedded: the text under its title and headings, which often hold the words asked for."""
        return "\n".join((" > ".join((self.title, *self.headings)), self.text))


@dataclass(frozen=True, slots=True)
class Chunked:
    """A document's title and its chunks in order."""

    title: str
    chunks: tuple[Chunk, ...]


@dataclass(frozen=True, slots=True)
class _Piece:
    """What is not cut further: a span, its words, and the headings that it stands under."""

    start: int
    end: int
    words: int
    headings: tuple[str, ...]


def chunked(
    source: str,
    document: str,
    outline: Outline,
    *,
    target: int = TARGET_WORDS,
    limit: int = LIMIT_WORDS,
) -> Chunked:
    """Cut a text with its outline into chunks of about `target` words and never more than `limit`.

    A chunk holds whole blocks of one section. A block that is too large is cut between sentences (prose),
    lines (fenced code) or rows (tables; the header's cells then end the headings of each part); a sentence,
    line or row over the limit is cut between words. The chunks cover all text but front matter, rules, and
    headings that are in `headings`. Deterministic.
    """
    if not 1 <= target <= limit:
        raise ValueError(f"target must be 1 to limit words, not {target} of {limit}")
    title = outline.title or PurePosixPath(document).stem
    pieces = [piece for block in outline.blocks for piece in _pieces(source, block, target, limit)]
    return Chunked(
        title,
        tuple(
            Chunk(document, index, title, headings, source[span.start : span.end], span.start, span.end)
            for index, (span, headings) in enumerate(_pack(source, pieces, target, limit))
        ),
    )


def words(text: str) -> int:
    """The length of `text` in words."""
    return sum(1 for _ in _WORD.finditer(text))


def _pieces(source: str, block: Block, target: int, limit: int) -> Iterator[_Piece]:
    text = source[block.start : block.end]
    size = words(text)
    if size <= (target if block.kind == "prose" else limit):
        yield from _trimmed(source, block.start, block.end, block.headings)
        return
    headings = block.headings
    if block.kind == "prose":
        cuts = [block.start + span.start for span in sentences(text)]
    else:
        cuts = [block.start + span.start for span in lines(text)]
    if block.kind == "table":
        header = text[: cuts[1] - block.start]
        names = " | ".join(cell.strip() for cell in plain(header).strip("| ").split("|"))
        headings = (*headings, names[:_HEADER_CHARACTERS])
        # The header, the delimiter row under it and the first row stay together.
        del cuts[1:3]
    edges = [block.start, *cuts[1:], block.end]
    for start, end in pairwise(edges):
        for span in _within(source, Span(start, end), limit):
            yield from _trimmed(source, span.start, span.end, headings)


def _within(source: str, span: Span, limit: int) -> Iterator[Span]:
    """Cut a span between words into parts of at most `limit` words."""
    starts = [match.start() for match in _WORD.finditer(source, span.start, span.end)]
    edges = [span.start, *starts[limit::limit], span.end]
    yield from (Span(start, end) for start, end in pairwise(edges))


def _trimmed(source: str, start: int, end: int, headings: tuple[str, ...]) -> Iterator[_Piece]:
    text = source[start:end]
    end = start + len(text.rstrip())
    # Indentation is kept, for code and lists mean something by it; blank lines before are not.
    start += len(text) - len(text.lstrip("\r\n"))
    if start < end:
        yield _Piece(start, end, words(source[start:end]), headings)


def _pack(
    source: str, pieces: Iterable[_Piece], target: int, limit: int
) -> list[tuple[Span, tuple[str, ...]]]:
    """Fill chunks up to the target; a short rest joins the chunk before it if the limit allows."""
    packed: list[_Piece] = []
    for piece in pieces:
        packed[-1:] = _joined(source, packed[-1:], piece, target)
    joined: list[_Piece] = []
    for piece in packed:
        joined[-1:] = _joined(source, joined[-1:], piece, limit if piece.words * 4 < target else 0)
    return [(Span(piece.start, piece.end), piece.headings) for piece in joined]


def _joined(source: str, before: list[_Piece], piece: _Piece, most: int) -> list[_Piece]:
    """`piece` joined to the one before it, if both are of one section and have at most `most` words."""
    for last in before:
        # What lies between them (a rule) counts as well.
        size = words(source[last.start : piece.end])
        if last.headings == piece.headings and size <= most:
            return [_Piece(last.start, piece.end, size, last.headings)]
    return [*before, piece]
