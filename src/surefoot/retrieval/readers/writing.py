"""The text that a reader extracts, with its outline."""

from __future__ import annotations

from surefoot.retrieval.outline import BlockKind, Heading, Outline, Sections

# The limit of what a text file may hold too.
MOST_CHARACTERS = 10_000_000


class Refused(ValueError):
    """A document that cannot be taken in; the message is the reason."""


class Writing:
    """Blocks and headings put one after the other, with blank lines between them."""

    def __init__(self) -> None:
        self.sections = Sections()
        self._parts: list[str] = []
        self._length = 0

    def heading(self, level: int, text: str) -> None:
        start = self._append(text)
        self.sections.open(Heading(level, text, start, start + len(text)))

    def block(self, kind: BlockKind, text: str) -> None:
        start = self._append(text)
        self.sections.add(kind, start, start + len(text))

    def finished(self) -> tuple[str, Outline]:
        """The whole text and its outline."""
        return "".join(self._parts), self.sections.outline()

    def _append(self, text: str) -> int:
        start = self._length
        self._length += len(text) + 2
        if self._length > MOST_CHARACTERS:
            raise Refused(f"it holds more than the limit of {MOST_CHARACTERS:,} characters of text")
        self._parts += (text, "\n\n")
        return start
