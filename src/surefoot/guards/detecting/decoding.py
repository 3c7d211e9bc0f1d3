"""What a text says in other spellings: encoded, reversed, spaced out, in figures; to a depth and a number of bytes."""

from __future__ import annotations

import base64
import binascii
import html
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_to_bytes

from surefoot.guards.detecting.rules import new_set
from surefoot.texts.characters import skeleton
from surefoot.texts.patterns import encodable

DEPTH = 3
"""How often what was decoded is decoded again."""

BYTES = 256 * 1024
"""How many characters of a text, and as many of all that is decoded of it, are looked at."""

_SHORTEST = 8
"""What is decoded to fewer characters instructs nobody."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text says in one spelling: `spelling` is empty for the text as it is written, else as `base64 hex`."""

    text: str
    spelling: str = ""


@dataclass(frozen=True, slots=True)
class Readings:
    """A text as it is written, first, and what it says in other spellings.

    is_too_large: there is more than was looked at.
    """

    all: tuple[Reading, ...]
    is_too_large: bool = False


def readings_of(text: str, *, budget: int = BYTES, depth: int = DEPTH) -> Readings:
    """The text itself first, then what it says when it is decoded, up to `depth` times.

    Of a text that is longer than the `budget` (characters), the beginning and the end are looked at.
    """
    is_too_large = len(text) > budget
    if is_too_large:
        text = text[: budget // 2] + "\n" + text[-budget // 2 :]
    found = {text: Reading(text)}
    left = budget
    layer = [found[text]]
    for _ in range(depth):
        following: list[Reading] = []
        for told in layer:
            for spelling, decoded in _decoded(told.text):
                if decoded in found or len(decoded) < _SHORTEST:
                    continue
                if len(decoded) > left:
                    is_too_large = is_too_large or spelling in _CODES
                    continue
                left -= len(decoded)
                found[decoded] = Reading(decoded, f"{told.spelling} {spelling}".lstrip())
                following.append(found[decoded])
        layer = following
    # What was decoded last may hold more.
    is_too_large = is_too_large or any(
        spelling in _CODES and len(decoded) >= _SHORTEST and decoded not in found
        for told in layer
        for spelling, decoded in _decoded(told.text)
    )
    return Readings(tuple(found.values()), is_too_large)


# In one pass: which spellings a text may have. What each pattern finds is decoded by the function of that name.
_SIGNS = {
    "base64": r"[A-Za-z0-9+/_-]{16}",
    "hex": r"(?i)(?:[0-9a-f]{2}[\s:,]?){10}|(?:\\x|0x)[0-9a-f]{2}",
    "escapes": r"\\u[0-9a-fA-F]{4}|&#x?[0-9a-fA-F]{2,6};",
    "percent": r"(?:%[0-9a-fA-F]{2}\S{0,12}){3}",
    "rot13": r"(?i)vtaber|qvfertneq|sbetrg|vafgehpgvba|cebzcg|flfgrz|erfgevpg|cnffjbeq",
    "reversed": r"(?i)erongi|drageresid|tegrof|noitcurtsni|tpmorp|metsys|tcirtser|drowssap",
    "spaced": r"(?:[^\W_][ \t._*/|-]{1,3}){7}[^\W_]",
    "leet": r"[A-Za-z][0134578@$€!|+][A-Za-z]|\b[013457@$€!|+][A-Za-z]{2}|\b[A-Za-z]{2,}[013457@$!|+]\b",
    "tags": r"[\x{E0020}-\x{E007E}]{4}",
    "selectors": r"[\x{FE00}-\x{FE0F}\x{E0100}-\x{E01EF}]{4}",
    "binary": r"(?:[01]{8}[\s,]?){8}",
}


@lru_cache(maxsize=1)
def _signs() -> Any:
    found = new_set()
    for pattern in _SIGNS.values():
        found.Add(pattern)
    found.Compile()
    return found


def _spellings(text: str) -> list[str]:
    names = list(_SIGNS)
    return [names[number] for number in _signs().Match(encodable(text)) or ()]


def _decoded(text: str) -> Iterator[tuple[str, str]]:
    for spelling in _spellings(text):
        for decoded in _DECODERS[spelling](text):
            yield spelling, decoded


_CODES = frozenset({"base64", "hex", "percent", "escapes", "binary"})
"""Spellings that nobody reads at a glance."""

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{16,}(?:\r?\n[A-Za-z0-9+/_-]{16,})*={0,2}")
_HEX = re.compile(r"(?:(?:\\x|0x)?[0-9a-fA-F]{2}[\s:,]?){8,}")
_HEX_MARKS = re.compile(r"\\x|0x|[\s:,]")
_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")
_BINARY = re.compile(r"(?:[01]{8}[\s,]?){8,}")
_SPACED = re.compile(r"(?<![^\W_])(?:[^\W_][ \t._*/|-]{1,3}){5,}[^\W_](?![^\W_])")


def _base64(text: str) -> Iterator[str]:
    yield "\n".join(_each_base64(text))


def _each_base64(text: str) -> Iterator[str]:
    for piece in _BASE64.finditer(text):
        packed = "".join(piece[0].split()).rstrip("=").translate(_URL_SAFE)
        if len(packed) % 4 == 1:
            packed = packed[:-1]
        try:
            yield from _readable(base64.b64decode(packed + "=" * (-len(packed) % 4)))
        except binascii.Error:
            continue


_URL_SAFE = str.maketrans("-_", "+/")


def _hex(text: str) -> Iterator[str]:
    yield "\n".join(read for piece in _HEX.finditer(text) for read in _readable(_bytes_of_hex(piece[0])))


def _bytes_of_hex(piece: str) -> bytes:
    digits = _HEX_MARKS.sub("", piece)
    return bytes.fromhex(digits[: len(digits) // 2 * 2])


def _escapes(text: str) -> Iterator[str]:
    yield html.unescape(_ESCAPED.sub(lambda found: chr(int(found[1], 16)), text))


def _percent(text: str) -> Iterator[str]:
    yield unquote_to_bytes(text.replace("+", " ")).decode("utf-8", "replace")


_ROT13 = str.maketrans(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
    "NOPQRSTUVWXYZABCDEFGHIJKLMnopqrstuvwxyzabcdefghijklm",
)


def _rot13(text: str) -> Iterator[str]:
    yield text.translate(_ROT13)


def _reversed(text: str) -> Iterator[str]:
    yield text[::-1]
    yield "\n".join(line[::-1] for line in text.split("\n"))


def _spaced(text: str) -> Iterator[str]:
    """Letters that were spaced out: two blanks or more stand for the end of a word."""
    yield _SPACED.sub(lambda found: " ".join(map(_joined, re.split(r"\s{2,}", found[0]))), text)


_BETWEEN = re.compile(r"[\s._*/|-]")
_LONGEST_WORD = 20
_COMMON = re.compile(
    "(ignore|disregard|forget|all|any|previous|prior|above|earlier|instructions?|rules|guidelines|everything|reveal|print"
    "|show|repeat|output|your|the|system|prompt|hidden|secret|without|restrictions|developer|mode|and|from|now)",
    re.IGNORECASE,
)


def _joined(letters: str) -> str:
    """The letters as a word; what is too long for one is taken apart at common words of orders."""
    word = _BETWEEN.sub("", letters)
    return word if len(word) <= _LONGEST_WORD else " ".join(_COMMON.sub(r" \1 ", word).split())


_LEET = {**dict(zip("0345678@$€+|9", "oeasgtbasetlg", strict=True)), "(": "c", "2": "z", "¡": "i"}
_LEET_I = str.maketrans({**_LEET, "1": "i", "!": "i"})
_LEET_L = str.maketrans({**_LEET, "1": "l", "!": "l"})


def _leet(text: str) -> Iterator[str]:
    reading = skeleton(text)
    yield reading.translate(_LEET_I)
    yield reading.translate(_LEET_L)


_TAGS = re.compile("[\U000e0020-\U000e007e]{4,}")
_SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]{4,}")


def _tags(text: str) -> Iterator[str]:
    yield "\n".join("".join(chr(ord(sign) - 0xE0000) for sign in piece[0]) for piece in _TAGS.finditer(text))


def _selectors(text: str) -> Iterator[str]:
    """Bytes that were written as variation selectors: 16 in one block, 240 in the other."""
    found = (
        bytes(code - 0xFE00 if code < 0xE0100 else code - 0xE0100 + 16 for code in map(ord, piece[0]))
        for piece in _SELECTORS.finditer(text)
    )
    yield "\n".join(read for one in found for read in _readable(one))


def _binary(text: str) -> Iterator[str]:
    pieces = (re.sub(r"[\s,]", "", piece[0]) for piece in _BINARY.finditer(text))
    found = (
        bytes(int(digits[at : at + 8], 2) for at in range(0, len(digits) // 8 * 8, 8)) for digits in pieces
    )
    yield "\n".join(read for one in found for read in _readable(one))


def _readable(decoded: bytes) -> Iterator[str]:
    """The bytes as text, if they are one."""
    try:
        text = decoded.decode()
    except UnicodeDecodeError:
        return
    sample = text[:256]
    odd = sum(
        1 for sign in sample if unicodedata.category(sign) in ("Cc", "Cn", "Co") and sign not in "\n\r\t"
    )
    if odd * 20 <= len(sample):
        yield text


_DECODERS: dict[str, Callable[[str], Iterator[str]]] = {
    "base64": _base64,
    "hex": _hex,
    "escapes": _escapes,
    "percent": _percent,
    "rot13": _rot13,
    "reversed": _reversed,
    "spaced": _spaced,
    "leet": _leet,
    "tags": _tags,
    "selectors": _selectors,
    "binary": _binary,
}
