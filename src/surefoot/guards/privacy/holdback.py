"""The end of a stream that is held back until it is known to be no beginning of a secret."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from surefoot.errors import UsageError
from surefoot.guards.privacy.finder import Finder
from surefoot.guards.privacy.rule import Found

WINDOW: Final = 128
"""Characters that are always held back: no pattern needs more behind a find to know that it is one."""
_CONTEXT = 256
"""Characters before it by which a find may be known, as `password: ` is."""
_LONGEST_WORD = 4096
"""Characters without a blank that are held back as a whole; a longer run is data, such as a picture."""
_LONGEST_FIND = 16_384
"""Characters of one find that are kept: what is behind them, up to a blank, is dropped with it."""
_BLANK = re.compile(r"\s")


class Holdback:
    """Redacts a text that comes in pieces, so that all that leaves is as the redacted whole.

    What has left is never taken back. The last `window` characters are held, and before them the word, the find, or
    the begun find that reaches into them: a secret never leaves in part, however it is cut.
    """

    def __init__(self, finder: Finder, *, window: int = WINDOW) -> None:
        """Raises `UsageError` for a window below 128 characters."""
        if window < WINDOW:
            raise UsageError(f"the window of a stream is {window}: give {WINDOW} characters or more")
        self._finder = finder
        self._window = window
        # What has left stays for a while, as it may tell what the rest is.
        self._text = ""
        self._left = 0
        self._is_dropping = False
        self._look_at = 0
        self._kinds: dict[str, int] = {}
        self._is_over = False

    @property
    def kinds(self) -> Mapping[str, int]:
        """What was found in all that has left, and how often."""
        return self._kinds

    @property
    def held(self) -> int:
        """How many characters wait."""
        return len(self._text) - self._left

    def feed(self, piece: str) -> str:
        """Take a piece; what may leave now, which is often nothing. Raises `UsageError` after the end."""
        if self._is_over:
            raise UsageError("the stream has ended: begin another Holdback for the next one")
        self._text += self._undropped(piece)
        cut = len(self._text) - self._window
        if cut <= self._left or len(self._text) < self._look_at:
            return ""
        cut = self._at_blank(cut)
        if cut <= self._left:
            return ""
        finds = self._finder.found(self._text)
        cut = self._before_finds(cut, finds)
        if cut <= self._left:
            # A find that goes on is looked at again when it has grown by some share: at each piece would be its square.
            self._look_at = len(self._text) + len(self._text) // 16
            return self._shortened(finds)
        return self._release(cut, finds)

    def end(self) -> str:
        """The stream is over: what was held back, redacted. Nothing, where it was over already."""
        if self._is_over:
            return ""
        self._is_over = True
        return self._release(len(self._text), self._finder.found(self._text))

    def _undropped(self, piece: str) -> str:
        """A piece without what belongs to a find that was too long to be kept."""
        if not self._is_dropping:
            return piece
        blank = _BLANK.search(piece)
        if blank is None:
            return ""
        self._is_dropping = False
        return piece[blank.start() :]

    def _at_blank(self, cut: int) -> int:
        """The beginning of the word that the cut is in, unless that is data."""
        bound = max(self._left, cut - _LONGEST_WORD)
        start = 1 + max(self._text.rfind(blank, bound, cut) for blank in " \n\t\r")
        if start > bound:
            return start
        return self._left if bound == self._left else cut

    def _before_finds(self, cut: int, finds: list[Found]) -> int:
        """The cut, before each find that it is in, or that touches it: more text may make that longer."""
        for find in reversed(finds):
            if find.start < cut <= find.end:
                cut = find.start
        return cut

    def _release(self, cut: int, finds: list[Found]) -> str:
        parts: list[str] = []
        place = self._left
        for find in finds:
            if find.end <= place or find.start >= cut:
                continue
            parts += (
                self._text[place : max(place, find.start)],
                self._finder.replacement(self._text, find),
            )
            place = min(find.end, cut)
            self._kinds[find.kind] = self._kinds.get(find.kind, 0) + 1
        parts.append(self._text[place:cut])
        self._forget(cut)
        return "".join(parts)

    def _forget(self, cut: int) -> None:
        """Keep as much of what has left as tells what comes, from the beginning of a word."""
        first = max(0, cut - _CONTEXT)
        if first and (blank := _BLANK.search(self._text, first, cut)) is not None:
            first = blank.start()
        self._look_at = 0
        self._text = self._text[first:]
        self._left = cut - first

    def _shortened(self, finds: list[Found]) -> str:
        """What leaves where one find alone is longer than what is kept: its name, and the rest of it is dropped."""
        if self.held <= _LONGEST_FIND:
            return ""
        find = next((each for each in finds if each.start <= self._left < each.end), None)
        if find is None:
            return ""
        self._is_dropping = find.end == len(self._text)
        return self._release(find.end, finds)
