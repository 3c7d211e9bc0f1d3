"""Small PDF files, written by hand as PDF 1.7 (ISO 32000-1) says."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

Page = Sequence[str]


def pdf(
    *pages: Page | bytes,
    title: str = "",
    bookmarks: Sequence[tuple[str, int]] = (),
    is_packed: bool = False,
    is_locked: bool = False,
) -> bytes:
    """A PDF of pages, each its lines of text or the bytes of its content stream.

    `bookmarks` are (title, page from 0); `is_packed` compresses the pages, `is_locked` asks for a password.
    """
    objects = [b"", b"", b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"]

    def added(body: bytes) -> int:
        objects.append(body)
        return len(objects)

    kids = [added(_page(added(_stream(page, is_packed=is_packed)))) for page in pages]
    objects[1] = b"<< /Type /Pages /Count %d /Kids [%s] >>" % (len(kids), _references(kids))
    catalog = b"/Type /Catalog /Pages 2 0 R"
    if bookmarks:
        root = len(objects) + 1
        first, last = root + 1, root + len(bookmarks)
        added(b"<< /Type /Outlines /First %d 0 R /Last %d 0 R /Count %d >>" % (first, last, len(bookmarks)))
        for at, (name, page) in enumerate(bookmarks):
            following = b"/Next %d 0 R" % (first + at + 1) if at + 1 < len(bookmarks) else b""
            where = b"/Dest [%d 0 R /Fit]" % kids[page]
            added(b"<< /Title (%s) /Parent %d 0 R %s %s >>" % (_text(name), root, where, following))
        catalog += b" /Outlines %d 0 R" % root
    objects[0] = b"<< %s >>" % catalog
    trailer = b"/Root 1 0 R"
    if title:
        trailer += b" /Info %d 0 R" % added(b"<< /Title (%s) >>" % _text(title))
    if is_locked:
        lock = b"<< /Filter /Standard /V 1 /R 2 /P -4 /O <%s> /U <%s> >>" % (b"0b" * 32, b"17" * 32)
        trailer += b" /Encrypt %d 0 R /ID [<00> <00>]" % added(lock)
    return _file(objects, trailer)


def _page(content: int) -> bytes:
    resources = b"<< /Font << /F1 3 0 R >> >>"
    return b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents %d 0 R /Resources %s >>" % (
        content,
        resources,
    )


def _stream(page: Page | bytes, *, is_packed: bool) -> bytes:
    if not isinstance(page, bytes):
        shown = b"".join(b"(%s) Tj T*\n" % _text(line) for line in page)
        page = b"BT /F1 12 Tf 14 TL 72 720 Td\n" + shown + b"ET"
    if is_packed:
        page = zlib.compress(page, 9)
    filtered = b"/Filter /FlateDecode" if is_packed else b""
    return b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(page), filtered, page)


def _text(text: str) -> bytes:
    return text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)").encode("cp1252")


def _references(numbers: Sequence[int]) -> bytes:
    return b" ".join(b"%d 0 R" % number for number in numbers)


def _file(objects: Sequence[bytes], trailer: bytes) -> bytes:
    written = bytearray(b"%PDF-1.7\n")
    table = bytearray(b"0000000000 65535 f \n")
    for number, body in enumerate(objects, start=1):
        table += b"%010d 00000 n \n" % len(written)
        written += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    size = len(objects) + 1
    start = len(written)
    written += b"xref\n0 %d\n%strailer\n<< /Size %d %s >>\n" % (size, table, size, trailer)
    return bytes(written + b"startxref\n%d\n%%%%EOF\n" % start)
