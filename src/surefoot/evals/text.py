"""Scorers that compare texts: exact, normalised, by shared words.

Normalisation and token F1 are those of SQuAD (Rajpurkar et al., "SQuAD: 100,000+ Questions for Machine Comprehension
of Text", EMNLP 2016, and version 2.0, ACL 2018). Where several answers are expected the best one counts.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from typing import cast

from surefoot.errors import InvalidInput
from surefoot.evals.scores import Score

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")


def normalised(text: str) -> str:
    """Lower case, without ASCII punctuation and the articles a, an, the; single spaces between words."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def f1(answer: str, expected: str) -> float:
    """Token F1, 0 to 1: the harmonic mean of precision and recall of the normalised words, counted as a multiset.

    Where one of the two has no words it is 1 if the other has none either, else 0.
    """
    said, wanted = normalised(answer).split(), normalised(expected).split()
    if not said or not wanted:
        return float(said == wanted)
    shared = (Counter(said) & Counter(wanted)).total()
    return 2 * shared / (len(said) + len(wanted))


def exact_match(answer: str, expected: str | Sequence[str]) -> bool:
    """Whether the answer is what is expected, character by character."""
    return any(answer == text for text in texts(expected))


def normalised_match(answer: str, expected: str | Sequence[str]) -> bool:
    """Whether the answer is what is expected, after `normalised`: SQuAD's exact match."""
    return any(normalised(answer) == normalised(text) for text in texts(expected))


def token_f1(answer: str, expected: str | Sequence[str]) -> Score:
    """`f1` of the answer and what is expected, 0 to 1: SQuAD's F1."""
    best = max(texts(expected), key=_f1_with(answer))
    return Score(f1(answer, best), f"compared with {best!r}")


def contains_expected(response: str, expected: str | Sequence[str]) -> bool:
    """Whether the normalised words of what is expected stand in the response, in this order and side by side."""
    said = f" {normalised(response)} "
    return any(f" {normalised(text)} " in said for text in texts(expected) if normalised(text))


def texts(expected: object) -> list[str]:
    """The expected answers as texts; numbers are written out. Raises `InvalidInput` for what is no answer."""
    is_list = isinstance(expected, list | tuple)
    several = list(cast("Sequence[object]", expected)) if is_list else [expected]
    found = [str(each) for each in several if isinstance(each, str | int | float)]
    if not found or len(found) != len(several):
        raise InvalidInput(
            f"expected is {type(expected).__name__}: this scorer compares with a text or a list of texts"
        )
    return found


def _f1_with(answer: str) -> Callable[[str], float]:
    return lambda expected: f1(answer, expected)
