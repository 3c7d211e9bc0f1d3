"""Parts of patterns: words as readings spell them, and what may stand between two of them."""

from __future__ import annotations

import re

from surefoot.texts.characters import skeleton

# Between two words of a rule. None at all is allowed: letters that were spaced out come back without blanks.
GAP = r"[\s\"'`*_.,:;()-]{0,4}"


def any_of(words: str) -> str:
    """One of several words, given as `one|two three`, spelled as readings spell them."""
    told = [GAP.join(re.escape(part) for part in skeleton(word).split()) for word in words.split("|")]
    return "(?:" + "|".join(told) + ")"


def some_of(words: str, most: int) -> str:
    """Up to so many of these words, each with a gap behind it."""
    return f"(?:{any_of(words)}{GAP}){{0,{most}}}"


def in_line(*parts: str) -> str:
    return GAP.join(parts)


def each_of(names: str, marks: str) -> str:
    return "|".join(f"{name} {mark}" for name in names.split("|") for mark in marks.split("|"))
