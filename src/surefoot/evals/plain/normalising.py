"""Texts without the differences that do not count: SQuAD's way for English, and a way for any language."""

from __future__ import annotations

import re
import string
import unicodedata
from dataclasses import dataclass
from typing import Literal

from surefoot.errors import InvalidInput

Way = Literal["squad", "unicode"]

_ASCII_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")
# Scripts that are written without spaces between words: each of their letters is a word.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\U00020000-\U0003fffd"
)
_WORDS = re.compile(f"[{_UNSPACED}]|[^\\s{_UNSPACED}]+")


class _Kept(dict[int, str | None]):
    """A table for `str.translate` that is made as it is asked: what is kept, and what stands for the rest."""

    def __init__(self, dropped: str, instead: str | None) -> None:
        super().__init__()
        self._dropped = dropped
        self._instead = instead

    def __missing__(self, code: int) -> str | None:
        category = unicodedata.category(chr(code))
        if category == "Cf":
            kept = None
        elif category[0] in self._dropped:
            kept = self._instead
        else:
            kept = chr(code)
        self[code] = kept
        return kept


# Punctuation, and what is neither letter, mark nor digit. Format characters (zero width, direction, soft hyphen) go.
_WITHOUT_PUNCTUATION = _Kept("P", None)
_WITHOUT_FORMATS = _Kept("", None)
_WORDS_ALONE = _Kept("PSZC", " ")


@dataclass(frozen=True, slots=True)
class Folding:
    """A normalisation for any language: NFKC, then case and punctuation as said; single spaces between words.

    folds_case: full case folding, so that `STRASSE` is `straße`.
    drops_punctuation: that of all scripts (Unicode's categories P). Symbols such as `$` and `+` count.
    """

    folds_case: bool = True
    drops_punctuation: bool = True

    def __call__(self, text: str) -> str:
        text = unicodedata.normalize("NFKC", text)
        if self.folds_case:
            text = text.casefold()
        text = text.translate(_WITHOUT_PUNCTUATION if self.drops_punctuation else _WITHOUT_FORMATS)
        # What is folded, or has lost what stood in between, may be composed anew.
        return " ".join(unicodedata.normalize("NFKC", text).split())


def normalised(text: str, way: Way = "squad") -> str:
    """The text without what does not count.

    `squad`: lower case, without ASCII punctuation and the articles a, an, the; single spaces between words.
    `unicode`: a `Folding` of case and punctuation, for any language.
    """
    if way == "squad":
        return " ".join(_ARTICLES.sub(" ", text.lower().translate(_ASCII_PUNCTUATION)).split())
    if way == "unicode":
        return Folding()(text)
    raise InvalidInput(f"there is no normalisation {way!r}: name squad or unicode")


def words(text: str, way: Way = "squad") -> list[str]:
    """The words of the normalised text. By `unicode` each letter of a script without spaces, as 東京, is one."""
    found = normalised(text, way)
    return found.split() if way == "squad" else _WORDS.findall(found)


def letters(text: str) -> list[str]:
    """Runs of letters, marks and digits of any script, folded: the words of a ROUGE that is not bound to ASCII."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return _WORDS.findall(folded.translate(_WORDS_ALONE))
