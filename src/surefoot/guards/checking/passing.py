"""A text of a stream that is looked at for secrets as it comes: what may be a part of one waits until it is known."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

_PLAIN = re.compile(r"[(\"'*#\[_-]{0,3}(?:[^\W\d_]?[a-z\u00df-\u00ff]{0,20}[.,;:!?)]{0,2})")
"""An unfinished word that is no beginning of a key: small letters after one that may be large, and punctuation."""
_SIGNS = "".join(map(chr, range(ord("!"), ord("~") + 1)))
"""Keys are of ASCII: a text in letters of another script goes on at once."""
_CONTEXT = 256
"""Characters that have left and tell what those behind them are, as `password: ` does."""
_LONGEST_WORD = 4096
"""Characters of one word that are held back; what is longer is no key."""
_LONGEST_BLOCK = 16_384
"""Characters of a private key in several lines that are held back."""
_BLOCK, _BLOCK_END = "-----BEGIN ", "-----END "
_KNOWN_BEGINNING = 4
"""So many characters of a known secret are its beginning, and not that of any word."""


class SecretPassing:
    """Lets a text pass but for its unfinished last word, where that could become a secret.

    `look` is given what has come and is not known to be harmless, and raises where it holds one. So no more than the
    first small letters of a key are ever handed on.
    """

    def __init__(
        self, look: Callable[[str], None], known: Sequence[Callable[[], frozenset[str]]] = ()
    ) -> None:
        self._look = look
        self._known = known
        self._text = ""
        self._gone = 0
        """How many characters stood before `_text`."""
        self._passed = 0
        """How many of `_text` have been handed on."""

    def feed(self, piece: str, /) -> int:
        """See `surefoot.models.chain.guarding.Passing`."""
        self._text += piece
        cut = self._cut()
        if cut > self._passed:
            self._look(self._text)
            self._passed = cut
            self._forget()
        return self._gone + self._passed

    def end(self) -> None:
        """See `surefoot.models.chain.guarding.Passing`."""
        if self._passed < len(self._text):
            self._look(self._text)
            self._passed = len(self._text)

    def _cut(self) -> int:
        """Up to where the text is whole words."""
        text = self._text
        block = text.rfind(_BLOCK, self._passed)
        if block >= 0 and _BLOCK_END not in text[block:] and len(text) - block <= _LONGEST_BLOCK:
            return block
        known = self._known_from(text)
        start = len(text.rstrip(_SIGNS))
        word = text[start:]
        if not word or len(word) >= _LONGEST_WORD or (known == len(text) and _PLAIN.fullmatch(word)):
            start = len(text)
        return min(start, known)

    def _known_from(self, text: str) -> int:
        """Where the beginning of a known secret begins in which the text ends; its end where there is none."""
        first = len(text)
        for give in self._known:
            for secret in give():
                # A known secret may be of several words, in any script.
                at = text.find(secret[:_KNOWN_BEGINNING], max(0, len(text) - len(secret)))
                while 0 <= at < first:
                    if secret.startswith(text[at:]):
                        first = at
                    at = text.find(secret[:_KNOWN_BEGINNING], at + 1)
        return first

    def _forget(self) -> None:
        spare = self._passed - _CONTEXT
        if spare > 0:
            self._text = self._text[spare:]
            self._gone += spare
            self._passed -= spare
