"""Sentences of a text, as spans of character offsets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """The half-open range of characters `text[start:end]`."""

    start: int
    end: int


LIST_MARKER = re.compile(r"[ \t]*(?:[-*+•]|\d{1,3}[.)]|[A-Za-z][)])[ \t]+(?:\[[ xX]\][ \t]+)?")
FENCE = re.compile(r"[ \t]*(`{3,}(?=[^`]*\Z)|~{3,})")

_LINE = re.compile(r"[^\r\n]+(?:\r\n|\r|\n)?|\r\n|\r|\n")
_SETS_ITSELF_APART = re.compile(r" {0,3}#{1,6}[ \t]|[ \t]*\|")
_FULL_WIDTH = "\u3002\uff01\uff1f"
_ENDING = re.compile(
    r"[.!?\u2026]+[\"'\u201d\u2019\u00bb)\]*_`]*(?=\s)"
    rf"|[{_FULL_WIDTH}]+[\u300d\u300f\u201d\u2019\uff09]*"
)
_LAST_WORD = re.compile(r"[^\s(\[\"'\u201c\u2018\u00ab]*\Z")
_OPENING = re.compile(r"[\s(\[\"'\u201c\u2018\u00ab*_`]*")
_INITIALS = re.compile(r"(?:[A-Z]\.)*[A-Z]\Z")
_ZONE = re.compile(r"[A-Z]{2,5}\b")
# What these words are followed by belongs to them.
# fmt: off
_TITLES = frozenset(
    {
        "mr", "mrs", "ms", "dr", "prof", "sr", "jr", "st", "gen", "col", "capt", "lt", "sgt", "rev",
        "hon", "gov", "sen", "rep",
    }
)
_LEADING = frozenset(
    {
        "e.g", "i.e", "cf", "viz", "vs", "resp", "approx", "ca", "esp", "incl",
    }
)
_COUNTED = frozenset(
    {
        "no", "nos", "fig", "figs", "p", "pp", "vol", "ch", "sec", "art", "eq", "ref", "ver", "v", "min",
        "max", "tel", "ext",
    }
)
# fmt: on


def sentences(text: str) -> list[Span]:
    """Split `text` into sentences, in order and without overlap, with surrounding space left out.

    A blank line, a list item, a row of a table, a heading and a line of fenced code each start a new one;
    list markers are left out, and so is what holds no letter or digit (rules, fences). A full stop in an
    abbreviation, an initial, a decimal or a time of day ends nothing.
    """
    return [
        span
        for segment in _segments(text)
        for span in _split(text, segment)
        if any(character.isalnum() for character in text[span.start : span.end])
    ]


def lines(text: str) -> Iterator[Span]:
    """The lines of `text`, their line ends (LF, CR LF or CR) included."""
    return (Span(match.start(), match.end()) for match in _LINE.finditer(text))


def _segments(text: str) -> Iterator[Span]:
    """Runs of lines that no sentence crosses, without the marker that they start with."""
    start = end = 0
    fence = ""
    for line in lines(text):
        content = text[line.start : line.end]
        marker = LIST_MARKER.match(content)
        fencing = FENCE.match(content)
        if fencing and fencing[1].startswith(fence):
            fence = "" if fence else fencing[1]
            alone, first = True, line.end
        else:
            alone = bool(fence or _SETS_ITSELF_APART.match(content) or not content.strip())
            first = line.start + (marker.end() if marker and not fence else 0)
        if alone or marker:
            if start < end:
                yield Span(start, end)
            start = first
        end = line.end
        if alone:
            if start < end:
                yield Span(start, end)
            start = end
    if start < end:
        yield Span(start, end)


def _split(text: str, segment: Span) -> Iterator[Span]:
    start = segment.start
    for match in _ENDING.finditer(text, segment.start, segment.end):
        if _ends(text, match, segment):
            yield from _trimmed(text, start, match.end())
            start = match.end()
    yield from _trimmed(text, start, segment.end)


def _trimmed(text: str, start: int, end: int) -> Iterator[Span]:
    piece = text[start:end]
    if stripped := piece.strip():
        offset = start + len(piece) - len(piece.lstrip())
        yield Span(offset, offset + len(stripped))


def _ends(text: str, ending: re.Match[str], segment: Span) -> bool:
    if ending[0][0] in _FULL_WIDTH:
        return True
    opening = _OPENING.match(text, ending.end(), segment.end)
    at = opening.end() if opening else ending.end()
    if at >= segment.end:
        return True
    if text[at].islower():
        return False
    if ending[0] != ".":
        return True
    last = _LAST_WORD.search(text, segment.start, ending.start())
    word = last[0] if last else ""
    lower = word.lower()
    if lower in _TITLES or lower in _LEADING or _INITIALS.fullmatch(word):
        return False
    if lower in ("a.m", "p.m"):
        return not _ZONE.match(text, at)
    return not (lower in _COUNTED and text[at].isdigit())
