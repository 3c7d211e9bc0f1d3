"""What a text holds that no reader sees and that is there for a program: refused, or taken out, where inputs come in.

Narrower than what `characters.visible` takes out before a model sees a text: a soft hyphen, a byte order mark, a
joiner that a keyboard has left or a mark of direction is in many a text that somebody has copied, and says nothing.
Here it is about what can carry words, or turn around what is read.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

from surefoot.texts.characters import FLAGS, visible

Kind: TypeAlias = Literal["tags", "direction", "zero-width", "variation selectors"]

_IN_WORDS: dict[Kind, str] = {
    "tags": "tag characters, which write text that nobody sees",
    "direction": "a character that turns the order of the letters around",
    "zero-width": "so many zero-width characters that they can carry text",
    "variation selectors": "variation selectors that select nothing, which can carry text",
}

_ZERO = "\u200b-\u200d\u2060-\u2065\u206a-\u206f\ufeff\u034f\u115f\u1160\u17b4\u17b5\u180e\u3164\uffa0\ufff9-\ufffb"
_SELECTOR = "\ufe00-\ufe0f\U000e0100-\U000e01ef"
_DIRECTION = "\u061c\u200e\u200f\u202a-\u202d\u2066-\u2069"
# Zero-width, or of a width that is seen at the end of a line or within music, shorthand and Mongolian alone.
_INVISIBLE = f"{_ZERO}{_DIRECTION}\u00ad\u180b-\u180d\u180f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
_FOUND = re.compile(
    # England, Scotland and Wales are the black flag and tags; an ideograph may have one selector of its own.
    f"(?P<flag>\U0001f3f4(?:{'|'.join(FLAGS)}))"
    "|(?P<tags>[\U000e0000-\U000e00ff\U000e01f0-\U000e0fff]+)"
    # Its sibling for the other direction stands around numbers that were copied from an address book.
    "|(?P<direction>\u202e)"
    f"|(?P<zero>[{_INVISIBLE}]{{8,}})"
    f"|(?P<ideograph>[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff][{_SELECTOR}])"
    f"|(?P<selectors>[{_SELECTOR}]{{2,}}|[\U000e0100-\U000e01ef])"
)
_KIND_OF: dict[str, Kind] = {
    "tags": "tags",
    "direction": "direction",
    "zero": "zero-width",
    "selectors": "variation selectors",
}
_UNSEEN = re.compile(f"[\U000e0000-\U000e0fff\u202e{_INVISIBLE}\ufe00-\ufe0f]+")
# One alone is a joiner, a space or a selector of an emoji.
_ALONE = re.compile(f"[{_INVISIBLE}\ufe00-\ufe0f]")
_APART = re.compile(f"[{_ZERO}\ufe00-\ufe0f]")
_MOST_APART = 24
"""Zero-width characters that may stand here and there without a use: fewer than three bytes of anything."""
_SHARE_APART = 0.02
_MOST_OTHERS = 8
"""Of these such as are not of the commonest kind: page builders and word breakers leave one kind, over and over."""
_MOST_ROUNDS = 4


@dataclass(frozen=True, slots=True)
class Hidden:
    """Something that no reader sees, from one character of a text to another, counted from 0."""

    kind: Kind
    start: int
    end: int
    is_scattered: bool = False
    """Whether it stands between what is seen, all over the text."""

    @property
    def words(self) -> str:
        """What it is."""
        return _IN_WORDS[self.kind]


def hidden_in(text: str) -> Hidden | None:
    """The first that a text hides: tags, an override of direction, zero-width characters or selectors with data.

    Emoji with their flags and families, joiners where a script is written with them, isolates and marks of direction,
    zero-width spaces, soft hyphens and byte order marks are none of these, nor is what fills the preview of a mail: one
    pattern of such characters over and over.
    """
    if text.isascii():
        return None
    for run in _UNSEEN.finditer(text):
        begin, end = run.span()
        if end - begin == 1 and _ALONE.match(run[0]):
            continue
        # With the flag or the ideograph that it belongs to.
        for found in _FOUND.finditer(text, max(0, begin - 1), end):
            if (kind := _kind_of(found)) is not None:
                return Hidden(kind, found.start(), found.end())
    return _scattered(text)


def without_hidden(text: str) -> str:
    """The text without what it hides; all else stays as it is."""
    for _ in range(_MOST_ROUNDS):
        if hidden_in(text) is None:
            return text
        if _scattered(text) is not None:
            text = visible(text).text
        # What stood around it may be a run by now, so that it is looked at again.
        text = _FOUND.sub(lambda found: found[0] if _kind_of(found) is None else "", text)
    return visible(text).text


def _kind_of(found: re.Match[str]) -> Kind | None:
    kind = _KIND_OF.get(found.lastgroup or "")
    return None if kind == "zero-width" and not _varies(found[0], 4) else kind


def _varies(signs: str, width: int) -> bool:
    """Whether a row of signs says anything: one pattern that is repeated has few different parts of so many signs."""
    return len({signs[at : at + width] for at in range(len(signs) - width + 1)}) > width


def _scattered(text: str) -> Hidden | None:
    """Zero-width characters and selectors between letters here and there, one sort for a bit, another for the rest."""
    apart = "".join(_APART.findall(text))
    most = max(_MOST_APART, _SHARE_APART * len(text))
    if len(apart) <= most or not _varies(apart, 8):
        return None
    # What scripts and emoji need is no sign of anything.
    gone = Counter(apart)
    gone.subtract(_APART.findall(visible(text).text))
    if gone.total() <= most or gone.total() - max(gone.values()) <= _MOST_OTHERS:
        return None
    first = cast("re.Match[str]", _APART.search(text)).start()
    return Hidden("zero-width", first, len(text), is_scattered=True)
