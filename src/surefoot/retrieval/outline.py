"""The blocks of a text, of whatever format: where they start and end, and under which headings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

BlockKind = Literal["prose", "code", "table"]


@dataclass(frozen=True, slots=True)
class Block:
    """`text[start:end]` is a paragraph or list (prose), a fenced block with its fences, or a pipe table.

    `headings` are the titles of the sections around it, outermost first, without the document's own title.
    """

    kind: BlockKind
    start: int
    end: int
    headings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outline:
    """A document's title, empty if it has none, and its blocks in order."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading at `text[start:end]`; level 1 is the outermost."""

    level: int
    text: str
    start: int
    end: int


class Sections:
    """An outline in the making: headings are opened and blocks added in the order of the text.

    `title` may be set before the first heading; else the first heading of level 1 is the title. Headings are
    not blocks, for they stand in `headings` of what follows them; only one over an empty section becomes a
    block, so that no text is lost. `page` ends the headings of every block while it is set.
    """

    def __init__(self) -> None:
        self.title = ""
        self.page = ""
        self._blocks: list[Block] = []
        self._path: list[Heading] = []
        self._bare: Heading | None = None

    def open(self, heading: Heading) -> None:
        self._close_bare(heading.level)
        while self._path and self._path[-1].level >= heading.level:
            self._path.pop()
        is_title = heading.level == 1 and self.title in ("", heading.text)
        if is_title:
            self.title = heading.text
        if heading.text:
            self._bare = heading
        # The title holds its place in the path, but is not repeated in it.
        self._path.append(Heading(heading.level, "", 0, 0) if is_title else heading)

    def add(self, kind: BlockKind, start: int, end: int) -> None:
        self._bare = None
        self._blocks.append(Block(kind, start, end, self._headings([heading.text for heading in self._path])))

    def outline(self) -> Outline:
        """What has been put together; the last thing that is asked of it."""
        self._close_bare(0)
        return Outline(self.title, tuple(self._blocks))

    def _close_bare(self, level: int) -> None:
        """A heading with nothing under it, not even a deeper one, is a block under the headings above it."""
        bare, self._bare = self._bare, None
        if bare and bare.level >= level:
            above = self._headings([each.text for each in self._path if each.level < bare.level])
            self._blocks.append(Block("prose", bare.start, bare.end, above))

    def _headings(self, above: list[str]) -> tuple[str, ...]:
        return tuple(text for text in (*above, self.page) if text)
