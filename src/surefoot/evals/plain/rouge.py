"""ROUGE: shared n-grams and the longest common subsequence of two texts.

Lin, "ROUGE: A Package for Automatic Evaluation of Summaries", Text Summarization Branches Out, ACL 2004.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

from surefoot.evals.plain.stemming import stem

Kind = Literal["rouge1", "rouge2", "rougeL"]
Part = Literal["fmeasure", "precision", "recall"]

_ASCII_WORD = re.compile(r"[a-z0-9]+")
_SHORT = 3


@dataclass(frozen=True, slots=True)
class Overlap:
    """What two texts share: of the words of the answer (`precision`), of those expected (`recall`), 0 to 1 each."""

    precision: float
    recall: float

    @property
    def fmeasure(self) -> float:
        """The harmonic mean; 0 where both are 0."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total > 0 else 0.0

    def part(self, part: Part) -> float:
        return self.fmeasure if part == "fmeasure" else self.precision if part == "precision" else self.recall


def ascii_tokens(text: str, *, stems: bool = True) -> list[str]:
    """Lower-case runs of a-z and 0-9, stemmed if longer than 3 characters. Other scripts leave no word."""
    return [stemmed(word) if stems else word for word in _ASCII_WORD.findall(text.lower())]


def stemmed(word: str) -> str:
    """The stem of a word that is longer than 3 characters, as ROUGE counts words."""
    return stem(word) if len(word) > _SHORT else word


def overlap(kind: Kind, answer: Sequence[str], expected: Sequence[str]) -> Overlap:
    """ROUGE of two lists of words: single words, pairs, or the longest common subsequence."""
    if kind == "rougeL":
        return _share(longest_common(answer, expected), len(answer), len(expected))
    size = 1 if kind == "rouge1" else 2
    said, wanted = _grams(answer, size), _grams(expected, size)
    return _share((said & wanted).total(), said.total(), wanted.total())


def longest_common(left: Sequence[Hashable], right: Sequence[Hashable]) -> int:
    """The length of the longest common subsequence, row by row with one bit for each item of `left`.

    Crochemore et al., "A fast and practical bit-vector algorithm for the longest common subsequence problem",
    Information Processing Letters 80 (2001).
    """
    places: dict[Hashable, int] = {}
    for at, item in enumerate(left):
        places[item] = places.get(item, 0) | 1 << at
    every = (1 << len(left)) - 1
    row = every
    for item in right:
        if found := places.get(item, 0) & row:
            row = (row + found | row - found) & every
    return len(left) - row.bit_count()


def _grams(words: Sequence[str], size: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[at : at + size]) for at in range(len(words) - size + 1))


def _share(shared: int, said: int, wanted: int) -> Overlap:
    return Overlap(shared / max(said, 1), shared / max(wanted, 1))
