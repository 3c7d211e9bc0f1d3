"""What the classifier sees of a text: words and n-grams, as they read and not as they are spelled."""

from __future__ import annotations

import re
from itertools import pairwise

_WORDS = re.compile(r"[^\W\d_]+|\d|[^\w\s]")


def features_of(reading: str) -> set[str]:
    """The distinct words, pairs of words and n-grams of 5 characters of a reading (`texts.characters.skeleton`).

    Numbers count as 0 for each digit, runs of blanks as one. A word has a blank on either side, a pair two in between.
    """
    words = ["0" if word.isdigit() else word for word in _WORDS.findall(reading)]
    line = " " + " ".join(words) + " "
    found = {line[begin : begin + 5] for begin in range(len(line) - 4)}
    found.update([f"{first}  {second}" for first, second in pairwise(words)])
    found.update([f" {word} " for word in words])
    return found
