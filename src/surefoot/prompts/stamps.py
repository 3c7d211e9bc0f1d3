"""Stamps: what marks the places of a rendered text that are more than text, and that no value can hold.

Each rendering has a stamp of its own, random text that is made when all values are given already and that is taken
out again before anything leaves. A template is compiled with `PLACE` where the stamp will stand.
"""

from __future__ import annotations

import os
from typing import Literal, TypeAlias

# 256 characters of the private-use area, as no filter changes the case of one; 96 bits are not guessed within a
# rendering. The first character stands nowhere else in a stamp, so that two cannot overlap.
_ALPHABET = tuple(chr(0xE000 + number) for number in range(256))


def _random(first: str) -> str:
    return first + "".join(map(_ALPHABET.__getitem__, os.urandom(12)))


PLACE = _random("\ue1ff")

# What stands behind a stamp. A role marker is FIXED where the template has it; GIVEN where its role comes from a
# value, which stands between VALUE and END. A FIELD is a heading inside a message (`## tool_calls:`), a BREAK an end
# of line that the template does not have, PART a number of what is no text, PICTURE an inline picture up to
# PICTURE_END, and SOURCE what comes of an input up to SOURCE_END. In a message that is made, OUTSIDE begins what comes
# from outside, fence included, up to OUTSIDE_END.
# They have no case, as filters may change that of a part of the template.
FIXED, GIVEN, VALUE, END = "0", "1", "2", "3"
FIELD, BREAK, PART, PICTURE, PICTURE_END, SOURCE, SOURCE_END = "4", "5", "6", "7", "8", "9", "."
OUTSIDE, OUTSIDE_END = "(", ")"


Telling: TypeAlias = Literal["sources", "fences"]
"""How a rendered text says from which input it comes: for a reader, or for fences, by which numbers need not tell."""


def fresh() -> str:
    """The stamp of one rendering."""
    return _random("\ue1fe")
