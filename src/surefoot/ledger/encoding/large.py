"""Values so large that a second copy of their text counts."""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from collections.abc import Iterator
from typing import TypeAlias

import orjson

Encoded: TypeAlias = "str | bytes | bytearray"
"""Self-describing JSON: text, or its UTF-8 where it is large, as each turn between the two would be a copy."""

LARGE = 1 << 20
"""Bytes from which a text stays UTF-8."""

_HEAD, _TAIL = b'{"$":["bytes","', b'"]}'
_PIECE = 3 << 18  # bytes at a time; a multiple of three, so that the pieces of base64 join
_ESCAPE = 12  # bytes of the longest escape, a pair of surrogates


def write_bytes(value: bytes) -> bytearray:
    """What `encode` gives for bytes, in the memory of the text alone."""
    out = bytearray(len(_HEAD) + (len(value) + 2) // 3 * 4 + len(_TAIL))
    out[: len(_HEAD)] = _HEAD
    out[-len(_TAIL) :] = _TAIL
    at, view = len(_HEAD), memoryview(value)
    for start in range(0, len(value), _PIECE):
        piece = b2a_base64(view[start : start + _PIECE], newline=False)
        out[at : at + len(piece)] = piece
        at += len(piece)
    return out


def read_bytes(text: bytes | bytearray) -> bytes | None:
    """The bytes of such a text; None if it is another one. Raises `ValueError` if it is no base64."""
    if not (text.startswith(_HEAD) and text.endswith(_TAIL)):
        return None
    inside = memoryview(text)[len(_HEAD) : -len(_TAIL)]
    return a2b_base64(inside, strict_mode=True)


def is_text(text: bytes | bytearray) -> bool:
    """Whether a JSON text is one string."""
    return len(text) > 1 and text.startswith(b'"') and text.endswith(b'"')


def text_pieces(text: bytes | bytearray) -> Iterator[str]:
    """The parts of a JSON string, in order. The parser would copy all of it first."""
    start, last = 1, len(text) - 1
    while start < last:
        end = _cut(text, start, min(start + _PIECE, last)) if start + _PIECE < last else last
        piece: str = orjson.loads(b'"%b"' % bytes(memoryview(text)[start:end]))
        yield piece
        start = end


def _cut(text: bytes | bytearray, start: int, end: int) -> int:
    """A place up to `end` that is not within an escape or a character; the end of the text if there is none."""
    while end > start:
        escape = text.rfind(b"\\", max(start, end - _ESCAPE), end)
        if escape < 0 and text[end] & 0xC0 != 0x80:
            return end
        end = escape if escape >= 0 else end - 1
    return len(text) - 1
