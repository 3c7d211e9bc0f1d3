"""Characters that nobody sees, and those that look like others: what a text shows, and what it reads as."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

_ALPHABET = "abcdefghijklmnopqrstuvwxyz"

# By kind: what is invisible, and could carry text past a reader.
_KINDS: Mapping[str, Iterable[int]] = {
    "tag": range(0xE0000, 0xE0080),
    "bidi": [*range(0x202A, 0x202F), *range(0x2066, 0x206A)],
    "bidi_mark": [0x061C, 0x200E, 0x200F],
    "zero_width": [
        *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180E, 0x200B, 0x200C, 0x200D, 0x3164, 0xFFA0),
        *range(0x2060, 0x2066),
        *range(0x206A, 0x2070),
        *range(0xFFF9, 0xFFFC),
        *range(0x1BCA0, 0x1BCA4),
        *range(0x1D173, 0x1D17B),
        # Unassigned, but invisible by the standard.
        *range(0xE0080, 0xE0100),
        *range(0xE01F0, 0xE1000),
    ],
    "byte_order_mark": [0xFEFF],
    "soft_hyphen": [0x00AD],
    "variation_selector": [0x180B, 0x180C, 0x180D, 0x180F, *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)],
}
_KIND_OF = {chr(code): kind for kind, codes in _KINDS.items() for code in codes}
_ORDINARY = frozenset({"bidi_mark", "byte_order_mark", "soft_hyphen"})
"""Kinds that web pages, files and right-to-left texts hold without any intent."""

# Scripts whose spelling needs joiners: from Hebrew and Arabic over those of India to Myanmar, Khmer and Mongolian, and
# their presentation forms and supplements.
_JOINING = (
    *(
        (0x0590, 0x109F),
        (0x1780, 0x18AF),
        (0x1900, 0x1CFF),
        (0xA800, 0xABFF),
        (0xFB1D, 0xFDFF),
        (0xFE70, 0xFEFC),
    ),
    *((0x10A00, 0x10FFF), (0x11000, 0x11FFF), (0x1E900, 0x1E95F)),
)
# Scripts without blanks between words: Thai, Lao, Tibetan, Myanmar, Khmer, those of Tai peoples, Balinese, Javanese.
_UNSPACED = (
    *(
        (0x0E00, 0x0FFF),
        (0x1000, 0x109F),
        (0x1780, 0x17FF),
        (0x1950, 0x19FF),
        (0x1A20, 0x1AAF),
        (0x1B00, 0x1B7F),
    ),
    *((0xA980, 0xA9DF), (0xA9E0, 0xA9FF), (0xAA60, 0xAADF)),
)
_RIGHT_TO_LEFT = (
    (0x0590, 0x08FF),
    (0xFB1D, 0xFDFF),
    (0xFE70, 0xFEFC),
    (0x10800, 0x10FFF),
    (0x1E800, 0x1EFFF),
)
_IDEOGRAPHS = ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))
_HANGUL = ((0x1100, 0x11FF), (0xA960, 0xA97F), (0xD7B0, 0xD7FF))
_MONGOLIAN = ((0x1800, 0x18AF),)
# Signs with a picture of their own besides a plain form. Those of planes 1 and up are taken as a block.
_PICTURES = ((0x2190, 0x2BFF), (0x3030, 0x303D), (0x3297, 0x3299), (0x1F000, 0x1FAFF))
_PICTURE_SIGNS = frozenset("#*0123456789©®‼⁉™ℹ")
_MATHEMATICAL = ((0x2190, 0x22FF), (0x2A00, 0x2AFF))

FLAGS = tuple(
    "".join(chr(0xE0000 + ord(sign)) for sign in name) + "\U000e007f" for name in ("gbeng", "gbsct", "gbwls")
)
"""The flags of England, Scotland and Wales are written in tag characters behind a black flag: there are no others."""

_LONGEST_KEPT = 7
"""Behind a character at most so many invisible ones belong to it."""


def _ranges(codes: Iterable[int]) -> str:
    """A class of a pattern: characters one by one would be compared one by one."""
    ranges: list[list[int]] = []
    for code in sorted(codes):
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return "[" + "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in ranges) + "]"


_RUN = re.compile(_ranges(map(ord, _KIND_OF)) + "+")


@dataclass(frozen=True, slots=True)
class Visible:
    """A text without what nobody would see in it, and how much of each kind was taken out.

    The kinds are tag, bidi, bidi_mark, zero_width, byte_order_mark, soft_hyphen and variation_selector.
    """

    text: str
    removed: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def is_suspicious(self) -> bool:
        """Whether something was taken out that ordinary texts do not hold."""
        return not self.removed.keys() <= _ORDINARY


def visible(text: str) -> Visible:
    """Take out tag characters, bidi controls, zero-width characters and variation selectors that say nothing.

    Joiners and selectors stay within emoji and in scripts whose spelling needs them, ends of words in scripts without
    blanks, marks of direction in texts that run from right to left. A text in NFC stays in it. A text without such
    characters comes back as it is.
    """
    if text.isascii() or _RUN.search(text) is None:
        return Visible(text)
    removed: Counter[str] = Counter()

    def kept(found: re.Match[str]) -> str:
        begin, end = found.span()
        before = text[begin - 1] if begin else ""
        stays = _belonging(before, found[0], text[end] if end < len(text) else "")
        gone = Counter(found[0])
        gone.subtract(stays)
        for character, count in gone.items():
            if count:
                removed[_KIND_OF[character]] += count
        return stays

    shown = _RUN.sub(kept, text)
    if not removed:
        return Visible(text)
    # What stood apart may now be one character: a letter and the accent that followed it.
    if unicodedata.is_normalized("NFC", text):
        shown = unicodedata.normalize("NFC", shown)
    return Visible(shown, dict(removed))


def _belonging(before: str, run: str, after: str) -> str:
    """The part of a run of invisible characters that belongs to the character before it, and to the one behind it."""
    if not before:
        return ""
    if before == "\U0001f3f4" and run.startswith(FLAGS):
        flag = run[:6]
        return flag + _belonging_to(before, run[6:8], after if len(run) == 7 else "")
    return _belonging_to(before, run[:_LONGEST_KEPT], after if len(run) <= _LONGEST_KEPT else "")


def _belonging_to(before: str, run: str, after: str) -> str:
    code = ord(before)
    kept = ""
    for number, sign in enumerate(run):
        follows = run[number + 1] if number + 1 < len(run) else after
        if _is_kept(code, kept, sign, follows):
            kept += sign
    return kept


def _is_kept(base: int, kept: str, sign: str, follows: str) -> bool:
    """Whether an invisible sign belongs to a character: `kept` is what belongs to it already."""
    match _KIND_OF[sign]:
        case "variation_selector":
            return not kept and _selects(base, ord(sign))
        case "bidi_mark":
            return not kept and (_within(base, _RIGHT_TO_LEFT) or _is_right_to_left(follows))
        case "zero_width" if sign == "\u200d" and _is_picture(base):
            # Emoji are joined with emoji; a selector may stand between.
            return "\u200d" not in kept and bool(follows) and _is_picture(ord(follows))
        case "zero_width" if sign in "\u200c\u200d":
            # Also before a letter: Persian endings are written to names in Latin letters.
            return not kept and (
                _within(base, _JOINING) or (bool(follows) and _within(ord(follows), _JOINING))
            )
        case "zero_width" if sign == "\u034f":
            return not kept and _within(base, _JOINING)
        case "zero_width" if sign == "\u200b":
            # Where a word ends, and a line may.
            return (
                not kept and _within(base, _UNSPACED) and bool(follows) and _within(ord(follows), _UNSPACED)
            )
        case "zero_width" if sign in "\u115f\u1160":
            return not kept and (_within(base, _HANGUL) or (bool(follows) and _within(ord(follows), _HANGUL)))
        case _:
            return False


def _selects(base: int, selector: int) -> bool:
    if selector in (0xFE0E, 0xFE0F):
        return _is_picture(base)
    if 0xFE00 <= selector <= 0xFE02:
        return _within(base, _IDEOGRAPHS) or _within(base, _MATHEMATICAL)
    if selector < 0xFE00:
        return _within(base, _MONGOLIAN)
    # The registered variants of ideographs are few for each.
    return selector < 0xE0120 and _within(base, _IDEOGRAPHS)


def _is_picture(code: int) -> bool:
    return _within(code, _PICTURES) or chr(code) in _PICTURE_SIGNS


def _is_right_to_left(sign: str) -> bool:
    return bool(sign) and _within(ord(sign), _RIGHT_TO_LEFT)


def _within(code: int, ranges: tuple[tuple[int, int], ...]) -> bool:
    return any(first <= code <= last for first, last in ranges)


# What is drawn like a Latin letter or a plain sign, and is not made one by NFKC: Cyrillic, Greek, Armenian, Cherokee,
# Lisu, phonetic and small capital letters, letters with a stroke, turned ones, squares, regional indicators.
_ALIKE = {
    "a": "аАαΑɑᴀɐꭺᎪꓮ",
    "b": "вВьЬβΒʙɓƀᏼᏴꓐъЪ",
    "c": "сСϲϹᴄɔƈᏟꓚ",
    "d": "ԁԀᴅđðɖɗᎠꓓժ",
    "e": "еЕєЄεΕᴇɛǝɘəᎬꓰҽҼ",
    "f": "ꜰƒɟꓝք",
    "g": "ɡԍԌɢǥɠƃᏀꓖց",
    "h": "һҺнНΗʜħɥᎻꓧհ",
    "i": "іІїЇιΙɪıɩɨᴉᎥꓲι",
    "j": "јЈϳͿᴊɉɟȷᎫꓙ",
    "k": "кКκΚᴋĸƙʞᏦꓗқҚ",
    "l": "ӏӀʟłɫɭƚᏞꓡӀլ",
    "m": "мМΜϻᴍɯɱᎷꓟ",
    "n": "ηΝпПɴŋɲɳƞꓠոռ",
    "o": "оОοΟσɵøᴏөӨꓳօՕ",
    "p": "рРρΡᴘƥᏢꓑ",
    "q": "ԛԚǫʠգզ",
    "r": "гГʀɼɽɹяЯᏒꓣ",
    "s": "ѕЅꜱʂᏚꓢႽ",
    "t": "тТτΤᴛŧƭʇᎢꓔ",
    "u": "υᴜʉʊսՍꓴμиИцЦ",
    "v": "νѵѴᴠʋʌᏙꓦ",
    "w": "ԝԜωшШѡᴡʍᎳꓪա",
    "x": "хХχΧꓫ",
    "y": "уУүҮγΥʏƴʎᎩꓬყ",
    "z": "ᴢζΖʐƶᏃꓜ",
    "ae": "æӕӔ",
    "oe": "œ",
    "'": "ʼ’‘ʹ′`´‛ʻ",
    '"': "“”«»„‟″",
    "-": "‐‒–—―−⁃",
}
_LATIN: dict[int, str] = {ord(sign): latin for latin, signs in _ALIKE.items() for sign in signs}
for _first in (0x1F130, 0x1F150, 0x1F170, 0x1F1E6):
    # Letters in squares and circles, plain and reversed, and those that make flags.
    _LATIN.update({_first + number: letter for number, letter in enumerate(_ALPHABET)})


@lru_cache(maxsize=4096)
def _plain(sign: str) -> str:
    """What a single character reads as."""
    for _ in range(8):
        former = sign
        sign = unicodedata.normalize("NFKC", sign).translate(_LATIN).casefold()
        parts = unicodedata.normalize("NFKD", sign).translate(_LATIN)
        sign = "".join(part for part in parts if not unicodedata.combining(part)).casefold()
        if sign == former:
            break
    return sign


_NOT_ASCII = re.compile("[^\x00-\x7f]")


def skeleton(text: str) -> str:
    """What a text reads as, for matching only: NFKC, letters that look Latin as Latin ones, no accents, case folded.

    Texts that look alike have the same skeleton. It is idempotent; text of other scripts comes out maimed.
    """
    if text.isascii():
        return text.lower()
    return _NOT_ASCII.sub(lambda found: _plain(found[0]), _RUN.sub("", text)).lower()
