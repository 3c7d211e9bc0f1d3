"""Porter's stemmer, with the deviations that ROUGE's usual implementation has.

The rules are those of Porter, "An algorithm for suffix stripping", Program 14 (1980). The deviations are those that
NLTK makes by default, as `rouge_score` stems with it: a few irregular words, `ies` and `ied` after one letter, `y`
after any consonant but the first letter, `fulli` and `logi`, and that two letters, a vowel and a consonant, end like
`hop`.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

_IRREGULAR = {
    "skies": "sky",
    "sky": "sky",
    "dying": "die",
    "lying": "lie",
    "tying": "tie",
    "news": "news",
    "inning": "inning",
    "innings": "inning",
    "outing": "outing",
    "outings": "outing",
    "canning": "canning",
    "cannings": "canning",
    "howe": "howe",
    "proceed": "proceed",
    "exceed": "exceed",
    "succeed": "succeed",
}
# In each step the first ending that a word has decides, whether its stem is long enough or not.
_STEP_2 = (
    *(("ational", "ate"), ("tional", "tion"), ("enci", "ence"), ("anci", "ance"), ("izer", "ize")),
    *(("bli", "ble"), ("alli", "al"), ("entli", "ent"), ("eli", "e"), ("ousli", "ous")),
    *(("ization", "ize"), ("ation", "ate"), ("ator", "ate"), ("alism", "al"), ("iveness", "ive")),
    *(("fulness", "ful"), ("ousness", "ous"), ("aliti", "al"), ("iviti", "ive"), ("biliti", "ble")),
    *(("fulli", "ful"), ("logi", "log")),
)
_STEP_3 = (
    *(("icate", "ic"), ("ative", ""), ("alize", "al"), ("iciti", "ic")),
    *(("ical", "ic"), ("ful", ""), ("ness", "")),
)
_STEP_4 = (
    *("al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion"),
    *("ou", "ism", "ate", "iti", "ous", "ive", "ize"),
)


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """The stem of a word in lower case; words of two letters and less are their own."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) <= 2:
        return word
    word = _without_plural(word)
    word = _without_tense(word)
    if word.endswith("y") and len(word) > 2 and not _vowels(word[:-1])[-1]:
        word = word[:-1] + "i"
    word = _step_2(word)
    word = _step_3(word)
    word = _step_4(word)
    return _tidied(word)


def _without_plural(word: str) -> str:
    if word.endswith("ies"):
        return word[:-1] if len(word) == 4 else word[:-2]
    if word.endswith("sses"):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _without_tense(word: str) -> str:
    if word.endswith("ied"):
        return word[:-1] if len(word) == 4 else word[:-2]
    if word.endswith("eed"):
        return word[:-1] if _measure(word[:-3]) > 0 else word
    for ending in ("ed", "ing"):
        if word.endswith(ending) and any(_vowels(word[: -len(ending)])):
            return _restored(word[: -len(ending)])
    return word


def _restored(rest: str) -> str:
    """What is left of a word without its `ed` or `ing`, with the end that belongs there."""
    if rest.endswith(("at", "bl", "iz")):
        return rest + "e"
    if len(rest) >= 2 and rest[-1] == rest[-2] and not _vowels(rest)[-1]:
        return rest if rest[-1] in "lsz" else rest[:-1]
    return rest + "e" if _measure(rest) == 1 and _ends_like_hop(rest) else rest


def _step_2(word: str) -> str:
    if word.endswith("alli") and _measure(word[:-4]) > 0:
        # Its `al` may be the end of another ending.
        return _step_2(word[:-2])
    for ending, instead in _STEP_2:
        if word.endswith(ending):
            # The l of `logi` belongs to the stem.
            before = word[:-3] if ending == "logi" else word[: -len(ending)]
            return word[: -len(ending)] + instead if _measure(before) > 0 else word
    return word


def _step_3(word: str) -> str:
    for ending, instead in _STEP_3:
        if word.endswith(ending):
            before = word[: -len(ending)]
            return before + instead if _measure(before) > 0 else word
    return word


def _step_4(word: str) -> str:
    for ending in _STEP_4:
        if word.endswith(ending):
            before = word[: -len(ending)]
            fits = _measure(before) > 1 and (ending != "ion" or before[-1] in "st")
            return before if fits else word
    return word


def _tidied(word: str) -> str:
    if word.endswith("e"):
        before = word[:-1]
        measure = _measure(before)
        if measure > 1 or (measure == 1 and not _ends_like_hop(before)):
            word = before
    return word[:-1] if word.endswith("ll") and _measure(word[:-1]) > 1 else word


def _vowels(word: str) -> list[bool]:
    """Which letters are vowels: a, e, i, o, u, and a y that follows a consonant."""
    found: list[bool] = []
    for letter in word:
        is_vowel = letter in "aeiou" or (letter == "y" and bool(found) and not found[-1])
        found.append(is_vowel)
    return found


def _measure(word: str) -> int:
    """How often a consonant follows a vowel: Porter's m."""
    vowels = _vowels(word)
    return sum(before and not after for before, after in pairwise(vowels))


def _ends_like_hop(word: str) -> bool:
    vowels = _vowels(word)
    if len(word) == 2:
        return vowels == [True, False]
    return vowels[-3:] == [False, True, False] and word[-1] not in "wxy"
