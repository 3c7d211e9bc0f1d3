"""The blocks of a Markdown or plain text document: where they start and end, and under which headings."""

from __future__ import annotations

import re
from dataclasses import dataclass

from surefoot.retrieval.outline import Block, BlockKind, Heading, Outline, Sections
from surefoot.retrieval.sentences import FENCE, LIST_MARKER, lines

_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*\Z")
_SETEXT = re.compile(r" {0,3}(=+|-+)[ \t]*\Z")
_RULE = re.compile(r" {0,3}([-*_])(?:[ \t]*\1){2,}[ \t]*\Z")
_DELIMITER = re.compile(r"[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*\Z")
_SETTING = re.compile(r"[\w-]+[ \t]*:|#")
_TITLE = re.compile(r"title[ \t]*:[ \t]*(.+?)[ \t]*\Z")
_LINK = re.compile(r"!?\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])")
_EMPHASIS = re.compile(r"[*`]+|(?<!\w)_+|_+(?!\w)")
_TITLE_WORDS = 10


def outline(source: str) -> Outline:
    """Read Markdown (CommonMark's blocks and pipe tables).

    Front matter and rules are left out. Headings are not blocks, for they stand in `headings` of what follows
    them; only a heading over an empty section is a block of its own, so that no text is lost. The title is
    the front matter's, else the first heading of level 1.
    """
    return _Scanner(source).scan()


def plain_outline(source: str) -> Outline:
    """Read plain text: paragraphs between blank lines; a short first line that stands alone is the title."""
    blocks: list[Block] = []
    start = end = -1
    for line in lines(source):
        text = source[line.start : line.end]
        if text.strip():
            start = line.start if start < 0 else start
            end = line.start + len(text.rstrip())
        elif start >= 0:
            blocks.append(Block("prose", start, end, ()))
            start = -1
    if start >= 0:
        blocks.append(Block("prose", start, end, ()))
    first = source[blocks[0].start : blocks[0].end].strip() if blocks else ""
    is_title = len(blocks) > 1 and not re.search(r"[\r\n]|[.!?:;,]\Z", first)
    return Outline(first if is_title and len(first.split()) <= _TITLE_WORDS else "", tuple(blocks))


def plain(text: str) -> str:
    """A line of Markdown without emphasis, code marks and link targets."""
    return " ".join(_EMPHASIS.sub("", _LINK.sub(r"\1", text)).split())


@dataclass(frozen=True, slots=True)
class _Line:
    start: int
    end: int
    text: str


class _Scanner:
    """One pass over the lines of a document."""

    def __init__(self, source: str) -> None:
        self._lines = [
            _Line(span.start, span.start + len(text), text)
            for span in lines(source)
            for text in (source[span.start : span.end].rstrip("\r\n"),)
        ]
        self._sections = Sections()
        self._paragraph: list[_Line] = []

    def scan(self) -> Outline:
        at = self._front_matter()
        while at < len(self._lines):
            at = self._take(at)
        self._flush()
        return self._sections.outline()

    def _take(self, at: int) -> int:
        """Consume what starts at line `at`; return the line after it."""
        line = self._lines[at]
        if not line.text.strip():
            self._flush()
        elif fence := FENCE.match(line.text):
            return self._take_while_fenced(at, fence[1])
        elif heading := _ATX.match(line.text):
            self._flush()
            self._sections.open(Heading(len(heading[1]), plain(heading[2] or ""), line.start, line.end))
        elif (underline := _SETEXT.match(line.text)) and self._is_plain_paragraph():
            text = " ".join(each.text for each in self._paragraph)
            first = self._paragraph[0].start
            self._paragraph.clear()
            self._sections.open(Heading(1 if underline[1][0] == "=" else 2, plain(text), first, line.end))
        elif _RULE.match(line.text):
            self._flush()
        elif self._is_table(at):
            return self._take_table(at)
        else:
            self._paragraph.append(line)
        return at + 1

    def _front_matter(self) -> int:
        """Read the title from YAML front matter; return the first line after it."""
        head = [line.text.rstrip() for line in self._lines]
        if len(head) < 3 or head[0] != "---" or not _SETTING.match(head[1]):
            return 0
        for at in range(1, len(head)):
            if head[at] in ("---", "..."):
                return at + 1
            if title := _TITLE.match(head[at]):
                self._sections.title = self._sections.title or " ".join(title[1].strip("\"'").split())
        self._sections.title = ""
        return 0

    def _take_while_fenced(self, at: int, fence: str) -> int:
        self._flush()
        last = at + 1
        while last < len(self._lines):
            closing = self._lines[last].text.strip()
            last += 1
            if closing.startswith(fence) and not closing.strip(fence[0]):
                break
        self._emit("code", self._lines[at:last])
        return last

    def _is_table(self, at: int) -> bool:
        if "|" not in self._lines[at].text or at + 1 == len(self._lines):
            return False
        under = self._lines[at + 1].text
        return "|" in under and _DELIMITER.match(under) is not None

    def _take_table(self, at: int) -> int:
        self._flush()
        last = at + 2
        while last < len(self._lines) and "|" in self._lines[last].text:
            last += 1
        self._emit("table", self._lines[at:last])
        return last

    def _is_plain_paragraph(self) -> bool:
        return bool(self._paragraph) and not any(
            LIST_MARKER.match(line.text) or line.text.lstrip().startswith(">") for line in self._paragraph
        )

    def _flush(self) -> None:
        if self._paragraph:
            self._emit("prose", self._paragraph)
            self._paragraph.clear()

    def _emit(self, kind: BlockKind, block: list[_Line]) -> None:
        self._sections.add(kind, block[0].start, block[-1].end)
