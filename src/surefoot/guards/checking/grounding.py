"""How much of an answer stands in what it was given: a measure of words, without a model."""

from __future__ import annotations

import re
from collections.abc import Iterable

_WORD = re.compile(r"\w+")
_LEAST = 4
"""Words of fewer letters say little of where a sentence is from; numbers of any length say much."""


def grounded_share(answer: str, given: Iterable[str]) -> float | None:
    """The share of an answer's words, of four letters or more and numbers, that the texts hold which it was given.

    0 to 1; None for an answer without such words. K-Precision of Adlakha et al., "Evaluating Correctness and
    Faithfulness of Instruction-Following Models for Question Answering" (2023), over longer words.
    """
    said = [word for word in _WORD.findall(answer.casefold()) if _counts(word)]
    if not said:
        return None
    known: set[str] = set()
    for text in given:
        known.update(_WORD.findall(text.casefold()))
    return sum(word in known for word in said) / len(said)


def _counts(word: str) -> bool:
    return len(word) >= _LEAST or word.isdigit()
