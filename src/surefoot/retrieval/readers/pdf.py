"""PDF: the text of its pages, under its bookmarks."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from surefoot.retrieval.outline import Outline
from surefoot.retrieval.readers.writing import MOST_CHARACTERS, Refused, Writing

MOST_PAGES = 10_000

_MOST_BOOKMARKS = 20_000
_DEEPEST_BOOKMARK = 6
_WRONG_PASSWORD = 4
# How far from its end a file may be padded.
_TAIL_BYTES = 4096
# A hyphen that only the end of a line asked for comes as one of the two; the others are no text either.
_NO_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u00ad\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Bookmark:
    """An entry of the document's table of contents; `page` counts from 0, level 1 is the outermost."""

    level: int
    title: str
    page: int


def read(source: bytes) -> tuple[str, Outline]:
    """The text of a PDF and its outline; raises `Refused` if it is damaged, locked, too large or has no text."""
    if b"%%EOF" not in source.rstrip(b"\0\t\n\r ")[-_TAIL_BYTES:]:
        raise Refused("it is not a whole PDF (its end is missing); fetch or write it again")
    pdfium: Any = importlib.import_module("pypdfium2")
    try:
        document = pdfium.PdfDocument(source)
        if len(document) > MOST_PAGES:
            raise Refused(f"it has {len(document):,} pages, more than the limit of {MOST_PAGES:,}")
        pages = list(_pages(document))
        title = _line(document.get_metadata_value("Title"))
        bookmarks = list(_bookmarks(document))
    except pdfium.PdfiumError as error:
        if error.err_code == _WRONG_PASSWORD:
            raise Refused("it is locked with a password; save it without one") from error
        raise Refused(f"it is damaged ({error})") from error
    return composed(title, pages, bookmarks)


def composed(title: str, pages: Sequence[str], bookmarks: Iterable[Bookmark]) -> tuple[str, Outline]:
    """Put pages together. Each is a section `page N`, N from 1, under the bookmarks that come before it.

    A bookmark begins its section at the line of its page that has the same words; if there is none, where the
    one before it does, or with the page. Raises `Refused` if no page has text.
    """
    if not any(page.strip() for page in pages):
        raise Refused("it has no text, only images of pages, perhaps; run text recognition (OCR) on it first")
    writing = Writing()
    writing.sections.title = title
    on_page: dict[int, list[Bookmark]] = {}
    for bookmark in bookmarks:
        on_page.setdefault(bookmark.page, []).append(bookmark)
    for number, page in enumerate(pages):
        writing.sections.page = f"page {number + 1}"
        _write_page(writing, page, on_page.get(number, ()))
    return writing.finished()


def _write_page(writing: Writing, page: str, bookmarks: Sequence[Bookmark]) -> None:
    lines = page.splitlines()
    sections, headings = _placed(lines, bookmarks)
    paragraph: list[str] = []
    for at, line in enumerate([*lines, ""]):
        if at in sections or not line:
            _write_paragraph(writing, paragraph)
        for bookmark in sections.get(at, ()):
            writing.heading(bookmark.level, bookmark.title)
        if line and at not in headings:
            paragraph.append(line)


def _placed(
    lines: Sequence[str], bookmarks: Sequence[Bookmark]
) -> tuple[Mapping[int, Sequence[Bookmark]], set[int]]:
    """The bookmarks of a page by the line that they come before, and the lines that are their headings."""
    words = [_words(line) for line in lines]
    sections: dict[int, list[Bookmark]] = {}
    headings: set[int] = set()
    at = 0
    for bookmark in bookmarks:
        wanted = _words(bookmark.title)
        found = next((number for number in range(at, len(words)) if words[number] == wanted), None)
        sections.setdefault(at if found is None else found, []).append(bookmark)
        if found is not None:
            headings.add(found)
            at = found + 1
    return sections, headings


def _words(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))


def _write_paragraph(writing: Writing, lines: list[str]) -> None:
    if lines:
        writing.block("prose", "\n".join(lines))
        lines.clear()


def _pages(document: Any) -> Iterator[str]:
    length = 0
    for number in range(len(document)):
        page = document[number]
        # Within the page's borders: what lies outside is seen by nobody.
        text = str(page.get_textpage().get_text_bounded())
        page.close()
        length += len(text)
        if length > MOST_CHARACTERS:
            raise Refused(f"it holds more than the limit of {MOST_CHARACTERS:,} characters of text")
        yield "\n".join(" ".join(line.split()) for line in _NO_TEXT.sub("", text).splitlines())


def _bookmarks(document: Any) -> Iterator[Bookmark]:
    for count, entry in enumerate(document.get_toc(max_depth=_DEEPEST_BOOKMARK)):
        if count == _MOST_BOOKMARKS:
            return
        destination = entry.get_dest()
        page = destination.get_index() if destination else None
        if page is not None and (title := _line(entry.get_title())):
            # Below the title, which is the document's.
            yield Bookmark(entry.level + 2, title, page)


def _line(text: str) -> str:
    return " ".join(_NO_TEXT.sub("", text).split())
