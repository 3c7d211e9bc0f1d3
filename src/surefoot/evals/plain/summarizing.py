"""ROUGE: shared n-grams and the longest common subsequence of two texts.

Lin, "ROUGE: A Package for Automatic Evaluation of Summaries", Text Summarization Branches Out, ACL 2004.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

from surefoot.errors import InvalidInput
from surefoot.evals.plain.matching import shown, text_of, texts
from surefoot.evals.plain.normalising import letters
from surefoot.evals.plain.stemming import stem
from surefoot.evals.scales import scaled
from surefoot.evals.scores import Score

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


def rouge(
    kind: Kind = "rougeL",
    *,
    part: Part = "fmeasure",
    stems: bool = True,
    compat: Literal["ragas"] | None = None,
) -> Callable[[str, str | Sequence[str]], Score]:
    """A scorer: ROUGE of the response and what is expected, 0 to 1. The best of several expected ones counts.

    Words are runs of letters and digits of any script, folded; English ones longer than 3 letters are stemmed.

    kind: single words (`rouge1`), pairs (`rouge2`) or the longest common subsequence (`rougeL`).
    part: the F-measure, or the `precision` or `recall` of the expected words.
    compat: `ragas` gives that library's number, in which letters beyond ASCII part words and are none.

    Raises `InvalidInput` for a kind or part that there is not.
    """
    if kind not in ("rouge1", "rouge2", "rougeL") or part not in ("fmeasure", "precision", "recall"):
        raise InvalidInput(
            f"there is no {kind!r} with {part!r}: name rouge1, rouge2 or rougeL, and fmeasure, precision or recall"
        )

    def tokens(text: str) -> list[str]:
        if compat is not None:
            return ascii_tokens(text)
        return [stemmed(word) if stems and word.isascii() else word for word in letters(text)]

    def rouge(response: str, expected: str | Sequence[str]) -> Score:
        said = tokens(text_of(response, "the response"))
        found = [(overlap(kind, said, tokens(text)), text) for text in texts(expected)]
        best, text = max(found, key=lambda each: each[0].part(part))
        reason = f"precision {best.precision:.3f}, recall {best.recall:.3f}, compared with {shown(text)}"
        return Score(best.part(part), reason)

    return scaled(rouge, name=kind if part == "fmeasure" else f"{kind}:{part}")
